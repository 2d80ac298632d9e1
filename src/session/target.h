// Whom to trace, known before the script does anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "backend/unit.h"
#include "event/provider.h"
#include "session/options.h"
#include "symbol/user_symbols.h"
#include "sys/process.h"

namespace ktap::session {

struct Plan;

struct Target {
  std::optional<sys::ProcessRef> process;  ///< of -p
  std::string cgroup_path;                 ///< of --cgroup
  int64_t uid = -1;                        ///< of --user
};

/// Errors: no such process, CPU, user, cgroup, command, with what to do.
Result<Target> open_target(const Options& options);

/// What the target and the options ask of the programs; the process of -- CMD is not started yet.
/// `catalog`: null without events. Errors: the kernel has no events to follow processes by.
Result<void> put_scope(const Options& options, const Target& target, event::Catalog* catalog,
                       backend::Options& backend);

/// User stacks reach user space, in one form or the other.
bool takes_user_stacks(const Plan& plan);

/// Of whom a run has to know what is mapped, when all that it names are those that it traces.
/// `child`: of -- CMD; 0: none.
symbol::WatchedProcesses watched_processes(const Options& options, const Target& target,
                                           pid_t child);

}  // namespace ktap::session
