// Finds tracefs or mounts one of our own out of everyone's sight, and reads its files.
#include "sys/tracefs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "sys/errors.h"

namespace ktap::sys {

namespace {

constexpr size_t kReadBytes = 64 << 10;

/// -1 unless `path` is a tracefs that we may look into. `denied` is set when permission is what is
/// missing.
UniqueFd open_mounted(const char* path, bool* denied) {
  UniqueFd fd(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == EACCES || errno == EPERM) *denied = true;
    return UniqueFd();
  }
  struct statfs info;
  if (fstatfs(fd.get(), &info) != 0 || static_cast<uint64_t>(info.f_type) != TRACEFS_MAGIC) {
    return UniqueFd();
  }
  if (faccessat(fd.get(), "available_events", R_OK, AT_EACCESS) != 0) {
    if (errno == EACCES || errno == EPERM) *denied = true;
    return UniqueFd();
  }
  return fd;
}

/// A tracefs of our own, mounted nowhere. Raw system calls: Debian 12's glibc has them, older ones
/// do not.
Result<UniqueFd> open_detached() {
  UniqueFd context(static_cast<int>(syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC)));
  if (!context.valid()) return Error{"", errno};
  if (syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return Error{"", errno};
  }
  constexpr int kAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  UniqueFd mount(
      static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, kAttributes)));
  if (!mount.valid()) return Error{"", errno};
  return mount;
}

Error cannot_open(int error_number, bool denied) {
  if (denied) {
    return Error{
        "reading the kernel's tracepoints (tracefs): permission denied; run ktap as root, or with "
        "CAP_DAC_READ_SEARCH as well",
        EPERM};
  }
  if (error_number == EPERM || error_number == EACCES) {
    if (geteuid() != 0 && !may_trace())
      return tracing_error("reading the kernel's tracepoints (tracefs)", error_number);
    return Error{
        "no tracefs is mounted; root does it with `mount -t tracefs nodev /sys/kernel/tracing`",
        EPERM};
  }
  if (error_number == ENODEV) {
    return Error{"this kernel has no tracefs (CONFIG_FTRACE): no tracepoints to trace",
                 error_number};
  }
  if (error_number == ENOSYS) {
    return Error{"no tracefs is mounted; `mount -t tracefs nodev /sys/kernel/tracing` gives one",
                 error_number};
  }
  return system_error("opening tracefs", error_number);
}

}  // namespace

Result<Tracefs> Tracefs::open() {
  bool denied = false;
  for (const char* path : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    UniqueFd fd = open_mounted(path, &denied);
    if (fd.valid()) return Tracefs(std::move(fd));
  }
  Result<UniqueFd> detached = open_detached();
  if (!detached.ok()) return cannot_open(detached.error().sys_errno, denied);
  return Tracefs(std::move(detached).value());
}

Result<Tracefs> Tracefs::at(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return system_error(fmt::format("opening {}", directory), errno);
  return Tracefs(std::move(fd));
}

Result<std::string> Tracefs::read(const std::string& path) const {
  UniqueFd fd(openat(root_.get(), path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return system_error(fmt::format("opening tracefs file {}", path), errno);
  std::string text;
  size_t used = 0;
  for (;;) {
    // Formats are short: no 64 KiB of zeroes for each of hundreds of them.
    if (text.size() - used < 2048) text.resize(used + (used == 0 ? 4096 : kReadBytes));
    const ssize_t got = ::read(fd.get(), text.data() + used, text.size() - used);
    if (got < 0) {
      if (errno == EINTR) continue;
      return system_error(fmt::format("reading tracefs file {}", path), errno);
    }
    if (got == 0) break;
    used += static_cast<size_t>(got);
  }
  text.resize(used);
  return text;
}

}  // namespace ktap::sys
