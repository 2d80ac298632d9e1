// Registers of a user process by the names that assemblers and perf use, and where each lies in
// what the kernel saves of it (struct pt_regs; on arm64 user_pt_regs, on riscv user_regs_struct).
// Source: arch/*/include/uapi/asm/ptrace.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "symbol/elf_image.h"

namespace ktap::symbol {

struct Register {
  std::string_view name;      ///< of the whole register: "rdi", "x0", "r0", "a0"
  uint16_t offset_bytes = 0;  ///< of the whole register in the saved registers
  uint8_t size_bytes = 8;     ///< of the part that was named: "edi" is 4
  uint8_t shift_bits = 0;     ///< 8 for "ah"
  friend bool operator==(const Register&, const Register&) = default;
};

/// `name` without `%`: "rdi", "edi", "dil", "di" (the 64-bit one as perf names it where
/// `perf_names`, else 16 bits), "w0", "sp". Nothing when there is no such register or the kernel
/// does not save it (vector and float registers). For `Machine::X86` the registers of a 32-bit
/// process as a 64-bit kernel saves them.
std::optional<Register> find_register(Machine machine, std::string_view name,
                                      bool perf_names = false);

/// So many arguments of a function are in registers, when they are words.
uint32_t register_argument_count(Machine machine);

/// What to offer for a name that is none, as perf names them: "ax", "di"; "x0"; "a0".
std::vector<std::string> register_names(Machine machine);

}  // namespace ktap::symbol
