// Looks at tokens alone, so that a mistake inside does not hide that more is to come. Event texts
// are no tokens, but their brackets match too.
#include "syntax/incomplete.h"

#include "diag/diagnostic.h"
#include "syntax/lexer.h"

namespace ktap::syntax {

namespace {

bool wants_more(TokenKind last) {
  switch (last) {
    case TokenKind::Comma:
    case TokenKind::Dot:
    case TokenKind::Bang:
    case TokenKind::Else:
    case TokenKind::Function:
    case TokenKind::Repeat:
    case TokenKind::Until:
    case TokenKind::Var:
      return true;
    default:
      return last >= TokenKind::DotDot && last <= TokenKind::ConcatAssign;
  }
}

}  // namespace

bool is_incomplete(std::string_view text) {
  diag::Sink sink;
  Lexer lexer(text, sink);
  int open = 0;
  TokenKind last = TokenKind::End;
  for (Token token = lexer.next(); token.kind != TokenKind::End; token = lexer.next()) {
    last = token.kind;
    switch (last) {
      case TokenKind::LeftParen:
      case TokenKind::LeftBrace:
      case TokenKind::LeftBracket:
        ++open;
        break;
      case TokenKind::RightParen:
      case TokenKind::RightBrace:
      case TokenKind::RightBracket:
        if (--open < 0) return false;  // a mistake that no further line mends
        break;
      default:
        break;
    }
  }
  for (const diag::Diagnostic& diagnostic : sink.diagnostics()) {
    if (diagnostic.code == diag::Code::UnterminatedLongString) return true;
  }
  const bool escaped = !text.empty() && text.back() == '\\';  // "… \ and a new line
  return open > 0 || wants_more(last) || escaped;
}

}  // namespace ktap::syntax
