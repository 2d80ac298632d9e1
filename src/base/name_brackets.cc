// One walk with a stack of what is open.
#include "base/name_brackets.h"

#include <algorithm>
#include <array>

#include "base/chars.h"

namespace ktap {

namespace {

constexpr std::string_view kOperator = "operator";
/// Longer ones first.
constexpr std::string_view kSigns[] = {" delete[]", " new[]", "<=>", "<<=", ">>=", "->*", "()",
                                       "[]",        "<<",     ">>",  "<=",  ">=",  "->",  "++",
                                       "+=",        "<",      ">",   ",",   "+"};

bool starts_at(std::string_view text, size_t at, std::string_view head) {
  return text.substr(std::min(at, text.size()), head.size()) == head;
}

/// Behind the `]` of the set that opens at `at`; a `]` that stands first is a member.
size_t behind_set(std::string_view text, size_t at) {
  const size_t first = at + 1 < text.size() && text[at + 1] == '!' ? at + 2 : at + 1;
  const size_t end = text.find(']', first + 1);
  return end == std::string_view::npos ? at + 1 : end + 1;
}

/// Does another part of a list begin behind the comma, or with the `~`, at `at`? Names have no
/// single colons but that of `auto:1`.
bool begins_part(std::string_view text, size_t at) {
  if (text[at] == '~') return at > 0 && is_event_blank(text[at - 1]);
  if (text[at] != ',') return false;
  size_t word = at + 1;
  while (word < text.size() && is_event_blank(text[word])) ++word;
  size_t end = word;
  while (end < text.size() && is_name_part(text[end])) ++end;
  return end > word && starts_at(text, end, ":") && !starts_at(text, end, "::") &&
         text.substr(word, end - word) != "auto";
}

}  // namespace

size_t operator_size(std::string_view text, size_t at) {
  if (!starts_at(text, at, kOperator) || (at > 0 && is_name_part(text[at - 1]))) return 0;
  const size_t behind = at + kOperator.size();
  if (behind < text.size() && is_name_part(text[behind])) return 0;
  for (const std::string_view sign : kSigns) {
    if (starts_at(text, behind, sign)) return kOperator.size() + sign.size();
  }
  return kOperator.size();
}

bool is_unnamed_type(std::string_view text, size_t at) {
  return starts_at(text, at, "{lambda(") || starts_at(text, at, "{unnamed type#");
}

NameBrackets::NameBrackets(std::string_view text) : behind_(text.size()) {
  std::vector<size_t> open;
  std::array<size_t, 256> open_of{};  // how many of each kind
  const auto pop = [&] {
    const size_t at = open.back();
    open.pop_back();
    --open_of[static_cast<unsigned char>(text[at])];
    return at;
  };
  const auto close = [&](size_t at, char opening) {
    if (open_of[static_cast<unsigned char>(opening)] == 0) return;
    while (text[open.back()] != opening) pop();  // has opened within and not closed: none
    behind_[pop()] = static_cast<uint32_t>(at + 1);
  };
  for (size_t i = 0; i < text.size(); ++i) behind_[i] = static_cast<uint32_t>(i + 1);
  for (size_t i = 0; i < text.size();) {
    size_t next = i + 1;
    const char c = text[i];
    if (const size_t size = operator_size(text, i); size != 0) {
      next = i + size;
    } else if (c == '\\') {
      next = std::min(i + 2, text.size());
    } else if (c == '[') {
      next = behind_set(text, i);
    } else if (c == '<' || c == '(' || c == '{') {
      open.push_back(i);
      ++open_of[static_cast<unsigned char>(c)];
    } else if (c == '>') {
      // `fn(u8) -> u8` of Rust; within parentheses a `>` compares.
      const bool is_arrow = i > 0 && text[i - 1] == '-';
      if (!is_arrow && !open.empty() && text[open.back()] == '<') close(i, '<');
    } else if (c == ')' || c == '}') {
      close(i, c == ')' ? '(' : '{');
    } else if (begins_part(text, i)) {
      while (!open.empty() && text[open.back()] != '{') pop();
    }
    behind_[i] = std::max(behind_[i], static_cast<uint32_t>(next));
    i = next;
  }
}

}  // namespace ktap
