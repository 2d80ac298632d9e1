// Attaching to user functions and to samples of perf events.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "sys/attach.h"
#include "sys/bpf_quiet.h"
#include "sys/errors.h"

namespace ktap::sys {

namespace {

/// Younger than the headers that we are built with. Source: include/uapi/linux/bpf.h.
constexpr uint32_t kTraceUprobeMulti = 48;
constexpr uint32_t kUprobeMultiReturn = 1;
struct UprobeMultiAttr {
  uint32_t prog_fd = 0;
  uint32_t target_fd = 0;
  uint32_t attach_type = kTraceUprobeMulti;
  uint32_t flags = 0;
  uint64_t path = 0;
  uint64_t offsets = 0;
  uint64_t semaphores = 0;
  uint64_t cookies = 0;
  uint32_t count = 0;
  uint32_t probe_flags = 0;
  uint32_t pid = 0;
  uint32_t unused = 0;
};

uint64_t address_of(const void* data) { return reinterpret_cast<uintptr_t>(data); }

Result<std::string> read_small_file(const char* path) {
  const UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return system_error(fmt::format("opening {}", path), errno);
  std::array<char, 4096> text;
  const ssize_t got = read(fd.get(), text.data(), text.size());
  if (got <= 0) return system_error(fmt::format("reading {}", path), got == 0 ? EIO : errno);
  return std::string(text.data(), static_cast<size_t>(got));
}

int open_event(perf_event_attr& attr, int cpu) {
  attr.size = sizeof attr;
  return static_cast<int>(syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
}

Result<void> set_program(PerfAttachment& at, int program_fd, bool needs_cookie, uint64_t cookie,
                         const std::string& what) {
  if (needs_cookie) {
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.perf_event.bpf_cookie = cookie;
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

int create_link(const UprobeMultiAttr& attr) {
  return static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof attr));
}

/// The error for a link to a folder: EBADF of a kernel that knows what the link is for.
int try_folder(int program_fd, uint32_t pid) {
  const uint64_t offset = 0;
  UprobeMultiAttr attr;
  attr.prog_fd = static_cast<uint32_t>(program_fd);
  attr.path = address_of("/");
  attr.offsets = address_of(&offset);
  attr.count = 1;
  attr.pid = pid;
  const UniqueFd link(create_link(attr));
  return link.valid() ? 0 : errno;
}

/// At first it took threads for processes. Since that was mended it looks at the number first.
bool tells_processes_apart(int program_fd) { return try_folder(program_fd, UINT32_MAX) == EINVAL; }

}  // namespace

Result<UniqueFd> attach_user_points(int program_fd, const std::string& path,
                                    const std::vector<UserPoint>& points, bool is_return, int pid) {
  std::vector<uint64_t> offsets, semaphores, cookies;
  bool has_semaphores = false;
  for (const UserPoint& point : points) {
    offsets.push_back(point.offset_bytes);
    semaphores.push_back(point.semaphore_bytes);
    cookies.push_back(point.cookie);
    has_semaphores = has_semaphores || point.semaphore_bytes != 0;
  }
  UprobeMultiAttr attr;
  attr.prog_fd = static_cast<uint32_t>(program_fd);
  attr.path = address_of(path.c_str());
  attr.offsets = address_of(offsets.data());
  attr.semaphores = has_semaphores ? address_of(semaphores.data()) : 0;
  attr.cookies = address_of(cookies.data());
  attr.count = static_cast<uint32_t>(points.size());
  attr.probe_flags = is_return ? kUprobeMultiReturn : 0;
  if (pid > 0 && tells_processes_apart(program_fd)) attr.pid = static_cast<uint32_t>(pid);
  int fd = create_link(attr);
  if (fd < 0 && errno == ESRCH && attr.pid != 0) {
    attr.pid = 0;
    fd = create_link(attr);
  }
  if (fd < 0) return tracing_error(fmt::format("attaching to functions of {}", path), errno);
  return UniqueFd(fd);
}

bool has_user_points_link() {
  silence_libbpf();
  const bpf_insn code[] = {{0xb7, 0, 0, 0, 0}, {0x95, 0, 0, 0, 0}};  // r0 = 0, exit
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.expected_attach_type = static_cast<bpf_attach_type>(kTraceUprobeMulti);
  const UniqueFd program(
      bpf_prog_load(BPF_PROG_TYPE_KPROBE, "probe", "GPL", code, std::size(code), &options));
  return program.valid() && try_folder(program.get(), 0) == EBADF;
}

Result<PerfAttachment> attach_user_point(int program_fd, const std::string& path,
                                         const UserPoint& point, bool is_return,
                                         bool needs_cookie) {
  silence_libbpf();
  KTAP_ASSIGN(const std::string type, read_small_file("/sys/bus/event_source/devices/uprobe/type"));
  perf_event_attr attr = {};
  attr.type = static_cast<uint32_t>(std::strtoul(type.c_str(), nullptr, 10));
  attr.config = (is_return ? 1 : 0) | point.semaphore_bytes << 32;
  attr.uprobe_path = address_of(path.c_str());
  attr.probe_offset = point.offset_bytes;
  PerfAttachment out;
  const int cpu = sched_getcpu();
  out.event.reset(open_event(attr, cpu < 0 ? 0 : cpu));
  const std::string what = fmt::format("{} at {:#x}", path, point.offset_bytes);
  if (!out.event.valid()) return tracing_error("probing " + what, errno);
  KTAP_TRY(set_program(out, program_fd, needs_cookie, point.cookie, what));
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
  KTAP_TRY(set_program(out, program_fd, false, 0, name));
  return out;
}

Result<std::vector<int>> online_cpus() {
  KTAP_ASSIGN(const std::string text, read_small_file("/sys/devices/system/cpu/online"));
  std::vector<int> cpus;
  for (const char* at = text.c_str(); *at >= '0' && *at <= '9';) {
    char* end = nullptr;
    const long first = std::strtol(at, &end, 10);
    long last = first;
    if (*end == '-') last = std::strtol(end + 1, &end, 10);
    for (long cpu = first; cpu <= last; ++cpu) cpus.push_back(static_cast<int>(cpu));
    at = *end == ',' ? end + 1 : end;
  }
  return cpus;
}

}  // namespace ktap::sys
