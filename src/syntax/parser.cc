// The parser's frame: tokens, mistakes and the way back from them, blocks. Second step on the way
// of a script; the tree goes to the compiler. Names and types are not looked at here.
#include "syntax/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/chars.h"
#include "base/limits.h"
#include "syntax/foreign.h"
#include "syntax/parser_impl.h"

namespace ktap::syntax {

using diag::Code;
using diag::Diagnostic;

namespace {

/// Keywords that open a statement wherever they stand (`function` may also open a value).
bool opens_statement(TokenKind kind) {
  switch (kind) {
    case TokenKind::Trace:
    case TokenKind::TraceEnd:
    case TokenKind::Tick:
    case TokenKind::Profile:
    case TokenKind::Var:
    case TokenKind::If:
    case TokenKind::While:
    case TokenKind::Repeat:
    case TokenKind::For:
    case TokenKind::Break:
    case TokenKind::Continue:
    case TokenKind::Return:
    case TokenKind::Do:
      return true;
    default:
      return false;
  }
}

bool may_open_statement(TokenKind kind) {
  return opens_statement(kind) || kind == TokenKind::Function || kind == TokenKind::Name ||
         kind == TokenKind::LeftParen || kind == TokenKind::Else || kind == TokenKind::Elseif ||
         kind == TokenKind::Until;
}

bool is_open(TokenKind kind) {
  return kind == TokenKind::LeftParen || kind == TokenKind::LeftBracket ||
         kind == TokenKind::LeftBrace;
}

bool is_close(TokenKind kind) {
  return kind == TokenKind::RightParen || kind == TokenKind::RightBracket ||
         kind == TokenKind::RightBrace;
}

}  // namespace

Script parse(const diag::Source& source, diag::Sink& sink) {
  return Parser(source.text(), sink).parse_script();
}

Script parse_entry(const diag::Source& source, uint32_t begin, diag::Sink& sink) {
  return Parser(source.text(), sink, begin).parse_script();
}

ExprPtr parse_entry_expression(const diag::Source& source, uint32_t begin, diag::Sink& sink) {
  return Parser(source.text(), sink, begin).parse_all_as_expression();
}

ExprPtr parse_expression(const diag::Source& source, diag::Sink& sink) {
  return Parser(source.text(), sink).parse_all_as_expression();
}

ExprPtr parse_filter(std::string_view event_text, const diag::Source& source, diag::Sink& sink) {
  return Parser(source.text(), sink).parse_all_as_filter(event_text);
}

Parser::Parser(std::string_view text, diag::Sink& sink, uint32_t begin,
               const std::vector<uint32_t>* offsets)
    : lexer_(text, sink, begin, offsets), sink_(sink), offsets_(offsets) {
  advance();
}

Script Parser::parse_script() {
  Script script;
  while (!at(TokenKind::End)) {
    if (at(TokenKind::RightBrace)) {
      if (!unclosed_reported_) note(Code::StrayClosing, tok_.span, "this '}' closes nothing");
      advance();
      continue;
    }
    parse_statement(script.body);
  }
  script.body.span = {0, static_cast<uint32_t>(lexer_.text().size())};
  return script;
}

ExprPtr Parser::parse_all_as_expression() {
  auto expr = std::make_unique<Expr>(parse_expr());
  if (!panic_ && !at(TokenKind::End)) {
    Diagnostic& made =
        fail(Code::ExpectedToken, tok_.span,
             fmt::format("expected an operator or the end of the expression, found {}", found()));
    std::string cast = cast_before(tok_.span.begin);
    if (!cast.empty()) made.hints.push_back(std::move(cast));
  }
  return expr;
}

void Parser::advance() {
  previous_ = tok_.kind;
  previous_end_ = tok_.span.end;
  if (stopped_) return;
  tok_ = lexer_.next();
  lexer_complained_ = lexer_complained_ || tok_.after_error;
}

bool Parser::accept(TokenKind kind) {
  if (panic_ || !at(kind)) return false;
  advance();
  return true;
}

bool Parser::expect(TokenKind kind, std::string_view after) {
  if (accept(kind)) return true;
  fail(Code::ExpectedToken, here(),
       fmt::format("expected '{}' {}, found {}", token_kind_name(kind), after, found()));
  return false;
}

bool Parser::expect_close(TokenKind kind, Span open) {
  if (accept(kind)) return true;
  bool end = at(TokenKind::End);
  Diagnostic& made = fail(end ? Code::Unclosed : Code::ExpectedToken, here(),
                          fmt::format("expected '{}', found {}", token_kind_name(kind), found()));
  made.notes.push_back({open, "to close this"});
  std::string_view rest =
      lexer_.text().substr(std::min<size_t>(previous_end_, lexer_.text().size()));
  bool adjacent = previous_end_ == tok_.span.begin && offsets_ == nullptr;
  if (at(TokenKind::PlusPlus) || at(TokenKind::MinusMinus)) {
    made.hints.push_back(fmt::format("x{0} is a statement of its own", tok_.text));
  } else if (std::string cast = tok_.newline_before ? "" : cast_before(tok_.span.begin);
             !cast.empty()) {
    made.hints.push_back(std::move(cast));
  } else if (std::string typed =
                 kind == TokenKind::RightParen && offsets_ == nullptr && at(TokenKind::Name)
                     ? cast_hint(lexer_.text().substr(open.begin))
                     : "";
             !typed.empty()) {
    made.hints.push_back(std::move(typed));
  } else if (hides_length(open.end)) {
    made.hints.emplace_back("'#' begins a comment; the length of t is len(t)");
  } else if (at(TokenKind::Colon)) {
    made.hints.emplace_back("there are no methods: call f(t), or t.f(t)");
  } else if (at(TokenKind::String) && adjacent && previous_ == TokenKind::Name) {
    made.hints.emplace_back("values are put into a string by format(\"%s\", x) or `..`");
  } else if (at(TokenKind::Name) && adjacent && previous_ == TokenKind::String) {
    made.hints.emplace_back("a quote inside a string is written \\' or \\\"");
  } else if (at(TokenKind::Assign)) {
    made.hints.emplace_back("a parameter that is missing is nil: x = x || 1 gives it a value");
  } else if (offsets_ == nullptr && rest.substr(0, 1) == "#") {
    made.hints.emplace_back("'#' begins a comment; the length of t is len(t)");
  }
  return false;
}

bool Parser::expect_name(Param& out, std::string_view what) {
  if (panic_) return false;
  if (at(TokenKind::Name)) {
    out = {std::string(tok_.text), tok_.span};
    advance();
    return true;
  }
  if (tok_.is_word()) {
    fail(Code::KeywordAsName, tok_.span,
         fmt::format("the keyword '{}' cannot be {}", tok_.text, what));
    advance();
  } else {
    fail(Code::ExpectedToken, here(), fmt::format("expected {}, found {}", what, found()));
  }
  return false;
}

/// Where something is missing: at the token found instead, or behind the last one when that is in
/// another line.
Span Parser::here() const {
  bool behind = (at(TokenKind::End) || tok_.newline_before) && previous_end_ > 0;
  return behind ? Span{previous_end_, previous_end_} : tok_.span;
}

std::string Parser::found() const {
  switch (tok_.kind) {
    case TokenKind::End:
      return offsets_ != nullptr ? "the end of the text" : "the end";
    case TokenKind::Name:
      return fmt::format("the name '{}'", tok_.text);
    case TokenKind::Int:
    case TokenKind::Float:
      return fmt::format("the number {}", tok_.text);
    case TokenKind::String:
      return "a string";
    default:
      break;
  }
  return tok_.is_word() ? fmt::format("the keyword '{}'", tok_.text)
                        : fmt::format("'{}'", tok_.text);
}

/// `#t`, as if it were a value.
bool Parser::hides_length(uint32_t at) const {
  const std::string_view text = lexer_.text();
  if (offsets_ != nullptr) return false;
  while (at < text.size() && text[at] == ' ') ++at;
  return at + 1 < text.size() && text[at] == '#' && is_name_part(text[at + 1]);
}

std::string Parser::cast_before(uint32_t at) const {
  const std::string_view text = lexer_.text().substr(0, at);
  if (offsets_ != nullptr) return {};
  const size_t close = text.find_last_not_of(" \t");
  if (close == std::string_view::npos || text[close] != ')') return {};
  const size_t open = text.rfind('(');
  return open < close ? cast_hint(text.substr(open)) : std::string();
}

Diagnostic& Parser::fail(Code code, Span span, std::string text) {
  Diagnostic& made = note(code, span, std::move(text));
  panic_ = true;
  return made;
}

Diagnostic& Parser::note(Code code, Span span, std::string text) {
  unused_ = Diagnostic{};
  if (panic_ || stopped_ || lexer_complained_) return unused_;
  return sink_.report(code, span, std::move(text));
}

void Parser::stop(Code code, Span span, std::string text) {
  if (stopped_) return;
  panic_ = false;
  lexer_complained_ = false;
  fail(code, span, std::move(text));
  stopped_ = true;
  lexer_.seek(static_cast<uint32_t>(lexer_.text().size()));
  tok_ = Token{};
  tok_.span = {span.end, span.end};
}

Parser::Nest::Nest(Parser& parser) : parser_(parser), ok_(++parser.depth_ <= limits::kMaxNesting) {
  if (ok_) return;
  parser_.stop(Code::NestingTooDeep, parser_.tok_.span,
               fmt::format("the source nests more than {} levels deep here", limits::kMaxNesting));
}

void Parser::set_height(int height, Span span) {
  height_ = height;
  if (height > limits::kMaxChain) {
    stop(Code::ChainTooLong, span,
         fmt::format("the expression chains more than {} operators", limits::kMaxChain));
  }
}

/// Skips what is left of a statement that begins at `begin` and could not be read.
void Parser::synchronize(uint32_t begin) {
  lexer_.set_muted(true);
  int braces = 0;
  int brackets = 0;
  while (!at(TokenKind::End)) {
    TokenKind kind = tok_.kind;
    bool moved = tok_.span.begin > begin;
    if (braces == 0 && moved) {
      if (opens_statement(kind) && (brackets == 0 || tok_.newline_before)) break;
      if (brackets == 0 && tok_.newline_before && may_open_statement(kind)) break;
      if (kind == TokenKind::RightBrace) break;
    }
    if (braces == 0 && brackets == 0 && kind == TokenKind::Semicolon) break;
    if (kind == TokenKind::LeftBrace) ++braces;
    if (kind == TokenKind::RightBrace && braces > 0) --braces;
    if (kind == TokenKind::LeftParen || kind == TokenKind::LeftBracket) ++brackets;
    if ((kind == TokenKind::RightParen || kind == TokenKind::RightBracket) && brackets > 0)
      --brackets;
    advance();
  }
  lexer_.set_muted(false);
  panic_ = false;
}

/// In panic inside a head: skips to the `)` that ends it or to the body, and ends the panic when it
/// finds one.
void Parser::skip_to_head_end() {
  lexer_.set_muted(true);
  int depth = 0;
  while (!at(TokenKind::End)) {
    if (depth == 0 && (at(TokenKind::RightParen) || at(TokenKind::LeftBrace))) break;
    if (tok_.newline_before && opens_statement(tok_.kind)) break;
    if (depth == 0 && is_close(tok_.kind)) break;
    if (is_open(tok_.kind)) ++depth;
    if (is_close(tok_.kind)) --depth;
    advance();
  }
  lexer_.set_muted(false);
  if (!at(TokenKind::RightParen) && !at(TokenKind::LeftBrace)) return;
  panic_ = false;
  if (at(TokenKind::RightParen)) advance();
  lexer_complained_ = false;
}

/// In panic inside a table: skips its `}`, which closes no block. The panic goes on.
void Parser::skip_table_rest() {
  if (stopped_) return;
  lexer_.set_muted(true);
  int braces = 0;
  while (!at(TokenKind::End) && !(tok_.newline_before && opens_statement(tok_.kind))) {
    if (at(TokenKind::LeftBrace)) ++braces;
    bool closed = at(TokenKind::RightBrace) && braces-- == 0;
    if (closed && tok_.newline_before)
      break;  // perhaps of the block around: the `}` may be what is missing
    advance();
    if (closed) break;
  }
  lexer_.set_muted(false);
}

/// `{ … }` without looking at what it holds.
void Parser::skip_block() {
  lexer_.set_muted(true);
  int braces = 0;
  do {
    if (at(TokenKind::LeftBrace)) ++braces;
    if (at(TokenKind::RightBrace)) --braces;
    advance();
  } while (braces > 0 && !at(TokenKind::End));
  lexer_.set_muted(false);
}

/// `{ … }`; the caller has seen the `{`.
Block Parser::parse_block() {
  Block block;
  Span open = tok_.span;
  Nest nest(*this);
  if (!nest.ok()) return block;
  advance();
  while (!at(TokenKind::End) && !at(TokenKind::RightBrace)) parse_statement(block);
  if (at(TokenKind::RightBrace)) {
    advance();
  } else if (!unclosed_reported_) {
    lexer_complained_ = false;
    note(Code::Unclosed, open, "this '{' is never closed");
    unclosed_reported_ = true;
  }
  block.span = since(open.begin);
  return block;
}

/// What stands between `then` or `do` and `end` (reported by the caller).
void Parser::parse_lua_block(Block& block) {
  Nest nest(*this);
  if (!nest.ok()) return;
  uint32_t begin = tok_.span.begin;
  auto is_terminator = [this] {
    return at(TokenKind::End) || at(TokenKind::RightBrace) || at(TokenKind::Else) ||
           at(TokenKind::Elseif) || at(TokenKind::Until);
  };
  while (!is_terminator()) {
    if (at_name("end")) {
      advance();
      break;
    }
    parse_statement(block);
  }
  block.span = since(begin);
}

}  // namespace ktap::syntax
