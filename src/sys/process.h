// Other processes: the command that we start and hold, the process of -p, their end and their
// memory.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

/// Of the machine.
uint64_t physical_memory_bytes();

/// Those that are there now.
std::vector<pid_t> threads_of(pid_t pid);
/// A thread that the process goes on with: `pid`, its first, or when that has ended another one.
/// What /proc/PID says of memory, root and folder it says of the first thread, and nothing once
/// that has ended. `pid` where none is found.
pid_t living_thread_of(pid_t pid);
std::vector<pid_t> processes();

/// A process that is there already, by a descriptor that no later process of the same number can
/// take over.
class ProcessRef {
 public:
  /// Errors: no such process; a thread that is not its process's first (the process is named).
  static Result<ProcessRef> open(pid_t pid);
  pid_t pid() const { return pid_; }
  /// Readable once the process has ended.
  int fd() const { return fd_.get(); }
  bool ended() const;

 private:
  ProcessRef(pid_t pid, UniqueFd fd) : pid_(pid), fd_(std::move(fd)) {}
  pid_t pid_;
  UniqueFd fd_;
};

/// `-- CMD`: forked at once, held until release(). Destroyed before that it ends without having run
/// anything; after that it is let go.
class Child {
 public:
  enum class Held : uint8_t {
    BeforeExec,
    BehindExec,  ///< its program is mapped, and has run nothing; by ptrace(2)
  };
  /// Finds argv[0] in PATH as a shell would, forks. Errors: no such command, not executable; behind
  /// its exec also what release() says.
  static Result<Child> start(const std::vector<std::string>& argv, Held held = Held::BeforeExec);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  /// The process id, the same after exec.
  pid_t pid() const { return pid_; }
  /// Lets it go and waits until its exec has succeeded. Errors: what exec said.
  Result<void> release();
  /// Exit status as wait(2) gives it, once it has ended; reaps it. After that always the same.
  std::optional<int> try_wait();
  /// try_wait, but waits.
  int wait();

 private:
  Child() = default;
  Result<void> wait_for_exec();
  Result<void> stop_behind_exec();

  pid_t pid_ = -1;
  std::string path_;         ///< what it runs, for messages
  UniqueFd go_;              ///< written once to let it run; closed unwritten it ends
  UniqueFd failure_;         ///< exec's errno, or closed by exec
  bool is_stopped_ = false;  ///< behind its exec
  std::optional<int> status_;
};

/// Each process with its parent, in the order of their numbers. Source: /proc.
std::map<pid_t, pid_t> processes_and_parents();

/// Where `name` would run from: itself when it holds a '/', else the first match in PATH.
Result<std::string> find_command(const std::string& name);

}  // namespace ktap::sys
