// Trace, tick, profile and trace_end: the statements that register handlers. Their event text is
// taken as bytes (event_text.h); a filter inside it is an expression like any other, parsed where
// it stands in the script, also when it stands inside a quoted text.
#include <fmt/format.h>

#include <algorithm>

#include "base/chars.h"
#include "syntax/parser.h"
#include "syntax/parser_impl.h"

namespace ktap::syntax {

using diag::Code;
using diag::Diagnostic;

namespace {

constexpr std::string_view kTraceForm = "trace EVENT /FILTER/ { }";

size_t first_not_blank(std::string_view text, size_t at) {
  while (at < text.size() && is_blank(text[at])) ++at;
  return at;
}

/// `sched:sched_switch function (e)`: where the function begins, or npos.
size_t trailing_function(std::string_view text) {
  size_t at = text.rfind("function");
  if (at == std::string_view::npos || at == 0 || !is_blank(text[at - 1]) || text.back() != ')') {
    return std::string_view::npos;
  }
  size_t open = first_not_blank(text, at + 8);
  return open < text.size() && text[open] == '(' ? at : std::string_view::npos;
}

/// `sched:sched_switch if (pid == 1)`: where the word begins, or npos.
size_t trailing_condition(std::string_view text) {
  for (std::string_view word : {" if ", " if(", " when ", " where "}) {
    size_t at = text.find(word);
    if (at != std::string_view::npos) return at + 1;
  }
  return std::string_view::npos;
}

}  // namespace

void Parser::parse_trace(Block& block) {
  uint32_t begin = tok_.span.begin;
  std::string_view text = lexer_.text();
  size_t first = first_not_blank(text, lexer_.position());
  char c = first < text.size() ? text[first] : '\0';
  if (c == '=' || c == '.') {
    fail(Code::KeywordAsName, tok_.span, "the keyword 'trace' cannot be a variable's name");
    return;
  }
  if (c == '(' || c == '"' || c == '\'') return parse_quoted_trace(block, begin);
  Trace made{};
  made.kind = TraceKind::Event;
  parse_event_text(block, std::move(made), begin, lexer_.position());
}

void Parser::parse_timer(Block& block) {
  uint32_t begin = tok_.span.begin;
  std::string_view text = lexer_.text();
  uint32_t after = lexer_.position();
  if (after >= text.size() || text[after] != '-') {
    if (parse_foreign_probe()) return;
    size_t next = first_not_blank(text, after);
    bool number = next < text.size() && is_digit(text[next]);
    bool spaced = number || (next < text.size() && text[next] == '-');
    size_t digits = number ? next : after;
    while (number && digits < text.size() && is_name_part(text[digits])) ++digits;
    std::string form =
        fmt::format("{}-{} {{ }}", tok_.text, number ? text.substr(next, digits - next) : "10ms");
    Diagnostic& made =
        spaced
            ? fail(Code::BadEventText, tok_.span, "a timer's name holds no blanks")
            : fail(Code::KeywordAsName, tok_.span,
                   fmt::format("the keyword '{}' begins a timer, it cannot be a name", tok_.text));
    made.hints.push_back(std::move(form));
    return;
  }
  Trace made{};
  made.kind = at(TokenKind::Tick) ? TraceKind::Tick : TraceKind::Profile;
  parse_event_text(block, std::move(made), begin, after - static_cast<uint32_t>(tok_.text.size()));
}

void Parser::parse_trace_end(Block& block) {
  uint32_t begin = tok_.span.begin;
  advance();
  if (at(TokenKind::LeftParen) && next_byte() == ')') {
    note(Code::NoHandler, tok_.span, "expected a body or a function, found '('")
        .hints.emplace_back("trace_end { }");
    advance();
    advance();
  }
  Trace made{};
  made.kind = TraceKind::End;
  parse_handler(made);
  if (!panic_) add(block, begin, std::move(made));
}

void Parser::parse_event_text(Block& block, Trace made, uint32_t statement_begin,
                              uint32_t text_begin) {
  EventTextScan scan = scan_event_text(lexer_.text(), text_begin, made.kind != TraceKind::Event);
  std::string_view text = lexer_.text().substr(scan.text_begin, scan.text_end - scan.text_begin);
  made.event_text = text;
  made.event_span = lexer_.span(scan.text_begin, scan.text_end);
  bool usable = report_event_text(scan, made.kind);
  if (usable && scan.has_filter && scan.problem == EventTextProblem::None) {
    made.filter = parse_filter(made.event_text, lexer_.text().substr(0, scan.filter_end),
                               scan.filter_begin, nullptr);
  }
  if (stopped_) return;
  lexer_.seek(scan.body);
  advance();
  lexer_complained_ = false;
  if (!scan.has_body) return;
  made.body = std::make_unique<FunctionBody>();
  made.body->body = parse_function_block();
  if (!panic_) add(block, statement_begin, std::move(made));
}

/// Reports what is wrong with an event text; false when its filter should not be looked at.
bool Parser::report_event_text(const EventTextScan& scan, TraceKind kind) {
  Span whole = lexer_.span(scan.text_begin, scan.text_end);
  Span place =
      lexer_.span(scan.problem_at, std::min<size_t>(scan.problem_at + 1, lexer_.text().size()));
  std::string_view text = lexer_.text().substr(scan.text_begin, scan.text_end - scan.text_begin);
  size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    note(Code::NulByte, lexer_.span(scan.text_begin + nul, scan.text_begin + nul + 1),
         "a NUL byte stands outside a string");
    return false;
  }
  if (scan.problem == EventTextProblem::Comment) {
    report_comment(place);
    return false;
  }
  size_t function = trailing_function(text);
  if (function != std::string_view::npos) {
    uint32_t at = scan.text_begin + static_cast<uint32_t>(function);
    note(Code::BadEventText, lexer_.span(at, at + 8),
         "an event text without quotes is followed by its body")
        .hints.emplace_back("trace \"EVENT\" function (e) { }");
    return false;
  }
  size_t condition = trailing_condition(text);
  if (condition != std::string_view::npos) {
    uint32_t at = scan.text_begin + static_cast<uint32_t>(condition);
    note(Code::BadEventText, lexer_.span(at, scan.text_end),
         "a condition on an event stands between slashes")
        .hints.emplace_back(kTraceForm);
    return false;
  }
  switch (scan.problem) {
    case EventTextProblem::None:
    case EventTextProblem::Comment:
      break;
    case EventTextProblem::NoBody:
      if (text.empty()) {
        note(Code::NoEventText, tok_.span, "this 'trace' names no event")
            .hints.emplace_back(kTraceForm);
      } else {
        note(Code::NoHandler, whole, "no body follows the event text")
            .hints.emplace_back("the body's '{' stands after a blank: trace EVENT { }");
      }
      return false;
    case EventTextProblem::UnterminatedQuote:
      note(Code::UnterminatedString, place,
           "the quote in the event text is not closed on its line");
      return false;
    case EventTextProblem::GluedBody:
      note(Code::BadEventText, place,
           "a blank must stand before the body's '{', else it is taken for a glob")
          .hints.push_back(fmt::format("{}{} {{ }}", kind == TraceKind::Event ? "trace " : "",
                                       text.substr(0, scan.problem_at - scan.text_begin)));
      break;
    case EventTextProblem::UnclosedFilter:
      note(Code::UnclosedFilter, place,
           "this '/' opens a filter that no '/' before the body closes")
          .hints.emplace_back(kTraceForm);
      return false;
  }
  return kind != TraceKind::Event || check_event_list(text, scan.text_begin, lexer_, tok_.span);
}

void Parser::report_comment(Span place) {
  note(Code::BadEventText, place, "a comment cannot stand in an event text or its filter")
      .hints.emplace_back("write it before the statement, or inside the body");
}

/// A list of events with none missing. `begin` is where `text` stands in the text of `places`,
/// `whole` what to point at when there is no text.
bool Parser::check_event_list(std::string_view text, uint32_t begin, const Lexer& places,
                              Span whole) {
  if (text.empty()) {
    note(Code::NoEventText, whole, "this 'trace' names no event").hints.emplace_back(kTraceForm);
    return false;
  }
  std::vector<EventPart> parts = event_parts(text);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].end > parts[i].begin) continue;
    // Point at the comma behind the gap, or before it at the end.
    size_t comma = i + 1 < parts.size() ? text.find(',', parts[i].begin) : text.rfind(',');
    auto at = begin + static_cast<uint32_t>(comma);
    Diagnostic& made =
        note(Code::BadEventText, places.span(at, at + 1), "an event is missing beside this ','");
    if (i + 1 == parts.size())
      made.hints.emplace_back("a glob in braces must not stand after a blank: a:b,{c,d}:e");
    return false;
  }
  return true;
}

/// `ip == mutex*` as `ip ~ "mutex*"`; null: the filter is an expression.
ExprPtr Parser::glob_filter(std::string_view event_text, std::string_view text, uint32_t begin,
                            const std::vector<uint32_t>* offsets) {
  const GlobWord word = glob_word(event_text, text, begin);
  if (word.end == 0) return nullptr;
  const Lexer places(text, sink_, begin, offsets);
  const size_t first = first_not_blank(text, begin);
  auto ip = std::make_unique<Expr>(Expr{places.span(first, first + 2), Name{"ip"}});
  auto glob = std::make_unique<Expr>(
      Expr{places.span(word.begin, word.end),
           StringLit{std::string(text.substr(word.begin, word.end - word.begin))}});
  return std::make_unique<Expr>(
      Expr{places.span(first, word.end),
           Binary{BinaryOp::Match, places.span(first, word.end), std::move(ip), std::move(glob)}});
}

/// The filter is text[begin…]; a slash stands before it and behind it.
ExprPtr Parser::parse_filter(std::string_view event_text, std::string_view text, uint32_t begin,
                             const std::vector<uint32_t>* offsets) {
  if (first_not_blank(text, begin) == text.size()) {
    Lexer place(text, sink_, begin, offsets);
    note(Code::EmptyFilter, place.span(begin - 1, text.size() + 1), "the filter is empty")
        .hints.emplace_back(kTraceForm);
    return nullptr;
  }
  if (ExprPtr globbed = glob_filter(event_text, text, begin, offsets)) return globbed;
  Parser inner(text, sink_, begin, offsets);
  inner.depth_ = depth_;
  ExprPtr filter = inner.parse_all_as_expression();
  if (inner.stopped_) {
    stopped_ = true;
    panic_ = true;
    lexer_.seek(static_cast<uint32_t>(lexer_.text().size()));
    tok_ = Token{};
  }
  peak_ = std::max(peak_, inner.peak_);
  return filter;
}

/// `trace "EVENT /F/" HANDLER`, `trace (expr) HANDLER`.
void Parser::parse_quoted_trace(Block& block, uint32_t statement_begin) {
  advance();
  Trace made{};
  made.kind = TraceKind::Event;
  bool literal_first = at(TokenKind::String);
  Expr text = parse_operand();
  if (literal_first && at(TokenKind::Slash)) {
    if (!skip_misplaced_filter(made)) return;
  } else {
    text = parse_binary_rest(std::move(text), 1);
  }
  peak_ = std::max(peak_, height_);
  if (panic_) return;
  const Expr* inner = &text;
  while (const auto* paren = std::get_if<Paren>(&inner->node)) inner = paren->inner.get();
  made.event_span = text.span;
  const auto* literal = std::get_if<StringLit>(&inner->node);
  if (literal != nullptr && offsets_ == nullptr) {
    take_literal(made, literal->value, inner->span);
  } else {
    made.text_expr = std::make_unique<Expr>(std::move(text));
  }
  if (stopped_) return;
  parse_handler(made);
  if (!panic_) add(block, statement_begin, std::move(made));
}

/// `trace "EVENT" /FILTER/ { }`: reported, and passed over up to the body.
bool Parser::skip_misplaced_filter(Trace& made) {
  note(Code::MisplacedFilter, tok_.span,
       "the filter of a quoted event text stands inside the quotes")
      .hints.emplace_back("trace \"EVENT /FILTER/\" { }");
  lexer_complained_ = true;
  EventTextScan scan = scan_event_text(lexer_.text(), lexer_.position() - 1, false);
  made.event_text = "";
  if (!scan.has_body) {
    panic_ = true;
    return false;
  }
  lexer_.seek(scan.body);
  advance();
  return true;
}

/// Splits a literal event text; `literal` is the token's place in the source.
void Parser::take_literal(Trace& made, const std::string& value, Span literal) {
  std::vector<uint32_t> offsets;
  Lexer again(lexer_.text(), sink_, literal.begin);
  again.set_muted(true);
  again.record_offsets(&offsets);
  again.next();
  if (offsets.size() <= value.size()) return;  // unterminated, and reported
  EventTextSplit split = split_event_text(value);
  made.event_text = split.text;
  auto text_begin = static_cast<uint32_t>(split.text.data() - value.data());
  auto text_end = text_begin + static_cast<uint32_t>(split.text.size());
  made.event_span = {offsets[text_begin], offsets[text_end]};
  Lexer places(value, sink_, 0, &offsets);
  const size_t comment = find_comment(value, split.filter_begin);
  if (comment != std::string_view::npos) {
    return report_comment(places.span(comment, comment + 1));
  }
  if (!check_event_list(split.text, text_begin, places, literal)) return;
  if (!split.closed) {
    Span slash{offsets[split.filter_begin - 1], offsets[split.filter_begin]};
    note(Code::UnclosedFilter, slash,
         "this '/' opens a filter that no '/' at the end of the text closes");
  } else if (split.filter_begin != 0) {
    made.filter = parse_filter(made.event_text, std::string_view(value).substr(0, split.filter_end),
                               split.filter_begin, &offsets);
  }
}

/// `{ }`, `function (e) { }`, or an expression that gives a function.
void Parser::parse_handler(Trace& made) {
  if (panic_) return;
  if (at(TokenKind::LeftBrace)) {
    made.body = std::make_unique<FunctionBody>();
    made.body->body = parse_function_block();
  } else if (at(TokenKind::Function)) {
    advance();
    made.body = parse_function_rest("");
  } else if (at(TokenKind::Name) || at(TokenKind::LeftParen)) {
    made.function = std::make_unique<Expr>(parse_suffixed());
    peak_ = std::max(peak_, height_);
  } else {
    fail(Code::NoHandler, here(), fmt::format("expected a body or a function, found {}", found()));
  }
}

}  // namespace ktap::syntax
