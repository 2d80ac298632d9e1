// Bounds that follow from the options and the machine.
#include "session/options.h"

#include <algorithm>

#include "sys/process.h"

namespace ktap::session {

size_t memory_limit_bytes(const Options& options) {
  return options.max_memory_bytes != 0 ? options.max_memory_bytes
                                       : sys::physical_memory_bytes() / 4;
}

size_t last_memory_limit_bytes(const Options& options, size_t live_bytes) {
  const size_t limit = std::max(memory_limit_bytes(options), live_bytes);
  return limit + limit / 8 + (1 << 20);
}

}  // namespace ktap::session
