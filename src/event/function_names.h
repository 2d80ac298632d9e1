// Names of functions of programs in event text: where one ends, which functions it means, and what
// a function is to be called so that the text means it alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "symbol/elf_file.h"

namespace ktap::event {

/// `SYM+OFF%return`, or an address.
struct FunctionName {
  std::string name;     ///< may be a glob
  uint64_t offset = 0;  ///< behind the symbol
  std::optional<uint64_t> address;
  bool is_return = false;
};

/// Errors: in words, for the user.
Result<FunctionName> parse_function_name(std::string_view text);

/// What a place's text has behind the name: "+0x10", "%return", or "".
std::string written_behind(uint64_t offset, bool is_return);

/// A number as C writes it; nothing: it is none.
std::optional<uint64_t> parse_number(const std::string& text);

/// Where the function's name that begins at `from` ends: at the first blank that is not part of it
/// (`f(int) const`, `A::operator bool()`, `f(int) [clone .part.0]`).
size_t function_name_end(std::string_view text, size_t from);

/// Might glob signs in it be meant by the letter: `f(char*)`, `A::operator*`, `f()::{lambda()#1}`?
/// What means a function so means no other.
bool may_be_by_the_letter(std::string_view written);

struct FunctionsMeant {
  std::vector<symbol::FunctionSymbol> symbols;
  bool is_glob = false;
};
FunctionsMeant functions_meant(const symbol::ElfFile& file, std::string_view written);

/// What handlers see them called, by their names in the file: as user stacks show them; with their
/// parameters where the script has written them, and those that would be called alike.
std::map<std::string_view, std::string> shown_names(const FunctionsMeant& meant,
                                                    const std::string& written);

/// The functions as event text names them, each text once: it means all functions of that name (of
/// one mangled name, the variants of a constructor) and no other.
/// Cost: where one is mangled, all names of the file are demangled.
std::vector<std::string> written_names(const symbol::ElfFile& file,
                                       const std::vector<symbol::FunctionSymbol>& functions);

}  // namespace ktap::event
