// The first and only process of a guest: runs the programs that /jobs lists, one after the other,
// and sends what each printed and how it ended over the console. tools/guest/run_cases.py writes
// the list and judges what comes back; this side judges nothing. Linked statically.
//
// /jobs, a word a line; a job ends with `end`, what is not said is the default:
//   nonce TEXT               first line: stands in every frame
//   job NUMBER               then any of
//   directory PATH           where it runs
//   timeout SECONDS          60; then it is killed
//   signal NUMBER MILLISECONDS
//                            sent that long after the program has said that it is armed
//   load COUNT               the next COUNT lines are a program that is started first; it gets a
//                            byte on its standard input once the other is armed; `@PID@` in the
//                            command becomes its number
//   environment NAME=VALUE   for the command, as often as wanted
//   module NAME              /modules/NAME.ko is loaded before, unless it is already; in this order
//   command COUNT            the next COUNT lines are the program and its arguments
//
// Frames: 0x1e, the nonce, a blank, WORD and its numbers, a newline, and the bytes that it names:
//   BEGIN milliseconds | OUT job bytes | ERR job bytes | STATUS job status (as wait gives it; -1
//   when killed for its time) | LOG bytes (the kernel's own) | END
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr char kBanner[] = "Tracing...";
constexpr size_t kMostBytes = 4 << 20;  // of each stream; what follows is thrown away
constexpr int kReadLog = 3;             // klogctl: SYSLOG_ACTION_READ_ALL

std::string nonce;

int64_t now_ms() {
  timespec at{};
  clock_gettime(CLOCK_MONOTONIC, &at);
  return int64_t{at.tv_sec} * 1000 + at.tv_nsec / 1000000;
}

void write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, data, size);
    if (written <= 0) return;
    data += written;
    size -= static_cast<size_t>(written);
  }
}

void frame(const std::string& head, const std::string& bytes = "") {
  const std::string all = "\x1e" + nonce + " " + head + "\n" + bytes;
  write_all(1, all.data(), all.size());
}

void write_file(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  write_all(fd, text, strlen(text));
  close(fd);
}

void set_up_machine() {
  mount("proc", "/proc", "proc", 0, nullptr);
  mount("sys", "/sys", "sysfs", 0, nullptr);
  mount("dev", "/dev", "devtmpfs", 0, nullptr);
  mount("tmp", "/tmp", "tmpfs", 0, nullptr);
  mount("tracing", "/sys/kernel/tracing", "tracefs", 0, nullptr);
  mount("debug", "/sys/kernel/debug", "debugfs", 0, nullptr);
  mount("cgroup", "/sys/fs/cgroup", "cgroup2", 0, nullptr);
  write_file("/proc/sys/kernel/kptr_restrict", "0");
  write_file("/proc/sys/kernel/perf_event_paranoid", "-1");
  write_file("/proc/sys/net/core/bpf_jit_enable", "1");  // off on 32-bit ARM, unless asked for
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &unlimited);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
  setenv("HOME", "/root", 1);
  setenv("LC_ALL", "C", 1);
  const int console = open("/dev/console", O_RDWR | O_CLOEXEC);
  if (console >= 0) {
    dup2(console, 0);
    dup2(console, 1);
    dup2(console, 2);
  }
  termios raw{};
  if (tcgetattr(1, &raw) == 0) {
    cfmakeraw(&raw);
    tcsetattr(1, TCSANOW, &raw);
  }
}

struct Job {
  int number = 0;
  std::string directory = "/";
  int64_t timeout_ms = 60000;
  int signal_number = 0;
  int64_t signal_delay_ms = 0;
  std::vector<std::string> load;
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::vector<std::string> modules;
};

/// What did not work, in lines.
std::string load_modules(const std::vector<std::string>& names) {
  std::string problems;
  for (const std::string& name : names) {
    const std::string path = "/modules/" + name + ".ko";
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if ((fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0) && errno != EEXIST)
      problems += "guest: " + path + ": " + strerror(errno) + "\n";
    if (fd >= 0) close(fd);
  }
  return problems;
}

struct Child {
  pid_t pid = -1;
  int in = -1, out = -1, err = -1;
};

Child start(const std::vector<std::string>& words, const std::string& directory, bool with_input,
            bool with_output) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
  if (with_input && pipe2(in, O_CLOEXEC) != 0) return {};
  if (with_output && (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)) return {};
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    const int nothing = open("/dev/null", O_RDWR);
    dup2(with_input ? in[0] : nothing, 0);
    dup2(with_output ? out[1] : nothing, 1);
    dup2(with_output ? err[1] : nothing, 2);
    if (nothing > 2) close(nothing);
    if (chdir(directory.c_str()) != 0) _exit(126);
    execvp(argv[0], argv.data());
    dprintf(2, "guest: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
  }
  for (const int fd : {in[0], out[1], err[1]}) {
    if (fd >= 0) close(fd);
  }
  return {pid, in[1], out[0], err[0]};
}

void stop(const Child& child) {
  if (child.pid <= 0) return;
  kill(-child.pid, SIGKILL);
  kill(child.pid, SIGKILL);
  waitpid(child.pid, nullptr, 0);
}

/// What one job has printed so far; `step` waits a little for more.
struct Watch {
  explicit Watch(const Child& of) : child(of) {}

  bool armed() const { return err.find(kBanner) != std::string::npos; }
  bool open_ends() const { return child.out >= 0 || child.err >= 0; }

  void step(int wait_ms) {
    pollfd ends[2] = {{child.out, POLLIN, 0}, {child.err, POLLIN, 0}};
    if (poll(ends, 2, wait_ms) <= 0) return;
    read_end(ends[0], child.out, out);
    read_end(ends[1], child.err, err);
  }

  static void read_end(const pollfd& ready, int& fd, std::string& into) {
    if (fd < 0 || ready.revents == 0) return;
    char bytes[65536];
    const ssize_t size = read(fd, bytes, sizeof bytes);
    if (size <= 0) {
      close(fd);
      fd = -1;
    } else if (into.size() < kMostBytes) {
      into.append(bytes, static_cast<size_t>(size));
    }
  }

  Child child;
  std::string out, err;
};

void run(const Job& job) {
  const std::string problems = load_modules(job.modules);
  Child load;
  std::vector<std::string> command = job.command;
  if (!job.load.empty()) {
    load = start(job.load, job.directory, true, false);
    for (std::string& word : command) {
      if (word == "@PID@") word = std::to_string(load.pid);
    }
  }
  for (const std::string& setting : job.environment) {
    const size_t equals = setting.find('=');
    setenv(setting.substr(0, equals).c_str(), setting.c_str() + equals + 1, 1);
  }
  Watch watch(start(command, job.directory, false, true));
  watch.err = problems;
  for (const std::string& setting : job.environment)
    unsetenv(setting.substr(0, setting.find('=')).c_str());
  const int64_t deadline = now_ms() + job.timeout_ms;
  int64_t signal_at = job.signal_number == 0 ? INT64_MAX : -1;  // -1: not known before it is armed
  bool released = load.pid <= 0;
  int status = -1;
  bool ended = false;
  while (now_ms() < deadline) {
    if (watch.open_ends()) watch.step(5);
    if (watch.armed() && !released) {
      write_all(load.in, "g", 1);
      released = true;
    }
    if (watch.armed() && signal_at == -1) signal_at = now_ms() + job.signal_delay_ms;
    if (signal_at >= 0 && now_ms() >= signal_at) {
      kill(watch.child.pid, job.signal_number);
      signal_at = INT64_MAX;
    }
    if (!ended && waitpid(watch.child.pid, &status, WNOHANG) == watch.child.pid) ended = true;
    // Whoever holds the other end of a pipe may live on: what is in it is read, no more is waited
    // for than a moment.
    if (ended && !watch.open_ends()) break;
    if (ended) {
      watch.step(100);
      break;
    }
  }
  if (!ended) stop(watch.child);
  if (load.in >= 0) close(load.in);
  stop(load);
  while (watch.open_ends() && ended) {
    const size_t before = watch.out.size() + watch.err.size();
    watch.step(0);
    if (watch.out.size() + watch.err.size() == before && watch.open_ends()) break;
  }
  for (const int fd : {watch.child.out, watch.child.err}) {
    if (fd >= 0) close(fd);
  }
  const std::string number = std::to_string(job.number) + " ";
  frame("OUT " + number + std::to_string(watch.out.size()), watch.out);
  frame("ERR " + number + std::to_string(watch.err.size()), watch.err);
  frame("STATUS " + number + std::to_string(ended ? status : -1));
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

std::vector<std::string> read_lines(const char* path) {
  std::vector<std::string> lines;
  FILE* file = fopen(path, "re");
  if (file == nullptr) return lines;
  char* line = nullptr;
  size_t room = 0;
  for (ssize_t size; (size = getline(&line, &room, file)) >= 0;) {
    if (size > 0 && line[size - 1] == '\n') --size;
    lines.emplace_back(line, static_cast<size_t>(size));
  }
  free(line);
  fclose(file);
  return lines;
}

void run_all() {
  const std::vector<std::string> lines = read_lines("/jobs");
  Job job;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string word = lines[i].substr(0, lines[i].find(' '));
    const std::string rest = word.size() < lines[i].size() ? lines[i].substr(word.size() + 1) : "";
    if (word == "nonce") {
      nonce = rest;
      frame("BEGIN " + std::to_string(now_ms()));
    } else if (word == "job") {
      job = Job();
      job.number = atoi(rest.c_str());
    } else if (word == "directory") {
      job.directory = rest;
    } else if (word == "module") {
      job.modules.push_back(rest);
    } else if (word == "environment" && rest.find('=') != std::string::npos) {
      job.environment.push_back(rest);
    } else if (word == "timeout") {
      job.timeout_ms = atoll(rest.c_str()) * 1000;
    } else if (word == "signal") {
      job.signal_number = atoi(rest.c_str());
      job.signal_delay_ms = atoll(rest.substr(rest.find(' ') + 1).c_str());
    } else if (word == "load" || word == "command") {
      std::vector<std::string>& words = word == "load" ? job.load : job.command;
      for (int left = atoi(rest.c_str()); left > 0 && i + 1 < lines.size(); --left)
        words.push_back(lines[++i]);
    } else if (word == "end") {
      run(job);
    }
  }
}

void send_kernel_log() {
  std::string log(1 << 20, '\0');
  const int size = klogctl(kReadLog, log.data(), static_cast<int>(log.size()));
  log.resize(size > 0 ? static_cast<size_t>(size) : 0);
  frame("LOG " + std::to_string(log.size()), log);
}

}  // namespace

int main() {
  set_up_machine();
  run_all();
  send_kernel_log();
  frame("END");
  tcdrain(1);
  sync();
  reboot(RB_AUTOBOOT);
  while (true) pause();
}
