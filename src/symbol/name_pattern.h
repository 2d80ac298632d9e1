// What a script names functions by, tried on many symbols: an exact name or a glob, on the name in
// the file and on its demangled form, which is made only where it can match.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/glob.h"

namespace ktap::symbol {

/// The part of a function that the compiler has put elsewhere because it hardly ever runs:
/// `f.cold`, `f.part.0.cold`, `f.cold.3`. It is jumped to, not called.
bool is_cold_part(std::string_view name);

/// A glob as scripts write it for functions: brackets that demanglers write are none of its own,
/// `f(int) [clone .part.0]`, `f[abi:cxx11]`.
std::string function_glob(std::string_view written);

/// `; a function's return is f%return` for a name that is not there and ends in another %WORD; else
/// "".
std::string return_hint(std::string_view written);

/// Cold parts match nothing that does not speak of them (`.cold`), but their own name in the file.
class NamePattern {
 public:
  /// `text` is a glob, or taken by the letter.
  NamePattern(std::string_view text, bool is_glob);

  bool matches_raw(std::string_view name) const;
  /// Requires that `name` is as the file has it. With and without parameters, without a template's
  /// return type, and all that without `[abi:…]`.
  bool matches_demangled(std::string_view name) const;
  bool matches(std::string_view name) const { return matches_raw(name) || matches_demangled(name); }
  /// The text as it is.
  bool accepts(std::string_view text) const;

 private:
  bool passes_over(std::string_view name) const { return !takes_cold_ && is_cold_part(name); }

  std::string text_;
  bool is_glob_;
  bool takes_cold_;
  std::string word_;  ///< part of an identifier that every name that matches has; may be empty
  std::optional<GlobBits> bits_;  ///< of a glob, where they are enough
  std::optional<Glob> glob_;      ///< else
};

/// A part of `pattern` that the mangled form of every name that matches holds too: the longest run
/// of letters outside of sets and alternatives that no demangler writes by itself. "" when there is
/// none.
std::string needed_word(std::string_view pattern, bool is_glob);

}  // namespace ktap::symbol
