// The recursive-descent parser's state and functions, for the parser_*.cc files alone. One token is
// looked at, none ahead, so that a trace statement can take its event text as bytes.
//
// Mistakes: fail() reports and puts the parser into panic, in which nothing is consumed or reported
// until the statement loop has skipped to the next statement; note() reports and goes on, for
// mistakes that leave no doubt about what was meant. Both are silent in a statement that the lexer
// has already complained about.
//
// Depth: nesting is counted on the way down, chains (a + b + …, a.b.c…, f()()…) by the height of
// the tree on the way up; past either limit parsing ends. So no later step, nor a destructor, can
// run out of stack.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diag/diagnostic.h"
#include "syntax/ast.h"
#include "syntax/event_text.h"
#include "syntax/lexer.h"

namespace ktap::syntax {

constexpr std::string_view kAssignGivesNothing =
    "an assignment gives no value: write each as a statement";
constexpr std::string_view kMeansCompare = "to compare, write `==`";

class Parser {
 public:
  Parser(std::string_view text, diag::Sink& sink, uint32_t begin = 0,
         const std::vector<uint32_t>* offsets = nullptr);

  Script parse_script();
  ExprPtr parse_all_as_filter(std::string_view event_text) {
    ExprPtr globbed = glob_filter(event_text, lexer_.text(), 0, offsets_);
    return globbed != nullptr ? std::move(globbed) : parse_all_as_expression();
  }
  /// A filter, or the text of parse_expression: all of the text is one expression.
  ExprPtr parse_all_as_expression();

 private:
  /// One level of nesting as long as it lives.
  class Nest {
   public:
    explicit Nest(Parser& parser);
    ~Nest() { --parser_.depth_; }
    Nest(const Nest&) = delete;
    Nest& operator=(const Nest&) = delete;
    bool ok() const { return ok_; }

   private:
    Parser& parser_;
    bool ok_;
  };

  /// The part of a statement between its keyword and its body: `( … )`.
  struct Head {
    Span open;            ///< the `(`
    bool present = true;  ///< false: the parentheses are missing
    bool sloppy = false;  ///< something about the form was reported: do not report more of it
  };

  // -- parser.cc: tokens, mistakes, blocks
  void advance();
  bool at(TokenKind kind) const { return tok_.kind == kind; }
  bool at_name(std::string_view name) const { return at(TokenKind::Name) && tok_.text == name; }
  bool accept(TokenKind kind);
  bool expect(TokenKind kind, std::string_view after);
  bool expect_close(TokenKind kind, Span open);
  bool expect_name(Param& out, std::string_view what);
  Span since(uint32_t begin) const { return {begin, std::max(begin, previous_end_)}; }
  Span here() const;
  std::string found() const;
  bool hides_length(uint32_t at) const;
  /// A hint where `(TYPE)` ends before `at`, on its line; "" else.
  std::string cast_before(uint32_t at) const;
  diag::Diagnostic& fail(diag::Code code, Span span, std::string text);
  diag::Diagnostic& note(diag::Code code, Span span, std::string text);
  void stop(diag::Code code, Span span, std::string text);
  void set_height(int height, Span span);
  void synchronize(uint32_t begin);
  void skip_to_head_end();
  void skip_table_rest();
  void skip_block();
  /// The byte behind the token, NUL at the end.
  char next_byte() const {
    return lexer_.position() < lexer_.text().size() ? lexer_.text()[lexer_.position()] : '\0';
  }
  Block parse_block();
  void parse_lua_block(Block& block);

  // -- parser_expr.cc
  Expr parse_expr();
  Expr parse_binary(int lowest);
  Expr parse_binary_rest(Expr left, int lowest);
  Expr parse_concat_rest(Expr left);
  Expr parse_unary();
  Expr parse_operand();
  Expr parse_suffixed();
  Expr parse_suffixes(Expr head);
  Expr parse_call(Expr callee);
  Expr parse_index(Expr object);
  Expr parse_member(Expr object);
  Expr parse_paren();
  Expr parse_table();
  bool step_back_to_assignment();
  bool parse_table_item(TableCtor& table);
  Expr parse_function();
  std::vector<Expr> parse_expr_list(std::string_view assign_hint_behind_comma = {});
  Expr bad_expression();
  void refuse_arrow();
  std::unique_ptr<FunctionBody> parse_function_rest(std::string name);
  void parse_params(std::vector<Param>& params);
  Block parse_function_block();

  // -- parser_stmt.cc
  void parse_statement(Block& block);
  void parse_statement_node(Block& block);
  void parse_var(Block& block);
  void parse_function_statement(Block& block, uint32_t begin, bool is_local);
  void parse_return(Block& block);
  void parse_jump(Block& block);
  void parse_expression_statement(Block& block);
  void parse_assignment(Block& block, Expr first);
  void parse_compound(Block& block, Expr target, BinaryOp op);
  void refuse_expression_statement(const Expr& expr);
  void parse_stray(Block& block);
  bool parse_foreign_probe();
  bool parse_untraced_event(const EventTextScan& scan, uint32_t begin);
  bool parse_foreach();
  void parse_bad_statement();
  bool check_assignable(const Expr& target);
  template <class Node>
  void add(Block& block, uint32_t begin, Node node) {
    block.statements.push_back(Stmt{since(begin), std::move(node)});
  }

  // -- parser_control.cc
  void parse_if(Block& block);
  void parse_if_arms(If& made);
  void parse_while(Block& block);
  void parse_repeat(Block& block);
  void parse_do(Block& block);
  void parse_for(Block& block);
  void parse_numeric_for(Block& block, uint32_t begin, Head head, Param var);
  void parse_generic_for(Block& block, uint32_t begin, Head head, std::vector<Param> vars);
  bool take_iterator(Expr iterator, GenericFor& made);
  void parse_else_without_if(Block& block);
  Head open_head(std::string_view keyword, std::string_view form);
  void close_head(const Head& head);
  Expr parse_condition(Head& head, std::string_view keyword, std::string_view form);
  bool parse_body(Block& body, Head& head, std::string_view form);
  void parse_loop_body(Block& body, Head& head, std::string_view form);

  // -- parser_trace.cc
  void parse_trace(Block& block);
  void parse_timer(Block& block);
  void parse_trace_end(Block& block);
  void parse_event_text(Block& block, Trace made, uint32_t statement_begin, uint32_t text_begin);
  bool report_event_text(const EventTextScan& scan, TraceKind kind);
  void report_comment(Span place);
  bool check_event_list(std::string_view text, uint32_t begin, const Lexer& places, Span whole);
  void parse_quoted_trace(Block& block, uint32_t statement_begin);
  bool skip_misplaced_filter(Trace& made);
  void take_literal(Trace& made, const std::string& value, Span literal);
  void parse_handler(Trace& made);
  ExprPtr parse_filter(std::string_view event_text, std::string_view text, uint32_t begin,
                       const std::vector<uint32_t>* offsets);
  ExprPtr glob_filter(std::string_view event_text, std::string_view text, uint32_t begin,
                      const std::vector<uint32_t>* offsets);

  Lexer lexer_;
  diag::Sink& sink_;
  const std::vector<uint32_t>* offsets_;
  Token tok_;
  TokenKind previous_ = TokenKind::End;  ///< the token before tok_
  uint32_t previous_end_ = 0;            ///< where it ended
  bool panic_ = false;
  bool stopped_ = false;           ///< a limit was crossed: nothing more is read
  bool lexer_complained_ = false;  ///< in this statement
  /// What is meant by a `=` where a value ends, by the place that is read.
  std::string_view assign_hint_ = kMeansCompare;
  bool unclosed_reported_ = false;  ///< an unclosed brace explains all others
  Token operand_;                   ///< the first token of the last name with its suffixes
  uint32_t operand_at_ = 0;         ///< where it stands in the lexer's text
  uint32_t operand_after_ = 0;      ///< where the token before it ended
  int depth_ = 0;                   ///< of nesting
  int height_ = 0;                  ///< of the expression parsed last
  int peak_ = 0;                    ///< the highest expression of the function being parsed
  int loops_ = 0;                   ///< loops around, within this function
  uint32_t after_do_ =
      UINT32_MAX;              ///< a `while` that stands behind the body of a `do`, on its line
  int ends_owed_ = 0;          ///< bodies without braces, whose `end` may still come
  diag::Diagnostic unused_{};  ///< what fail() and note() give back when silent
};

/// The operator and its precedence (1 binds loosest), when `kind` is a binary one.
struct BinaryInfo {
  BinaryOp op;
  int precedence;
};
std::optional<BinaryInfo> binary_info(TokenKind kind);
/// `=` stands behind the token that was read last, on its line.
bool assignment_follows(const Lexer& lexer);
/// The operator of `+=` and its like.
std::optional<BinaryOp> compound_op(TokenKind kind);

}  // namespace ktap::syntax
