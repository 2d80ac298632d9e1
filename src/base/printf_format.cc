// Cutting printf formats into pieces: %[flags][width][.precision]conversion, no length modifiers.
#include "base/printf_format.h"

#include <cstddef>

namespace ktap {
namespace {

/// Reads digits or `*` at `at`. False when the number is too large.
bool parse_amount(std::string_view format, size_t& at, FormatPiece::Amount& amount) {
  if (at < format.size() && format[at] == '*') {
    amount.kind = FormatPiece::Amount::Kind::Argument;
    ++at;
    return true;
  }
  while (at < format.size() && format[at] >= '0' && format[at] <= '9') {
    amount.kind = FormatPiece::Amount::Kind::Number;
    amount.value = amount.value * 10 + (format[at] - '0');
    if (amount.value > kMaxFormatWidth) return false;
    ++at;
  }
  return true;
}

void parse_flags(std::string_view format, size_t& at, FormatPiece& piece) {
  for (; at < format.size(); ++at) {
    switch (format[at]) {
      case '-':
        piece.left = true;
        break;
      case '+':
        piece.plus = true;
        break;
      case ' ':
        piece.space = true;
        break;
      case '#':
        piece.alternate = true;
        break;
      case '0':
        piece.zero = true;
        break;
      default:
        return;
    }
  }
}

/// Parses the conversion at format[at] == '%'; "" or what is wrong with it.
std::string parse_conversion(std::string_view format, size_t& at, FormatPiece& piece) {
  piece.begin = static_cast<uint32_t>(at);
  ++at;
  parse_flags(format, at, piece);
  bool fits = parse_amount(format, at, piece.width);
  if (fits && at < format.size() && format[at] == '.') {
    ++at;
    piece.precision.kind = FormatPiece::Amount::Kind::Number;  // a lone point is precision 0
    fits = parse_amount(format, at, piece.precision);
  }
  if (!fits) return over_format_width();
  if (at >= format.size()) {
    return "the format ends inside '" + std::string(format.substr(piece.begin)) + "'";
  }
  piece.conversion = format[at++];
  piece.end = static_cast<uint32_t>(at);
  if (std::string_view("diuxXocspfge").find(piece.conversion) == std::string_view::npos) {
    return "unknown conversion '" + std::string(format.substr(piece.begin, at - piece.begin)) + "'";
  }
  return "";
}

}  // namespace

int FormatPiece::argument_count() const {
  if (conversion == 0) return 0;
  return 1 + (width.kind == Amount::Kind::Argument ? 1 : 0) +
         (precision.kind == Amount::Kind::Argument ? 1 : 0);
}

std::string over_format_width() {
  return "a width or precision over " + std::to_string(kMaxFormatWidth);
}

std::vector<FormatPiece> parse_format(std::string_view format, std::string* error) {
  std::vector<FormatPiece> pieces;
  std::string literal;
  auto flush = [&pieces, &literal] {
    if (literal.empty()) return;
    pieces.emplace_back();
    pieces.back().literal.swap(literal);
  };
  error->clear();
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      literal += format[at++];
    } else if (at + 1 < format.size() && format[at + 1] == '%') {
      literal += '%';
      at += 2;
    } else {
      flush();
      FormatPiece piece;
      *error = parse_conversion(format, at, piece);
      if (!error->empty()) return pieces;
      pieces.push_back(piece);
    }
  }
  flush();
  return pieces;
}

}  // namespace ktap
