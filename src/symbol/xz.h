// The .xz format, for .gnu_debugdata.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "symbol/elf_image.h"

namespace ktap::symbol {

/// The whole of it decompressed; nothing when it is broken or would be larger than `limit_bytes`.
std::optional<std::vector<uint8_t>> decompress_xz(Bytes compressed, size_t limit_bytes);

/// The checksum of .gnu_debuglink: CRC-32 as of IEEE 802.3.
uint32_t crc32(Bytes bytes);

}  // namespace ktap::symbol
