// The expressions by which DWARF tells where the registers of a caller were saved: a small stack
// machine over registers and memory. Pure.
// Source: DWARF 5, 2.5.
#pragma once

#include <elfutils/libdw.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "symbol/elf_image.h"

namespace ktap::symbol {

/// By DWARF's numbers; more than any machine of ours has in its integer registers.
struct FrameRegisters {
  static constexpr size_t kCount = 64;
  std::array<uint64_t, kCount> values = {};
  uint64_t known = 0;  ///< a bit each

  std::optional<uint64_t> get(uint64_t number) const {
    if (number >= kCount || (known >> number & 1) == 0) return std::nullopt;
    return values[number];
  }
  void set(uint64_t number, std::optional<uint64_t> value) {
    if (number >= kCount) return;
    known &= ~(uint64_t{1} << number);
    if (value.has_value()) known |= uint64_t{1} << number;
    values[number] = value.value_or(0);
  }
};

/// A piece of a process's memory, from `begin` on.
struct MemoryPiece {
  uint64_t begin = 0;
  Bytes bytes;

  /// A number of 1, 2, 4 or 8 bytes; nothing where the piece does not hold it.
  std::optional<uint64_t> read(uint64_t address, size_t size_bytes) const;
  /// Whether `address` lies at the end or behind.
  bool ends_before(uint64_t address, size_t size_bytes) const;
};

struct FrameValue {
  uint64_t value = 0;
  bool is_address = true;  ///< the register was saved there; else it is the value itself
};

/// Nothing: it is broken, asks for what is not known, or does not end in `kMostSteps`.
/// `frame`: the canonical frame address, where that is known.
std::optional<FrameValue> evaluate(const Dwarf_Op* operations, size_t count,
                                   std::optional<uint64_t> frame, const FrameRegisters& registers,
                                   const MemoryPiece& memory);

}  // namespace ktap::symbol
