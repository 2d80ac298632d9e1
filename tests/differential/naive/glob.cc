// Globs by backtracking: `*`, `?`, `[set]`, `[!set]`, `{a,b}`, `\x`. What does not close stands for
// itself. Slow for long patterns, which the judge does not use.
#include "naive/value.h"

namespace ktap::naive {
namespace {

/// The set that begins at pattern[0] == '[': where it ends, npos when it does not close.
size_t set_end(const std::string& pattern) {
  size_t i = 1;
  if (i < pattern.size() && pattern[i] == '!') ++i;
  for (bool first = true; i < pattern.size(); ++i, first = false) {
    if (pattern[i] == ']' && !first) return i;
    if (pattern[i] == '\\') ++i;
  }
  return std::string::npos;
}

bool in_set(const std::string& set, char c) {
  bool inverted = !set.empty() && set[0] == '!';
  bool found = false;
  for (size_t i = inverted ? 1 : 0; i < set.size(); ++i) {
    if (set[i] == '\\' && i + 1 < set.size()) ++i;
    char low = set[i];
    char high = low;
    if (i + 2 < set.size() && set[i + 1] == '-') {
      i += 2;
      if (set[i] == '\\' && i + 1 < set.size()) ++i;
      high = set[i];
    }
    auto byte = [](char x) { return static_cast<unsigned char>(x); };
    found = found || (byte(low) <= byte(c) && byte(c) <= byte(high));
  }
  return found != inverted;
}

/// The alternatives of a pattern that begins with '{', and where its '}' stands; npos: none.
size_t alternatives(const std::string& pattern, std::vector<std::string>* out) {
  int depth = 0;
  std::string part;
  for (size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      part += c;
      part += pattern[++i];
      continue;
    }
    if (c == '{' && depth++ == 0) continue;
    if (c == '}' && --depth == 0) {
      out->push_back(part);
      return i;
    }
    if (c == ',' && depth == 1) {
      out->push_back(part);
      part.clear();
      continue;
    }
    part += c;
  }
  return std::string::npos;
}

}  // namespace

bool glob(const std::string& pattern, const std::string& text) {
  if (pattern.empty()) return text.empty();
  const std::string rest = pattern.substr(1);
  if (pattern[0] == '*')
    return glob(rest, text) || (!text.empty() && glob(pattern, text.substr(1)));
  if (pattern[0] == '{') {
    std::vector<std::string> parts;
    size_t end = alternatives(pattern, &parts);
    if (end != std::string::npos) {
      for (const std::string& part : parts) {
        if (glob(part + pattern.substr(end + 1), text)) return true;
      }
      return false;
    }
  }
  if (text.empty()) return false;
  if (pattern[0] == '?') return glob(rest, text.substr(1));
  if (pattern[0] == '[') {
    size_t end = set_end(pattern);
    if (end != std::string::npos) {
      return in_set(pattern.substr(1, end - 1), text[0]) &&
             glob(pattern.substr(end + 1), text.substr(1));
    }
  }
  if (pattern[0] == '\\' && pattern.size() > 1) {
    return pattern[1] == text[0] && glob(pattern.substr(2), text.substr(1));
  }
  return pattern[0] == text[0] && glob(rest, text.substr(1));
}

}  // namespace ktap::naive
