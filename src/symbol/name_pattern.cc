// Manglings keep identifiers as they are (`4pushE`), so that a memmem over the mangled name rules
// most symbols out before anything is demangled.
#include "symbol/name_pattern.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>

#include "base/chars.h"
#include "symbol/demangle.h"

namespace ktap::symbol {

namespace {

/// Words that demangled names have though their mangled form does not: abbreviations of the C++
/// ABI, types, operators and what demanglers say about symbols.
constexpr std::string_view kMadeWords[] = {
    "std",
    "allocator",
    "basic_string",
    "basic_istream",
    "basic_ostream",
    "basic_iostream",
    "iostream",
    "istream",
    "ostream",
    "char_traits",
    "string",
    "operator",
    "unsigned",
    "signed",
    "char8_t",
    "char16_t",
    "char32_t",
    "wchar_t",
    "short",
    "long",
    "double",
    "float",
    "__int128",
    "__float128",
    "_Float16",
    "bool",
    "void",
    "decltype",
    "nullptr",
    "decimal128",
    "const",
    "volatile",
    "restrict",
    "_Complex",
    "_Imaginary",
    "anonymous",
    "namespace",
    "lambda",
    "unnamed",
    "type",
    "virtual",
    "thunk",
    "covariant",
    "construction",
    "vtable",
    "typeinfo",
    "guard",
    "variable",
    "reference",
    "temporary",
    "initializer",
    "function",
    "wrapper",
    "init",
    "clone",
    "noexcept",
    "transaction_safe",
    "throw",
    "default",
    "auto",
    "constructor",
    "inheriting",
    "delete",
    "co_await",
    "sizeof",
    "alignof",
    "typeid",
    "dynamic_cast",
    "static_cast",
    "const_cast",
    "reinterpret_cast",
    "global",
    "constructors",
    "destructors",
    "keyed",
    "true",
    "false",
    "template",
    "parameter",
    "object",
    "structured",
    "binding",
    "hidden",
    "alias",
    "requires",
    "constexpr",
    "module",
    "extern",
    "unsafe",
    "closure",
    "shim",
    "impl",
    "usize",
    "isize",
    "i128",
    "u128",
    "parm",
    "this",
    "enable_if",
    "friend",
};

bool is_made_word(std::string_view run) {
  for (const std::string_view word : kMadeWords) {
    if (word.find(run) != std::string_view::npos) return true;
  }
  return false;
}

constexpr std::string_view kCold = ".cold";

/// Where the set or alternative that opens at `at` ends; the end of the text when in doubt.
size_t skip_group(std::string_view pattern, size_t at) {
  size_t i = at + 1;
  if (pattern[at] == '[') {
    if (i < pattern.size() && pattern[i] == '!') ++i;
    const size_t end = pattern.find(']', i + 1);  // one that stands first is a member
    return std::min(end, pattern.size());
  }
  for (size_t depth = 1; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' || pattern[i] == '[') break;  // too rare to look closer
    if (pattern[i] == '{') ++depth;
    if (pattern[i] == '}' && --depth == 0) return i;
  }
  return pattern.size();
}

}  // namespace

std::string needed_word(std::string_view pattern, bool is_glob) {
  constexpr size_t kLeastBytes = 4;  // shorter ones may be types: int, u64, str
  std::string_view best;
  size_t begin = 0;
  for (size_t i = 0; i <= pattern.size(); ++i) {
    if (i < pattern.size() && is_name_part(pattern[i])) continue;
    const std::string_view run = pattern.substr(begin, i - begin);
    const bool is_number = !run.empty() && is_digit(run[0]);
    if (run.size() > best.size() && !is_number && !is_made_word(run)) best = run;
    if (i == pattern.size()) break;
    if (is_glob && (pattern[i] == '[' || pattern[i] == '{')) i = skip_group(pattern, i);
    if (is_glob && i < pattern.size() && pattern[i] == '\\') ++i;
    begin = i + 1;
    if (begin > pattern.size()) break;
  }
  return std::string(best.size() >= kLeastBytes ? best : std::string_view());
}

bool is_cold_part(std::string_view name) {
  for (size_t at = name.find(kCold); at != std::string_view::npos; at = name.find(kCold, at + 1)) {
    const size_t behind = at + kCold.size();
    if (at != 0 && (behind == name.size() || name[behind] == '.')) return true;
  }
  return false;
}

std::string function_glob(std::string_view written) {
  std::string glob(written);
  for (const std::string_view head : {"[clone .", "[abi:"}) {
    for (size_t at = glob.find(head); at != std::string::npos; at = glob.find(head, at + 2)) {
      if (at == 0 || glob[at - 1] != '\\') glob.insert(at, 1, '\\');
    }
  }
  return glob;
}

NamePattern::NamePattern(std::string_view text, bool is_glob)
    : text_(is_glob ? function_glob(text) : std::string(text)),
      is_glob_(is_glob && has_glob(text)),
      takes_cold_(text.find(kCold) != std::string_view::npos),
      word_(needed_word(text_, is_glob_)) {
  if (is_glob_) bits_ = glob_bits(text_, false);
  if (is_glob_ && !bits_.has_value()) glob_.emplace(text_);
}

bool NamePattern::accepts(std::string_view text) const {
  if (!is_glob_) return text == text_;
  if (glob_.has_value()) return glob_->matches(text);
  uint64_t now = bits_->start;
  for (const char c : text) {
    now = ((now << 1) & bits_->takes[static_cast<unsigned char>(c)]) | (now & bits_->stay);
    if (now == 0) return false;
  }
  return (now & bits_->accept) != 0;
}

bool NamePattern::matches_raw(std::string_view name) const {
  return accepts(name) && (!is_glob_ || !passes_over(name));
}

bool NamePattern::matches_demangled(std::string_view name) const {
  if (!is_mangled(name) || passes_over(name)) return false;
  if (!word_.empty() && memmem(name.data(), name.size(), word_.data(), word_.size()) == nullptr) {
    return false;
  }
  const std::string demangled = demangle(name);
  const auto accepts_any = [this](std::string_view text) {
    return accepts(text) || accepts(without_parameters(text)) || accepts(without_result(text));
  };
  if (demangled.empty()) return false;
  if (accepts_any(demangled)) return true;
  const std::string untagged = without_abi_tags(demangled);
  return !untagged.empty() && accepts_any(untagged);
}

std::string return_hint(std::string_view written) {
  const size_t percent = written.rfind('%');
  if (percent == std::string_view::npos) return "";
  return fmt::format("; a function's return is {}%return", written.substr(0, percent));
}

}  // namespace ktap::symbol
