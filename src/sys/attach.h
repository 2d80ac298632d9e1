// Attaching loaded programs to tracepoints, and letting go of them again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "schema/event.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

/// The link of a program to a raw tracepoint; closing it detaches (0.1 ms).
/// Errors: sys_errno ENOENT when this kernel has no raw tracepoint of that name.
Result<UniqueFd> attach_raw_tracepoint(int program_fd, const std::string& name);
/// The same for a typed program, which knows its tracepoint; `name` is for messages.
Result<UniqueFd> attach_typed_tracepoint(int program_fd, const std::string& name);

/// The same for a program of one kernel function.
Result<UniqueFd> attach_function(int program_fd, const std::string& name);

/// Closes them all, several at a time: one to functions of programs waits 50 ms for a grace period
/// of RCU, and those who wait at once share it (200: 10 s one by one, 0.3 s so).
void close_links(std::vector<UniqueFd> links);

/// A program on an event of perf's.
struct PerfAttachment {
  UniqueFd event;
  UniqueFd link;  ///< where the program asks for a cookie (5.15)
};
/// One event on one CPU serves all CPUs and processes: a program runs wherever the tracepoint is
/// hit (kernel/events/core.c, perf_trace_run_bpf_submit).
Result<PerfAttachment> attach_tracepoint(int program_fd, int tracefs_id, const std::string& name);

/// Lets go of perf's tracepoints and probes. Closing one waits 40–120 ms for grace periods of RCU,
/// one after the other, and the exit of a process waits as well: a few are closed here, many are
/// disabled here and closed by a forked child in its own time. Until that has ended their programs
/// are still attached; the control page keeps them from doing anything.
void detach_perf(std::vector<PerfAttachment> attachments);

/// A point of a file where a program is set.
struct UserPoint {
  uint64_t offset_bytes = 0;     ///< in the file
  uint64_t semaphore_bytes = 0;  ///< in the file; 0: none
  uint64_t cookie = 0;
};
/// One link for all points of a file (6.6): attaching 66 takes 8 ms, closing 23 ms.
/// `pid`: other processes do not stop at the points, where the kernel can tell processes apart
/// (6.10), and this one is in our pid namespace and its first thread lives; below 0: none is meant.
/// The program still has to look whose event it is.
Result<UniqueFd> attach_user_points(int program_fd, const std::string& path,
                                    const std::vector<UserPoint>& points, bool is_return, int pid);
/// Whether the kernel has such links.
bool has_user_points_link();
/// One point through perf, for every process. `needs_cookie`: by a link.
Result<PerfAttachment> attach_user_point(int program_fd, const std::string& path,
                                         const UserPoint& point, bool is_return, bool needs_cookie);

/// A place in the kernel's code where a program is set.
struct KernelPoint {
  std::string symbol;
  uint64_t address = 0;  ///< of the symbol; 0: hidden from us
  uint64_t offset_bytes = 0;
  uint64_t cookie = 0;
};
/// One link for any number of functions that the function tracer has (5.18).
Result<UniqueFd> attach_kernel_points(int program_fd, const std::vector<KernelPoint>& points,
                                      bool is_return, const std::string& what);
/// Whether the kernel has such links.
bool has_kernel_points_link();
/// Whether probes may stand where functions begin. Asked on riscv64 alone, where kernels before
/// Linux 7 let none: elsewhere they may.
bool has_entry_probes();
/// One point through perf.
Result<PerfAttachment> attach_kernel_point(int program_fd, const KernelPoint& point, bool is_return,
                                           bool needs_cookie);

/// A thread, and those that it starts later (and their processes: the program has to look whose
/// event it is).
struct ThreadPlace {
  int tid = -1;
  int cpu = -1;            ///< only there; -1: on any
  bool from_exec = false;  ///< counted from its next exec on
};
/// A program on samples or a memory breakpoint of a thread. Errors: in words; sys_errno ESRCH: the
/// thread has ended.
Result<PerfAttachment> attach_to_thread(int program_fd, const schema::PerfSource& source,
                                        const ThreadPlace& place, const std::string& name);
/// A program on samples of one CPU.
Result<PerfAttachment> attach_samples(int program_fd, const schema::PerfSource& source, int cpu,
                                      const std::string& name);

/// Whether the machine has performance counters at all: tried on one of cycles.
bool has_counters();

/// Runs at a function of the kernel that this link should have caused and did not: probes within
/// probes, and returns of calls for which the kernel had no more room. Nothing where the kernel
/// does not tell (6.7).
std::optional<uint64_t> missed_by_link(int link_fd);

/// Makes room for `more` descriptors, as far as the hard limit goes.
void allow_open_files(size_t more);

}  // namespace ktap::sys
