// How KernelRead and KernelText find their bytes, in the kernel's memory or the process's: the
// operation's imm, packed.
#pragma once

#include <cstdint>

namespace ktap::ssa {

/// KernelRead: a number at an address.
struct KernelAccess {
  int32_t offset_bytes = 0;  ///< from the operand
  uint32_t size_bytes = 8;   ///< 1, 2, 4, 8
  bool is_signed = false;
  bool is_pointer = false;  ///< NULL is nil
  uint32_t shift_bits = 0;  ///< a bit field's lowest bit
  uint32_t width_bits = 0;  ///< of a bit field; 0: all bytes
  bool is_user = false;     ///< memory of the process

  int64_t pack() const {
    uint64_t bits = static_cast<uint32_t>(offset_bytes);
    bits |= uint64_t{size_bytes} << 32 | uint64_t{is_signed} << 36 | uint64_t{is_pointer} << 37;
    bits |= uint64_t{is_user} << 38;
    bits |= uint64_t{shift_bits} << 40 | uint64_t{width_bits} << 48;
    return static_cast<int64_t>(bits);
  }
  static KernelAccess unpack(int64_t imm) {
    const auto bits = static_cast<uint64_t>(imm);
    KernelAccess access;
    access.offset_bytes = static_cast<int32_t>(bits & 0xffffffff);
    access.size_bytes = static_cast<uint32_t>(bits >> 32 & 15);
    access.is_signed = (bits >> 36 & 1) != 0;
    access.is_pointer = (bits >> 37 & 1) != 0;
    access.is_user = (bits >> 38 & 1) != 0;
    access.shift_bits = static_cast<uint32_t>(bits >> 40 & 255);
    access.width_bits = static_cast<uint32_t>(bits >> 48 & 255);
    return access;
  }
};

/// KernelText: characters at an address.
struct TextAccess {
  int32_t offset_bytes = 0;
  uint32_t array_bytes = 0;  ///< of a char array, which may end without a NUL; 0: a NUL ends it
  bool is_user = false;      ///< memory of the process

  int64_t pack() const {
    return static_cast<int64_t>(uint64_t{is_user} << 63 | uint64_t{array_bytes} << 32 |
                                static_cast<uint32_t>(offset_bytes));
  }
  static TextAccess unpack(int64_t imm) {
    const auto bits = static_cast<uint64_t>(imm);
    return {static_cast<int32_t>(bits & 0xffffffff), static_cast<uint32_t>(bits >> 32 & 0x7fffffff),
            bits >> 63 != 0};
  }
};

}  // namespace ktap::ssa
