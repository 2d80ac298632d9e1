// See probe_places.h.
#include "symbol/probe_places.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "symbol/instructions.h"

namespace ktap::symbol {

namespace {

/// Of a function whose size is not known; guessed.
constexpr uint64_t kMostCodeBytes = uint64_t{16} << 20;
constexpr uint64_t kMostChooserBytes = 4096;

/// The code at `address`, at most so many bytes.
Bytes code_at(const ElfFile& file, uint64_t address, uint64_t most_bytes) {
  const std::optional<uint64_t> begin = file.file_offset(address);
  const Bytes whole = file.image().whole();
  if (!begin || *begin >= whole.size()) return {};
  const Bytes rest = whole.subspan(*begin);
  return rest.first(std::min<uint64_t>(rest.size(), most_bytes));
}

/// Strings may be loaded beside code: only sections tell.
bool is_in_code(const ElfImage& image, uint64_t address) {
  const std::vector<ElfSection>& sections = image.sections();
  return sections.empty() ||
         std::any_of(sections.begin(), sections.end(), [&](const ElfSection& section) {
           return (section.flags & SHF_EXECINSTR) != 0 && address >= section.address &&
                  address - section.address < section.size_bytes;
         });
}

std::string why_within(const ElfFile& file, const FunctionSymbol& function, uint64_t offset) {
  const Bytes code = code_at(file, function.address, kMostCodeBytes);
  uint64_t at = 0, before = 0;
  while (at < offset) {
    const size_t bytes =
        at < code.size() ? instruction_bytes(file.image().machine(), code.subspan(at)) : 0;
    if (bytes == 0) return "it is not known whether an instruction begins there";
    before = at;
    at += bytes;
  }
  if (at == offset) return "";
  const bool has_name = !function.name.empty();
  const uint64_t from = has_name ? 0 : function.address;
  return fmt::format(
      "no instruction begins there, and a probe would break the program; the nearest begin at "
      "{0}{1:#x} and {0}{2:#x}",
      has_name ? "+" : "", from + before, from + at);
}

}  // namespace

std::vector<FunctionSymbol> one_name_each(std::vector<FunctionSymbol> functions) {
  std::stable_sort(functions.begin(), functions.end(),
                   [](const FunctionSymbol& a, const FunctionSymbol& b) {
                     return std::pair(a.address, a.is_ifunc) < std::pair(b.address, b.is_ifunc);
                   });
  std::vector<FunctionSymbol> out;
  for (const FunctionSymbol& function : functions) {
    const bool is_same = !out.empty() && out.back().address == function.address &&
                         out.back().is_ifunc == function.is_ifunc;
    if (!is_same) {
      out.push_back(function);
    } else if (is_better_name(function, out.back())) {
      out.back() = function;
    }
  }
  return out;
}

std::string why_no_probe_at(const ElfFile& file, const FunctionSymbol& function, uint64_t offset) {
  if (function.is_thumb) return "it is Thumb code, which uprobes cannot run";
  if (offset != 0) {
    if (std::string why = why_within(file, function, offset); !why.empty()) return why;
  }
  constexpr uint64_t kMostBytes = 16;
  const std::string_view why =
      why_no_probe(file.image().machine(), code_at(file, function.address + offset, kMostBytes));
  return why.empty() ? "" : fmt::format("the instruction there is {}", why);
}

std::optional<FunctionPlace> code_around(const ElfFile& file, CallFrames& frames,
                                         uint64_t address) {
  // One without a size reaches up to the next: in a stripped file far over others.
  const std::optional<FunctionPlace> within = file.at(address);
  if (within && within->function.size_bytes != 0) return within;
  const std::optional<uint64_t> begin = frames.begin_of(address);
  const std::optional<uint64_t> offset = begin ? file.file_offset(*begin) : std::nullopt;
  if (!offset) return within;
  FunctionPlace around;
  around.function.address = *begin;
  around.function.file_offset = *offset;
  around.offset = address - *begin;
  return around;
}

bool has_one_instruction_length(Machine machine) {
  return machine == Machine::Arm64 || machine == Machine::Arm;
}

uint64_t entry_offset(const ElfFile& file, const FunctionSymbol& function) {
  const Bytes code = code_at(file, function.address, function.size_bytes);
  const bool is_whole = code.size() == function.size_bytes;
  return is_whole ? passed_over_bytes(file.image().machine(), code) : 0;
}

std::vector<FunctionSymbol> choices_of(const ElfFile& file, const FunctionSymbol& ifunc) {
  std::vector<FunctionSymbol> out;
  const uint64_t most = ifunc.size_bytes == 0 ? kMostChooserBytes : ifunc.size_bytes;
  const Bytes code = code_at(file, ifunc.address, std::min(most, kMostChooserBytes));
  for (const uint64_t address : code_addresses(file.image().machine(), code, ifunc.address)) {
    const std::optional<uint64_t> offset = file.file_offset(address);
    if (!offset || !is_in_code(file.image(), address)) continue;
    const std::optional<FunctionPlace> known = file.at(address);
    FunctionSymbol choice;
    choice.name = ifunc.name;
    if (known && known->offset == 0) choice = known->function;
    choice.address = address;
    choice.file_offset = *offset;
    choice.is_ifunc = false;
    out.push_back(choice);
  }
  return out;
}

}  // namespace ktap::symbol
