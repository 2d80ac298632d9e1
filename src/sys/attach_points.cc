// Links of a program to all its points in a file.
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "sys/attach.h"
#include "sys/bpf.h"
#include "sys/errors.h"

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

uint64_t address_of(const void* data) { return reinterpret_cast<uintptr_t>(data); }

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
  LoadFailure failure;
  const std::optional<UniqueFd> program =
      load_program("probe", bpf::ProgramKind::UprobeMulti,
                   {bpf::mov64(bpf::Reg::R0, 0), bpf::exit_insn()}, &failure);
  return program && try_folder(program->get(), 0) == EBADF;
}

}  // namespace ktap::sys
