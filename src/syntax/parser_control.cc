// Control structures. Heads without parentheses, bodies without braces and the forms of Lua and C
// are reported once each and read as what they were meant to be.
#include <fmt/format.h>

#include <algorithm>

#include "syntax/parser_impl.h"

namespace ktap::syntax {

using diag::Code;
using diag::Diagnostic;

Parser::Head Parser::open_head(std::string_view keyword, std::string_view form) {
  Head head;
  head.open = tok_.span;
  head.present = at(TokenKind::LeftParen);
  if (head.present) {
    advance();
  } else {
    head.sloppy = true;
    note(Code::MissingParenthesis, tok_.span,
         fmt::format("expected '(' after '{}', found {}", keyword, found()))
        .hints.emplace_back(form);
  }
  return head;
}

void Parser::close_head(const Head& head) {
  if (!panic_ && head.present && !at(TokenKind::RightParen)) {
    bool end = at(TokenKind::End);
    Diagnostic& made = end || !at(TokenKind::LeftBrace)
                           ? fail(end ? Code::Unclosed : Code::ExpectedToken, here(),
                                  fmt::format("expected ')', found {}", found()))
                           : note(Code::ExpectedToken, tok_.span, "expected ')', found '{'");
    made.notes.push_back({head.open, "to close this"});
  } else if (!panic_ && head.present) {
    advance();
  }
  if (panic_ && !stopped_) skip_to_head_end();
}

Expr Parser::parse_condition(Head& head, std::string_view keyword, std::string_view form) {
  head = open_head(keyword, form);
  Expr condition = parse_expr();
  close_head(head);
  return condition;
}

/// `{ … }`, or what people write in its place. True when it was the block of Lua, which `else` or
/// `end` closes.
bool Parser::parse_body(Block& body, Head& head, std::string_view form) {
  if (panic_) return false;
  if (head.present && binary_info(tok_.kind) && !tok_.newline_before) {
    // `if (a) && (b) {`: the parentheses were those of an operand.
    note(Code::MissingParenthesis, tok_.span, "the parentheses must hold the whole condition")
        .hints.emplace_back(form);
    head.sloppy = true;
    parse_binary_rest(Expr{tok_.span, NilLit{}}, 1);
    if (panic_) skip_to_head_end();
    if (panic_) return false;
  }
  if (at(TokenKind::LeftBrace)) {
    body = parse_block();
    return false;
  }
  bool lua = at_name("then") || at(TokenKind::Do);
  if (!head.sloppy) {
    note(lua ? Code::ForeignSyntax : Code::MissingBrace, here(),
         fmt::format("expected '{{' before the body, found {}", found()))
        .hints.emplace_back(form);
  }
  if (at(TokenKind::Colon)) advance();  // Python's, and told
  if (lua) {
    advance();
    parse_lua_block(body);
    return true;
  }
  ++ends_owed_;
  bool nothing = at(TokenKind::End) || at(TokenKind::RightBrace);
  Nest nest(*this);
  if (nest.ok() && !nothing) parse_statement(body);
  return false;
}

void Parser::parse_loop_body(Block& body, Head& head, std::string_view form) {
  ++loops_;
  parse_body(body, head, form);
  --loops_;
}

void Parser::parse_if(Block& block) {
  uint32_t begin = tok_.span.begin;
  If made;
  parse_if_arms(made);
  if (!panic_) add(block, begin, std::move(made));
}

/// From an `if` or `elseif` on, to the end of the whole statement.
void Parser::parse_if_arms(If& made) {
  constexpr std::string_view kForm = "if (c) { } elseif (c) { } else { }";
  bool arm = true;
  while (arm) {
    std::string keyword(tok_.text);
    advance();
    Head head;
    Expr condition = parse_condition(head, keyword, kForm);
    if (panic_) return;
    Block body;
    bool lua = parse_body(body, head, kForm);
    made.arms.push_back({std::move(condition), std::move(body)});
    if (panic_) return;
    arm = at(TokenKind::Elseif);
    if ((at_name("elif") || at_name("elsif") || at_name("elsefi")) && !tok_.newline_before) {
      note(Code::ForeignSyntax, tok_.span,
           fmt::format("'{}' is no word of the language", tok_.text))
          .hints.emplace_back("elseif (c) { }");
      arm = true;
    }
    if (at(TokenKind::Else)) {
      advance();
      arm = at(TokenKind::If);
      if (arm) continue;
      Block& otherwise = made.otherwise.emplace();
      Head none;
      if (lua && !at(TokenKind::LeftBrace)) {
        parse_lua_block(otherwise);
      } else {
        parse_body(otherwise, none, kForm);
      }
    }
  }
}

void Parser::parse_while(Block& block) {
  constexpr std::string_view kForm = "while (c) { }";
  uint32_t begin = tok_.span.begin;
  const bool is_tail = begin == after_do_;
  advance();
  Head head;
  Expr condition = parse_condition(head, "while", kForm);
  if (panic_) return;
  if (is_tail && !at(TokenKind::LeftBrace) && (tok_.newline_before || !at(TokenKind::Do))) {
    note(Code::MissingBrace, here(), "this 'while' has no body")
        .hints.emplace_back(
            "a loop that tests last is repeat { } until (c), which ends once c holds");
    return;
  }
  While made{std::move(condition), {}};
  parse_loop_body(made.body, head, kForm);
  add(block, begin, std::move(made));
}

void Parser::parse_repeat(Block& block) {
  constexpr std::string_view kForm = "repeat { } until (c)";
  uint32_t begin = tok_.span.begin;
  Span keyword = tok_.span;
  advance();
  Repeat made;
  bool braces = at(TokenKind::LeftBrace);
  if (at(TokenKind::LeftBrace)) {
    ++loops_;
    made.body = parse_block();
    --loops_;
  } else {
    note(Code::MissingBrace, here(), fmt::format("expected '{{' after 'repeat', found {}", found()))
        .hints.emplace_back(kForm);
    ++loops_;
    parse_lua_block(made.body);
    --loops_;
  }
  if (!at(TokenKind::Until)) {
    if (stopped_ || unclosed_reported_) return;
    lexer_complained_ = lexer_complained_ && tok_.after_error;
    Diagnostic& missing = fail(Code::ExpectedToken, here(),
                               fmt::format("expected 'until' after the body, found {}", found()));
    missing.notes.push_back({keyword, "of this"});
    panic_ = stopped_;  // what follows is a statement of its own
    return;
  }
  if (!braces) lexer_complained_ = true;  // one message about the form is enough
  advance();
  Head head;
  made.until = parse_condition(head, "until", kForm);
  if (!panic_) add(block, begin, std::move(made));
}

void Parser::parse_do(Block& block) {
  uint32_t begin = tok_.span.begin;
  advance();
  Do made;
  if (at(TokenKind::LeftBrace)) {
    made.body = parse_block();
    if (at(TokenKind::While) && !tok_.newline_before) after_do_ = tok_.span.begin;
  } else {
    note(Code::MissingBrace, here(), fmt::format("expected '{{' after 'do', found {}", found()))
        .hints.emplace_back("do { }");
    parse_lua_block(made.body);
  }
  add(block, begin, std::move(made));
}

namespace {
constexpr std::string_view kNumericForm = "for (i = first, last[, step]) { }";
constexpr std::string_view kGenericForm = "for (k, v in pairs(t)) { }";
}  // namespace

void Parser::parse_for(Block& block) {
  uint32_t begin = tok_.span.begin;
  advance();
  Head head = open_head("for", "for (i = first, last) { }, for (k, v in pairs(t)) { }");
  if (at(TokenKind::Var)) {
    note(Code::ForeignSyntax, tok_.span,
         fmt::format("'for' declares its variables itself, without '{}'", tok_.text))
        .hints.emplace_back(kNumericForm);
    lexer_complained_ = true;  // one message about this head is enough
    advance();
  }
  std::vector<Param> vars;
  do {
    Param var;
    if (!expect_name(var, "a loop variable's name")) break;
    vars.push_back(std::move(var));
  } while (accept(TokenKind::Comma));
  if (!panic_ && vars.size() == 1 && at(TokenKind::Assign)) {
    return parse_numeric_for(block, begin, head, std::move(vars.front()));
  }
  if (!panic_ && at_name("in")) return parse_generic_for(block, begin, head, std::move(vars));
  if (!panic_) {
    fail(Code::ExpectedToken, here(),
         fmt::format("expected '=' or 'in' after the loop variable, found {}", found()))
        .hints.emplace_back(vars.size() > 1 ? kGenericForm : kNumericForm);
  }
  skip_to_head_end();
  if (panic_) return;
  Block body;
  parse_loop_body(body, head, kNumericForm);
}

void Parser::parse_numeric_for(Block& block, uint32_t begin, Head head, Param var) {
  advance();
  NumericFor made{std::move(var), parse_expr(), {}, std::nullopt, {}};
  if (at(TokenKind::Semicolon) && !panic_) {
    fail(Code::CStyleFor, tok_.span,
         "a loop over numbers has a first and a last value, not the three parts of C")
        .hints.emplace_back(fmt::format(
            "for ({} = first, last[, step]) {{ }}: the last value is included", made.var.name));
  } else if (expect(TokenKind::Comma, "and the last value after the first")) {
    made.last = parse_expr();
    if (accept(TokenKind::Comma)) made.step.emplace(parse_expr());
  }
  close_head(head);
  if (panic_) return;
  parse_loop_body(made.body, head, kNumericForm);
  add(block, begin, std::move(made));
}

void Parser::parse_generic_for(Block& block, uint32_t begin, Head head, std::vector<Param> vars) {
  advance();
  GenericFor made{std::move(vars), IterKind::Pairs, {}, {}, std::nullopt, {}};
  Expr iterator = parse_expr();
  if (!panic_) take_iterator(std::move(iterator), made);
  close_head(head);
  if (panic_) return;
  parse_loop_body(made.body, head, kGenericForm);
  add(block, begin, std::move(made));
}

/// `pairs(t)`, `sort_pairs(t[, cmp])` or `sort_keys(t[, cmp])`, taken apart.
bool Parser::take_iterator(Expr iterator, GenericFor& made) {
  auto* call = std::get_if<Call>(&iterator.node);
  const auto* name = call == nullptr ? nullptr : std::get_if<Name>(&call->callee->node);
  bool sorted = name != nullptr && (name->name == "sort_pairs" || name->name == "sort_keys");
  if (!sorted && (name == nullptr || name->name != "pairs")) {
    Diagnostic& bad = note(Code::BadIterator, iterator.span,
                           "a loop walks pairs(t), sort_pairs(t) or sort_keys(t)");
    if (name != nullptr) {
      std::string meant =
          name->name == "ipairs"
              ? "did you mean 'pairs'?"
              : diag::did_you_mean(name->name, {"pairs", "sort_pairs", "sort_keys"});
      if (!meant.empty()) bad.hints.push_back(std::move(meant));
    } else {
      bad.hints.emplace_back(kGenericForm);
    }
    return false;
  }
  size_t most = sorted ? 2 : 1;
  if (call->args.empty() || call->args.size() > most) {
    note(Code::BadIterator, iterator.span,
         fmt::format("'{}' takes {}", name->name,
                     sorted ? "a table and perhaps a comparing function" : "one table"));
    return false;
  }
  if (sorted) made.kind = name->name == "sort_pairs" ? IterKind::SortPairs : IterKind::SortKeys;
  made.iterator = call->callee->span;
  made.table = std::move(call->args[0]);
  if (call->args.size() > 1) made.compare.emplace(std::move(call->args[1]));
  return true;
}

void Parser::parse_else_without_if(Block& block) {
  uint32_t begin = tok_.span.begin;
  std::string keyword(tok_.text);
  std::string_view opening = at(TokenKind::Until) ? "repeat" : "if";
  note(Code::ElseWithoutIf, tok_.span,
       fmt::format("this '{}' has no '{}' before it", keyword, opening));
  lexer_complained_ = true;  // one message about it is enough
  If made;
  if (at(TokenKind::Until)) {
    advance();
    Head head;
    parse_condition(head, keyword, "");
    return;
  }
  if (at(TokenKind::Else)) {
    advance();
    if (!at(TokenKind::If)) {
      Head head;
      head.sloppy = true;
      parse_body(made.otherwise.emplace(), head, "");
      return;
    }
  }
  parse_if_arms(made);
  if (!panic_) add(block, begin, std::move(made));
}

}  // namespace ktap::syntax
