// USDT markers of a program or library (sys/sdt.h): where they are, their semaphores, where each
// argument lies at that moment.
// Source: SystemTap, includes/sys/sdt.h;
// sourceware.org/systemtap/wiki/UserSpaceProbeImplementation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "symbol/elf_image.h"
#include "symbol/registers.h"

namespace ktap::symbol {

struct UsdtArgument {
  enum class Kind : uint8_t {
    Unknown,   ///< we cannot read it: `problem` says what it is
    Register,  ///< the lower size_bytes of `base`, behind base.shift_bits
    Constant,  ///< `value`
    Memory,    ///< size_bytes at base + index × scale + value
  };
  Kind kind = Kind::Unknown;
  uint8_t size_bytes = 8;  ///< 1, 2, 4 or 8
  bool is_signed = false;
  Register base;
  std::optional<Register> index;
  uint8_t scale = 1;
  int64_t value = 0;
  std::string problem;  ///< in place of a type: "double in %xmm0", "memory at a symbol (4@x(%rip))"
};

struct UsdtProbe {
  std::string_view provider;  ///< lives as long as the image
  std::string_view name;
  uint64_t address = 0;
  uint64_t file_offset = 0;
  uint64_t semaphore_address = 0;
  uint64_t semaphore_offset = 0;  ///< in the file; 0: there is none
  std::vector<UsdtArgument> arguments;
};

struct UsdtProbes {
  std::vector<UsdtProbe> probes;      ///< in the file's order; one name may stand at several places
  std::vector<std::string> problems;  ///< notes that were passed over, named
};

UsdtProbes read_usdt(const ElfImage& image);

/// "8@%rdi -4@-20(%rbp)" for x86-64, "8@x0 -4@[sp, 12]" for arm64; the forms of arm and riscv too.
std::vector<UsdtArgument> parse_usdt_arguments(Machine machine, std::string_view text);

}  // namespace ktap::symbol
