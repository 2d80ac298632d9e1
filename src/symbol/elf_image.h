// ELF as it lies in memory: headers, sections, segments, notes, symbol tables, read in place. The
// bytes may come from anyone: whatever they say is held to their bounds. Little-endian files of 32
// and 64 bits, of any machine.
// Source: System V ABI, chapters 4 and 5; elf(5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ktap::symbol {

using Bytes = std::span<const uint8_t>;

/// e_machine of those that ktap knows registers of.
enum class Machine : uint16_t { X86 = 3, Arm = 40, X86_64 = 62, Arm64 = 183, RiscV = 243 };

#if defined(__x86_64__)
inline constexpr Machine kNativeMachine = Machine::X86_64;
#elif defined(__aarch64__)
inline constexpr Machine kNativeMachine = Machine::Arm64;
#elif defined(__arm__)
inline constexpr Machine kNativeMachine = Machine::Arm;
#elif defined(__riscv)
inline constexpr Machine kNativeMachine = Machine::RiscV;
#elif defined(__i386__)
inline constexpr Machine kNativeMachine = Machine::X86;
#else
#error "which e_machine has this architecture?"
#endif

/// "x86-64", "arm64", or "machine 8" for those that we do not know.
std::string machine_name(Machine machine);

struct ElfSection {
  std::string_view name;
  uint32_t type = 0;
  uint32_t link = 0;
  uint64_t flags = 0;
  uint64_t address = 0;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};

struct ElfSegment {
  uint32_t type = 0;
  uint32_t flags = 0;
  uint64_t offset = 0;
  uint64_t address = 0;
  uint64_t file_bytes = 0;
  uint64_t memory_bytes = 0;
};

/// Where in the file its code begins, and the address of that: what tells where it was loaded.
struct LoadPlace {
  uint64_t file_offset = 0;
  uint64_t address = 0;  ///< as `nm` prints it
};

struct ElfNote {
  std::string_view owner;  ///< without its NUL
  uint32_t type = 0;
  Bytes contents;
};

struct ElfSymbol {
  uint32_t name = 0;  ///< offset in the table of names
  uint8_t type = 0;   ///< STT_
  uint8_t binding = 0;
  uint16_t section = 0;
  uint64_t value = 0;
  uint64_t size_bytes = 0;
};

/// A symbol table beside its names. Both lie in the image.
class ElfSymbolTable {
 public:
  ElfSymbolTable() = default;
  ElfSymbolTable(Bytes symbols, Bytes names, bool is_wide);

  size_t size() const { return size_; }
  ElfSymbol operator[](size_t index) const;
  /// As it stands there, with its version (`malloc@@GLIBC_2.2.5`); "" when it lies outside.
  std::string_view name(const ElfSymbol& symbol) const;
  /// Is `name` the symbol's, its version aside? Cheaper than to ask for the name.
  bool is_named(const ElfSymbol& symbol, std::string_view name) const;

 private:
  Bytes symbols_;
  Bytes names_;
  size_t size_ = 0;
  bool is_wide_ = true;
};

class ElfImage {
 public:
  /// Errors (without the file's name): "not an ELF file", "a big-endian ELF file", "cut off in its
  /// headers". Sections or segments that lie outside are left out, no error.
  /// Requires that `bytes` outlives the image.
  static Result<ElfImage> parse(Bytes bytes);

  /// What it was made of.
  Bytes whole() const { return bytes_; }
  Machine machine() const { return machine_; }
  bool is_wide() const { return is_wide_; }
  /// 32-bit arm: its functions pass floats in registers for them (the "hard-float" ABI).
  bool is_hard_float() const { return is_hard_float_; }
  /// Where a program begins, as `nm` prints it; 0: nowhere.
  uint64_t entry() const { return entry_; }
  /// A program or a library, that is, neither an object file nor a core.
  bool is_loadable() const;
  const std::vector<ElfSection>& sections() const { return sections_; }
  const std::vector<ElfSegment>& segments() const { return segments_; }

  /// The first section of that name.
  const ElfSection* section(std::string_view name) const;
  /// False: a section ends, or begins, between the two. Requires: `begin` <= `address`.
  bool in_one_section(uint64_t begin, uint64_t address) const;
  /// Its bytes; none when it has none in the file or is compressed.
  Bytes contents(const ElfSection& section) const;
  /// Symbols of the first section of that type (SHT_SYMTAB, SHT_DYNSYM); empty when there is none.
  ElfSymbolTable symbols(uint32_t section_type) const;
  /// From sections, or from segments when there are no sections.
  std::vector<ElfNote> notes() const;
  /// In lower-case hex; "" when it has none.
  std::string build_id() const;

  /// Of its first code; nothing where it has none.
  std::optional<LoadPlace> load_place() const;
  /// Where in the file the byte lies that is loaded at `address`. `executable`: in code alone.
  std::optional<uint64_t> file_offset(uint64_t address, bool executable = false) const;
  /// The other way: the address (as `nm` prints it) of a byte of the file.
  std::optional<uint64_t> address_of(uint64_t file_offset) const;

 private:
  ElfImage() = default;
  Bytes slice(uint64_t offset, uint64_t size_bytes) const;
  void read_segments(uint64_t offset, size_t entry_bytes, size_t count);
  void read_sections(uint64_t offset, size_t entry_bytes, size_t count, size_t names_index);

  Bytes bytes_;
  Machine machine_{};
  uint16_t type_ = 0;
  uint64_t entry_ = 0;
  bool is_wide_ = true;
  bool is_hard_float_ = false;
  std::vector<ElfSection> sections_;
  std::vector<ElfSegment> segments_;
};

/// The notes in the bytes of a note section or segment; what does not fit ends them.
std::vector<ElfNote> parse_notes(Bytes bytes);

/// A little-endian number of 1, 2, 4 or 8 bytes. Requires that it lies within `bytes`.
uint64_t read_number(Bytes bytes, size_t offset, size_t size_bytes);

}  // namespace ktap::symbol
