// Statements other than control structures and trace statements, and the words of other languages
// that people write in their place.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/chars.h"
#include "syntax/foreign.h"
#include "syntax/parser_impl.h"

namespace ktap::syntax {

using diag::Code;
using diag::Diagnostic;

namespace {

/// Keywords that a mistyped word before a block or a name may have meant.
std::string meant_keyword(std::string_view word) {
  static const std::vector<std::string> keywords = {
#define KTAP_KEYWORD(enumerator, spelling) spelling,
#define KTAP_WORD_ALIAS(enumerator, spelling) spelling,
#include "syntax/tokens.def"
  };
  return diag::did_you_mean(word, keywords);
}

/// The name that an expression begins with, when it is a name or a call of one.
std::string_view leading_name(const Expr& expr) {
  const Expr* head = &expr;
  if (const auto* call = std::get_if<Call>(&expr.node)) head = call->callee.get();
  const auto* name = std::get_if<Name>(&head->node);
  return name == nullptr ? std::string_view() : std::string_view(name->name);
}

/// `pid, tid` behind `print`: what is left of the line that `text` begins with, as it stands
/// between the parentheses of a call; "" when a string hides where it ends.
std::string_view bare_arguments(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  if (text.find_first_of("\"'{[") != text.npos && text.find_first_of(";}#") != text.npos) return {};
  text = text.substr(0, text.find_first_of(";}#"));
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

void Parser::parse_statement(Block& block) {
  uint32_t begin = tok_.span.begin;
  lexer_complained_ = tok_.after_error;
  std::string_view outer = std::exchange(assign_hint_, kMeansCompare);
  parse_statement_node(block);
  assign_hint_ = outer;
  if (panic_ && !stopped_) synchronize(begin);
}

void Parser::parse_statement_node(Block& block) {
  uint32_t begin = tok_.span.begin;
  switch (tok_.kind) {
    case TokenKind::Semicolon:
      return advance();
    case TokenKind::Trace:
      return parse_trace(block);
    case TokenKind::TraceEnd:
      return parse_trace_end(block);
    case TokenKind::Tick:
    case TokenKind::Profile:
      return parse_timer(block);
    case TokenKind::Var:
      return parse_var(block);
    case TokenKind::Function:
      advance();
      return parse_function_statement(block, begin, false);
    case TokenKind::If:
      return parse_if(block);
    case TokenKind::While:
      return parse_while(block);
    case TokenKind::Repeat:
      return parse_repeat(block);
    case TokenKind::For:
      return parse_for(block);
    case TokenKind::Do:
      return parse_do(block);
    case TokenKind::Break:
    case TokenKind::Continue:
      return parse_jump(block);
    case TokenKind::Return:
      return parse_return(block);
    case TokenKind::Else:
    case TokenKind::Elseif:
    case TokenKind::Until:
    case TokenKind::LeftBrace:
      return parse_stray(block);
    case TokenKind::Name:
      if (parse_foreign_probe() || parse_foreach()) return;
      return parse_expression_statement(block);
    case TokenKind::LeftParen:
      return parse_expression_statement(block);
    case TokenKind::Int:
    case TokenKind::Float:
    case TokenKind::String:
    case TokenKind::Nil:
    case TokenKind::True:
    case TokenKind::False:
    case TokenKind::Minus:
    case TokenKind::Bang:
    case TokenKind::Tilde: {
      Expr expr = parse_binary(1);
      return refuse_expression_statement(expr);
    }
    default:
      return parse_bad_statement();
  }
}

void Parser::parse_var(Block& block) {
  uint32_t begin = tok_.span.begin;
  advance();
  if (accept(TokenKind::Function)) return parse_function_statement(block, begin, true);
  VarDecl made;
  do {
    Param name;
    if (!expect_name(name, "a variable's name")) return;
    made.names.push_back(std::move(name));
  } while (accept(TokenKind::Comma));
  bool dash = at(TokenKind::Minus) && previous_end_ == tok_.span.begin;
  if (compound_op(tok_.kind) || at(TokenKind::Equal) || dash) {
    Diagnostic& missing =
        fail(Code::ExpectedToken, here(),
             fmt::format("expected '=' after the variable's name, found {}", found()));
    if (dash) missing.hints.emplace_back("names are made of letters, digits and `_`");
    return;
  }
  if (at(TokenKind::Colon)) {
    fail(Code::ExpectedToken, here(), "expected '=' after the variable's name, found ':'")
        .hints.emplace_back(next_byte() == '=' ? "write `var x = 1`"
                                               : "variables have no types: var x = 1");
    return;
  }
  assign_hint_ = kAssignGivesNothing;
  if (accept(TokenKind::Assign))
    made.values = parse_expr_list("all names stand before the `=`: var a, b = 1, 2");
  add(block, begin, std::move(made));
}

/// The parser is behind `function`; `begin` is where the statement began.
void Parser::parse_function_statement(Block& block, uint32_t begin, bool is_local) {
  FunctionStmt made{is_local, {}, {}, nullptr};
  if (at(TokenKind::LeftParen)) {
    Diagnostic& missing =
        fail(Code::ExpectedToken, tok_.span, "expected a function's name, found '('");
    missing.hints.emplace_back("var f = function (a, b) { }");
    return;
  }
  if (!expect_name(made.name, "a function's name")) return;
  std::string full = made.name.name;
  while (at(TokenKind::Dot) || at(TokenKind::Colon)) {
    if (at(TokenKind::Colon)) {
      note(Code::ForeignSyntax, tok_.span, "there are no methods")
          .hints.emplace_back("function t.f(self) { }");
    } else if (is_local) {
      note(Code::ExpectedToken, tok_.span,
           "expected '(' after the name of a local function, found '.'");
    }
    advance();
    if (!tok_.is_word()) {
      fail(Code::ExpectedToken, here(),
           fmt::format("expected a name after '.', found {}", found()));
      return;
    }
    made.path.push_back({std::string(tok_.text), tok_.span});
    full += '.' + made.path.back().name;
    advance();
  }
  made.body = parse_function_rest(std::move(full));
  add(block, begin, std::move(made));
}

void Parser::parse_return(Block& block) {
  uint32_t begin = tok_.span.begin;
  advance();
  Return made;
  bool bare = tok_.newline_before || at(TokenKind::End) || at(TokenKind::RightBrace) ||
              at(TokenKind::Semicolon) || (at_name("end") && ends_owed_ > 0);
  if (!bare) made.values = parse_expr_list();
  add(block, begin, std::move(made));
}

void Parser::parse_jump(Block& block) {
  uint32_t begin = tok_.span.begin;
  bool is_break = at(TokenKind::Break);
  if (loops_ == 0)
    note(Code::JumpOutsideLoop, tok_.span, fmt::format("'{}' stands outside a loop", tok_.text));
  advance();
  if (is_break) {
    add(block, begin, Break{});
  } else {
    add(block, begin, Continue{});
  }
}

void Parser::parse_expression_statement(Block& block) {
  uint32_t begin = tok_.span.begin;
  if (at_name("end") && ends_owed_ > 0) {
    --ends_owed_;
    return advance();
  }
  Expr expr = parse_suffixed();
  peak_ = std::max(peak_, height_);
  if (panic_) return;
  if (at(TokenKind::Assign) || at(TokenKind::Comma))
    return parse_assignment(block, std::move(expr));
  if (std::optional<BinaryOp> op = compound_op(tok_.kind))
    return parse_compound(block, std::move(expr), *op);
  if (at(TokenKind::MinusMinus) && std::holds_alternative<Call>(expr.node))
    return parse_bad_statement();
  if (at(TokenKind::PlusPlus) || at(TokenKind::MinusMinus)) {
    BinaryOp op = at(TokenKind::PlusPlus) ? BinaryOp::Add : BinaryOp::Sub;
    Expr one{tok_.span, IntLit{1}};
    bool place = check_assignable(expr);
    advance();
    if (place) add(block, begin, CompoundAssign{std::move(expr), op, std::move(one)});
    return;
  }
  if (at(TokenKind::Aggregate)) {
    bool place = check_assignable(expr);
    advance();
    Expr sample = parse_expr();
    if (place) add(block, begin, AggregateAdd{std::move(expr), std::move(sample)});
    return;
  }
  bool call = std::holds_alternative<Call>(expr.node);
  if (!call || (at(TokenKind::LeftBrace) && !tok_.newline_before))
    return refuse_expression_statement(expr);
  add(block, begin, CallStmt{std::move(expr)});
}

/// `kprobe:vfs_read { … }`, `syscall::read:entry /…/ { … }`, `probe syscall.read { … }`: reported
/// once with ktap's spelling; its body is read as a handler's. The parser is at a name (or at
/// `profile`). False when it is something else.
bool Parser::parse_foreign_probe() {
  const std::string_view text = lexer_.text();
  const uint32_t begin = lexer_.position() - static_cast<uint32_t>(tok_.text.size());
  const bool colon = next_byte() == ':';
  const bool systemtap = tok_.text == "probe" && next_byte() == ' ';
  if ((!colon && !systemtap && tok_.text != "END") || offsets_ != nullptr) return false;
  const EventTextScan scan = scan_event_text(text, begin, false);
  const bool has_body = scan.problem == EventTextProblem::None;
  std::string_view head = text.substr(begin, scan.text_end - begin);
  if (tok_.text.size() == 1 && !has_body) return false;
  const std::vector<EventPart> parts = event_parts(head);
  std::string ktap;
  bool is_ours = true;  // but for the `trace` before it: software:page-faults:100
  const bool at_start = head == "probe begin" || head == "probe init" || head == "dtrace:::BEGIN";
  for (const EventPart& part : parts) {
    std::string item(head.substr(part.begin, part.end - part.begin));
    if (systemtap && part.begin > 0) item.insert(0, "probe ");
    std::string one = ktap_probe(item);
    if (one.empty() && !at_start) return parse_untraced_event(scan, begin);
    is_ours = is_ours && one == "trace " + item;
    const bool another = !ktap.empty() && one.compare(0, 6, "trace ") == 0;
    ktap += another ? ", " + one.substr(6) : ktap.empty() ? one : " { } " + one;
  }
  if (is_ours && parse_untraced_event(scan, begin)) return true;
  const Span span = lexer_.span(begin, scan.text_end);
  Diagnostic& made = note(Code::ForeignSyntax, span,
                          fmt::format("'{}' is an event in another tracer's form", head));
  made.hints.push_back(
      at_start ? std::string(foreign_statement("BEGIN"))
               : fmt::format("write {}{} {{ }}", ktap, scan.has_filter ? " /.../" : ""));
  if (parts.size() == 1 && !at_start) made.fixes.push_back({span, std::move(ktap)});
  if (!has_body) {
    panic_ = true;
    return true;
  }
  lexer_.seek(scan.body);
  advance();
  lexer_complained_ = false;
  parse_function_block();
  return true;
}

/// `sched:sched_switch /…/ { … }`: the `trace` before it is missing. False when it is no event.
bool Parser::parse_untraced_event(const EventTextScan& scan, uint32_t begin) {
  if (scan.problem != EventTextProblem::None) return false;
  const std::string_view head = lexer_.text().substr(begin, scan.text_end - begin);
  for (const EventPart& part : event_parts(head)) {
    const std::string_view item = head.substr(part.begin, part.end - part.begin);
    const size_t colon = item.find(':');
    const bool is_event = colon != item.npos && colon + 1 < item.size() &&
                          item.find("::") == item.npos &&
                          item.find_first_of(" \t\r\n()=;\"'") == item.npos;
    if (!is_event) return false;
  }
  std::string_view whole = lexer_.text().substr(begin, scan.body - begin);
  if (whole.find('\n') != whole.npos) whole = head;
  while (is_blank(whole.back())) whole.remove_suffix(1);
  Diagnostic& made = note(Code::BadStatement, lexer_.span(begin, scan.text_end),
                          fmt::format("'{}' is an event: a handler begins with `trace`", head));
  made.hints.push_back(fmt::format("write trace {} {{ }}", whole));
  made.fixes.push_back({lexer_.span(begin, begin), "trace "});
  lexer_.seek(scan.body);
  advance();
  lexer_complained_ = false;
  parse_function_block();
  return true;
}

/// `foreach (x in t) { … }`: reported, and its body read.
bool Parser::parse_foreach() {
  const std::string_view rest = lexer_.text().substr(lexer_.position());
  const size_t open = rest.find_first_not_of(' ');
  if (!at_name("foreach") || open == std::string_view::npos || rest[open] != '(') return false;
  fail(Code::ForeignSyntax, tok_.span, "'foreach' is no word of the language")
      .hints.emplace_back(foreign_statement("foreach"));
  advance();
  advance();
  skip_to_head_end();
  Block body;
  Head head;
  head.sloppy = true;
  parse_loop_body(body, head, "");
  return true;
}

bool Parser::check_assignable(const Expr& target) {
  if (std::holds_alternative<Name>(target.node) || std::holds_alternative<Index>(target.node) ||
      std::holds_alternative<Member>(target.node)) {
    return true;
  }
  const char* what =
      std::holds_alternative<Call>(target.node) ? "a call" : "an expression in parentheses";
  note(Code::NotAssignable, target.span, fmt::format("{} is no place to store a value in", what));
  return false;
}

void Parser::parse_assignment(Block& block, Expr first) {
  uint32_t begin = first.span.begin;
  Assign made;
  bool places = at(TokenKind::Comma) || check_assignable(first);
  made.targets.push_back(std::move(first));
  while (accept(TokenKind::Comma)) {
    if (!at(TokenKind::Name) && !at(TokenKind::LeftParen)) {
      fail(Code::ExpectedToken, here(),
           fmt::format("expected another place to assign to after ',', found {}", found()));
      return;
    }
    made.targets.push_back(parse_suffixed());
    peak_ = std::max(peak_, height_);
  }
  if (made.targets.size() > 1) {
    if (!expect(TokenKind::Assign, "after a list of places")) return;
    for (const Expr& target : made.targets) places = check_assignable(target) && places;
  } else {
    advance();
  }
  assign_hint_ = kAssignGivesNothing;
  made.values = parse_expr_list();
  if (places) add(block, begin, std::move(made));
}

void Parser::parse_compound(Block& block, Expr target, BinaryOp op) {
  uint32_t begin = target.span.begin;
  bool place = check_assignable(target);
  advance();
  assign_hint_ = kAssignGivesNothing;
  Expr value = parse_expr();
  if (place) add(block, begin, CompoundAssign{std::move(target), op, std::move(value)});
}

/// `expr` stands where a statement should; what is left of its line, or the block behind it, is
/// skipped.
void Parser::refuse_expression_statement(const Expr& expr) {
  if (panic_) return;
  std::string_view word = leading_name(expr);
  bool same_line = !tok_.newline_before && !at(TokenKind::End);
  bool before_block = at(TokenKind::LeftBrace) && same_line;
  bool compared = at(TokenKind::Equal);
  Span span = expr.span;
  if (binary_info(tok_.kind)) span = parse_binary_rest(Expr{expr.span, NilLit{}}, 1).span;
  if (panic_) return;
  std::string cast = cast_before(expr.span.begin);
  if (cast.empty() && same_line && at(TokenKind::Name)) cast = cast_before(expr.span.end);
  if (!cast.empty()) {
    fail(Code::ForeignSyntax, expr.span, "there are no casts").hints.push_back(std::move(cast));
    return;
  }
  std::string_view foreign = foreign_statement(word);
  bool alone = std::holds_alternative<Name>(expr.node) && span.end == expr.span.end;
  Code code = !foreign.empty() ? Code::ForeignSyntax
              : before_block   ? Code::BadStatement
                               : Code::ExpressionAsStatement;
  std::string text = !foreign.empty() ? fmt::format("'{}' is no word of the language", word)
                     : before_block   ? std::string("this cannot stand before a block")
                     : alone          ? fmt::format("the name '{}' alone is no statement", word)
                             : std::string("an expression that is not a call is no statement");
  Diagnostic& made = note(code, span, std::move(text));
  std::string meant =
      same_line && (before_block || word.size() > 3) ? meant_keyword(word) : std::string();
  if (!foreign.empty()) {
    made.hints.emplace_back(foreign);
  } else if (compared) {
    made.hints.emplace_back("to assign, write `=`");
  } else if (std::string_view rest = bare_arguments(
                 lexer_.text().substr(std::min<size_t>(tok_.span.begin, lexer_.text().size())));
             alone && same_line && word.substr(0, 5) == "print" && !rest.empty() &&
             offsets_ == nullptr &&
             (at(TokenKind::Name) || at(TokenKind::String) || at(TokenKind::Int) ||
              at(TokenKind::Float))) {
    made.hints.push_back(fmt::format("a call needs parentheses: {}({})", word, rest));
  } else if (alone && same_line && at(TokenKind::String)) {
    made.hints.push_back(fmt::format("a call needs parentheses: {}({})", word, tok_.text));
  } else if (alone && same_line && at(TokenKind::Colon)) {
    made.hints.emplace_back(next_byte() == '=' ? "to assign, write `=`"
                                               : "there are no methods: call t.f(x)");
  } else if (alone && same_line && at(TokenKind::Name) && assignment_follows(lexer_)) {
    made.hints.emplace_back("variables have no types; they are declared by `var`");
  } else if (!meant.empty()) {
    made.hints.push_back(std::move(meant));
  } else if (alone && (!same_line || at(TokenKind::RightBrace) || at(TokenKind::Semicolon))) {
    made.hints.push_back(fmt::format("a call needs parentheses: {}()", word));
  }
  if (before_block) {
    // The words of a switch would only be more of the same mistake.
    lexer_complained_ = false;
    if (word == "switch") {
      panic_ = true;
      skip_block();
      panic_ = false;
    } else {
      parse_block();
    }
  } else if (same_line && !at(TokenKind::RightBrace) && !at(TokenKind::Semicolon)) {
    panic_ = true;
  }
}

void Parser::parse_stray(Block& block) {
  if (!at(TokenKind::LeftBrace)) return parse_else_without_if(block);
  note(Code::BadStatement, tok_.span, "a block alone is no statement").hints.emplace_back("do { }");
  lexer_complained_ = false;
  parse_block();
}

void Parser::parse_bad_statement() {
  bool closing = at(TokenKind::RightParen) || at(TokenKind::RightBracket);
  TokenKind before = previous_;
  bool adjacent = previous_end_ == tok_.span.begin;
  Diagnostic& made = closing ? fail(Code::StrayClosing, tok_.span,
                                    fmt::format("this '{}' closes nothing", tok_.text))
                             : fail(Code::BadStatement, tok_.span,
                                    fmt::format("no statement begins with {}", found()));
  if (at(TokenKind::MinusMinus) || at(TokenKind::Slash) ||
      (adjacent && before == TokenKind::Slash)) {
    made.hints.emplace_back("a comment begins with '#'");
  } else if (at(TokenKind::PlusPlus)) {
    made.hints.emplace_back("the sign stands behind: x++");
  } else if (at(TokenKind::Equal)) {
    made.hints.emplace_back("to assign, write `=`");
  } else if (at(TokenKind::Colon)) {
    made.hints.emplace_back("there are no methods: call t.f(x)");
  }
}

}  // namespace ktap::syntax
