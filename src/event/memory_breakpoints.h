// The text of a memory breakpoint.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ktap::event {

struct MemoryPlace {
  std::string program;  ///< path or name of the file whose variable `symbol` is; "": the kernel's
  std::string symbol;   ///< "": `address` is given
  uint64_t address = 0;
  uint32_t length_bytes = 0;  ///< 0: that of the program's variable
  uint32_t access = 0;        ///< HW_BREAKPOINT_R, _W, _X
  std::string error;          ///< what is wrong with the text
};

/// `ADDR_OR_SYM[/LEN][:rwx]`, `PATH:VARIABLE[/LEN][:rwx]`; w, and 8 bytes (of a 32-bit machine 4)
/// or the variable's own, when not given. Pure.
MemoryPlace parse_memory_place(std::string_view text);

}  // namespace ktap::event
