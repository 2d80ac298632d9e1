// See target.h.
#include "session/target.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "diag/diagnostic.h"
#include "session/plan.h"
#include "sys/users.h"

namespace ktap::session {

namespace {

std::string with_hint(std::string text, const std::string& hint, const std::string& otherwise) {
  return text + "; " + (hint.empty() ? otherwise : hint);
}

Result<int64_t> find_user(const std::string& text) {
  uint32_t uid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), uid);
  const bool is_number = end == text.data() + text.size() && !text.empty();
  if (is_number && error == std::errc() && uid != UINT32_MAX) return int64_t{uid};
  // The last one is what system calls take for "no user".
  if (is_number && error != std::errc::invalid_argument)
    return Error{
        fmt::format("--user {}: no user has that number; the largest is {}", text, UINT32_MAX - 1)};
  const std::map<std::string, uint32_t> users = sys::users();
  if (const auto found = users.find(text); found != users.end()) return int64_t{found->second};
  std::vector<std::string> names;
  for (const auto& [name, number] : users) names.push_back(name);
  return Error{with_hint(fmt::format("--user {}: no such user in /etc/passwd", text),
                         diag::did_you_mean(text, names),
                         "give the number of one that is known elsewhere (id -u NAME)"),
               0};
}

/// As given, or below the mount of cgroup v2.
Result<std::string> find_cgroup(const std::string& text) {
  const std::string mount = sys::cgroup_mount();
  if (mount.empty())
    return Error{
        "--cgroup: cgroup v2 is not mounted; `mount -t cgroup2 none /sys/fs/cgroup` "
        "mounts it",
        0};
  for (const std::string& path : {text, mount + "/" + text}) {
    if (sys::is_cgroup(path)) return path;
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(text, ignored))
    return Error{
        fmt::format("--cgroup {}: not a folder of cgroup v2, which is mounted at {}", text, mount),
        0};
  const std::filesystem::path wanted = std::filesystem::path(mount + "/" + text).lexically_normal();
  std::vector<std::string> names;
  std::filesystem::directory_iterator entries(wanted.parent_path(), ignored);
  for (; !ignored && entries != std::filesystem::directory_iterator(); entries.increment(ignored)) {
    if (entries->is_directory(ignored)) names.push_back(entries->path().filename().string());
  }
  return Error{with_hint(fmt::format("--cgroup {}: no such cgroup below {}", text, mount),
                         diag::did_you_mean(wanted.filename().string(), names),
                         "the line 0:: of /proc/PID/cgroup tells a process's"),
               0};
}

}  // namespace

Result<Target> open_target(const Options& options) {
  const int64_t cpus = sysconf(_SC_NPROCESSORS_CONF);
  if (options.cpu >= cpus) {
    return Error{
        fmt::format("-C {}: there is no such CPU; this machine has 0 to {}", options.cpu, cpus - 1),
        0};
  }
  Target target;
  if (options.target_pid >= 0) {
    Result<sys::ProcessRef> opened = sys::ProcessRef::open(static_cast<pid_t>(options.target_pid));
    if (!opened.ok()) return opened.error();
    target.process.emplace(std::move(opened).value());
  }
  if (!options.user.empty()) {
    KTAP_ASSIGN(target.uid, find_user(options.user));
  }
  if (!options.cgroup.empty()) {
    KTAP_ASSIGN(target.cgroup_path, find_cgroup(options.cgroup));
  }
  if (!options.command.empty()) {
    const Result<std::string> command = sys::find_command(options.command.front());
    if (!command.ok()) return command.error();
  }
  return target;
}

Result<void> put_scope(const Options& options, const Target& target, event::Catalog* catalog,
                       backend::Options& backend) {
  backend.cpu = options.cpu;
  backend.uid = target.uid;
  backend.cgroup_path = target.cgroup_path;
  if (target.process) backend.target_tgid = target.process->pid();
  const bool has_target = target.process.has_value() || !options.command.empty();
  if (!options.follow || !has_target || catalog == nullptr) return {};
  event::Matches found = catalog->match("sched:sched_process_fork, sched:sched_process_free");
  if (!found.mistakes.empty())
    return Error{"--follow wants to see forks: " + found.mistakes.front().text, 0};
  KTAP_CHECK(found.events.size() == 2);
  if (found.events[0]->name != "sched_process_fork") std::swap(found.events[0], found.events[1]);
  backend.forked = found.events[0];
  backend.freed = found.events[1];
  backend.follow = true;
  return {};
}

bool takes_user_stacks(const Plan& plan) {
  const auto& captures = plan.linkage.captures;
  bool has_any =
      std::any_of(captures.begin(), captures.end(), [](const auto& c) { return c.copies_stack; });
  for (const PlannedHandler& handler : plan.handlers) {
    for (const PlannedGroup& group : handler.groups) {
      for (const ssa::Block& block : group.function.blocks) {
        for (const ssa::ValueId id : block.insts)
          has_any = has_any || group.function[id].op == ssa::Op::UserStack;
      }
    }
  }
  return has_any;
}

symbol::WatchedProcesses watched_processes(const Options& options, const Target& target,
                                           pid_t child) {
  if (child > 0) return {child, options.follow};
  // Whom -p has made before, nobody tells.
  if (target.process && !options.follow) return {target.process->pid(), false};
  return {};
}

}  // namespace ktap::session
