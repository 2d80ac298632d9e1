// See function_names.h.
#include "event/function_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>
#include <unordered_map>

#include "base/chars.h"
#include "base/glob.h"
#include "base/name_brackets.h"
#include "event/program_files.h"
#include "event/provider.h"
#include "symbol/demangle.h"
#include "symbol/name_pattern.h"

namespace ktap::event {

namespace {

using symbol::ElfFile;
using symbol::FunctionSymbol;

constexpr std::string_view kReturn = "%return";
constexpr std::string_view kOperator = "operator";

bool starts_with(std::string_view text, std::string_view head) {
  return text.substr(0, head.size()) == head;
}

bool ends_with_operator(std::string_view text) {
  if (text.size() < kOperator.size()) return false;
  const std::string_view head = text.substr(0, text.size() - kOperator.size());
  return text.substr(head.size()) == kOperator && (head.empty() || !is_name_part(head.back()));
}

/// `unsigned long`, `char const*`: of types that are several words, one.
bool is_type_word(std::string_view word) {
  while (!word.empty() && (word.back() == '*' || word.back() == '&')) word.remove_suffix(1);
  constexpr std::string_view kWords[] = {"const", "volatile", "unsigned", "signed", "char",
                                         "short", "int",      "long",     "double"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

/// Does a name go on behind its blank: `f(int) const`, `A::operator bool() const`?
bool name_goes_on(std::string_view before, std::string_view behind) {
  std::string_view word = behind.substr(0, behind.find_first_of(" \t\r\n+%("));
  if (ends_with_operator(before))
    return !word.empty() && (is_name_part(word[0]) || word[0] == '<') &&
           word.find('=') == std::string_view::npos;
  if (starts_with(behind, "[clone .") || starts_with(behind, "<")) return true;
  if (before.find("operator ") != std::string_view::npos && is_type_word(word)) return true;
  word = word.substr(0, word.find("::"));  // `f() const::{lambda()#1}`
  return before.find(')') != std::string_view::npos &&
         (word == "const" || word == "volatile" || word == "&" || word == "&&");
}

/// Of a function's name, `+` that is no sign of an operator and stands in no brackets; npos.
size_t last_plus(std::string_view text) {
  const NameBrackets brackets(text);
  size_t plus = std::string_view::npos;
  for (size_t i = 0; i < text.size(); i = brackets.behind(i)) {
    if (text[i] == '+' && i > 0) plus = i;
  }
  return plus;
}

/// Can the name stand behind `trace probe:PATH:`, as it is?
bool is_writable(std::string_view path, std::string_view name) {
  if (has_glob(name) && !may_be_by_the_letter(name)) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (c < ' ' || c == '"' || c == '\'' || c == '\\') return false;
    // Behind a blank these begin a body, a filter, a comment.
    const bool is_behind_blank = i > 0 && name[i - 1] == ' ';
    if (!is_behind_blank) continue;
    if (c == '/' || c == '#' || (c == '{' && !is_unnamed_type(name, i))) return false;
  }
  const std::string text = fmt::format("probe:{}:{}", path, name);
  const std::vector<Pattern> patterns = split_patterns(text);
  if (patterns.size() != 1 || patterns[0].text != text) return false;
  const std::string_view rest = std::string_view(text).substr(std::string_view("probe:").size());
  if (path_end(rest, [path](const std::string& other) { return other == path; }) != path.size())
    return false;
  if (function_name_end(rest, path.size()) != rest.size()) return false;
  const Result<FunctionName> parsed = parse_function_name(name);
  return parsed.ok() && parsed.value().name == name && !parsed.value().address;
}

/// The ways to write a function of C++ or Rust, the best first.
struct Spellings {
  std::string full;  ///< demangled; with a template's result, which cannot be written
  std::string brief, whole;
};

std::optional<Spellings> spellings(std::string_view symbol) {
  Spellings out;
  out.full = symbol::demangle(symbol);
  if (out.full.empty()) return std::nullopt;
  out.brief = symbol::without_parameters(out.full);
  out.whole = symbol::without_result(out.full);
  return out;
}

/// Which functions a text means: those that are demangled to `full`, or also others.
struct Meaning {
  std::string full;
  bool is_one = true;
};
using Meanings = std::unordered_map<std::string, Meaning>;

/// Looks at all functions of the file for what the texts mean.
void find_meanings(const ElfFile& file, Meanings& meanings) {
  for (const FunctionSymbol& function : file.functions()) {
    const bool is_cold = symbol::is_cold_part(function.name);
    const auto add = [&](const std::string& text, const std::string& full) {
      const auto at = meanings.find(text);
      if (at == meanings.end() || (is_cold && text.find(".cold") == std::string::npos)) return;
      Meaning& meaning = at->second;
      if (meaning.full.empty()) meaning.full = full;
      meaning.is_one = meaning.is_one && meaning.full == full;
    };
    if (const std::optional<Spellings> made = spellings(function.name)) {
      for (const std::string* text : {&made->brief, &made->whole, &made->full})
        add(*text, made->full);
      if (const std::string untagged = symbol::without_abi_tags(made->full); !untagged.empty()) {
        for (const std::string_view text :
             {symbol::without_parameters(untagged), symbol::without_result(untagged),
              std::string_view(untagged)})
          add(std::string(text), made->full);
      }
    } else {
      add(std::string(function.name), std::string(function.name));
    }
  }
}

/// The name in the file goes before all that are demangled; the address is left where that cannot
/// be written.
std::string written_name(const ElfFile& file, const FunctionSymbol& function,
                         const Meanings& meanings) {
  const auto means_it = [&](const std::string& text, const std::string& full) {
    const auto at = meanings.find(text);
    return at != meanings.end() && at->second.is_one && at->second.full == full &&
           is_writable(file.path(), text);
  };
  if (const std::optional<Spellings> made = spellings(function.name)) {
    if (means_it(made->brief, made->full)) return made->brief;
    if (means_it(made->whole, made->full)) return made->whole;
  }
  if (is_writable(file.path(), function.name)) return std::string(function.name);
  return fmt::format("{:#x}", function.address);
}

}  // namespace

std::optional<uint64_t> parse_number(const std::string& text) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (*end != '\0' || errno != 0) return std::nullopt;
  return value;
}

Result<FunctionName> parse_function_name(std::string_view text) {
  FunctionName out;
  if (text.size() > kReturn.size() && text.substr(text.size() - kReturn.size()) == kReturn) {
    out.is_return = true;
    text.remove_suffix(kReturn.size());
  }
  const size_t plus = last_plus(text);
  if (plus != std::string_view::npos) {
    const auto offset = parse_number(std::string(text.substr(plus + 1)));
    if (!offset) return Error{fmt::format("'{}' is no offset", text.substr(plus))};
    out.offset = *offset;
    text = text.substr(0, plus);
  }
  out.name = std::string(text);
  out.address = parse_number(out.name);
  if (out.name.empty()) return Error{"a function's name is missing"};
  if (out.is_return && (out.offset != 0))
    return Error{"only a whole function returns: leave out the offset, or %return"};
  return out;
}

std::string written_behind(uint64_t offset, bool is_return) {
  const std::string text = offset == 0 ? "" : fmt::format("+{:#x}", offset);
  return is_return ? text + std::string(kReturn) : text;
}

size_t function_name_end(std::string_view text, size_t from) {
  const std::string_view name = text.substr(from);
  const NameBrackets brackets(name);
  for (size_t i = 0; i < name.size(); i = brackets.behind(i)) {
    if (is_event_blank(name[i]) && !name_goes_on(name.substr(0, i), name.substr(i + 1)))
      return from + i;
  }
  return text.size();
}

bool may_be_by_the_letter(std::string_view written) {
  return has_glob(written) && (written.find_first_of("(<{[") != std::string_view::npos ||
                               written.find(kOperator) != std::string_view::npos);
}

FunctionsMeant functions_meant(const ElfFile& file, std::string_view written) {
  FunctionsMeant out;
  if (!has_glob(written) || may_be_by_the_letter(written)) out.symbols = file.find(written);
  out.is_glob = has_glob(written) && out.symbols.empty();
  if (out.is_glob) out.symbols = file.glob(written);
  return out;
}

std::map<std::string_view, std::string> shown_names(const FunctionsMeant& meant,
                                                    const std::string& written) {
  const symbol::NamePattern pattern(written, meant.is_glob);
  std::map<std::string_view, std::vector<std::string>> ways;  // of each, the best first
  std::map<std::string, std::set<std::string>> alike;  // functions by what they may be called
  for (const FunctionSymbol& symbol : meant.symbols) {
    const std::optional<Spellings> made = spellings(symbol.name);
    if (!made) continue;
    std::vector<std::string>& names = ways[symbol.name];
    const std::string untagged = symbol::without_abi_tags(made->whole);
    names = {made->brief, std::string(symbol::without_parameters(untagged)), made->whole, untagged};
    for (const std::string& name : names) alike[name].insert(made->full);
  }
  std::map<std::string_view, std::string> shown;
  for (const auto& [name, texts] : ways) {
    const auto best = std::find_if(texts.begin(), texts.end(), [&](const std::string& text) {
      return !text.empty() && alike[text].size() == 1 && pattern.accepts(text);
    });
    shown.emplace(name, best != texts.end() ? *best : texts[2]);
  }
  return shown;
}

std::vector<std::string> written_names(const ElfFile& file,
                                       const std::vector<FunctionSymbol>& functions) {
  Meanings meanings;
  for (const FunctionSymbol& function : functions) {
    const std::optional<Spellings> made = spellings(function.name);
    if (!made) continue;
    meanings[made->brief];
    meanings[made->whole];
  }
  if (!meanings.empty()) find_meanings(file, meanings);
  std::set<std::string> out;
  for (const FunctionSymbol& function : functions)
    out.insert(written_name(file, function, meanings));
  return {out.begin(), out.end()};
}

}  // namespace ktap::event
