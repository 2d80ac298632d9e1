// How long instructions are, and which of them probes of programs cannot be set on: a probe is a
// breakpoint, and one within an instruction makes the program run something else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "symbol/elf_image.h"

namespace ktap::symbol {

/// How many bytes the instruction takes that `code` begins with; 0: it is none, or is cut off.
/// Arm: of A32, not Thumb. Pure.
size_t instruction_bytes(Machine machine, Bytes code);

/// What the instruction that `code` begins with is where no probe of a program can stand on it: the
/// kernel (uprobes) refuses it, or runs something else instead. "": one can. Pure.
/// Source: arch/x86/kernel/uprobes.c; what Linux 6.18 refuses was tried, instruction by
/// instruction. arch/arm/probes: decode-arm.c, uprobes/actions-arm.c. There a refusal shows when a
/// program is started, and nobody is told of it.
std::string_view why_no_probe(Machine machine, Bytes code);

/// How many bytes of a function (`code` is all of it) are taken by first instructions on which no
/// probe can stand, and which do no more than fill vector registers: at the one behind them
/// arguments and stack are as at the first. 0: it has none, or jumps back to there. x86-64. Pure.
size_t passed_over_bytes(Machine machine, Bytes code);

/// Addresses of code that the instructions of `code`, which is loaded at `address`, form without
/// jumping there: what an IFUNC's resolver chooses from. In their order, each once. x86-64, arm64;
/// of others none. Pure.
std::vector<uint64_t> code_addresses(Machine machine, Bytes code, uint64_t address);

}  // namespace ktap::symbol
