// The calls that led a process to where it stands, out of its registers and a copy of the top of
// its stack, by the rules of its files (call_frames.h): also through code that keeps no frame
// pointers. Code without rules (of a JIT compiler) is followed by its frame pointers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "symbol/elf_image.h"
#include "symbol/user_symbols.h"

namespace ktap::symbol {

/// A call whose return address the kernel has put away, and its own in its place.
struct ReturnProbe {
  uint64_t stack = 0;    ///< the stack pointer at the function's first instruction
  uint64_t address = 0;  ///< where it will return to
};

/// What the kernel copied of a thread.
struct StackCopy {
  Bytes registers;     ///< as it saves them (registers.h); kSavedRegistersBytes
  uint64_t begin = 0;  ///< where in its memory the bytes lay
  Bytes bytes;
  std::vector<ReturnProbe> return_probes;  ///< the innermost first; not all, where there are many
};

/// Bytes of the saved registers that unwinding needs; 0 on machines whose programs do not tell
/// their callers (32-bit arm), or whose registers we do not know.
extern const uint32_t kSavedRegistersBytes;
/// Where the stack pointer lies in them.
extern const uint32_t kSavedStackPointer;

/// Why a stack ends before the program's beginning, in what it says of a file.
enum class MissingCode : uint8_t {
  None,
  Rules,  ///< the file has none for its code, and its frame pointers lead nowhere
  File,   ///< it is not to be had any more
  Maps,   ///< which files there are is not known
};

struct Unwound {
  std::vector<uint64_t> addresses;  ///< innermost first; behind that return addresses
  bool is_cut = false;              ///< it ends where the copy does
  bool is_hidden = false;           ///< it ends at a return probe that is not known
  bool is_elsewhere = false;        ///< it ends where another stack begins, which was not copied
  MissingCode missing = MissingCode::None;
  std::string missing_file;  ///< "libc.so.6"; of Rules and File
};

/// At most `most_frames`. Cost: 0.3 us a frame whose rules are known, some 5 us for a new one.
Unwound unwind(UserSymbols& symbols, UserProgram program, const StackCopy& copy,
               size_t most_frames);

}  // namespace ktap::symbol
