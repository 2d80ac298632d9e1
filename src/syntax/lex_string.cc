// Strings: quoted ones with escapes, and long ones in double brackets without. Each decoded byte
// can be traced back to the source (record_offsets), so that a filter inside a quoted event text is
// reported where it stands.
#include <fmt/format.h>

#include <string>

#include "base/chars.h"
#include "syntax/lexer.h"

namespace ktap::syntax {
namespace {

using diag::Code;

constexpr std::string_view kEscapes = "abfnrtv\\\"'";
constexpr std::string_view kEscaped = "\a\b\f\n\r\t\v\\\"'";

}  // namespace

void Lexer::emit(char byte, size_t from) {
  token_.string_value.push_back(byte);
  if (record_ != nullptr) record_->push_back(span(from, from).begin);
}

void Lexer::lex_string() {
  token_.kind = TokenKind::String;
  size_t begin = at_;
  char quote = peek();
  ++at_;
  while (true) {
    if (at_end() || peek() == '\n') {
      size_t end = at_ > begin + 1 && text_[at_ - 1] == '\r' ? at_ - 1 : at_;
      report(Code::UnterminatedString, begin, end,
             fmt::format("the string has no closing {}", quote),
             "\\n is a new line in a string; [[...]] is a string of several lines");
      break;
    }
    if (peek() == quote) {
      if (record_ != nullptr) record_->push_back(span(at_, at_).begin);
      ++at_;
      break;
    }
    if (peek() == '\\') {
      lex_escape();
    } else {
      emit(peek(), at_);
      ++at_;
    }
  }
}

void Lexer::lex_escape() {
  size_t begin = at_;
  ++at_;
  if (at_end()) return;  // reported as unterminated
  char c = peek();
  size_t plain = kEscapes.find(c);
  if (plain != std::string_view::npos) {
    emit(kEscaped[plain], begin);
    ++at_;
  } else if (c == '\n' || (c == '\r' && peek(1) == '\n')) {
    at_ += c == '\n' ? 1 : 2;
    emit('\n', begin);
  } else if (c == 'z') {
    ++at_;
    while (!at_end() && is_blank(peek())) ++at_;
  } else if (c == 'x' || is_digit(c)) {
    lex_numeric_escape();
  } else {
    // A foreign character is reported whole.
    ++at_;
    while (!at_end() && (static_cast<unsigned char>(peek()) & 0xC0) == 0x80) ++at_;
    bool shown = static_cast<unsigned char>(c) > ' ' && c != 0x7F;
    report(Code::UnknownEscape, begin, at_,
           shown ? fmt::format("there is no escape '{}'", text_.substr(begin, at_ - begin))
                 : std::string("there is no such escape"),
           "escapes are \\a \\b \\f \\n \\r \\t \\v \\\\ \\\" \\' \\xHH \\ddd \\z; a backslash "
           "itself is \\\\");
  }
}

void Lexer::lex_numeric_escape() {
  size_t begin = at_ - 1;
  bool hex = peek() == 'x';
  unsigned base = hex ? 16 : 10;
  size_t most = hex ? 2 : 3;
  if (hex) ++at_;
  unsigned value = 0;
  size_t count = 0;
  for (; count < most && !at_end() && digit_value(peek()) < base; ++count, ++at_) {
    value = value * base + digit_value(peek());
  }
  if (hex && count < 2) {
    report(Code::BadEscapeValue, begin, at_, "\\x needs two hexadecimal digits");
  } else if (value > 255) {
    report(Code::BadEscapeValue, begin, at_, fmt::format("the escape \\{} is over 255", value));
  }
  emit(static_cast<char>(value & 0xFF), begin);
}

bool Lexer::lex_long_string() {
  size_t begin = at_;
  size_t level = 0;
  while (peek(1 + level) == '=') ++level;
  if (peek(1 + level) != '[') return false;
  token_.kind = TokenKind::String;
  at_ += level + 2;
  if (peek() == '\r' && peek(1) == '\n') ++at_;
  if (peek() == '\n') ++at_;
  std::string close = "]" + std::string(level, '=') + "]";
  size_t end = text_.find(close, at_);
  bool closed = end != std::string_view::npos;
  if (!closed) {
    end = text_.size();
    report(Code::UnterminatedLongString, begin, begin + level + 2,
           fmt::format("the long string has no closing {}", close));
  }
  while (at_ < end) {
    emit(peek(), at_);
    ++at_;
  }
  if (record_ != nullptr) record_->push_back(span(at_, at_).begin);
  if (closed) at_ += close.size();
  return true;
}

}  // namespace ktap::syntax
