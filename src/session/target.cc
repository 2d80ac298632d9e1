// See target.h.
#include "session/target.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

namespace ktap::session {

Result<std::optional<sys::ProcessRef>> open_target(const Options& options) {
  const int64_t cpus = sysconf(_SC_NPROCESSORS_CONF);
  if (options.cpu >= cpus) {
    return Error{
        fmt::format("-C {}: there is no such CPU; this machine has 0 to {}", options.cpu, cpus - 1),
        0};
  }
  std::optional<sys::ProcessRef> target;
  if (options.target_pid >= 0) {
    Result<sys::ProcessRef> opened = sys::ProcessRef::open(static_cast<pid_t>(options.target_pid));
    if (!opened.ok()) return opened.error();
    target.emplace(std::move(opened).value());
  }
  if (!options.command.empty()) {
    const Result<std::string> command = sys::find_command(options.command.front());
    if (!command.ok()) return command.error();
  }
  return target;
}

}  // namespace ktap::session
