// See format_check.h.
#include "compiler/format_check.h"

#include "base/printf_format.h"

namespace ktap::compiler {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

Conversion::Takes takes_of(char letter) {
  if (letter == 's') return Conversion::Takes::Any;
  return is_one_of(letter, "fge") ? Conversion::Takes::Number : Conversion::Takes::Integer;
}

/// The first '%' from `at` on that is not part of a '%%'.
size_t find_conversion(std::string_view format, size_t at) {
  while (at < format.size()) {
    if (format[at] != '%') {
      ++at;
    } else if (at + 1 < format.size() && format[at + 1] == '%') {
      at += 2;
    } else {
      break;
    }
  }
  return at;
}

/// `qd`, `Lx`: C's further lengths, which are no conversions themselves.
bool is_length(std::string_view rest) {
  return rest.size() > 1 && is_one_of(rest[0], "qL") && is_one_of(rest[1], "diuxXo");
}

/// Finds the conversion that parse_format stopped at, and what to write in its stead.
void locate_error(std::string_view format, size_t begin, CheckedFormat& checked) {
  size_t end = begin + 1;
  while (end < format.size() && is_one_of(format[end], "-+ #0123456789.*")) ++end;
  const char letter = end < format.size() ? format[end] : '\0';
  checked.error_begin = begin;
  checked.error_end = letter == '\0' ? format.size() : end + 1;
  if (checked.error == over_format_width()) {
    checked.hint = "write " + std::to_string(kMaxFormatWidth) +
                   " or less; string.rep(\" \", n) makes more blanks than that";
  } else if (letter == '\0') {
    checked.hint = "write %% for a percent sign";
  } else if (is_one_of(letter, "lhzjt") || is_length(format.substr(end))) {
    checked.hint = "every integer has 64 bits: write %d, %u or %x";
  } else {
    checked.hint = "there are %d %i %u %x %X %o %c %s %p %f %g %e and %%";
  }
}

/// Length in source of the escape at `literal[at]` (a backslash) and how many bytes it stands for.
struct Escape {
  size_t source = 2;
  size_t bytes = 1;
};
Escape escape_at(std::string_view literal, size_t at) {
  if (at + 1 >= literal.size()) return {1, 1};
  const char c = literal[at + 1];
  if (c == 'x') return {4, 1};
  if (is_digit(c)) {
    size_t length = 2;
    while (length < 4 && at + length < literal.size() && is_digit(literal[at + length])) ++length;
    return {length, 1};
  }
  if (c != 'z') return {2, 1};
  size_t length = 2;
  while (at + length < literal.size() && is_one_of(literal[at + length], " \t\r\n\f\v")) ++length;
  return {length, 0};
}

}  // namespace

CheckedFormat check_format(std::string_view format) {
  CheckedFormat checked;
  size_t end = 0;
  for (const FormatPiece& piece : parse_format(format, &checked.error)) {
    if (piece.conversion == 0) continue;
    using Amount = FormatPiece::Amount;
    for (const Amount& amount : {piece.width, piece.precision}) {
      if (amount.kind != Amount::Kind::Argument) continue;
      checked.arguments.push_back(
          {Conversion::Takes::Integer, piece.begin, piece.end, true, piece.conversion});
    }
    checked.arguments.push_back(
        {takes_of(piece.conversion), piece.begin, piece.end, false, piece.conversion});
    end = piece.end;
  }
  if (!checked.error.empty()) locate_error(format, find_conversion(format, end), checked);
  return checked;
}

size_t literal_offset(std::string_view literal, size_t index) {
  if (literal.empty()) return 0;
  if (literal[0] == '[') {
    size_t begin = literal.find('[', 1);
    begin = begin == std::string_view::npos ? literal.size() : begin + 1;
    if (begin < literal.size() && literal[begin] == '\n') ++begin;
    return begin + index < literal.size() ? begin + index : literal.size();
  }
  size_t at = 1;
  while (at < literal.size()) {
    const Escape escape = literal[at] == '\\' ? escape_at(literal, at) : Escape{1, 1};
    if (escape.bytes > index) break;
    index -= escape.bytes;
    at += escape.source;
  }
  return at < literal.size() ? at : literal.size();
}

}  // namespace ktap::compiler
