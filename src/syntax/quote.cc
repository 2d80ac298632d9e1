// Strings back to literals: what the lexer decoded, readable on one line.
#include "syntax/quote.h"

#include <fmt/format.h>

namespace ktap::syntax {
namespace {

/// The length of the UTF-8 sequence at the start of `text`, or 0 for a byte that begins none.
size_t sequence_length(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  size_t length = 0;
  if (lead >= 0xC2 && lead < 0xE0) length = 2;
  if (lead >= 0xE0 && lead < 0xF0) length = 3;
  if (lead >= 0xF0 && lead < 0xF5) length = 4;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    size_t sequence = static_cast<unsigned char>(c) < 0x80 ? 0 : sequence_length(text.substr(i));
    if (sequence > 0) {
      out += text.substr(i, sequence);
      i += sequence;
      continue;
    }
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (c >= ' ' && c < 0x7F) {
          out += c;
        } else {
          out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    ++i;
  }
  return out + "\"";
}

}  // namespace ktap::syntax
