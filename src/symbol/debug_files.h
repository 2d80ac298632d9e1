// The separate file with the symbols that were stripped from a program: by build-id, by
// .gnu_debuglink. Where debuggers look: /usr/lib/debug, beside the program, .debug beside it.
#pragma once

#include <optional>
#include <string>

#include "symbol/elf_image.h"
#include "sys/mapped_file.h"

namespace ktap::symbol {

struct DebugFile {
  std::string path;
  sys::MappedFile file;
  ElfImage image;
};

/// The debug file that belongs to `image`, which was opened as `root` + `path`. One whose build-id
/// (or checksum, where there is no build-id) is another is passed over.
std::optional<DebugFile> find_debug_file(const ElfImage& image, const std::string& path,
                                         const std::string& root, const std::string& debug_folder);

/// What .gnu_debuglink says: the file's name and its checksum.
struct DebugLink {
  std::string name;
  uint32_t crc = 0;
};
/// Nothing when there is none, or its name is no plain file name.
std::optional<DebugLink> debug_link(const ElfImage& image);

}  // namespace ktap::symbol
