// Changes .ktap files by chance: their bytes, and more often their instructions, so that a good
// part of what comes out is still accepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bytecode/chunk.h"

namespace ktap::testing {

/// Numbers by chance, the same on every machine (splitmix64).
class Chance {
 public:
  explicit Chance(uint64_t seed) : state_(seed) {}
  uint64_t next();
  /// From 0 to count - 1; 0 when there are none.
  size_t below(size_t count) { return count == 0 ? 0 : static_cast<size_t>(next() % count); }
  bool once_in(size_t count) { return below(count) == 0; }

 private:
  uint64_t state_;
};

/// Bits, bytes and pieces, a piece of `other` among them; the header fits again, most times.
std::string mutate_bytes(std::string bytes, const std::string& other, Chance& chance);
/// Instructions, constants and heads of functions. `bytes` come back as they are when they do not
/// load.
std::string mutate_code(const std::string& bytes, Chance& chance);

}  // namespace ktap::testing
