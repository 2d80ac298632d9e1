// libFuzzer target for the reader of ELF: any bytes as a file, and as the sections of a file whose
// headers fit; every way to ask for functions and markers. What comes out must hold its bounds.
#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "symbol/debug_files.h"
#include "symbol/elf_file.h"
#include "symbol/linker_cache.h"
#include "symbol/usdt.h"
#include "symbol/xz.h"

namespace {

using ktap::symbol::Bytes;

void ask(const ktap::symbol::ElfFile& file, size_t size_bytes) {
  file.find("main");
  file.find("a::b");
  file.glob("*{a,b}?");
  file.nearest("mian");
  for (const ktap::symbol::FunctionSymbol& function : file.functions()) {
    if (function.file_offset >= size_bytes) __builtin_trap();
    if (function.name.empty()) __builtin_trap();
    const auto place = file.at(function.address);
    if (place.has_value() && place->function.address > function.address) __builtin_trap();
  }
  file.at(0);
  file.at(UINT64_MAX);
}

void read(Bytes bytes) {
  ktap::symbol::ElfOptions options;
  options.any_machine = true;
  const auto file = ktap::symbol::ElfFile::from_memory(bytes, "fuzz", options);
  if (!file.ok()) return;
  const ktap::symbol::ElfImage& image = file.value().image();
  image.build_id();
  ktap::symbol::debug_link(image);
  for (const auto& probe : ktap::symbol::read_usdt(image).probes) {
    if (probe.file_offset >= bytes.size() || probe.semaphore_offset >= bytes.size()) {
      __builtin_trap();
    }
  }
  ask(file.value(), bytes.size());
}

constexpr const char* kNames =
    "\0.symtab\0.strtab\0.note.stapsdt\0.stapsdt.base\0.gnu_debugdata\0.gnu_debuglink\0";
constexpr size_t kNamesBytes = 80;
constexpr uint32_t kSections = 8;

template <class Header, class Segment, class Section>
std::vector<uint8_t> wrap(const uint8_t* data, size_t size, uint8_t elf_class) {
  constexpr size_t kSegmentsAt = sizeof(Header);
  constexpr size_t kSectionsAt = kSegmentsAt + 2 * sizeof(Segment);
  constexpr size_t kNamesAt = kSectionsAt + kSections * sizeof(Section);
  constexpr size_t kDataAt = kNamesAt + kNamesBytes;
  Header header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_machine = elf_class == ELFCLASS64 ? EM_X86_64 : EM_ARM;
  header.e_phoff = kSegmentsAt;
  header.e_phentsize = sizeof(Segment);
  header.e_phnum = 2;
  header.e_shoff = kSectionsAt;
  header.e_shentsize = sizeof(Section);
  header.e_shnum = kSections;
  header.e_shstrndx = kSections - 1;
  Segment segments[2] = {};
  segments[0].p_type = segments[1].p_type = PT_LOAD;
  segments[0].p_flags = PF_X;
  segments[0].p_filesz = kDataAt + size;
  segments[1].p_vaddr = data[0] * 256U;
  segments[1].p_offset = data[1];
  segments[1].p_filesz = data[2] * 64U;
  Section sections[kSections] = {};
  const uint32_t types[kSections] = {SHT_NULL,     SHT_SYMTAB,   SHT_STRTAB,   SHT_NOTE,
                                     SHT_PROGBITS, SHT_PROGBITS, SHT_PROGBITS, SHT_STRTAB};
  const uint32_t names[kSections] = {0, 1, 9, 17, 31, 45, 60, 0};
  for (uint32_t i = 0; i < kSections; ++i) {
    sections[i].sh_name = names[i];
    sections[i].sh_type = types[i];
    sections[i].sh_link = i + 1;
    sections[i].sh_offset = kDataAt + data[3 + 2 * i] * size / 256;
    sections[i].sh_size = data[4 + 2 * i] * size / 256;
  }
  sections[kSections - 1].sh_offset = kNamesAt;
  sections[kSections - 1].sh_size = kNamesBytes;
  std::vector<uint8_t> bytes(kDataAt + size);
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + kSegmentsAt, segments, sizeof segments);
  std::memcpy(bytes.data() + kSectionsAt, sections, sizeof sections);
  std::memcpy(bytes.data() + kNamesAt, kNames, kNamesBytes - 5);
  std::memcpy(bytes.data() + kDataAt, data, size);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMostUnpacked = size_t{1} << 20;
  read(Bytes(data, size));
  ktap::symbol::decompress_xz(Bytes(data, size), kMostUnpacked);
  ktap::symbol::libraries_named(ktap::symbol::parse_linker_cache(Bytes(data, size)), "c");
  if (size < 3 + 2 * kSections) return 0;
  read(wrap<Elf64_Ehdr, Elf64_Phdr, Elf64_Shdr>(data, size, ELFCLASS64));
  read(wrap<Elf32_Ehdr, Elf32_Phdr, Elf32_Shdr>(data, size, ELFCLASS32));
  return 0;
}
