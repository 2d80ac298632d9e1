// Bytes → tokens, one at a time: the parser asks for the next one and may move the place, since an
// event text is not made of tokens.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "diag/diagnostic.h"
#include "syntax/token.h"

namespace ktap::syntax {

class Lexer {
 public:
  /// Reads `text` from `begin` to its end. `offsets`, when given, maps each byte of `text` (and its
  /// end) to the source: the text is then a decoded string. Both must outlive the lexer and the
  /// tokens.
  Lexer(std::string_view text, diag::Sink& sink, uint32_t begin = 0,
        const std::vector<uint32_t>* offsets = nullptr);

  /// The next token; End for ever at the end.
  Token next();

  /// The byte offset in `text` where the next token will be looked for.
  uint32_t position() const { return static_cast<uint32_t>(at_); }
  void seek(uint32_t position) { at_ = position; }
  std::string_view text() const { return text_; }

  /// While muted, mistakes are passed over in silence (the parser skips to the next statement).
  void set_muted(bool muted) { muted_ = muted; }
  /// From here on, the source offset of each decoded byte of strings goes to `offsets`, and the
  /// end's last.
  void record_offsets(std::vector<uint32_t>* offsets) { record_ = offsets; }

  diag::Span span(size_t begin, size_t end) const;

 private:
  void skip_start();
  void skip_blanks();
  void lex_unexpected();

  void lex_word();
  void lex_number();
  void lex_based(unsigned base, size_t prefix);
  void lex_float(size_t end);
  void lex_decimal(size_t end);
  bool lex_duration(size_t digits_end, uint64_t count);
  void refuse_number(diag::Code code, size_t begin, size_t end, std::string text, std::string hint);
  void lex_string();
  void lex_escape();
  void lex_numeric_escape();
  bool lex_long_string();
  bool lex_sign();

  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool at_end() const { return at_ >= text_.size(); }
  void emit(char byte, size_t from);
  void report(diag::Code code, size_t begin, size_t end, std::string text, std::string hint = {});

  std::string_view text_;
  diag::Sink& sink_;
  const std::vector<uint32_t>* offsets_;
  std::vector<uint32_t>* record_ = nullptr;
  size_t at_;
  Token token_;  ///< the one being made
  bool muted_ = false;
};

}  // namespace ktap::syntax
