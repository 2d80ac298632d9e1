// Attaching loaded programs to tracepoints, and letting go of them again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

/// The link of a program to a raw tracepoint; closing it detaches (0.1 ms).
/// Errors: sys_errno ENOENT when this kernel has no raw tracepoint of that name.
Result<UniqueFd> attach_raw_tracepoint(int program_fd, const std::string& name);
/// The same for a typed program, which knows its tracepoint; `name` is for messages.
Result<UniqueFd> attach_typed_tracepoint(int program_fd, const std::string& name);

/// A program on a tracepoint through perf. One event on one CPU serves all CPUs and processes: a
/// program runs wherever the tracepoint is hit (kernel/events/core.c, perf_trace_run_bpf_submit).
struct PerfTracepoint {
  UniqueFd event;
};
Result<PerfTracepoint> attach_tracepoint(int program_fd, int tracefs_id, const std::string& name);

/// Lets go of perf tracepoints. Closing one waits 40–75 ms for grace periods of RCU, one after the
/// other, and the exit of a process waits as well: a few are closed here, many are disabled here
/// and closed by a forked child in its own time. Until that has ended their programs are still
/// attached; the control page keeps them from doing anything.
void detach_tracepoints(std::vector<PerfTracepoint> tracepoints);

/// Makes room for `more` descriptors, as far as the hard limit goes.
void allow_open_files(size_t more);

}  // namespace ktap::sys
