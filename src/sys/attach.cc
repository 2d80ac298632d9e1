// Tracepoint attachments. Raw ones come and go in a tenth of a millisecond; those through perf are
// slow to close, and a forked holder pays for many of them.
#include "sys/attach.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "sys/bpf_quiet.h"
#include "sys/errors.h"

namespace ktap::sys {

namespace {

constexpr size_t kMostClosedHere = 4;

/// A CPU that is online; perf refuses others. The calling thread stands on one.
int an_online_cpu() {
  const int cpu = sched_getcpu();
  return cpu < 0 ? 0 : cpu;
}

/// The holder's whole life. Only async-signal-safe calls: it runs in a forked child.
[[noreturn]] void hold_and_close(const std::vector<int>& sorted_fds) {
  prctl(PR_SET_NAME, "ktap-detach");
  setsid();
  // Everything else goes at once: maps, programs, and the pipe that someone waits on for our output
  // to end.
  unsigned first = 0;
  for (const int fd : sorted_fds) {
    const unsigned keep = static_cast<unsigned>(fd);
    if (keep > first) syscall(SYS_close_range, first, keep - 1, 0);
    first = keep + 1;
  }
  syscall(SYS_close_range, first, ~0U, 0);
  for (const int fd : sorted_fds) close(fd);
  _exit(0);
}

}  // namespace

Result<UniqueFd> attach_raw_tracepoint(int program_fd, const std::string& name) {
  silence_libbpf();
  const int fd = bpf_raw_tracepoint_open(name.c_str(), program_fd);
  if (fd < 0) return tracing_error(fmt::format("attaching to the raw tracepoint {}", name), -fd);
  return UniqueFd(fd);
}

Result<UniqueFd> attach_typed_tracepoint(int program_fd, const std::string& name) {
  silence_libbpf();
  const int fd = bpf_raw_tracepoint_open(nullptr, program_fd);
  if (fd < 0) return tracing_error(fmt::format("attaching to the raw tracepoint {}", name), -fd);
  return UniqueFd(fd);
}

Result<PerfAttachment> attach_tracepoint(int program_fd, int tracefs_id, const std::string& name) {
  silence_libbpf();
  perf_event_attr attr = {};
  attr.size = sizeof attr;
  attr.type = PERF_TYPE_TRACEPOINT;
  attr.config = static_cast<uint64_t>(tracefs_id);
  PerfAttachment out;
  out.event.reset(static_cast<int>(
      syscall(SYS_perf_event_open, &attr, -1, an_online_cpu(), -1, PERF_FLAG_FD_CLOEXEC)));
  if (!out.event.valid()) {
    return tracing_error(fmt::format("opening the tracepoint {}", name), errno);
  }
  // Not a link (5.15): closing that waits for a grace period of its own.
  if (ioctl(out.event.get(), PERF_EVENT_IOC_SET_BPF, program_fd) != 0) {
    return tracing_error(fmt::format("attaching to the tracepoint {}", name), errno);
  }
  if (ioctl(out.event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0) {
    return tracing_error(fmt::format("enabling the tracepoint {}", name), errno);
  }
  return out;
}

void detach_perf(std::vector<PerfAttachment> attachments) {
  for (PerfAttachment& attachment : attachments) {
    ioctl(attachment.event.get(), PERF_EVENT_IOC_DISABLE, 0);
  }
  if (attachments.size() <= kMostClosedHere) return;
  std::vector<int> fds;
  for (const PerfAttachment& attachment : attachments) {
    fds.push_back(attachment.event.get());
    if (attachment.link.valid()) fds.push_back(attachment.link.get());
  }
  std::sort(fds.begin(), fds.end());
  // Two forks: the holder is nobody's zombie. Should fork fail, the destructors close.
  const pid_t middle = fork();
  if (middle == 0) {
    if (fork() == 0) hold_and_close(fds);
    // Closing is slow only for the last owner, which the holder is.
    _exit(0);
  }
  if (middle > 0) {
    while (waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

void allow_open_files(size_t more) {
  constexpr rlim_t kOthers = 128;  // guessed: files, timers, pipes of the session
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = more + kOthers;
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted : std::min(wanted, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace ktap::sys
