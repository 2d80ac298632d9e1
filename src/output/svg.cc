// See svg.h.
#include "output/svg.h"

#include <cstddef>

#include <fmt/format.h>

namespace ktap::output {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

/// Bytes of the UTF-8 sequence at the beginning of `text`; 0: it is none, or XML forbids it.
size_t sequence_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\n' || first == '\t' ? 1 : 0;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  uint32_t code = first & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  const bool is_no_character = (code & 0xfffe) == 0xfffe;
  if (code < kLeast[length] || code > 0x10ffff || is_surrogate || is_no_character) return 0;
  return length;
}

}  // namespace

void append_xml(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const size_t length = sequence_bytes(text);
    switch (length == 0 ? '\0' : text[0]) {
      case '\0':
        out += kReplacement;
        break;
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

std::string grouped(uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += "\u202f";
    text += digits[i];
  }
  return text;
}

std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "0 %";
  const double share = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  if (part == whole) return "100 %";
  if (share >= 1) return fmt::format("{:.1f} %", share);
  return fmt::format("{:.2g} %", share);
}

}  // namespace ktap::output
