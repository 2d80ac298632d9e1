// Bounds that follow from the options and the machine.
#include "session/options.h"

#include <algorithm>
#include <cstdint>

#include "sys/process.h"

namespace ktap::session {
namespace {

/// What a process of 32 bits cannot have at all bounds it anyway.
size_t addressable(uint64_t bytes) { return std::min<uint64_t>(bytes, SIZE_MAX); }

}  // namespace

size_t memory_limit_bytes(const Options& options) {
  return addressable(options.max_memory_bytes != 0 ? options.max_memory_bytes
                                                   : sys::physical_memory_bytes() / 4);
}

size_t last_memory_limit_bytes(const Options& options, size_t live_bytes) {
  const uint64_t limit = std::max(memory_limit_bytes(options), live_bytes);
  return addressable(limit + limit / 8 + (1 << 20));
}

}  // namespace ktap::session
