// What those who take user stacks and those who read them agree on. Word 0 of one tells whose it
// is: kernel code writes it, user space reads it, and compares the program's mark with what /proc
// says of the process.
#pragma once

#include <cstdint>
#include <string_view>

namespace ktap {

/// Beside the number of the process in the low half.
constexpr uint64_t kUserStackBit = uint64_t{1} << 32;
/// Above it the mark of the program that the process ran then: some bits of where its stack began,
/// which the kernel chooses anew at each exec; 0: not known.
constexpr uint32_t kProgramMarkShift = 33;
/// The kernel aligns it to 16 bytes.
constexpr uint32_t kStackStartShift = 4;

constexpr uint32_t program_mark(uint64_t stack_start) {
  return static_cast<uint32_t>(stack_start >> kStackStartShift << kProgramMarkShift >>
                               kProgramMarkShift);
}

/// Of a stack that is unwound in user space so much is copied at most, piece by piece: a piece lies
/// in one page, and is there or not.
constexpr uint32_t kStackCopyBytes = 16384;
/// Before it word 0 of a stack, the bytes that could be copied, the address of the first, and when
/// it was.
constexpr uint32_t kStackCopyHeaderBytes = 32;
constexpr uint32_t kStackPieceBytes = 1024;

/// With it the return addresses that return probes have replaced, as far as so many calls wait: of
/// each where the stack pointer was at the call, and the address.
constexpr uint32_t kReturnProbes = 8;
constexpr uint32_t kReturnProbeBytes = 16;

/// What ustack() takes in place of a depth, and what it says of others.
constexpr std::string_view kDwarfStack = "dwarf";
constexpr std::string_view kUstackTakes = "a depth or \"dwarf\"";
constexpr std::string_view kUstackTakesTwo = "\"dwarf\", where a depth stands behind it";

}  // namespace ktap
