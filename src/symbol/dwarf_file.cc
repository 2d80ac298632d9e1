// See dwarf_file.h.
#include "symbol/dwarf_file.h"

#include <utility>

namespace ktap::symbol {

DwarfFile::DwarfFile(Bytes whole) {
  if (whole.empty() || elf_version(EV_CURRENT) == EV_NONE) return;
  // A mapped file is a private copy: libelf changes headers of sections that it decompresses.
  char* data = const_cast<char*>(reinterpret_cast<const char*>(whole.data()));
  elf_ = elf_memory(data, whole.size());
  if (elf_ != nullptr) dwarf_ = dwarf_begin_elf(elf_, DWARF_C_READ, nullptr);
}

DwarfFile::~DwarfFile() {
  if (dwarf_ != nullptr) dwarf_end(dwarf_);
  if (elf_ != nullptr) elf_end(elf_);
}

void DwarfFile::swap(DwarfFile& other) noexcept {
  std::swap(elf_, other.elf_);
  std::swap(dwarf_, other.dwarf_);
}

std::optional<uint64_t> number_of(Dwarf_Die* die, unsigned attribute) {
  Dwarf_Attribute found;
  Dwarf_Word value = 0;
  if (dwarf_attr_integrate(die, attribute, &found) == nullptr) return std::nullopt;
  if (dwarf_formudata(&found, &value) == 0) return value;
  Dwarf_Sword negative = 0;
  if (dwarf_formsdata(&found, &negative) != 0) return std::nullopt;
  return static_cast<uint64_t>(negative);
}

}  // namespace ktap::symbol
