// The first step of a script: its bytes become tokens. Hand-written; signs and keywords come from
// tokens.def. Numbers and strings are in lex_number.cc and lex_string.cc; event texts are not
// tokens (event_text.h).
#include "syntax/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/chars.h"
#include "syntax/foreign.h"

namespace ktap::syntax {
namespace {

struct Spelling {
  std::string_view text;
  TokenKind kind;
};

constexpr Spelling kWords[] = {
#define KTAP_KEYWORD(enumerator, spelling) {spelling, TokenKind::enumerator},
#define KTAP_WORD_ALIAS(enumerator, spelling) {spelling, TokenKind::enumerator},
#include "syntax/tokens.def"
};

constexpr Spelling kSigns[] = {
#define KTAP_SIGN(enumerator, spelling) {spelling, TokenKind::enumerator},
#define KTAP_SIGN_ALIAS(enumerator, spelling) {spelling, TokenKind::enumerator},
#include "syntax/tokens.def"
};

constexpr std::string_view kNames[] = {
#define KTAP_TOKEN(enumerator, name) name,
#define KTAP_KEYWORD(enumerator, spelling) spelling,
#define KTAP_SIGN(enumerator, spelling) spelling,
#include "syntax/tokens.def"
};

const Spelling* find_word(std::string_view word) {
  for (const Spelling& spelling : kWords) {
    if (spelling.text == word) return &spelling;
  }
  return nullptr;
}

/// `rest`: from the character on; `before`: up to it.
std::string hint_for(std::string_view bytes, std::string_view rest, std::string_view before) {
  switch (bytes[0]) {
    case '@':
      return map_hint(rest, before);
    case '`':
      return "a kernel symbol's address is kaddr(\"name\")";
    case '?':
      return "there is no `c ? a : b`: use `c && a || b`, or an if statement";
    case '$':
      return dollar_hint(rest);
    case '\\':
      return "a statement may go on in the next line without a backslash";
    default:
      break;
  }
  if (bytes == "\xE2\x80\x9C" || bytes == "\xE2\x80\x9D" || bytes == "\xE2\x80\x98" ||
      bytes == "\xE2\x80\x99") {
    return "strings stand in straight quotes: \"...\" or '...'";
  }
  if (bytes == "\xC2\xA0") return "this is a no-break space; use an ordinary blank";
  return {};
}

}  // namespace

bool Token::is_word() const { return !text.empty() && is_name_start(text[0]); }

std::string_view token_kind_name(TokenKind kind) { return kNames[static_cast<size_t>(kind)]; }

bool is_keyword(std::string_view word) { return find_word(word) != nullptr; }

Lexer::Lexer(std::string_view text, diag::Sink& sink, uint32_t begin,
             const std::vector<uint32_t>* offsets)
    : text_(text), sink_(sink), offsets_(offsets), at_(begin) {
  if (begin == 0 && offsets == nullptr) skip_start();
}

void Lexer::skip_start() {
  if (text_.substr(0, 3) == "\xEF\xBB\xBF") at_ = 3;
  // A first line `#!...` needs no care: it is a comment.
}

diag::Span Lexer::span(size_t begin, size_t end) const {
  if (offsets_ == nullptr) return {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)};
  return {(*offsets_)[begin], std::max((*offsets_)[end], (*offsets_)[begin])};
}

void Lexer::report(diag::Code code, size_t begin, size_t end, std::string text, std::string hint) {
  token_.after_error = true;
  if (muted_) return;
  diag::Diagnostic& made = sink_.report(code, span(begin, end), std::move(text));
  if (!hint.empty()) made.hints.push_back(std::move(hint));
}

Token Lexer::next() {
  token_ = Token{};
  while (true) {
    skip_blanks();
    size_t begin = at_;
    if (!at_end()) {
      char c = peek();
      if (is_name_start(c)) {
        lex_word();
      } else if (is_digit(c)) {
        lex_number();
      } else if (c == '"' || c == '\'') {
        lex_string();
      } else if (!(c == '[' && lex_long_string()) && !lex_sign()) {
        lex_unexpected();
        continue;
      }
    }
    token_.span = span(begin, at_);
    token_.text = text_.substr(begin, at_ - begin);
    return std::move(token_);
  }
}

void Lexer::skip_blanks() {
  bool comment = false;
  for (; !at_end(); ++at_) {
    char c = peek();
    if (c == '\n') {
      token_.newline_before = true;
      comment = false;
    } else if (c == '\0') {
      report(diag::Code::NulByte, at_, at_ + 1, "a NUL byte stands outside a string");
    } else if (c == '#') {
      comment = true;
    } else if (!comment && !is_blank(c)) {
      return;
    }
  }
}

void Lexer::lex_unexpected() {
  size_t begin = at_;
  bool ascii = static_cast<unsigned char>(peek()) < 0x80;
  ++at_;
  // The rest of a UTF-8 sequence belongs to the same mistake.
  while (!ascii && !at_end() && (static_cast<unsigned char>(peek()) & 0xC0) == 0x80) ++at_;
  std::string_view bytes = text_.substr(begin, at_ - begin);
  std::string hint = hint_for(bytes, text_.substr(begin), text_.substr(0, begin));
  // So do further foreign characters, but their bytes are not spelled out.
  while (!ascii && !at_end() && static_cast<unsigned char>(peek()) >= 0x80) ++at_;
  bool printable = ascii ? bytes[0] > ' ' && bytes[0] < 0x7F : bytes.size() > 1;
  std::string what = printable
                         ? fmt::format("'{}'", bytes)
                         : fmt::format("the byte 0x{:02x}", static_cast<unsigned char>(bytes[0]));
  report(diag::Code::UnexpectedCharacter, begin, at_, what + " begins nothing in the language",
         std::move(hint));
}

void Lexer::lex_word() {
  size_t begin = at_;
  while (!at_end() && is_name_part(peek())) ++at_;
  const Spelling* keyword = find_word(text_.substr(begin, at_ - begin));
  token_.kind = keyword == nullptr ? TokenKind::Name : keyword->kind;
}

bool Lexer::lex_sign() {
  std::string_view rest = text_.substr(at_);
  size_t best = 0;
  for (const Spelling& sign : kSigns) {
    if (sign.text.size() > best && rest.substr(0, sign.text.size()) == sign.text) {
      best = sign.text.size();
      token_.kind = sign.kind;
    }
  }
  at_ += best;
  return best > 0;
}

}  // namespace ktap::syntax
