// Expressions: precedence climbing over one table of operators. `..` is right-associative and read
// as a list, so that a long chain of it costs no stack.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/chars.h"
#include "base/limits.h"
#include "syntax/foreign.h"
#include "syntax/parser_impl.h"

namespace ktap::syntax {

using diag::Code;
using diag::Diagnostic;

namespace {

constexpr int kConcatPrecedence = 8;

Expr leaf(Span span, decltype(Expr::node) node) { return Expr{span, std::move(node)}; }

ExprPtr boxed(Expr expr) { return std::make_unique<Expr>(std::move(expr)); }

}  // namespace

bool assignment_follows(const Lexer& lexer) {
  std::string_view rest = lexer.text().substr(lexer.position());
  size_t at = rest.find_first_not_of(" \t");
  return at != std::string_view::npos && rest[at] == '=' && rest.substr(at, 2) != "==";
}

std::optional<BinaryInfo> binary_info(TokenKind kind) {
  switch (kind) {
    case TokenKind::OrOr:
      return BinaryInfo{BinaryOp::Or, 1};
    case TokenKind::AndAnd:
      return BinaryInfo{BinaryOp::And, 2};
    case TokenKind::Equal:
      return BinaryInfo{BinaryOp::Eq, 3};
    case TokenKind::NotEqual:
      return BinaryInfo{BinaryOp::Ne, 3};
    case TokenKind::Less:
      return BinaryInfo{BinaryOp::Lt, 3};
    case TokenKind::LessEqual:
      return BinaryInfo{BinaryOp::Le, 3};
    case TokenKind::Greater:
      return BinaryInfo{BinaryOp::Gt, 3};
    case TokenKind::GreaterEqual:
      return BinaryInfo{BinaryOp::Ge, 3};
    case TokenKind::Tilde:
      return BinaryInfo{BinaryOp::Match, 3};
    case TokenKind::Pipe:
      return BinaryInfo{BinaryOp::BitOr, 4};
    case TokenKind::Caret:
      return BinaryInfo{BinaryOp::BitXor, 5};
    case TokenKind::Ampersand:
      return BinaryInfo{BinaryOp::BitAnd, 6};
    case TokenKind::ShiftLeft:
      return BinaryInfo{BinaryOp::Shl, 7};
    case TokenKind::ShiftRight:
      return BinaryInfo{BinaryOp::Shr, 7};
    case TokenKind::DotDot:
      return BinaryInfo{BinaryOp::Concat, kConcatPrecedence};
    case TokenKind::Plus:
      return BinaryInfo{BinaryOp::Add, 9};
    case TokenKind::Minus:
      return BinaryInfo{BinaryOp::Sub, 9};
    case TokenKind::Star:
      return BinaryInfo{BinaryOp::Mul, 10};
    case TokenKind::Slash:
      return BinaryInfo{BinaryOp::Div, 10};
    case TokenKind::Percent:
      return BinaryInfo{BinaryOp::Mod, 10};
    default:
      return std::nullopt;
  }
}

std::optional<BinaryOp> compound_op(TokenKind kind) {
  switch (kind) {
    case TokenKind::PlusAssign:
      return BinaryOp::Add;
    case TokenKind::MinusAssign:
      return BinaryOp::Sub;
    case TokenKind::StarAssign:
      return BinaryOp::Mul;
    case TokenKind::SlashAssign:
      return BinaryOp::Div;
    case TokenKind::PercentAssign:
      return BinaryOp::Mod;
    case TokenKind::AndAssign:
      return BinaryOp::BitAnd;
    case TokenKind::OrAssign:
      return BinaryOp::BitOr;
    case TokenKind::XorAssign:
      return BinaryOp::BitXor;
    case TokenKind::ShiftLeftAssign:
      return BinaryOp::Shl;
    case TokenKind::ShiftRightAssign:
      return BinaryOp::Shr;
    case TokenKind::ConcatAssign:
      return BinaryOp::Concat;
    default:
      return std::nullopt;
  }
}

/// An expression whose value is used; an assignment in its place is reported as such.
Expr Parser::parse_expr() {
  Expr expr = parse_binary(1);
  while (!panic_ && (at(TokenKind::Assign) || compound_op(tok_.kind))) {
    if (step_back_to_assignment()) break;
    Diagnostic& made = note(Code::AssignmentInExpression, tok_.span,
                            fmt::format("'{}' assigns, and an assignment is no value", tok_.text));
    if (at(TokenKind::Assign) || assign_hint_ == kAssignGivesNothing)
      made.hints.emplace_back(assign_hint_);
    int height = height_;
    advance();
    parse_binary(1);
    height_ = height;
  }
  peak_ = std::max(peak_, height_);
  return expr;
}

/// `x =` and in the next line `y = 1`: what is missing is the value in the first line. Goes back to
/// `y`, in panic.
bool Parser::step_back_to_assignment() {
  if (!operand_.newline_before || offsets_ != nullptr || lexer_complained_) return false;
  if (operand_.span.end != previous_end_) return false;
  fail(Code::ExpectedExpression, {operand_after_, operand_after_},
       "expected an expression, found the end of the line");
  tok_ = operand_;
  previous_end_ = operand_after_;
  lexer_.seek(operand_at_ + static_cast<uint32_t>(tok_.text.size()));
  return true;
}

Expr Parser::parse_binary(int lowest) { return parse_binary_rest(parse_unary(), lowest); }

Expr Parser::parse_binary_rest(Expr left, int lowest) {
  while (!panic_) {
    std::optional<BinaryInfo> info = binary_info(tok_.kind);
    if (!info || info->precedence < lowest) break;
    if (info->op == BinaryOp::Concat) {
      left = parse_concat_rest(std::move(left));
      continue;
    }
    Span op_span = tok_.span;
    int left_height = height_;
    advance();
    Expr right = parse_binary(info->precedence + 1);
    Span span{left.span.begin, std::max(left.span.end, right.span.end)};
    set_height(std::max(left_height, height_) + 1, op_span);
    left = Expr{span, Binary{info->op, op_span, boxed(std::move(left)), boxed(std::move(right))}};
  }
  return left;
}

/// `left .. b .. c …`, the parser being at the first `..`.
Expr Parser::parse_concat_rest(Expr left) {
  std::vector<Expr> parts;
  std::vector<Span> signs;
  int highest = height_;
  parts.push_back(std::move(left));
  while (!panic_ && at(TokenKind::DotDot)) {
    signs.push_back(tok_.span);
    advance();
    parts.push_back(parse_binary(kConcatPrecedence + 1));
    highest = std::max(highest, height_);
    set_height(highest + static_cast<int>(signs.size()), signs.back());
  }
  if (stopped_) return std::move(parts.front());
  Expr whole = std::move(parts.back());
  for (size_t i = signs.size(); i-- > 0;) {
    Span span{parts[i].span.begin, std::max(parts[i].span.end, whole.span.end)};
    whole = Expr{span, Binary{BinaryOp::Concat, signs[i], boxed(std::move(parts[i])),
                              boxed(std::move(whole))}};
  }
  return whole;
}

Expr Parser::parse_unary() {
  UnaryOp op;
  switch (tok_.kind) {
    case TokenKind::Minus:
      op = UnaryOp::Neg;
      break;
    case TokenKind::Bang:
      op = UnaryOp::Not;
      break;
    case TokenKind::Tilde:
      op = UnaryOp::BitNot;
      break;
    default:
      return parse_operand();
  }
  uint32_t begin = tok_.span.begin;
  if (panic_) return bad_expression();
  Nest nest(*this);
  if (!nest.ok()) return bad_expression();
  advance();
  if (op == UnaryOp::Neg && tok_.is_two_to_63) {
    advance();
    height_ = 1;
    return leaf(since(begin), IntLit{std::numeric_limits<int64_t>::min()});
  }
  Expr operand = parse_unary();
  Span span{begin, std::max(begin, operand.span.end)};
  set_height(height_ + 1, span);
  return Expr{span, Unary{op, boxed(std::move(operand))}};
}

Expr Parser::parse_operand() {
  if (panic_) return bad_expression();
  height_ = 1;
  Span span = tok_.span;
  switch (tok_.kind) {
    case TokenKind::Nil:
      advance();
      return leaf(span, NilLit{});
    case TokenKind::True:
      advance();
      return leaf(span, BoolLit{true});
    case TokenKind::False:
      advance();
      return leaf(span, BoolLit{false});
    case TokenKind::Int: {
      if (tok_.is_two_to_63) {
        note(Code::IntegerTooLarge, span, "the integer is larger than 9223372036854775807");
      }
      IntLit value{tok_.int_value};
      advance();
      return leaf(span, value);
    }
    case TokenKind::Float: {
      FloatLit value{tok_.float_value};
      advance();
      return leaf(span, value);
    }
    case TokenKind::String: {
      StringLit value{std::move(tok_.string_value)};
      advance();
      return leaf(span, std::move(value));
    }
    case TokenKind::Function:
      return parse_function();
    case TokenKind::LeftBrace:
      return parse_table();
    case TokenKind::Name:
    case TokenKind::LeftParen:
      return parse_suffixed();
    default:
      return bad_expression();
  }
}

/// A name or a parenthesis with all the calls, indexes and members behind it.
Expr Parser::parse_suffixed() {
  if (panic_) return bad_expression();
  height_ = 1;
  if (at(TokenKind::LeftParen)) return parse_suffixes(parse_paren());
  Expr name = leaf(tok_.span, Name{std::string(tok_.text)});
  operand_ = tok_;
  operand_at_ = lexer_.position() - static_cast<uint32_t>(tok_.text.size());
  operand_after_ = previous_end_;
  advance();
  return parse_suffixes(std::move(name));
}

Expr Parser::parse_suffixes(Expr head) {
  while (!panic_) {
    if (at(TokenKind::LeftParen) && !tok_.newline_before) {
      head = parse_call(std::move(head));
    } else if (at(TokenKind::LeftBracket)) {
      head = parse_index(std::move(head));
    } else if (at(TokenKind::Dot)) {
      head = parse_member(std::move(head));
    } else {
      break;
    }
  }
  return head;
}

Expr Parser::parse_call(Expr callee) {
  int height = height_;
  Span open = tok_.span;
  uint32_t begin = callee.span.begin;
  Call call{boxed(std::move(callee)), {}};
  Nest nest(*this);
  if (!nest.ok()) return Expr{since(begin), std::move(call)};
  advance();
  if (!at(TokenKind::RightParen) && !at(TokenKind::End)) {
    std::string_view outer = std::exchange(assign_hint_, "arguments have no names: f(1, 2)");
    call.args = parse_expr_list();
    assign_hint_ = outer;
    height = std::max(height, height_);
  }
  expect_close(TokenKind::RightParen, open);
  Span span = since(begin);
  set_height(height + 1, span);
  return Expr{span, std::move(call)};
}

Expr Parser::parse_index(Expr object) {
  int height = height_;
  Span open = tok_.span;
  uint32_t begin = object.span.begin;
  Index index{boxed(std::move(object)), {}};
  Nest nest(*this);
  if (!nest.ok()) return Expr{since(begin), std::move(index)};
  advance();
  index.keys = parse_expr_list();
  height = std::max(height, height_);
  expect_close(TokenKind::RightBracket, open);
  Span span = since(begin);
  if (index.keys.size() > limits::kMaxKeyParts) {
    note(Code::TooManyKeyParts, span,
         fmt::format("the key has {} parts, at most {} are possible", index.keys.size(),
                     limits::kMaxKeyParts));
  }
  set_height(height + 1, span);
  return Expr{span, std::move(index)};
}

Expr Parser::parse_member(Expr object) {
  uint32_t begin = object.span.begin;
  advance();
  Member member{boxed(std::move(object)), "", tok_.span};
  if (tok_.is_word()) {
    member.name = tok_.text;
    advance();
  } else {
    fail(Code::ExpectedToken, here(), fmt::format("expected a name after '.', found {}", found()));
  }
  Span span = since(begin);
  set_height(height_ + 1, span);
  return Expr{span, std::move(member)};
}

Expr Parser::parse_paren() {
  Span open = tok_.span;
  Nest nest(*this);
  if (!nest.ok()) return bad_expression();
  advance();
  Expr inner = parse_expr();
  expect_close(TokenKind::RightParen, open);
  Span span = since(open.begin);
  set_height(height_ + 1, span);
  return Expr{span, Paren{boxed(std::move(inner))}};
}

Expr Parser::parse_table() {
  TableCtor table;
  Span open = tok_.span;
  Nest nest(*this);
  if (!nest.ok()) return bad_expression();
  advance();
  int height = 0;
  bool complained = false;
  while (!panic_ && !at(TokenKind::RightBrace) && !at(TokenKind::End)) {
    bool more = parse_table_item(table);
    height = std::max(height, height_);
    bool another = at(TokenKind::Name) || at(TokenKind::LeftBracket) || at(TokenKind::String) ||
                   at(TokenKind::Int);
    if (!more && !another) break;
    if (!more && !complained) {
      note(Code::ExpectedToken, here(),
           fmt::format("expected ',' between two items of a table, found {}", found()));
      complained = true;
    }
  }
  if (!panic_) expect_close(TokenKind::RightBrace, open);
  if (panic_) skip_table_rest();
  Span span = since(open.begin);
  set_height(height + 1, span);
  return Expr{span, std::move(table)};
}

/// One item and the separator behind it; false when there was none, so that the table must end.
bool Parser::parse_table_item(TableCtor& table) {
  TableItem item;
  int height = 0;
  if (at(TokenKind::LeftBracket)) {
    Span open = tok_.span;
    advance();
    item.key = boxed(parse_expr());
    height = height_;
    expect_close(TokenKind::RightBracket, open);
    expect(TokenKind::Assign, "after the key");
    item.value = boxed(parse_expr());
  } else {
    bool word = tok_.is_word() && !at(TokenKind::Name);
    std::string spelling(tok_.text);
    Expr first = parse_binary(1);
    height = height_;
    const Name* name = std::get_if<Name>(&first.node);
    bool keyed = !panic_ && (at(TokenKind::Assign) || at(TokenKind::Colon));
    if (keyed && at(TokenKind::Colon)) {
      note(Code::ForeignSyntax, tok_.span, "a key and its value are joined by '='")
          .hints.emplace_back("{ key = value, [\"any key\"] = value }");
    } else if (keyed && name == nullptr) {
      Diagnostic& made = note(word ? Code::KeywordAsName : Code::AssignmentInExpression, first.span,
                              "a key that is no plain name stands in brackets");
      made.hints.push_back(word ? fmt::format("[\"{}\"] = value", spelling) : "[key] = value");
    }
    if (keyed) {
      advance();
      item.key = name == nullptr ? boxed(std::move(first))
                                 : boxed(Expr{first.span, StringLit{name->name}});
      item.value = boxed(parse_expr());
    } else {
      item.value = boxed(std::move(first));
    }
  }
  height_ = std::max(height, height_);
  peak_ = std::max(peak_, height_);
  table.items.push_back(std::move(item));
  return accept(TokenKind::Comma) || accept(TokenKind::Semicolon);
}

std::vector<Expr> Parser::parse_expr_list(std::string_view assign_hint_behind_comma) {
  std::vector<Expr> list;
  int height = 0;
  do {
    list.push_back(parse_expr());
    height = std::max(height, height_);
    if (!assign_hint_behind_comma.empty()) assign_hint_ = assign_hint_behind_comma;
  } while (accept(TokenKind::Comma));
  height_ = height;
  return list;
}

Expr Parser::parse_function() {
  uint32_t begin = tok_.span.begin;
  advance();
  if (at(TokenKind::Name)) {
    note(Code::ExpectedToken, tok_.span,
         fmt::format("expected '(', found {}: a function that is a value has no name", found()));
    advance();
  }
  Function function{parse_function_rest("")};
  return Expr{since(begin), std::move(function)};
}

/// Parameters and body. Sets the height to that of the highest expression inside.
std::unique_ptr<FunctionBody> Parser::parse_function_rest(std::string name) {
  auto body = std::make_unique<FunctionBody>();
  body->name = std::move(name);
  parse_params(body->params);
  body->body = parse_function_block();
  return body;
}

void Parser::parse_params(std::vector<Param>& params) {
  Span open = tok_.span;
  if (!expect(TokenKind::LeftParen, "before the parameters")) return;
  if (!at(TokenKind::RightParen)) {
    do {
      if (at(TokenKind::DotDot)) {
        fail(Code::ForeignSyntax, tok_.span, "functions have no variable number of parameters");
      }
      Param param;
      if (!expect_name(param, "a parameter's name")) break;
      params.push_back(std::move(param));
    } while (accept(TokenKind::Comma));
  }
  if (!panic_ && at(TokenKind::Colon)) {
    fail(Code::ExpectedToken, here(), "expected ',' or ')' after a parameter's name, found ':'")
        .hints.emplace_back("parameters have no types");
  }
  if (!panic_) expect_close(TokenKind::RightParen, open);
  if (panic_) skip_to_head_end();
}

/// The body of a function or handler: loops and the height of expressions are its own.
Block Parser::parse_function_block() {
  int loops = std::exchange(loops_, 0);
  int peak = std::exchange(peak_, 0);
  Block block;
  Head head;
  parse_body(block, head, "function f(a, b) { }");
  loops_ = loops;
  height_ = peak_;
  peak_ = std::max(peak, peak_);
  set_height(height_ + 1, block.span);
  return block;
}

Expr Parser::bad_expression() {
  Span span = tok_.span;
  height_ = 1;
  if (panic_) return leaf(span, NilLit{});
  TokenKind before = previous_;
  bool adjacent = previous_end_ == span.begin;
  if (tok_.is_word() && assignment_follows(lexer_)) {
    fail(Code::KeywordAsName, span, fmt::format("the keyword '{}' cannot be a name", tok_.text))
        .hints.push_back(fmt::format("a key in a table: [\"{}\"] = value", tok_.text));
    advance();
    return leaf(span, NilLit{});
  }
  if (at(TokenKind::Greater) && adjacent && before == TokenKind::Minus) {
    refuse_arrow();
    return leaf(span, NilLit{});
  }
  Diagnostic& made = fail(Code::ExpectedExpression, here(),
                          fmt::format("expected an expression, found {}", found()));
  if (at(TokenKind::MinusMinus) ||
      (adjacent && before == TokenKind::Slash && (at(TokenKind::Slash) || at(TokenKind::Star)))) {
    made.hints.emplace_back("a comment begins with '#'");
  } else if (hides_length(previous_end_)) {
    made.hints.emplace_back("'#' begins a comment; the length of t is len(t)");
  } else if (before == TokenKind::Star &&
             (at(TokenKind::End) || at(TokenKind::AndAnd) || at(TokenKind::OrOr))) {
    made.hints.emplace_back("a glob stands in quotes: execname ~ \"ba*\"");
  } else if (std::string cast = before == TokenKind::Star && at(TokenKind::RightParen)
                                    ? cast_before(span.end)
                                    : "";
             !cast.empty()) {
    made.hints.push_back(std::move(cast));
  } else if (at(TokenKind::PlusPlus)) {
    made.hints.emplace_back("x++ is a statement of its own");
  } else if (at(TokenKind::Dot)) {
    made.hints.emplace_back("a float begins with a digit: 0.5");
  } else if (at(TokenKind::Assign) && before == TokenKind::Equal) {
    made.hints.emplace_back("equality is `==`");
  } else if (at(TokenKind::Greater) && adjacent && before == TokenKind::Less) {
    made.hints.emplace_back("inequality is `!=`");
  } else if (at(TokenKind::LeftBracket)) {
    made.hints.emplace_back("a list is a table: { 1, 2, 3 }");
  } else if (at(TokenKind::Ampersand)) {
    made.hints.emplace_back("there are no addresses of variables");
  } else if (at(TokenKind::Plus) && adjacent && before == TokenKind::Assign) {
    made.hints.emplace_back("to add, write `x += 1`");
  }
  return leaf(span, NilLit{});
}

/// `args->fd`: the parser is at the `>`.
void Parser::refuse_arrow() {
  Diagnostic& made = fail(Code::ForeignSyntax, {previous_end_ - 1, tok_.span.end},
                          "there is no '->' in the language");
  const std::string_view rest = lexer_.text().substr(lexer_.position());
  size_t end = 0;
  while (end < rest.size() && is_name_part(rest[end])) ++end;
  const std::string_view object = operand_.text;
  if (object == "self" || object == "this") {
    made.hints.push_back(fmt::format("'{}' is {}", object, foreign_name(object)));
  } else if (end > 0 && !object.empty()) {
    made.hints.push_back(
        fmt::format("a member stands behind a dot: {}.{}", object, rest.substr(0, end)));
    made.fixes.push_back({made.span, "."});
  }
}

}  // namespace ktap::syntax
