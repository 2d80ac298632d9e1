// Attaching through perf: tracepoints, user functions one by one, samples. Those are slow to close,
// and a forked holder pays for many of them.
#include <bpf/bpf.h>
#include <fcntl.h>
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

int open_event(perf_event_attr& attr, int cpu, int tid = -1) {
  attr.size = sizeof attr;
  return static_cast<int>(syscall(SYS_perf_event_open, &attr, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC));
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
  return {};
}

Result<void> enable(const PerfAttachment& at, const std::string& what) {
  if (ioctl(at.event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0)
    return tracing_error("enabling " + what, errno);
  return {};
}

/// The same, and on from then on.
Result<void> start_program(PerfAttachment& at, int program_fd, std::optional<uint64_t> cookie,
                           const std::string& what) {
  KTAP_TRY(set_program(at, program_fd, cookie, what));
  return enable(at, what);
}

void set_place(perf_event_attr& attr, const schema::PerfSource& source) {
  if (source.type != PERF_TYPE_BREAKPOINT) return;
  attr.bp_addr = source.address;
  attr.bp_len = source.length_bytes;
  attr.bp_type = source.access;
}

Error breakpoint_error(const std::string& name, uint32_t access, int error_number) {
  const std::string what = "setting the memory breakpoint " + name;
  if (error_number == ENOSPC)
    return Error{what + ": the processor has few of them (x86: 4), and all are in use", ENOSPC};
  if (error_number == ENOENT)
    return Error{what + ": this kernel has no memory breakpoints for its processor", ENOENT};
  if (error_number == EINVAL || error_number == EOPNOTSUPP || error_number == ENODEV)
    return Error{what + (access == HW_BREAKPOINT_X
                             ? ": refused; a kernel without kprobes has none on its own code"
                             : ": refused; this machine has no such breakpoints"),
                 error_number};
  return tracing_error(what, error_number);
}

/// What samples are refused for, in words.
Error sample_error(const schema::PerfSource& source, const std::string& name, int error_number) {
  const std::string what = "opening " + name;
  const bool is_counter = source.type == PERF_TYPE_HARDWARE || source.type == PERF_TYPE_HW_CACHE;
  const bool is_refused = error_number == ENOENT || error_number == EOPNOTSUPP ||
                          error_number == ENODEV || error_number == EINVAL;
  if (source.is_frequency && error_number == EINVAL && (!is_counter || has_counters()))
    return Error{what +
                     ": more samples a second than the sysctl kernel.perf_event_max_sample_rate "
                     "allows",
                 error_number};
  if (!is_counter || !is_refused) return tracing_error(what, error_number);
  if (has_counters())
    return Error{what + ": this machine's processor has no counter for it", error_number};
  return Error{what +
                   ": this machine has no performance counters (a virtual machine has those alone "
                   "that its host passes on); software:cpu-clock and profile-99hz need none",
               error_number};
}

/// The holder's whole life. Only async-signal-safe calls: it runs in a forked child.
/// `parents_end`: of a pipe; it ends when the parent has let go of the descriptors.
[[noreturn]] void hold_and_close(const std::vector<int>& sorted_fds, int parents_end) {
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
  char byte = 0;
  while (read(parents_end, &byte, 1) < 0 && errno == EINTR) {
  }
  for (const int fd : sorted_fds) close(fd);
  _exit(0);
}

}  // namespace

bool has_counters() {
  perf_event_attr attr = {};
  attr.type = PERF_TYPE_HARDWARE;
  attr.config = PERF_COUNT_HW_CPU_CYCLES;
  attr.disabled = 1;
  attr.exclude_kernel = 1;
  return UniqueFd(open_event(attr, -1, 0)).valid();
}

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
  KTAP_TRY(start_program(out, program_fd, std::nullopt, what));
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
  KTAP_TRY(start_program(out, program_fd, needs_cookie ? std::optional(point.cookie) : std::nullopt,
                         what));
  return out;
}

namespace {

UniqueFd open_kernel_point(uint32_t type, const KernelPoint& point, bool is_return) {
  perf_event_attr attr = {};
  attr.type = type;
  attr.config = is_return ? 1 : 0;
  if (point.address != 0) {
    attr.kprobe_addr = point.address + point.offset_bytes;
  } else {
    attr.kprobe_func = reinterpret_cast<uintptr_t>(point.symbol.c_str());
    attr.probe_offset = point.offset_bytes;
  }
  return UniqueFd(open_event(attr, an_online_cpu()));
}

/// The number of perf's unit for kprobes; nothing: the kernel has none.
std::optional<uint32_t> kprobe_type() {
  const Result<std::string> said =
      read_text("/sys/bus/event_source/devices/kprobe/type", kMostTypeBytes);
  if (!said.ok()) return std::nullopt;
  return static_cast<uint32_t>(std::strtoul(said.value().c_str(), nullptr, 10));
}

/// Some kernels let no probe stand where the function tracer has its place (riscv64 before Linux
/// 7), and that is the beginning of every function.
bool may_probe_beginnings(uint32_t type) {
  for (const char* function : {"vfs_read", "vfs_write"}) {
    KernelPoint point;
    point.symbol = function;
    if (open_kernel_point(type, point, false).valid() || errno != EINVAL) return true;
  }
  return false;
}

Error refused_kernel_point(uint32_t type, const KernelPoint& point, const std::string& what,
                           bool is_return) {
  if (point.offset_bytes == 0 && !may_probe_beginnings(type))
    return Error{
        fmt::format("probing {}: this kernel cannot probe where its functions begin{}; a "
                    "probe behind that works, as in probe:{}+8",
                    what, is_return ? ", nor their returns" : "", point.symbol)};
  return Error{
      fmt::format("probing {}: the kernel refuses a probe there: tracing itself needs "
                  "the function, no instruction begins there, or one that kprobes do "
                  "not know",
                  what)};
}

}  // namespace

bool has_entry_probes() {
#if defined(__riscv)
  if (has_kernel_points_link()) return true;  // a probe would take long to let go of
  const std::optional<uint32_t> type = kprobe_type();
  return !type || may_probe_beginnings(*type);
#else
  return true;
#endif
}

Result<PerfAttachment> attach_kernel_point(int program_fd, const KernelPoint& point, bool is_return,
                                           bool needs_cookie) {
  silence_libbpf();
  const std::string what = point.offset_bytes == 0
                               ? point.symbol
                               : fmt::format("{}+{:#x}", point.symbol, point.offset_bytes);
  const std::optional<uint32_t> type = kprobe_type();
  if (!type)
    return Error{fmt::format("probing {}: this kernel has no kprobes (CONFIG_KPROBE_EVENTS)", what),
                 ENOENT};
  PerfAttachment out;
  out.event = open_kernel_point(*type, point, is_return);
  if (!out.event.valid()) {
    if (errno == EILSEQ) return Error{fmt::format("probing {}: no instruction begins there", what)};
    if (errno == EINVAL) return refused_kernel_point(*type, point, what, is_return);
    return tracing_error("probing " + what, errno);
  }
  // By a link where there are such: it tells what was missed.
  if (set_program(out, program_fd, point.cookie, what).ok()) {
    KTAP_TRY(enable(out, what));
    return out;
  }
  KTAP_TRY(start_program(out, program_fd, needs_cookie ? std::optional(point.cookie) : std::nullopt,
                         what));
  return out;
}

namespace {

/// `place.tid`: -1: whatever runs on that CPU.
Result<PerfAttachment> attach_source(int program_fd, const schema::PerfSource& source,
                                     const ThreadPlace& place, const std::string& name) {
  silence_libbpf();
  perf_event_attr attr = {};
  attr.type = source.type;
  attr.config = source.config;
  attr.sample_period = source.period;
  attr.freq = source.is_frequency ? 1 : 0;
  attr.disabled = 1;
  attr.inherit = place.tid >= 0 ? 1 : 0;
  attr.enable_on_exec = place.from_exec ? 1 : 0;
  set_place(attr, source);
  PerfAttachment out;
  out.event.reset(open_event(attr, place.cpu, place.tid));
  if (!out.event.valid()) {
    const int error_number = errno;
    if (place.tid >= 0 && error_number == ESRCH) return Error{name + ": the thread ended", ESRCH};
    if (source.type == PERF_TYPE_BREAKPOINT)
      return breakpoint_error(name, source.access, error_number);
    return sample_error(source, name, error_number);
  }
  KTAP_TRY(set_program(out, program_fd, std::nullopt, name));
  if (!place.from_exec) KTAP_TRY(enable(out, name));
  return out;
}

}  // namespace

Result<PerfAttachment> attach_samples(int program_fd, const schema::PerfSource& source, int cpu,
                                      const std::string& name) {
  ThreadPlace place;
  place.cpu = cpu;
  return attach_source(program_fd, source, place, name);
}

Result<PerfAttachment> attach_to_thread(int program_fd, const schema::PerfSource& source,
                                        const ThreadPlace& place, const std::string& name) {
  return attach_source(program_fd, source, place, name);
}

void detach_perf(std::vector<PerfAttachment> attachments) {
  for (PerfAttachment& attachment : attachments) {
    ioctl(attachment.event.get(), PERF_EVENT_IOC_DISABLE, 0);
  }
  if (attachments.size() <= kMostClosedHere) return;
  // Closing is slow only for the last owner, and the holder is to be that: it waits for the end of
  // this pipe.
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  std::vector<int> fds = {read_end.get()};
  for (const PerfAttachment& attachment : attachments) {
    fds.push_back(attachment.event.get());
    if (attachment.link.valid()) fds.push_back(attachment.link.get());
  }
  std::sort(fds.begin(), fds.end());
  // Two forks: the holder is nobody's zombie. Should fork fail, the destructors close.
  const pid_t middle = fork();
  if (middle == 0) {
    if (fork() == 0) hold_and_close(fds, read_end.get());
    _exit(0);
  }
  if (middle > 0) {
    while (waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  attachments.clear();  // before the pipe ends
}

}  // namespace ktap::sys
