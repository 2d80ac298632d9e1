// See dwarf_file.h.
#include "symbol/dwarf_file.h"

#include <gelf.h>

#include <string_view>
#include <utility>

namespace ktap::symbol {

namespace {

Elf* open(Bytes whole) {
  char* data = const_cast<char*>(reinterpret_cast<const char*>(whole.data()));
  return elf_memory(data, whole.size());
}

/// By the flag of today, or the name of before (`.zdebug_info`).
bool has_compressed_sections(Elf* elf) {
  size_t names = 0;
  if (elf == nullptr || elf_getshdrstrndx(elf, &names) != 0) return false;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    if ((header.sh_flags & SHF_COMPRESSED) != 0) return true;
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (name != nullptr && std::string_view(name).starts_with(".zdebug")) return true;
  }
  return false;
}

}  // namespace

DwarfFile::DwarfFile(Bytes whole) {
  if (whole.empty() || elf_version(EV_CURRENT) == EV_NONE) return;
  elf_ = open(whole);
  if (has_compressed_sections(elf_)) {
    // libelf notes in the headers what it has decompressed: another reader of these bytes would
    // take what is compressed for what is not.
    elf_end(elf_);
    copy_.assign(whole.begin(), whole.end());
    elf_ = open(copy_);
  }
  if (elf_ != nullptr) dwarf_ = dwarf_begin_elf(elf_, DWARF_C_READ, nullptr);
}

DwarfFile::~DwarfFile() {
  if (dwarf_ != nullptr) dwarf_end(dwarf_);
  if (elf_ != nullptr) elf_end(elf_);
}

void DwarfFile::swap(DwarfFile& other) noexcept {
  std::swap(copy_, other.copy_);
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
