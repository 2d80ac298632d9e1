// Numbers and durations. A number takes all letters, digits and underscores that are glued to it,
// so that a mistake in it is one mistake. Hex, octal and binary may use all 64 bits; a decimal
// stays below 2^63 but for the one magnitude that only a unary minus makes valid, which the parser
// judges.
#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "base/chars.h"
#include "syntax/lexer.h"

namespace ktap::syntax {
namespace {

using diag::Code;

constexpr uint64_t kTwoTo63 = uint64_t{1} << 63;

struct Unit {
  std::string_view name;
  uint64_t nanoseconds;
};

constexpr Unit kUnits[] = {
    {"ns", 1},
    {"us", 1'000},
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"min", 60'000'000'000},
    {"h", 3'600'000'000'000},
};

/// Adds a digit; false when the value leaves 64 bits.
bool add_digit(uint64_t& value, unsigned base, unsigned digit) {
  return !__builtin_mul_overflow(value, base, &value) &&
         !__builtin_add_overflow(value, digit, &value);
}

std::string without_underscores(std::string_view digits) {
  std::string plain;
  for (char c : digits) {
    if (c != '_') plain.push_back(c);
  }
  return plain;
}

/// An underscore must stand between two digits (of `base`).
bool underscores_fit(std::string_view digits, unsigned base) {
  for (size_t i = 0; i < digits.size(); ++i) {
    if (digits[i] != '_') continue;
    if (i == 0 || i + 1 == digits.size()) return false;
    if (digit_value(digits[i - 1]) >= base || digit_value(digits[i + 1]) >= base) return false;
  }
  return true;
}

}  // namespace

void Lexer::refuse_number(Code code, size_t begin, size_t end, std::string text, std::string hint) {
  while (end < text_.size() && is_name_part(text_[end])) ++end;
  at_ = end;
  report(code, begin, end, std::move(text), std::move(hint));
}

void Lexer::lex_number() {
  token_.kind = TokenKind::Int;
  size_t begin = at_;
  char second = static_cast<char>(peek(1) | 0x20);
  if (peek() == '0' && second == 'x') return lex_based(16, 2);
  if (peek() == '0' && second == 'b') return lex_based(2, 2);
  size_t end = begin;
  while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '_')) ++end;
  auto at = [this](size_t i) { return i < text_.size() ? text_[i] : '\0'; };
  bool fraction = at(end) == '.' && is_digit(at(end + 1));
  bool sign = at(end + 1) == '+' || at(end + 1) == '-';
  bool exponent = (at(end) | 0x20) == 'e' && is_digit(at(end + (sign ? 2 : 1)));
  if (fraction || exponent) return lex_float(end);
  if (at(end) == '.' && at(end + 1) != '.') {
    std::string digits(text_.substr(begin, end - begin));
    return refuse_number(Code::MalformedNumber, begin, end + 1,
                         "digits must follow the point of a float",
                         fmt::format("write {}.0", digits));
  }
  if (peek() == '0' && end > begin + 1) return lex_based(8, 1);
  lex_decimal(end);
}

void Lexer::lex_based(unsigned base, size_t prefix) {
  size_t begin = at_;
  size_t end = begin + prefix;
  while (end < text_.size() && is_name_part(text_[end])) ++end;
  std::string_view digits = text_.substr(begin + prefix, end - begin - prefix);
  const char* kind = base == 16 ? "a hexadecimal" : base == 8 ? "an octal" : "a binary";
  std::string hint = base == 8 ? "a leading 0 makes a number octal" : "";
  if (digits.empty()) {
    return refuse_number(Code::MalformedNumber, begin, end,
                         fmt::format("{} number has no digits", kind), "");
  }
  uint64_t value = 0;
  bool fits = true;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (digits[i] == '_') continue;
    unsigned digit = digit_value(digits[i]);
    if (digit >= base) {
      bool letter = is_letter(digits[i]);
      return refuse_number(letter ? Code::LettersAfterNumber : Code::MalformedNumber, begin, end,
                           fmt::format("'{}' is no digit of {} number", digits[i], kind), hint);
    }
    fits = fits && add_digit(value, base, digit);
  }
  // The octal's own 0 is a digit, so `0_7` is between digits.
  if (!underscores_fit(
          text_.substr(begin + (base == 8 ? 0 : prefix), end - begin - (base == 8 ? 0 : prefix)),
          base)) {
    return refuse_number(Code::MalformedNumber, begin, end,
                         "an underscore in a number must stand between digits", "");
  }
  if (end < text_.size() && text_[end] == '.' && end + 1 < text_.size() &&
      is_digit(text_[end + 1])) {
    return refuse_number(Code::MalformedNumber, begin, end + 1,
                         fmt::format("{} number has no fraction", kind), "");
  }
  if (!fits) {
    return refuse_number(Code::IntegerTooLarge, begin, end, "the integer does not fit 64 bits", "");
  }
  at_ = end;
  token_.int_value = static_cast<int64_t>(value);
}

void Lexer::lex_float(size_t end) {
  size_t begin = at_;
  token_.kind = TokenKind::Float;
  auto digits = [this](size_t i) {
    while (i < text_.size() && (is_digit(text_[i]) || text_[i] == '_')) ++i;
    return i;
  };
  if (text_[end] == '.') end = digits(end + 1);
  if (end < text_.size() && (text_[end] | 0x20) == 'e') {
    size_t first = end + 1;
    if (first < text_.size() && (text_[first] == '+' || text_[first] == '-')) ++first;
    if (first < text_.size() && is_digit(text_[first])) end = digits(first);
  }
  std::string_view whole = text_.substr(begin, end - begin);
  if (end < text_.size() && is_name_start(text_[end])) {
    return refuse_number(Code::LettersAfterNumber, begin, end, "letters are glued to a float",
                         "a duration is a whole number with a unit: 1500ms");
  }
  if (!underscores_fit(whole, 10)) {
    return refuse_number(Code::MalformedNumber, begin, end,
                         "an underscore in a number must stand between digits", "");
  }
  at_ = end;
  // Too large is infinity and too small is zero, as in Lua.
  token_.float_value = std::strtod(without_underscores(whole).c_str(), nullptr);
}

void Lexer::lex_decimal(size_t end) {
  size_t begin = at_;
  std::string_view digits = text_.substr(begin, end - begin);
  uint64_t value = 0;
  bool fits = true;
  for (char c : digits) {
    if (c != '_') fits = fits && add_digit(value, 10, digit_value(c));
  }
  if (!underscores_fit(digits, 10)) {
    return refuse_number(Code::MalformedNumber, begin, end,
                         "an underscore in a number must stand between digits", "");
  }
  if (end < text_.size() && is_name_start(text_[end])) {
    if (lex_duration(end, fits ? value : UINT64_MAX)) return;
    std::string hint = "units of time are ns us ms s min h";
    return refuse_number(Code::LettersAfterNumber, begin, end, "letters are glued to a number",
                         hint);
  }
  if (!fits || value > kTwoTo63) {
    return refuse_number(Code::IntegerTooLarge, begin, end,
                         "the integer is larger than 9223372036854775807", "");
  }
  at_ = end;
  token_.is_two_to_63 = value == kTwoTo63;
  token_.int_value = static_cast<int64_t>(value);
}

bool Lexer::lex_duration(size_t digits_end, uint64_t count) {
  size_t begin = at_;
  size_t end = digits_end;
  while (end < text_.size() && is_name_part(text_[end])) ++end;
  std::string_view name = text_.substr(digits_end, end - digits_end);
  for (const Unit& unit : kUnits) {
    if (unit.name != name) continue;
    uint64_t value = 0;
    if (__builtin_mul_overflow(count, unit.nanoseconds, &value) || value >= kTwoTo63) {
      refuse_number(Code::DurationTooLarge, begin, end,
                    "the duration does not fit 63 bits of nanoseconds",
                    "the longest is about 292 years");
      return true;
    }
    at_ = end;
    token_.int_value = static_cast<int64_t>(value);
    return true;
  }
  return false;
}

}  // namespace ktap::syntax
