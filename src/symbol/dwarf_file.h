// The debug information (DWARF) of one file, opened by libdw, and walks over it that end, whatever
// a broken file says.
#pragma once

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <libelf.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "symbol/elf_image.h"

namespace ktap::symbol {

class DwarfFile {
 public:
  DwarfFile() = default;
  /// `whole` is a whole ELF file (ElfFile::debug_information()); it outlives this.
  explicit DwarfFile(Bytes whole);
  DwarfFile(const DwarfFile&) = delete;
  DwarfFile& operator=(const DwarfFile&) = delete;
  DwarfFile(DwarfFile&& from) noexcept { swap(from); }
  DwarfFile& operator=(DwarfFile&& from) noexcept {
    swap(from);
    return *this;
  }
  ~DwarfFile();

  /// Null where there is no debug information, or none that can be read.
  Dwarf* get() const { return dwarf_; }
  /// Null where it is no ELF file.
  Elf* elf() const { return elf_; }

 private:
  void swap(DwarfFile& other) noexcept;

  std::vector<uint8_t> copy_;  ///< of a file with compressed sections
  Elf* elf_ = nullptr;
  Dwarf* dwarf_ = nullptr;
};

/// Calls visit(child) for each, until one says false.
template <class Visit>
void each_child(Dwarf_Die* parent, Visit visit) {
  Dwarf_Die child;
  if (dwarf_child(parent, &child) != 0) return;
  while (visit(&child)) {
    Dwarf_Die next;
    if (dwarf_siblingof(&child, &next) != 0 || next.addr <= child.addr) return;
    child = next;
  }
}

/// Calls visit(unit, in_file) for each unit that may have code, until one says false. Of split
/// debug information `unit` lies in a file of its own (.dwo); `in_file` is what the program itself
/// has of it, and alone knows which addresses are its: libdw reads the split unit's wrongly.
template <class Visit>
void each_unit(Dwarf* dwarf, Visit visit) {
  Dwarf_CU* unit = nullptr;
  Dwarf_Die die, split;
  uint8_t kind = 0;
  while (dwarf_get_units(dwarf, unit, &unit, nullptr, &kind, &die, &split) == 0) {
    Dwarf_Die* with_code = kind == DW_UT_skeleton ? &split : &die;
    if (with_code->addr != nullptr && !visit(with_code, &die)) return;
  }
}

/// A number that this DIE says, or what it is made from.
std::optional<uint64_t> number_of(Dwarf_Die* die, unsigned attribute);

}  // namespace ktap::symbol
