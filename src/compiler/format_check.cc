// See format_check.h.
#include "compiler/format_check.h"

#include <fmt/format.h>

namespace ktap::compiler {

namespace {

constexpr std::string_view kFlags = "-+ #0";
constexpr std::string_view kIntegerLetters = "diuxXocp";
constexpr std::string_view kNumberLetters = "fge";
constexpr std::string_view kLengthLetters = "lhzjtq";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

/// Reads one conversion from its '%' on.
class Reader {
 public:
  Reader(std::string_view format, size_t begin, ParsedFormat& out)
      : format_(format), begin_(begin), at_(begin + 1), out_(out) {}

  /// The index behind the conversion, or npos after an error.
  size_t read() {
    while (at_ < format_.size() && is_one_of(format_[at_], kFlags)) ++at_;
    number_or_star();
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      number_or_star();
    }
    if (at_ >= format_.size()) return fail("the format ends inside a conversion", "write %% for a percent sign");
    const char letter = format_[at_++];
    if (letter == '%' && at_ == begin_ + 2) return at_;
    if (is_one_of(letter, kLengthLetters)) {
      return fail(fmt::format("there is no length '{}' in a format", letter),
                  "every integer has 64 bits: write %d, %u or %x");
    }
    Conversion::Takes takes = Conversion::Takes::Any;
    if (is_one_of(letter, kIntegerLetters)) {
      takes = Conversion::Takes::Integer;
    } else if (is_one_of(letter, kNumberLetters)) {
      takes = Conversion::Takes::Number;
    } else if (letter != 's') {
      return fail(fmt::format("there is no conversion '{}'", format_.substr(begin_, at_ - begin_)),
                  "there are %d %i %u %x %X %o %c %s %p %f %g %e and %%");
    }
    for (Conversion& star : stars_) {
      star.end = at_;
      star.letter = letter;
      out_.conversions.push_back(star);
    }
    out_.conversions.push_back({takes, begin_, at_, false, letter});
    return at_;
  }

 private:
  void number_or_star() {
    if (at_ < format_.size() && format_[at_] == '*') {
      ++at_;
      stars_.push_back({Conversion::Takes::Integer, begin_, at_, true, '*'});
      return;
    }
    while (at_ < format_.size() && is_digit(format_[at_])) ++at_;
  }

  size_t fail(std::string text, std::string hint) {
    out_.error = std::move(text);
    out_.hint = std::move(hint);
    out_.error_begin = begin_;
    out_.error_end = at_;
    return std::string_view::npos;
  }

  std::string_view format_;
  size_t begin_;
  size_t at_;
  ParsedFormat& out_;
  std::vector<Conversion> stars_;
};

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

ParsedFormat parse_format(std::string_view format) {
  ParsedFormat parsed;
  size_t at = format.find('%');
  while (at != std::string_view::npos) {
    const size_t end = Reader(format, at, parsed).read();
    if (end == std::string_view::npos) return parsed;
    at = format.find('%', end);
  }
  return parsed;
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
