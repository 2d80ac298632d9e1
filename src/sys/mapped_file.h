// A file's bytes, mapped: what readers of ELF look at without copying it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace ktap::sys {

/// Which file it is, whatever its name; another one after it was replaced or written to.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size_bytes = 0;
  int64_t modified_ns = 0;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
  friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};

/// Move-only; the bytes stay where they are when it moves. A file that someone cuts shorter while
/// it is mapped ends the process that looks at the missing pages (SIGBUS), as it ends those that
/// run it.
class MappedFile {
 public:
  /// Errors: "no such file", what else open said, a folder, a device.
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const uint8_t> bytes() const {
    return {data_, static_cast<size_t>(identity_.size_bytes)};
  }
  const FileIdentity& identity() const { return identity_; }
  /// When it was written to last, or given another name or mode (CLOCK_REALTIME), as it was opened.
  int64_t changed_ns() const { return changed_ns_; }

 private:
  MappedFile() = default;

  const uint8_t* data_ = nullptr;
  FileIdentity identity_;
  int64_t changed_ns_ = 0;
};

}  // namespace ktap::sys
