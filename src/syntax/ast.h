// The syntax tree: what the parser makes and the compiler reads. Plain data; a node is a variant,
// so a forgotten case does not compile. Every node knows its span.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "diag/source.h"

namespace ktap::syntax {

using diag::Span;

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;

struct Block {
  Span span;
  std::vector<Stmt> statements;
};

// ---- expressions
// ----------------------------------------------------------------------------------------

enum class UnaryOp : uint8_t { Neg, Not, BitNot };
enum class BinaryOp : uint8_t {
  Or,
  And,
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  Match,
  BitOr,
  BitXor,
  BitAnd,
  Shl,
  Shr,
  Concat,
  Add,
  Sub,
  Mul,
  Div,
  Mod,
};

struct NilLit {};
struct BoolLit {
  bool value;
};
struct IntLit {
  int64_t value;
};
struct FloatLit {
  double value;
};
struct StringLit {
  std::string value;
};
/// A bare name: variable, built-in variable, built-in function, library, or (in a filter) field or
/// word.
struct Name {
  std::string name;
};
/// `object[key]`, `object[k1, k2]`.
struct Index {
  ExprPtr object;
  std::vector<Expr> keys;
};
/// `object.name`.
struct Member {
  ExprPtr object;
  std::string name;
  Span name_span;
};
struct Call {
  ExprPtr callee;
  std::vector<Expr> args;
};
struct Unary {
  UnaryOp op;
  ExprPtr operand;
};
struct Binary {
  BinaryOp op;
  Span op_span;
  ExprPtr left;
  ExprPtr right;
};
struct Param {
  std::string name;
  Span span;
};
/// Shared by function expressions, function statements and handler bodies.
struct FunctionBody {
  std::string name;  ///< "" for an anonymous one
  std::vector<Param> params;
  Block body;
};
struct Function {
  std::unique_ptr<FunctionBody> body;
};
struct TableItem {
  ExprPtr key;  ///< null: next list position. `k = v` is a StringLit key
  ExprPtr value;
};
struct TableCtor {
  std::vector<TableItem> items;
};
/// `(e)`: kept, since it cuts a call to one result.
struct Paren {
  ExprPtr inner;
};

struct Expr {
  Span span;
  std::variant<NilLit, BoolLit, IntLit, FloatLit, StringLit, Name, Index, Member, Call, Unary,
               Binary, Function, TableCtor, Paren>
      node;
};

// ---- statements
// -----------------------------------------------------------------------------------------

struct VarDecl {
  std::vector<Param> names;
  std::vector<Expr> values;
};
struct Assign {
  std::vector<Expr> targets;
  std::vector<Expr> values;
};
/// `target OP= value`; `x++` is `x += 1`, `x--` is `x -= 1`.
struct CompoundAssign {
  Expr target;
  BinaryOp op;
  Expr value;
};
/// `target <<< value`.
struct AggregateAdd {
  Expr target;
  Expr value;
};
struct CallStmt {
  Expr call;
};
struct IfArm {
  Expr condition;
  Block body;
};
struct If {
  std::vector<IfArm> arms;
  std::optional<Block> otherwise;
};
struct While {
  Expr condition;
  Block body;
};
struct Repeat {
  Block body;
  Expr until;
};  ///< `until` sees the body's variables
struct NumericFor {
  Param var;
  Expr first;
  Expr last;
  std::optional<Expr> step;
  Block body;
};
enum class IterKind : uint8_t { Pairs, SortPairs, SortKeys };
struct GenericFor {
  std::vector<Param> vars;
  IterKind kind;
  diag::Span iterator;  ///< the word `pairs`, `sort_pairs` or `sort_keys`
  Expr table;
  std::optional<Expr> compare;
  Block body;
};
struct Do {
  Block body;
};
struct Break {};
struct Continue {};
struct Return {
  std::vector<Expr> values;
};
/// `function a.b.c(…) { }`: a name, then members. `local function f` is is_local with an empty
/// path.
struct FunctionStmt {
  bool is_local;
  Param name;
  std::vector<Param> path;
  std::unique_ptr<FunctionBody> body;
};

enum class TraceKind : uint8_t { Event, Tick, Profile, End };
/// Every registering statement of the language.
///   trace sched:sched_switch /prev_pid > 0/ { … }   event_text "sched:sched_switch", filter,
///   handler trace "syscalls:*" function (e) { … }           the same; text_expr is null, the
///   literal was split trace (expr) { … } / trace "x".."y" fn          text_expr; a filter inside
///   is found at run time tick-10ms { … }, profile-99hz { … }             event_text "tick-10ms"
///   trace_end { … }                                 event_text ""
struct Trace {
  TraceKind kind;
  std::string event_text;  ///< without the filter and blanks around
  Span event_span;
  ExprPtr text_expr;  ///< null unless computed
  ExprPtr filter;     ///< null when there is none
  std::unique_ptr<FunctionBody>
      body;          ///< block form, or an inline `function (e) { }`; block form has no params
  ExprPtr function;  ///< `trace "EVENT" fname`: an expression that gives the handler
};

struct Stmt {
  Span span;
  std::variant<VarDecl, Assign, CompoundAssign, AggregateAdd, CallStmt, If, While, Repeat,
               NumericFor, GenericFor, Do, Break, Continue, Return, FunctionStmt, Trace>
      node;
};

struct Script {
  Block body;
};

}  // namespace ktap::syntax
