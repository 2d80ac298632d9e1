// The kernel's list of tracepoints and their formats, read from tracefs. When no tracefs is mounted
// we open a mount of our own that is attached nowhere (fsopen/fsmount, Linux 5.2) and goes away
// with its descriptor: nothing is ever left mounted. Reads only; attaching goes through bpf(2) and
// perf_event_open(2).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

class Tracefs {
 public:
  /// The mounted one (/sys/kernel/tracing, /sys/kernel/debug/tracing), else a detached mount.
  /// Errors: no permission, no tracefs in this kernel; with what to do.
  static Result<Tracefs> open();
  /// A directory that looks like a tracefs, for tests.
  static Result<Tracefs> at(const std::string& directory);

  /// One without any file.
  static Tracefs none() { return Tracefs(UniqueFd()); }

  /// The whole text of a file, by its path under the root: "events/sched/sched_switch/format".
  Result<std::string> read(const std::string& path) const;

 private:
  explicit Tracefs(UniqueFd root) : root_(std::move(root)) {}

  UniqueFd root_;
};

}  // namespace ktap::sys
