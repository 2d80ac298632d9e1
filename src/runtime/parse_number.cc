// See parse_number.h.
#include "runtime/parse_number.h"

#include <charconv>
#include <cstdlib>
#include <string>

namespace ktap::runtime {

std::string_view trimmed(std::string_view text) {
  constexpr const char* kBlanks = " \t\n\v\f\r";
  size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool parse_integer(std::string_view text, int base, int64_t* out) {
  bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) text.remove_prefix(1);
  if (base == 16 && text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
    text.remove_prefix(2);
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return false;
  if (base == 10 && number > static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0)) return false;
  *out = static_cast<int64_t>(negative ? 0 - number : number);
  return true;
}

Value parse_number(std::string_view text) {
  int64_t integer = 0;
  std::string_view digits = text;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.remove_prefix(1);
  bool hex = digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
  if (parse_integer(text, hex ? 16 : 10, &integer)) return Value::of(integer);
  bool decimal = !hex && !digits.empty() && digits[0] != '-' && digits[0] != '+' &&
                 digits.find_first_not_of("0123456789.eE+-") == std::string_view::npos;
  if (!decimal) {
    return Value::nil();
  }
  double number = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error == std::errc::result_out_of_range) {
    number = std::strtod(std::string(digits).c_str(), nullptr);  // inf or 0, as C has it
  } else if (error != std::errc()) {
    return Value::nil();
  }
  if (end != digits.data() + digits.size()) return Value::nil();
  return Value::of(text[0] == '-' ? -number : number);
}

}  // namespace ktap::runtime
