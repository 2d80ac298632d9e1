// Told by what C++ and Rust leave in symbols and in the list of needed libraries, not by code for
// exceptions: C has some, for threads that are cancelled, and what only calls has none.
#include "symbol/exceptions.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace ktap::symbol {

namespace {

/// What runs C++ and Rust code that throws, catches or cleans up. Of C alone such code is where
/// threads that are cancelled clean up, by another routine (__gcc_personality_v0).
constexpr std::array<std::string_view, 7> kRuntime = {
    "__gxx_personality_v0", "__cxa_throw",       "__cxa_rethrow",           "__cxa_begin_catch",
    "rust_eh_personality",  "rust_begin_unwind", "__cxa_allocate_exception"};
/// The same where it is taken from a library: programs of C have these in themselves when they are
/// linked statically.
constexpr std::array<std::string_view, 2> kUnwinder = {"_Unwind_Resume", "_Unwind_RaiseException"};

constexpr std::array<std::string_view, 3> kLibraries = {"libstdc++.so", "libc++.so",
                                                        "libc++abi.so"};

/// A name that C++ and Rust's older mangling give: `_ZN4Pool4takeEv`.
bool is_of_cxx(std::string_view name) {
  constexpr std::string_view kMangled = "_Z";
  return name.size() > kMangled.size() && name.substr(0, kMangled.size()) == kMangled;
}

bool has_symbol_of_runtime(const ElfSymbolTable& symbols) {
  for (size_t i = 0; i < symbols.size(); ++i) {
    const ElfSymbol symbol = symbols[i];
    const std::string_view name = symbols.name(symbol);
    if (is_of_cxx(name)) return true;
    if (name.empty() || (name[0] != '_' && name[0] != 'r')) continue;
    const auto is_known = [&](std::string_view known) { return symbols.is_named(symbol, known); };
    if (std::any_of(kRuntime.begin(), kRuntime.end(), is_known)) return true;
    if (symbol.section == SHN_UNDEF && std::any_of(kUnwinder.begin(), kUnwinder.end(), is_known))
      return true;
  }
  return false;
}

bool needs_cxx_library(const ElfImage& image) {
  const auto& sections = image.sections();
  const auto dynamic =
      std::find_if(sections.begin(), sections.end(),
                   [](const ElfSection& section) { return section.type == SHT_DYNAMIC; });
  if (dynamic == sections.end() || dynamic->link >= sections.size()) return false;
  const Bytes entries = image.contents(*dynamic);
  const Bytes names = image.contents(sections[dynamic->link]);
  const size_t word = image.is_wide() ? 8 : 4;
  for (size_t at = 0; at + 2 * word <= entries.size(); at += 2 * word) {
    if (read_number(entries, at, word) != DT_NEEDED) continue;
    const uint64_t name = read_number(entries, at + word, word);
    if (name >= names.size()) continue;
    const std::string_view rest(reinterpret_cast<const char*>(names.data() + name),
                                names.size() - name);
    if (std::any_of(kLibraries.begin(), kLibraries.end(), [&](std::string_view library) {
          return rest.substr(0, library.size()) == library;
        }))
      return true;
  }
  return false;
}

}  // namespace

bool has_unwind_tables(const ElfImage& image) {
  return image.section(".eh_frame") != nullptr ||
         std::any_of(image.segments().begin(), image.segments().end(),
                     [](const ElfSegment& segment) {
                       return segment.type == PT_GNU_EH_FRAME || segment.type == PT_ARM_EXIDX;
                     });
}

bool is_of_throwing_language(const ElfImage& image) {
  return needs_cxx_library(image) || has_symbol_of_runtime(image.symbols(SHT_DYNSYM)) ||
         has_symbol_of_runtime(image.symbols(SHT_SYMTAB));
}

}  // namespace ktap::symbol
