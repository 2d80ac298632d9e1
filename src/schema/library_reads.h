// What functions of the library read of the kernel's memory: the same wherever a handler runs.
#pragma once

#include <cstdint>

namespace ktap::schema {

/// in_iowait(): the member of the current task.
inline constexpr const char* kInIowait = "in_iowait";

/// in_interrupt(): of the task where it has the count. The bits are those of soft interrupts (and
/// of where they are kept off), hard ones, and those that nothing keeps off
/// (include/linux/preempt.h). Since Linux 7.3 the count of kept off hard ones lies between.
inline constexpr const char* kThreadInfo = "thread_info";
inline constexpr const char* kPreemptCount = "preempt_count";
inline constexpr int64_t kInterruptBits = 0x00ffff00;
inline constexpr int64_t kInterruptBitsSince73 = 0x1f00ff00;

/// net.ip_sock_saddr(p), net.ip_sock_daddr(p): one of the two, where the family is that of IPv4.
inline constexpr const char* kSocketPointer = "struct sock *";
inline constexpr const char* kSocketCommon = "__sk_common";
inline constexpr const char* kSocketFamily = "skc_family";
inline constexpr const char* kSocketSource = "skc_rcv_saddr";
inline constexpr const char* kSocketDestination = "skc_daddr";
inline constexpr int64_t kIpv4Family = 2;

/// curr_taskinfo(offset[, n]): n when it is left out.
inline constexpr int64_t kTaskinfoBytes = 4;
inline constexpr const char* kTaskinfoSizes = "4 or 8";
/// What a pointer to n bytes is; null: n is another number.
constexpr const char* taskinfo_pointer(int64_t n) {
  return n == 4 ? "u32 *" : n == 8 ? "u64 *" : nullptr;
}

}  // namespace ktap::schema
