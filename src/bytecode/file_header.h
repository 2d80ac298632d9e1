// The first 20 bytes of a .ktap file: magic (8), version (2), flags (2), bytes behind the header
// (4), checksum of all but magic and itself (4). Private to this folder.
#pragma once

#include <cstdint>
#include <string_view>

#include "bytecode/file.h"

namespace ktap::bytecode {

/// As PNG's: a byte that no text begins with, a name, and line ends that a conversion would change.
constexpr std::string_view kMagic("\x1bktap\r\n\x1a", 8);
constexpr uint16_t kFlagDebug = 1;  ///< the debug part is there
constexpr uint16_t kKnownFlags = kFlagDebug;

/// Kinds of constants.
enum class Tag : uint8_t { Nil, False, True, Integer, Float, Text };

struct FileHeader {
  uint16_t version;
  uint16_t flags;
  uint32_t size_bytes;
  uint32_t checksum;
};

/// Requires: kFileHeaderBytes bytes.
FileHeader read_header(std::string_view bytes);
/// What the header's checksum is to be.
uint32_t file_checksum(std::string_view bytes);

}  // namespace ktap::bytecode
