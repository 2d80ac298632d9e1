// Attaching through perf: tracepoints, user functions one by one, samples. Those are slow to close,
// and a forked holder pays for many of them.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include "sys/attach.h"
#include "sys/bpf_quiet.h"
#include "sys/errors.h"
#include "sys/text_file.h"

namespace ktap::sys {

namespace {

constexpr size_t kMostTypeBytes = 4096;
constexpr size_t kMostClosedHere = 4;

/// A CPU that is online; perf refuses others. The calling thread stands on one.
int an_online_cpu() {
  const int cpu = sched_getcpu();
  return cpu < 0 ? 0 : cpu;
}

int open_event(perf_event_attr& attr, int cpu) {
  attr.size = sizeof attr;
  return static_cast<int>(syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
}

/// By a link when the program is to have a cookie.
Result<void> set_program(PerfAttachment& at, int program_fd, std::optional<uint64_t> cookie,
                         const std::string& what) {
  if (cookie) {
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.perf_event.bpf_cookie = *cookie;
    const int link = bpf_link_create(program_fd, at.event.get(), BPF_PERF_EVENT, &options);
    if (link < 0) return tracing_error("attaching to " + what, -link);
    at.link.reset(link);
  } else if (ioctl(at.event.get(), PERF_EVENT_IOC_SET_BPF, program_fd) != 0) {
    return tracing_error("attaching to " + what, errno);
  }
  if (ioctl(at.event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0)
    return tracing_error("enabling " + what, errno);
  return {};
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

Result<PerfAttachment> attach_tracepoint(int program_fd, int tracefs_id, const std::string& name) {
  silence_libbpf();
  perf_event_attr attr = {};
  attr.type = PERF_TYPE_TRACEPOINT;
  attr.config = static_cast<uint64_t>(tracefs_id);
  PerfAttachment out;
  out.event.reset(open_event(attr, an_online_cpu()));
  const std::string what = "the tracepoint " + name;
  if (!out.event.valid()) return tracing_error("opening " + what, errno);
  // Not by a link (5.15): closing that waits for a grace period of its own.
  KTAP_TRY(set_program(out, program_fd, std::nullopt, what));
  return out;
}

Result<PerfAttachment> attach_user_point(int program_fd, const std::string& path,
                                         const UserPoint& point, bool is_return,
                                         bool needs_cookie) {
  silence_libbpf();
  KTAP_ASSIGN(const std::string type,
              read_text("/sys/bus/event_source/devices/uprobe/type", kMostTypeBytes));
  perf_event_attr attr = {};
  attr.type = static_cast<uint32_t>(std::strtoul(type.c_str(), nullptr, 10));
  attr.config = (is_return ? 1 : 0) | point.semaphore_bytes << 32;
  attr.uprobe_path = reinterpret_cast<uintptr_t>(path.c_str());
  attr.probe_offset = point.offset_bytes;
  PerfAttachment out;
  out.event.reset(open_event(attr, an_online_cpu()));
  const std::string what = fmt::format("{} at {:#x}", path, point.offset_bytes);
  if (!out.event.valid()) return tracing_error("probing " + what, errno);
  KTAP_TRY(set_program(out, program_fd, needs_cookie ? std::optional(point.cookie) : std::nullopt,
                       what));
  return out;
}

Result<PerfAttachment> attach_samples(int program_fd, const schema::PerfSource& source, int cpu,
                                      const std::string& name) {
  silence_libbpf();
  perf_event_attr attr = {};
  attr.type = source.type;
  attr.config = source.config;
  attr.sample_period = source.period;
  attr.freq = source.is_frequency ? 1 : 0;
  attr.disabled = 1;
  if (source.type == PERF_TYPE_BREAKPOINT) {
    attr.bp_addr = source.address;
    attr.bp_len = source.length_bytes;
    attr.bp_type = source.access;
  }
  PerfAttachment out;
  out.event.reset(open_event(attr, cpu));
  if (!out.event.valid())
    return tracing_error(fmt::format("opening {} on CPU {}", name, cpu), errno);
  KTAP_TRY(set_program(out, program_fd, std::nullopt, name));
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

}  // namespace ktap::sys
