// Links of a program to all its points: in a file, in the kernel.
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "sys/attach.h"
#include "sys/bpf.h"
#include "sys/errors.h"
#include "sys/process.h"

namespace ktap::sys {

namespace {

/// Younger than the headers that we are built with. Source: include/uapi/linux/bpf.h.
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

constexpr uint32_t kKprobeMultiReturn = 1;
struct KprobeMultiAttr {
  uint32_t prog_fd = 0;
  uint32_t target_fd = 0;
  uint32_t attach_type = kTraceKprobeMulti;
  uint32_t flags = 0;
  uint32_t probe_flags = 0;
  uint32_t count = 0;
  uint64_t symbols = 0;
  uint64_t addresses = 0;
  uint64_t cookies = 0;
};

constexpr uint32_t kLinkPerfEvent = 7;
constexpr uint32_t kLinkKprobeMulti = 8;
constexpr uint32_t kPerfKprobe = 3, kPerfKretprobe = 4;
constexpr size_t kLinkHead = 16;  // type, id, program
struct LinkInfo {
  uint32_t type = 0;
  uint32_t id = 0;
  uint32_t program = 0;
  uint32_t unused = 0;
  uint64_t words[12] = {};
};
// Of kprobe_multi: addresses, {count, flags}, missed. Of perf: {kind}, name, {its size, offset},
// address, missed.
constexpr size_t kMissedOfMulti = kLinkHead + 2 * sizeof(uint64_t);
constexpr size_t kMissedOfPerf = kLinkHead + 4 * sizeof(uint64_t);
struct InfoAttr {
  uint32_t fd = 0;
  uint32_t size_bytes = 0;
  uint64_t info = 0;
};

uint64_t address_of(const void* data) { return reinterpret_cast<uintptr_t>(data); }

template <class Attr>
int create_link(const Attr& attr) {
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
  // The kernel knows a process by the memory of its first thread.
  const bool is_known = pid > 0 && living_thread_of(pid) == pid;
  if (is_known && tells_processes_apart(program_fd)) attr.pid = static_cast<uint32_t>(pid);
  int fd = create_link(attr);
  if (fd < 0 && errno == ESRCH && attr.pid != 0) {
    attr.pid = 0;
    fd = create_link(attr);
  }
  if (fd < 0) return tracing_error(fmt::format("attaching to functions of {}", path), errno);
  return UniqueFd(fd);
}

Result<UniqueFd> attach_kernel_points(int program_fd, const std::vector<KernelPoint>& points,
                                      bool is_return, const std::string& what) {
  std::vector<uint64_t> addresses, cookies;
  std::vector<const char*> symbols;
  bool has_addresses = true;
  for (const KernelPoint& point : points) {
    addresses.push_back(point.address);
    symbols.push_back(point.symbol.c_str());
    cookies.push_back(point.cookie);
    has_addresses = has_addresses && point.address != 0;
  }
  KprobeMultiAttr attr;
  attr.prog_fd = static_cast<uint32_t>(program_fd);
  attr.probe_flags = is_return ? kKprobeMultiReturn : 0;
  attr.count = static_cast<uint32_t>(points.size());
  attr.symbols = has_addresses ? 0 : address_of(symbols.data());
  attr.addresses = has_addresses ? address_of(addresses.data()) : 0;
  attr.cookies = address_of(cookies.data());
  const int fd = create_link(attr);
  if (fd < 0) return tracing_error("attaching to " + what, errno);
  return UniqueFd(fd);
}

std::optional<uint64_t> missed_by_link(int link_fd) {
  LinkInfo info;
  InfoAttr attr;
  attr.fd = static_cast<uint32_t>(link_fd);
  attr.size_bytes = sizeof info;
  attr.info = address_of(&info);
  if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) != 0) return std::nullopt;
  const size_t told = attr.size_bytes;  // what the kernel knows of it
  if (info.type == kLinkKprobeMulti && told >= kMissedOfMulti + sizeof(uint64_t))
    return info.words[(kMissedOfMulti - kLinkHead) / sizeof(uint64_t)];
  const uint64_t kind = info.words[0] & UINT32_MAX;
  const bool is_kprobe = kind == kPerfKprobe || kind == kPerfKretprobe;
  if (info.type == kLinkPerfEvent && is_kprobe && told >= kMissedOfPerf + sizeof(uint64_t))
    return info.words[(kMissedOfPerf - kLinkHead) / sizeof(uint64_t)];
  return std::nullopt;
}

bool has_kernel_points_link() {
  if (sizeof(void*) < sizeof(uint64_t)) return false;
  LoadFailure failure;
  const std::optional<UniqueFd> program =
      load_program("probe", bpf::ProgramKind::KprobeMulti,
                   {bpf::mov64(bpf::Reg::R0, 0), bpf::exit_insn()}, &failure);
  if (!program) return false;
  // Addresses that cannot be read: EFAULT of a kernel that looks at them.
  KprobeMultiAttr attr;
  attr.prog_fd = static_cast<uint32_t>(program->get());
  attr.count = 1;
  attr.addresses = 1;
  const UniqueFd link(create_link(attr));
  return !link.valid() && errno == EFAULT;
}

bool has_user_points_link() {
  LoadFailure failure;
  const std::optional<UniqueFd> program =
      load_program("probe", bpf::ProgramKind::UprobeMulti,
                   {bpf::mov64(bpf::Reg::R0, 0), bpf::exit_insn()}, &failure);
  return program && try_folder(program->get(), 0) == EBADF;
}

}  // namespace ktap::sys
