// One reader for both classes: where a field lies and how wide it is depends on the class, what it
// means does not.
#include "symbol/elf_image.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace ktap::symbol {

namespace {

/// Counts above these are lies: no linker writes so many.
constexpr size_t kMostSections = 1U << 20;
constexpr size_t kMostSegments = 1U << 16;
constexpr size_t kMostNotes = 1U << 20;
/// Longer names are cut: a file could make us read all of it for every symbol.
constexpr size_t kMostNameBytes = 1U << 16;

struct Field {
  uint8_t offset;
  uint8_t size_bytes;
};
/// Where a field lies in a file of 32 and of 64 bits.
struct Place {
  Field narrow;
  Field wide;
};

// ELF header.
constexpr Place kEntry = {{24, 4}, {24, 8}};
constexpr Place kSegmentsAt = {{28, 4}, {32, 8}};
constexpr Place kSectionsAt = {{32, 4}, {40, 8}};
constexpr Place kMachineFlags = {{36, 4}, {48, 4}};
constexpr Place kSegmentBytes = {{42, 2}, {54, 2}};
constexpr Place kSegmentCount = {{44, 2}, {56, 2}};
constexpr Place kSectionBytes = {{46, 2}, {58, 2}};
constexpr Place kSectionCount = {{48, 2}, {60, 2}};
constexpr Place kNamesIndex = {{50, 2}, {62, 2}};
// Program header.
constexpr Place kSegmentFlags = {{24, 4}, {4, 4}};
constexpr Place kSegmentOffset = {{4, 4}, {8, 8}};
constexpr Place kSegmentAddress = {{8, 4}, {16, 8}};
constexpr Place kSegmentFileBytes = {{16, 4}, {32, 8}};
constexpr Place kSegmentMemoryBytes = {{20, 4}, {40, 8}};
// Section header.
constexpr Place kSectionFlags = {{8, 4}, {8, 8}};
constexpr Place kSectionAddress = {{12, 4}, {16, 8}};
constexpr Place kSectionOffset = {{16, 4}, {24, 8}};
constexpr Place kSectionSize = {{20, 4}, {32, 8}};
constexpr Place kSectionLink = {{24, 4}, {40, 4}};

uint64_t get(Bytes record, const Place& place, bool is_wide) {
  const Field& field = is_wide ? place.wide : place.narrow;
  return read_number(record, field.offset, field.size_bytes);
}

std::string_view text_at(Bytes names, uint64_t offset) {
  if (offset >= names.size()) return {};
  const char* begin = reinterpret_cast<const char*>(names.data()) + offset;
  return {begin, strnlen(begin, std::min<size_t>(names.size() - offset, kMostNameBytes))};
}

constexpr size_t header_bytes(bool is_wide) {
  return is_wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
}

constexpr size_t symbol_bytes(bool is_wide) {
  return is_wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
}

}  // namespace

uint64_t read_number(Bytes bytes, size_t offset, size_t size_bytes) {
  KTAP_CHECK(offset <= bytes.size() && size_bytes <= bytes.size() - offset && size_bytes <= 8);
  uint64_t value = 0;
  for (size_t i = size_bytes; i-- > 0;) value = value << 8 | bytes[offset + i];
  return value;
}

std::string machine_name(Machine machine) {
  switch (machine) {
    case Machine::X86:
      return "x86";
    case Machine::Arm:
      return "arm";
    case Machine::X86_64:
      return "x86-64";
    case Machine::Arm64:
      return "arm64";
    case Machine::RiscV:
      return "riscv";
  }
  return fmt::format("machine {}", static_cast<unsigned>(machine));
}

ElfSymbolTable::ElfSymbolTable(Bytes symbols, Bytes names, bool is_wide)
    : symbols_(symbols),
      names_(names),
      size_(symbols.size() / symbol_bytes(is_wide)),
      is_wide_(is_wide) {}

ElfSymbol ElfSymbolTable::operator[](size_t index) const {
  KTAP_CHECK(index < size_);
  ElfSymbol symbol;
  const uint8_t* at = symbols_.data() + index * symbol_bytes(is_wide_);
  uint8_t info = 0;
  if (is_wide_) {
    Elf64_Sym raw;
    std::memcpy(&raw, at, sizeof raw);
    symbol = {raw.st_name, 0, 0, raw.st_shndx, raw.st_value, raw.st_size};
    info = raw.st_info;
  } else {
    Elf32_Sym raw;
    std::memcpy(&raw, at, sizeof raw);
    symbol = {raw.st_name, 0, 0, raw.st_shndx, raw.st_value, raw.st_size};
    info = raw.st_info;
  }
  symbol.type = ELF64_ST_TYPE(info);
  symbol.binding = ELF64_ST_BIND(info);
  return symbol;
}

std::string_view ElfSymbolTable::name(const ElfSymbol& symbol) const {
  return text_at(names_, symbol.name);
}

bool ElfSymbolTable::is_named(const ElfSymbol& symbol, std::string_view name) const {
  if (symbol.name >= names_.size() || names_.size() - symbol.name < name.size()) return false;
  const uint8_t* at = names_.data() + symbol.name;
  if (std::memcmp(at, name.data(), name.size()) != 0) return false;
  const uint8_t* behind = at + name.size();
  return behind == names_.data() + names_.size() || *behind == '\0' || *behind == '@';
}

Result<ElfImage> ElfImage::parse(Bytes bytes) {
  if (bytes.size() < EI_NIDENT || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) {
    return Error{"not an ELF file"};
  }
  const uint8_t elf_class = bytes[EI_CLASS];
  if (elf_class != ELFCLASS32 && elf_class != ELFCLASS64) {
    return Error{"an ELF file of neither 32 nor 64 bits"};
  }
  if (bytes[EI_DATA] != ELFDATA2LSB) return Error{"a big-endian ELF file"};
  ElfImage image;
  image.bytes_ = bytes;
  image.is_wide_ = elf_class == ELFCLASS64;
  if (bytes.size() < header_bytes(image.is_wide_)) {
    return Error{"an ELF file that is cut off in its header"};
  }
  image.type_ = static_cast<uint16_t>(read_number(bytes, 16, 2));
  image.machine_ = static_cast<Machine>(read_number(bytes, 18, 2));
  const auto field = [&](const Place& place) { return get(bytes, place, image.is_wide_); };
  image.entry_ = field(kEntry);
  image.is_hard_float_ =
      image.machine_ == Machine::Arm && (field(kMachineFlags) & EF_ARM_ABI_FLOAT_HARD) != 0;
  image.read_segments(field(kSegmentsAt), field(kSegmentBytes), field(kSegmentCount));
  image.read_sections(field(kSectionsAt), field(kSectionBytes), field(kSectionCount),
                      field(kNamesIndex));
  return image;
}

bool ElfImage::is_loadable() const { return type_ == ET_EXEC || type_ == ET_DYN; }

Bytes ElfImage::slice(uint64_t offset, uint64_t size_bytes) const {
  if (offset > bytes_.size() || size_bytes > bytes_.size() - offset) return {};
  return bytes_.subspan(offset, size_bytes);
}

void ElfImage::read_segments(uint64_t offset, size_t entry_bytes, size_t count) {
  if (entry_bytes < (is_wide_ ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr))) return;
  const Bytes table = slice(offset, uint64_t{entry_bytes} * std::min(count, kMostSegments));
  for (size_t at = 0; at < table.size(); at += entry_bytes) {
    const Bytes record = table.subspan(at, entry_bytes);
    const auto field = [&](const Place& place) { return get(record, place, is_wide_); };
    ElfSegment segment;
    segment.type = static_cast<uint32_t>(read_number(record, 0, 4));
    segment.flags = static_cast<uint32_t>(field(kSegmentFlags));
    segment.offset = field(kSegmentOffset);
    segment.address = field(kSegmentAddress);
    segment.file_bytes = field(kSegmentFileBytes);
    segment.memory_bytes = field(kSegmentMemoryBytes);
    segments_.push_back(segment);
  }
}

void ElfImage::read_sections(uint64_t offset, size_t entry_bytes, size_t count,
                             size_t names_index) {
  if (offset == 0 || entry_bytes < (is_wide_ ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr))) return;
  const Bytes first = slice(offset, entry_bytes);
  if (first.empty()) return;
  // Numbers that do not fit their field stand in the first section.
  if (count == 0) count = get(first, kSectionSize, is_wide_);
  if (names_index == SHN_XINDEX) names_index = get(first, kSectionLink, is_wide_);
  const Bytes table = slice(offset, uint64_t{entry_bytes} * std::min(count, kMostSections));
  std::vector<uint32_t> names;
  for (size_t at = 0; at < table.size(); at += entry_bytes) {
    const Bytes record = table.subspan(at, entry_bytes);
    const auto field = [&](const Place& place) { return get(record, place, is_wide_); };
    ElfSection section;
    names.push_back(static_cast<uint32_t>(read_number(record, 0, 4)));
    section.type = static_cast<uint32_t>(read_number(record, 4, 4));
    section.link = static_cast<uint32_t>(field(kSectionLink));
    section.flags = field(kSectionFlags);
    section.address = field(kSectionAddress);
    section.offset = field(kSectionOffset);
    section.size_bytes = field(kSectionSize);
    sections_.push_back(section);
  }
  if (names_index >= sections_.size()) return;
  const Bytes texts = contents(sections_[names_index]);
  for (size_t i = 0; i < sections_.size(); ++i) sections_[i].name = text_at(texts, names[i]);
}

const ElfSection* ElfImage::section(std::string_view name) const {
  for (const ElfSection& section : sections_) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

bool ElfImage::in_one_section(uint64_t begin, uint64_t address) const {
  return std::none_of(sections_.begin(), sections_.end(), [&](const ElfSection& section) {
    if ((section.flags & SHF_ALLOC) == 0 || section.size_bytes == 0) return false;
    const uint64_t end = section.address + section.size_bytes;
    return (begin < section.address && section.address <= address) ||
           (begin < end && end <= address);
  });
}

Bytes ElfImage::contents(const ElfSection& section) const {
  if (section.type == SHT_NOBITS || (section.flags & SHF_COMPRESSED) != 0) return {};
  return slice(section.offset, section.size_bytes);
}

ElfSymbolTable ElfImage::symbols(uint32_t section_type) const {
  for (const ElfSection& section : sections_) {
    if (section.type != section_type || section.link >= sections_.size()) continue;
    return {contents(section), contents(sections_[section.link]), is_wide_};
  }
  return {};
}

std::vector<ElfNote> parse_notes(Bytes bytes) {
  constexpr size_t kHeaderBytes = 12;
  std::vector<ElfNote> notes;
  while (bytes.size() >= kHeaderBytes) {
    const uint64_t owner_bytes = read_number(bytes, 0, 4);
    const uint64_t content_bytes = read_number(bytes, 4, 4);
    const uint64_t content_at = kHeaderBytes + (owner_bytes + 3) / 4 * 4;
    if (content_at > bytes.size() || content_bytes > bytes.size() - content_at) break;
    ElfNote note;
    note.type = static_cast<uint32_t>(read_number(bytes, 8, 4));
    note.owner = text_at(bytes.subspan(kHeaderBytes, owner_bytes), 0);
    note.contents = bytes.subspan(content_at, content_bytes);
    notes.push_back(note);
    const uint64_t next = content_at + (content_bytes + 3) / 4 * 4;
    bytes = bytes.subspan(std::min<uint64_t>(next, bytes.size()));
  }
  return notes;
}

std::vector<ElfNote> ElfImage::notes() const {
  std::vector<ElfNote> all;
  const auto add = [&all](Bytes bytes) {
    if (all.size() > kMostNotes) return;  // sections that all name the same bytes
    const std::vector<ElfNote> some = parse_notes(bytes);
    all.insert(all.end(), some.begin(), some.end());
  };
  for (const ElfSection& section : sections_) {
    if (section.type == SHT_NOTE) add(contents(section));
  }
  if (!sections_.empty()) return all;
  for (const ElfSegment& segment : segments_) {
    if (segment.type == PT_NOTE) add(slice(segment.offset, segment.file_bytes));
  }
  return all;
}

std::string ElfImage::build_id() const {
  for (const ElfNote& note : notes()) {
    if (note.type != NT_GNU_BUILD_ID || note.owner != "GNU") continue;
    std::string text;
    for (const uint8_t byte : note.contents) text += fmt::format("{:02x}", byte);
    return text;
  }
  return {};
}

std::optional<LoadPlace> ElfImage::load_place() const {
  for (const ElfSegment& segment : segments_) {
    if (segment.type == PT_LOAD && (segment.flags & PF_X) != 0)
      return LoadPlace{segment.offset, segment.address};
  }
  return std::nullopt;
}

std::optional<uint64_t> ElfImage::file_offset(uint64_t address, bool executable) const {
  for (const ElfSegment& segment : segments_) {
    if (segment.type != PT_LOAD || (executable && (segment.flags & PF_X) == 0)) continue;
    if (address < segment.address || address - segment.address >= segment.file_bytes) continue;
    const uint64_t offset = segment.offset + (address - segment.address);
    if (offset < bytes_.size()) return offset;
  }
  return std::nullopt;
}

std::optional<uint64_t> ElfImage::address_of(uint64_t file_offset) const {
  for (const ElfSegment& segment : segments_) {
    if (segment.type != PT_LOAD) continue;
    if (file_offset < segment.offset || file_offset - segment.offset >= segment.file_bytes) {
      continue;
    }
    return segment.address + (file_offset - segment.offset);
  }
  return std::nullopt;
}

}  // namespace ktap::symbol
