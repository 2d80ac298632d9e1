// errno in words.
#include "sys/errors.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>

namespace ktap::sys {

bool may_trace() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  constexpr uint32_t kWanted = CAP_TO_MASK(CAP_BPF) | CAP_TO_MASK(CAP_PERFMON);
  return syscall(SYS_capget, &header, sets) == 0 &&
         (sets[CAP_TO_INDEX(CAP_BPF)].effective & kWanted) == kWanted;
}

namespace {

constexpr int kKernelNotSupported = 524;  // ENOTSUPP, include/linux/errno.h: leaks through bpf(2)

/// What a tracing call's errno means, and what the user can do about it; "" when the plain text
/// says it all.
std::string advice(int error_number) {
  switch (error_number) {
    case EPERM:
    case EACCES:
      if (geteuid() != 0) {
        return may_trace() ? "this takes root; CAP_BPF and CAP_PERFMON are not enough"
                           : "tracing needs root, or CAP_BPF and CAP_PERFMON";
      }
      return "refused even to root: kernel lockdown, or a container without CAP_BPF and "
             "CAP_PERFMON";
    case ENOSYS:
      return "this kernel has no eBPF (CONFIG_BPF_SYSCALL)";
    case ENOMEM:
      return "not enough kernel memory; table.new and --table-size make tables smaller";
    case E2BIG:
      return "larger than this kernel allows";
    case EMFILE:
    case ENFILE:
      return "too many open files; raise `ulimit -n`";
    default:
      return "";
  }
}

}  // namespace

std::string errno_text(int error_number) {
  if (error_number == kKernelNotSupported) return "not supported by this kernel";
  char buffer[128];
  std::string text = strerror_r(error_number, buffer, sizeof buffer);
  // "Permission denied" → "permission denied", but not "RPC …".
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

Error system_error(std::string_view attempt, int error_number) {
  return Error{fmt::format("{}: {}", attempt, errno_text(error_number)), error_number};
}

Error tracing_error(std::string_view attempt, int error_number) {
  Error error = system_error(attempt, error_number);
  const std::string more = advice(error_number);
  if (!more.empty()) error.message += "; " + more;
  return error;
}

}  // namespace ktap::sys
