// libdw can tell the scopes of an address, but walks its unit for each. Here the functions of a
// unit are a sorted list of ranges; below one of them the inlined ones are listed in the order of
// the walk, outer before inner, so that those that hold an address are the chain of calls.
#include "symbol/source_lines.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/paths.h"
#include "symbol/demangle.h"
#include "symbol/dwarf_file.h"

namespace ktap::symbol {

namespace {

// Bounds for broken files; guessed, above what compilers make.
constexpr int kMostDepth = 64;
constexpr size_t kMostRanges = 100'000;       // of one function or unit
constexpr size_t kMostInlined = 200'000;      // in one function
constexpr size_t kMostFunctions = 2'000'000;  // in one unit

struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint32_t index = 0;  ///< what has this range
};

/// The last range that begins at or before `address`, where that holds it.
const Range* find(const std::vector<Range>& ranges, uint64_t address) {
  const auto behind =
      std::upper_bound(ranges.begin(), ranges.end(), address,
                       [](uint64_t a, const Range& range) { return a < range.begin; });
  if (behind == ranges.begin()) return nullptr;
  const Range& range = *(behind - 1);
  return address < range.end ? &range : nullptr;
}

void sort(std::vector<Range>& ranges) {
  std::stable_sort(ranges.begin(), ranges.end(),
                   [](const Range& a, const Range& b) { return a.begin < b.begin; });
}

void add_ranges(Dwarf_Die* die, uint32_t index, std::vector<Range>& ranges) {
  Dwarf_Addr base = 0, begin = 0, end = 0;
  ptrdiff_t at = 0;
  for (size_t count = 0; count < kMostRanges; ++count) {
    at = dwarf_ranges(die, at, &base, &begin, &end);
    if (at <= 0) return;
    if (begin < end) ranges.push_back({begin, end, index});
  }
}

std::string plain_name(Dwarf_Die* die) {
  Dwarf_Attribute found;
  const char* name = nullptr;
  for (const unsigned attribute : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    if (name == nullptr && dwarf_attr_integrate(die, attribute, &found) != nullptr)
      name = dwarf_formstring(&found);
  }
  if (name != nullptr && is_mangled(name)) {
    const std::string plain = demangle(name);
    if (!plain.empty()) return std::string(without_parameters(plain));
  }
  name = dwarf_diename(die);
  return name == nullptr ? std::string() : std::string(name);
}

std::string file_of(const char* path) {
  return path == nullptr ? std::string() : std::string(base_name(path));
}

bool holds_functions(int tag) {
  return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
         tag == DW_TAG_structure_type || tag == DW_TAG_subprogram;
}

/// A function that was inlined into another.
struct Inlined {
  Dwarf_Die die;
  std::string name;  ///< "": not asked for yet, or none
  uint32_t file = 0;
  uint32_t line = 0;  ///< from where it was called
};

struct Function {
  Dwarf_Die die;
  std::string name;
  bool is_read = false;
  std::vector<Inlined> inlined;
  std::vector<Range> ranges;  ///< of those, in the order of the walk
};

struct Unit {
  Dwarf_Die die;  ///< has the functions
  std::vector<Function> functions;
  std::vector<Range> ranges;  ///< of the functions
};

void add_functions(Dwarf_Die* parent, int depth, Unit& unit) {
  if (depth > kMostDepth) return;
  each_child(parent, [&](Dwarf_Die* child) {
    const int tag = dwarf_tag(child);
    if (tag == DW_TAG_subprogram) {
      const size_t before = unit.ranges.size();
      add_ranges(child, static_cast<uint32_t>(unit.functions.size()), unit.ranges);
      if (unit.ranges.size() != before)
        unit.functions.push_back(Function{*child, {}, false, {}, {}});
    }
    // A function in a function (of Rust, of Ada, a lambda) stands below it, or below its class.
    if (holds_functions(tag)) add_functions(child, depth + 1, unit);
    return unit.functions.size() < kMostFunctions;
  });
}

void add_inlined(Dwarf_Die* parent, int depth, Function& function) {
  if (depth > kMostDepth) return;
  each_child(parent, [&](Dwarf_Die* child) {
    const int tag = dwarf_tag(child);
    if (tag == DW_TAG_inlined_subroutine) {
      const size_t before = function.ranges.size();
      add_ranges(child, static_cast<uint32_t>(function.inlined.size()), function.ranges);
      if (function.ranges.size() != before) {
        Inlined inlined;
        inlined.die = *child;
        inlined.file = static_cast<uint32_t>(number_of(child, DW_AT_call_file).value_or(0));
        inlined.line = static_cast<uint32_t>(number_of(child, DW_AT_call_line).value_or(0));
        function.inlined.push_back(std::move(inlined));
      }
    }
    if (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
        tag == DW_TAG_try_block || tag == DW_TAG_catch_block) {
      add_inlined(child, depth + 1, function);
    }
    return function.inlined.size() < kMostInlined;
  });
}

}  // namespace

struct SourceLines::State {
  explicit State(const ElfFile& elf_file) : file(elf_file) {}

  const ElfFile& file;
  bool is_open = false;
  DwarfFile dwarf;
  std::map<const void*, Unit> units;  ///< by what libdw calls them
  bool has_unit_ranges = false;
  std::vector<Dwarf_Die> unit_dies;
  std::vector<Range> unit_ranges;

  void index_units() {
    has_unit_ranges = true;
    each_unit(dwarf.get(), [&](Dwarf_Die* unit, Dwarf_Die* in_file) {
      add_ranges(in_file, static_cast<uint32_t>(unit_dies.size()), unit_ranges);
      unit_dies.push_back(*unit);
      return true;
    });
    sort(unit_ranges);
  }

  /// False: none has that address.
  bool find_unit(uint64_t address, Dwarf_Die* unit) {
    if (dwarf_addrdie(dwarf.get(), address, unit) != nullptr) {
      Dwarf_Die split;
      uint8_t kind = 0;
      if (dwarf_cu_info(unit->cu, nullptr, &kind, nullptr, &split, nullptr, nullptr, nullptr) ==
              0 &&
          kind == DW_UT_skeleton && split.addr != nullptr) {
        *unit = split;
      }
      return true;
    }
    // Compilers may leave out the list of which unit has which addresses (.debug_aranges).
    if (!has_unit_ranges) index_units();
    const Range* range = symbol::find(unit_ranges, address);
    if (range == nullptr) return false;
    *unit = unit_dies[range->index];
    return true;
  }

  Unit& read_unit(Dwarf_Die* die) {
    const auto [at, is_new] = units.try_emplace(die->addr);
    Unit& unit = at->second;
    if (!is_new) return unit;
    unit.die = *die;
    add_functions(die, 0, unit);
    sort(unit.ranges);
    return unit;
  }

  static std::string file_name(Dwarf_Die* unit, uint32_t number) {
    Dwarf_Files* files = nullptr;
    size_t count = 0;
    if (dwarf_getsrcfiles(unit, &files, &count) != 0 || number >= count) return {};
    return file_of(dwarf_filesrc(files, number, nullptr, nullptr));
  }

  static void find_line(Dwarf_Die* unit, uint64_t address, SourceFrame& frame) {
    Dwarf_Line* line = dwarf_getsrc_die(unit, address);
    int number = 0;
    if (line == nullptr || dwarf_lineno(line, &number) != 0 || number <= 0) return;
    frame.file = file_of(dwarf_linesrc(line, nullptr, nullptr));
    frame.line = static_cast<uint32_t>(number);
  }
};

SourceLines::SourceLines(const ElfFile& file) : state_(new State(file)) {}
SourceLines::~SourceLines() = default;

std::vector<SourceFrame> SourceLines::at(uint64_t address) {
  State& state = *state_;
  if (!std::exchange(state.is_open, true)) state.dwarf = DwarfFile(state.file.debug_information());
  std::vector<SourceFrame> frames;
  Dwarf_Die die;
  if (state.dwarf.get() == nullptr || !state.find_unit(address, &die)) return frames;
  Unit& unit = state.read_unit(&die);
  SourceFrame frame;
  State::find_line(&unit.die, address, frame);
  const Range* range = find(unit.ranges, address);
  if (range == nullptr) {
    if (frame.line != 0) frames.push_back(std::move(frame));
    return frames;
  }
  Function& function = unit.functions[range->index];
  if (!std::exchange(function.is_read, true)) {
    function.name = plain_name(&function.die);
    add_inlined(&function.die, 0, function);
  }
  std::vector<Inlined*> calls;
  for (const Range& inlined : function.ranges) {
    if (address >= inlined.begin && address < inlined.end)
      calls.push_back(&function.inlined[inlined.index]);
  }
  for (auto call = calls.rbegin(); call != calls.rend(); ++call) {
    Inlined& inlined = **call;
    if (inlined.name.empty()) inlined.name = plain_name(&inlined.die);
    frame.function = inlined.name;
    frame.is_inlined = true;
    frames.push_back(std::move(frame));
    frame = SourceFrame();
    frame.line = inlined.line;
    if (inlined.line != 0) frame.file = State::file_name(&unit.die, inlined.file);
  }
  frame.function = function.name;
  frames.push_back(std::move(frame));
  return frames;
}

}  // namespace ktap::symbol
