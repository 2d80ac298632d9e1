// Pages come in as they are looked at: of a large program only headers, symbols and their names.
#include "sys/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/printable.h"
#include "sys/clock.h"
#include "sys/errors.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

namespace {

Error refusal(const std::string& path, int error_number) {
  const std::string name = printable(path);
  if (error_number == ENOENT || error_number == ENOTDIR) {
    return Error{fmt::format("{}: no such file", name), error_number};
  }
  return system_error("opening " + name, error_number);
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  // Looked at before: to open a device may do something, and a FIFO that nobody writes would hold
  // us (hence not blocking, should it be put there in between).
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) return refusal(path, errno);
  if (S_ISDIR(status.st_mode)) return Error{printable(path) + ": a folder, not a file", EISDIR};
  if (!S_ISREG(status.st_mode)) return Error{printable(path) + ": not a regular file", EINVAL};
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return refusal(path, errno);
  if (fstat(fd.get(), &status) != 0) return refusal(path, errno);
  if (!S_ISREG(status.st_mode)) return Error{printable(path) + ": not a regular file", EINVAL};
  MappedFile file;
  file.identity_.device = status.st_dev;
  file.identity_.inode = status.st_ino;
  file.changed_ns_ = to_ns(status.st_ctim);
  file.identity_.modified_ns = to_ns(status.st_mtim);
  if (status.st_size == 0) return file;
  const auto size_bytes = static_cast<size_t>(status.st_size);
  // Writable, for ourselves alone: libelf notes in headers which sections it has decompressed.
  void* data =
      mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd.get(), 0);
  if (data == MAP_FAILED) return system_error("mapping " + printable(path), errno);
  file.data_ = static_cast<const uint8_t*>(data);
  file.identity_.size_bytes = size_bytes;
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(identity_, other.identity_);
  std::swap(changed_ns_, other.changed_ns_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), identity_.size_bytes);
}

}  // namespace ktap::sys
