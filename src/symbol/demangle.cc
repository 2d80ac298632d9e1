// libstdc++ demangles C++, libiberty Rust (both its manglings).
#include "symbol/demangle.h"

#include <cxxabi.h>
#include <libiberty/demangle.h>

#include <cstdlib>
#include <memory>

#include "base/name_brackets.h"

namespace ktap::symbol {

namespace {

/// Longer names take demanglers seconds and nobody can read them.
constexpr size_t kLongestName = 32768;

struct Freer {
  void operator()(char* text) const { std::free(text); }
};
using OwnedText = std::unique_ptr<char, Freer>;

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

/// The `(` that the `)` at `close` belongs to; npos when there is none.
size_t opening(std::string_view text, size_t close) {
  size_t depth = 0;
  for (size_t i = close + 1; i-- > 0;) {
    if (text[i] == ')') ++depth;
    if (text[i] == '(' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

/// Does the name end with the word `operator`, so that what follows belongs to it?
bool ends_with_operator(std::string_view text) {
  constexpr std::string_view kWord = "operator";
  return text.size() >= kWord.size() && text.substr(text.size() - kWord.size()) == kWord;
}

/// What the compiler makes beside a function is another one, by a longer name.
bool is_made_beside(std::string_view text) {
  constexpr std::string_view kHeads[] = {"non-virtual thunk to ", "virtual thunk to ",
                                         "covariant return thunk to ", "transaction clone for ",
                                         "non-transaction clone for "};
  for (const std::string_view head : kHeads) {
    if (starts_with(text, head)) return true;
  }
  return false;
}

/// Behind the return type of an operator, whose name holds blanks and signs: `operator<< <char>`.
size_t name_begin_of_operator(std::string_view text) {
  const NameBrackets brackets(text);
  size_t begin = 0;
  for (size_t i = 0; i < text.size() && operator_size(text, i) == 0; i = brackets.behind(i)) {
    if (text[i] == ' ') begin = i + 1;
  }
  return begin;
}

/// Where the name begins behind a return type: after the last blank outside of all brackets.
size_t name_begin(std::string_view text) {
  if (is_made_beside(text)) return 0;
  if (text.find("operator") != std::string_view::npos) return name_begin_of_operator(text);
  size_t depth = 0;
  for (size_t i = text.size(); i-- > 0;) {
    const char c = text[i];
    if (c == '>' || c == ')' || c == ']' || c == '}') ++depth;
    if ((c == '<' || c == '(' || c == '[' || c == '{') && depth > 0) --depth;
    if (c == ' ' && depth == 0) return i + 1;
  }
  return 0;
}

}  // namespace

bool is_mangled(std::string_view name) {
  return starts_with(name, "_Z") || starts_with(name, "_R") || starts_with(name, "__Z");
}

std::string demangle(std::string_view name) {
  if (!is_mangled(name) || name.size() > kLongestName) return {};
  const std::string text(name[1] == '_' ? name.substr(1) : name);
  // Before C++: the older of Rust's manglings is C++'s with a hash behind.
  const OwnedText rust(rust_demangle(text.c_str(), 0));
  if (rust != nullptr) return rust.get();
  int status = 0;
  const OwnedText cpp(abi::__cxa_demangle(text.c_str(), nullptr, nullptr, &status));
  return status == 0 && cpp != nullptr ? std::string(cpp.get()) : std::string();
}

std::string_view without_parameters(std::string_view demangled) {
  std::string_view name = demangled;
  // `[clone .cold]` and the like stand last.
  name = name.substr(0, name.find(" [clone "));
  const size_t close = name.rfind(')');
  if (close == std::string_view::npos) return name.substr(name_begin(name));
  // Behind the list only qualifiers: `f(int) const &`. Else the `)` is part of a name, as in
  // `(anonymous namespace)::f`.
  const std::string_view behind = name.substr(close + 1);
  if (!behind.empty() && behind[0] != ' ') return name.substr(name_begin(name));
  const size_t open = opening(name, close);
  if (open == std::string_view::npos || open == 0) return demangled;
  if (ends_with_operator(name.substr(0, open))) return name;
  name = name.substr(0, open);
  return name.substr(name_begin(name));
}

std::string_view without_result(std::string_view demangled) {
  const std::string_view name = without_parameters(demangled);
  return demangled.substr(static_cast<size_t>(name.data() - demangled.data()));
}

std::string without_abi_tags(std::string_view demangled) {
  constexpr std::string_view kTag = "[abi:";
  size_t at = demangled.find(kTag);
  if (at == std::string_view::npos) return {};
  std::string out;
  for (; at != std::string_view::npos; at = demangled.find(kTag)) {
    const size_t close = demangled.find(']', at);
    if (close == std::string_view::npos) break;
    out += demangled.substr(0, at);
    demangled.remove_prefix(close + 1);
  }
  return out.append(demangled);
}

}  // namespace ktap::symbol
