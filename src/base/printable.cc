// See printable.h.
#include "base/printable.h"

#include <cstddef>

namespace ktap {
namespace {

bool is_control(unsigned char byte) { return byte < 0x20 || byte == 0x7F; }

/// Of the second range, which terminals of 8 bits obey.
bool is_high_control(unsigned char byte) { return byte >= 0x80 && byte < 0xA0; }

/// Bytes of the UTF-8 character that begins there; 1 where none of several does.
size_t character_bytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0xC2 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 1;
  if (length > text.size()) return 1;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 1;
  }
  return length;
}

void append_escape(std::string& out, unsigned char byte) {
  static constexpr char kDigits[] = "0123456789abcdef";
  switch (byte) {
    case '\n':
      out += "\\n";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 0xF];
  }
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = character_bytes(text);
    const auto first = static_cast<unsigned char>(text[0]);
    const auto last = static_cast<unsigned char>(text[length - 1]);
    const bool is_escaped =
        length == 1 ? is_control(first) || is_high_control(first)
                    : length == 2 && first == 0xC2 && is_high_control(last);  // U+0080 … U+009F
    for (const char byte : text.substr(0, length)) {
      if (is_escaped) {
        append_escape(out, static_cast<unsigned char>(byte));
      } else {
        out += byte;
      }
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace ktap
