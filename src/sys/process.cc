// Child processes held before their exec, references to running ones, reading their memory. Between
// fork and exec only async-signal-safe calls.
#include "sys/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "sys/clock.h"
#include "sys/errors.h"
#include "sys/text_file.h"

extern char** environ;

namespace ktap::sys {

uint64_t physical_memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  KTAP_CHECK(pages > 0 && page_bytes > 0);
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes);
}

namespace {

/// The process that thread `tid` belongs to, or -1.
pid_t thread_group_of(pid_t tid) {
  UniqueFd fd(open(fmt::format("/proc/{}/status", tid).c_str(), O_RDONLY | O_CLOEXEC));
  char text[2048];
  const ssize_t got = fd.valid() ? read(fd.get(), text, sizeof text - 1) : -1;
  if (got <= 0) return -1;
  text[got] = '\0';
  const char* line = std::strstr(text, "\nTgid:");
  return line == nullptr ? -1 : static_cast<pid_t>(std::atoi(line + 6));
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return system_error("creating a pipe", errno);
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

/// The held child's life until exec. Only async-signal-safe calls. `go` < 0: it stops behind it.
[[noreturn]] void run_child(int go, int failure, const char* path, char* const* argv,
                            char* const* shell_argv) {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&ours, number);
  pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
  signal(SIGPIPE, SIG_DFL);
  char byte;
  ssize_t got = 1;
  do {
    if (go >= 0) got = read(go, &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) _exit(127);  // ktap gave up
  if (go >= 0 || ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) {
    execve(path, argv, environ);
    // A script without `#!` runs in the shell, as execvp(3) does it.
    if (errno == ENOEXEC) execve("/bin/sh", shell_argv, environ);
  }
  const int error_number = errno;
  ssize_t ignored = write(failure, &error_number, sizeof error_number);
  static_cast<void>(ignored);
  _exit(127);
}

bool is_runnable(const std::string& path, int* error_number) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    *error_number = errno;
    return false;
  }
  if (S_ISDIR(info.st_mode)) {
    *error_number = EISDIR;
    return false;
  }
  if (access(path.c_str(), X_OK) != 0) {
    *error_number = errno;
    return false;
  }
  return true;
}

/// The entries whose names are numbers.
std::vector<pid_t> numbers_in(const std::string& folder) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), &closedir);
  if (open == nullptr) return numbers;
  while (const dirent* entry = readdir(open.get())) {
    if (const pid_t number = std::atoi(entry->d_name); number > 0) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

std::vector<pid_t> threads_of(pid_t pid) { return numbers_in(fmt::format("/proc/{}/task", pid)); }

std::vector<pid_t> processes() { return numbers_in("/proc"); }

namespace {

/// Behind `PID (NAME) ` in /proc/PID/stat, whose name may hold anything; "" where there is none.
std::string state_and_parent(pid_t pid) {
  const Result<std::string> text = read_text(fmt::format("/proc/{}/stat", pid), 65536);
  const size_t name_end = text.ok() ? text.value().rfind(')') : std::string::npos;
  if (name_end == std::string::npos || name_end + 4 >= text.value().size()) return "";
  return text.value().substr(name_end + 2);
}

bool has_ended(pid_t thread) {
  const std::string state = state_and_parent(thread);
  return state.empty() || state[0] == 'Z' || state[0] == 'X';
}

}  // namespace

pid_t living_thread_of(pid_t pid) {
  if (!has_ended(pid)) return pid;
  for (const pid_t thread : threads_of(pid)) {
    if (thread != pid && !has_ended(thread)) return thread;
  }
  return pid;
}

Result<ProcessRef> ProcessRef::open(pid_t pid) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd >= 0) return ProcessRef(pid, UniqueFd(fd));
  const int error_number = errno;
  if (error_number == ESRCH) return Error{fmt::format("no process {}", pid), ESRCH};
  const pid_t group = thread_group_of(pid);
  if (group > 0 && group != pid) {
    return Error{fmt::format("{} is a thread of process {}; -p takes a process", pid, group),
                 EINVAL};
  }
  if (pid <= 0 || group < 0) return Error{fmt::format("no process {}", pid), error_number};
  return system_error(fmt::format("opening process {}", pid), error_number);
}

std::map<pid_t, pid_t> processes_and_parents() {
  std::map<pid_t, pid_t> found;
  for (const pid_t process : processes()) {
    const std::string state = state_and_parent(process);  // STATE PARENT …
    if (!state.empty()) found.emplace(process, std::atoi(state.c_str() + 2));
  }
  return found;
}

bool ProcessRef::ended() const {
  const int fd = fd_.get();
  return wait_readable(&fd, 1, 0) != 0;
}

Result<std::string> find_command(const std::string& name) {
  int error_number = ENOENT;
  if (name.find('/') != std::string::npos) {
    if (is_runnable(name, &error_number)) return name;
    return system_error(fmt::format("running '{}'", name), error_number);
  }
  const char* path = getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  int worst = ENOENT;
  while (!name.empty()) {
    const size_t colon = rest.find(':');
    const std::string_view directory = rest.substr(0, colon);
    const std::string candidate =
        directory.empty() ? "./" + name : fmt::format("{}/{}", directory, name);
    if (is_runnable(candidate, &error_number)) return candidate;
    if (error_number == EACCES) worst = EACCES;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  if (worst == EACCES) return system_error(fmt::format("running '{}'", name), EACCES);
  return Error{fmt::format("running '{}': no such command in PATH", name), ENOENT};
}

Result<Child> Child::start(const std::vector<std::string>& argv, Held held) {
  KTAP_CHECK(!argv.empty());
  KTAP_ASSIGN(const std::string path, find_command(argv[0]));
  KTAP_ASSIGN(Pipe go, make_pipe());
  KTAP_ASSIGN(Pipe failure, make_pipe());
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  std::string shell = "sh";
  std::vector<char*> shell_words = {shell.data(), const_cast<char*>(path.c_str())};
  shell_words.insert(shell_words.end(), words.begin() + 1, words.end());

  // That it stops is no news to who waits for its end.
  struct sigaction before = {};
  sigaction(SIGCHLD, nullptr, &before);
  struct sigaction ends_alone = before;
  ends_alone.sa_flags |= SA_NOCLDSTOP;
  if (held == Held::BehindExec) sigaction(SIGCHLD, &ends_alone, nullptr);
  const pid_t pid = fork();
  if (pid < 0) return system_error(fmt::format("starting '{}'", argv[0]), errno);
  if (pid == 0) {
    // Its copies of our ends would keep it waiting for itself.
    close(go.write_end.get());
    close(failure.read_end.get());
    run_child(held == Held::BeforeExec ? go.read_end.get() : -1, failure.write_end.get(),
              path.c_str(), words.data(), shell_words.data());
  }
  Child child;
  child.pid_ = pid;
  child.path_ = path;
  child.go_ = std::move(go.write_end);
  child.failure_ = std::move(failure.read_end);
  if (held == Held::BeforeExec) return child;
  child.go_.reset();
  failure.write_end.reset();
  Result<void> stopped = child.wait_for_exec();
  if (stopped.ok()) stopped = child.stop_behind_exec();
  sigaction(SIGCHLD, &before, nullptr);
  if (!stopped.ok()) return stopped.error();
  return child;
}

/// It has said by its stop that it is there.
Result<void> Child::stop_behind_exec() {
  int status = 0;
  pid_t got;
  do {
    got = waitpid(pid_, &status, 0);
  } while (got < 0 && errno == EINTR);
  if (got != pid_) return system_error("starting '" + path_ + "'", errno);
  if (!WIFSTOPPED(status)) {
    status_ = status;
    return Error{fmt::format("'{}' ended as it began", path_), 0};
  }
  is_stopped_ = true;
  // Should we be killed it ends, as one does that is held before its exec.
  ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL);
  return {};
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      path_(std::move(other.path_)),
      go_(std::move(other.go_)),
      failure_(std::move(other.failure_)),
      is_stopped_(std::exchange(other.is_stopped_, false)),
      status_(other.status_) {}

Child::~Child() {
  const bool held = go_.valid() || is_stopped_;
  if (is_stopped_) kill(pid_, SIGKILL);
  go_.reset();
  if (held && pid_ > 0) wait();  // it ends by itself: the pipe is closed
}

Result<void> Child::release() {
  if (std::exchange(is_stopped_, false)) {
    ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);  // one that was killed meanwhile is gone
    return {};
  }
  KTAP_CHECK(go_.valid());
  const char byte = 1;
  // A child that someone killed meanwhile must not kill us: SIGPIPE would.
  struct sigaction ignore = {};
  struct sigaction before = {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &before);
  const ssize_t wrote = write(go_.get(), &byte, 1);
  const int write_errno = errno;
  sigaction(SIGPIPE, &before, nullptr);
  go_.reset();
  if (wrote != 1 && write_errno != EPIPE) return system_error("starting the command", write_errno);
  return wait_for_exec();
}

Result<void> Child::wait_for_exec() {
  int error_number = 0;
  ssize_t got;
  do {
    got = read(failure_.get(), &error_number, sizeof error_number);
  } while (got < 0 && errno == EINTR);
  failure_.reset();
  if (got != sizeof error_number) return {};
  wait();
  if (error_number == ENOENT && access(path_.c_str(), F_OK) == 0) {
    return Error{fmt::format("running '{}': the interpreter that its first line names, or its "
                             "dynamic linker, does not exist",
                             path_),
                 ENOENT};
  }
  return system_error("running '" + path_ + "'", error_number);
}

std::optional<int> Child::try_wait() {
  if (status_.has_value()) return status_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

int Child::wait() {
  int status = 0;
  while (!status_.has_value()) {
    if (waitpid(pid_, &status, 0) == pid_) {
      status_ = status;
    } else if (errno != EINTR) {
      status_ = 0;  // someone else reaped it; nothing is known
    }
  }
  return *status_;
}

}  // namespace ktap::sys
