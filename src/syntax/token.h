// One token of a script: what the lexer gives the parser.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "diag/source.h"

namespace ktap::syntax {

enum class TokenKind : uint8_t {
#define KTAP_TOKEN(enumerator, name) enumerator,
#define KTAP_KEYWORD(enumerator, spelling) enumerator,
#define KTAP_SIGN(enumerator, spelling) enumerator,
#include "syntax/tokens.def"
};

struct Token {
  TokenKind kind = TokenKind::End;
  diag::Span span;              ///< in the script's source
  std::string_view text;        ///< the bytes of the token, "" at the end
  bool newline_before = false;  ///< the token is not on the line where the one before ended
  bool after_error = false;     ///< a diagnostic was reported on the way to it, or about it
  bool is_two_to_63 = false;  ///< the decimal 9223372036854775808, valid after a unary minus alone
  int64_t int_value = 0;      ///< Int
  double float_value = 0;     ///< Float
  std::string string_value;   ///< String, decoded

  /// Names and keywords: what may stand after a `.`.
  bool is_word() const;
};

/// "name", "(", "trace".
std::string_view token_kind_name(TokenKind kind);
/// A reserved word, in its first or second spelling.
bool is_keyword(std::string_view word);

}  // namespace ktap::syntax
