// Address → source lines, by debug information (DWARF) where a file or its debug file has it: the
// functions that were inlined there, and file and line of each. What is not asked for is not read:
// of a unit the list of its functions, of a function what was inlined into it, each once.
// Source: DWARF 5, 3.3.8 (inlined functions), 6.2 (lines).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "symbol/elf_file.h"

namespace ktap::symbol {

/// A function at an address: one that was inlined there, or the one that holds it.
struct SourceFrame {
  std::string function;  ///< demangled, without parameters; "" when not known
  std::string file;      ///< "loop.c", without its folder; "" when not known
  uint32_t line = 0;     ///< 0: not known
  bool is_inlined = false;
};

class SourceLines {
 public:
  /// `file` outlives it. Nothing is read yet.
  explicit SourceLines(const ElfFile& file);
  SourceLines(const SourceLines&) = delete;
  SourceLines& operator=(const SourceLines&) = delete;
  ~SourceLines();

  /// What lies at `address` (as `nm` prints it), innermost first; the last alone is not inlined.
  /// Empty where no debug information tells.
  /// Cost: 1 µs; the first of a unit reads its table of lines, milliseconds for a large one.
  std::vector<SourceFrame> at(uint64_t address);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ktap::symbol
