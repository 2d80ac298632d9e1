// Tree → code: the second walk, which knows every name. Values are made in the register that asks
// for them; a register is a variable or a temporary on a stack above the variables. A variable's
// register is written only by the last instruction of an assignment, so an expression may read it
// until then. Its members are spread over names.cc, expressions.cc, conditions.cc, calls.cc,
// assignments.cc, statements.cc, loops.cc and trace.cc.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bytecode/chunk.h"
#include "compiler/analysis.h"
#include "compiler/scope.h"
#include "diag/diagnostic.h"
#include "schema/builtin_vars.h"
#include "syntax/ast.h"

namespace ktap::compiler {

/// What a name, or `library.member`, stands for.
struct Meaning {
  enum class Kind : uint8_t {
    Local,
    Upvalue,
    Global,
    EventVar,
    Builtin,
    Library,
    Args,
    Iteration,
    EventField,
    Unknown,
  } kind = Kind::Unknown;
  int index = 0;                       ///< Local: register; Upvalue; Global: slot
  const Variable* variable = nullptr;  ///< Local
  schema::BuiltinVar event_var{};      ///< EventVar
  bytecode::Builtin builtin{};         ///< Builtin
};

/// What is known of a value's type before anything runs.
enum class KnownType : uint8_t { Unknown, Nil, Boolean, Integer, Float, String, Table, Function };

/// Something assignable, with everything evaluated that stands in it.
struct Target {
  enum class Kind : uint8_t { Invalid, Local, Upvalue, Global, Index, Field } kind = Kind::Invalid;
  int index = 0;  ///< register, upvalue or slot; Index, Field: the object's register
  int key = 0;    ///< Index: register; Field: constant
};

class Generator {
 public:
  Generator(const diag::Source& source, diag::Sink& sink, const Analysis& analysis)
      : source_(source), sink_(sink), analysis_(analysis) {}

  std::unique_ptr<bytecode::Function> script(const syntax::Script& script);
  std::unique_ptr<bytecode::Function> filter(const syntax::Expr& expr, Role role);

 private:
  // ---- names.cc ----
  /// `is_callee`: in a filter only a call means the built-in function of that name.
  Meaning meaning(const std::string& name, diag::Span span, bool is_callee);
  /// Also sees through `library.member`; Unknown for every other expression.
  Meaning meaning(const syntax::Expr& expr, bool is_callee);
  Meaning member_meaning(const std::string& library, const syntax::Member& member);
  /// What a name that is no variable means: part of the language, of the event, or nothing.
  Meaning language_meaning(const std::string& name, bool is_callee);
  bool is_library_name(const syntax::Expr& expr);
  /// True when a bare `args` means the event's arguments.
  bool is_args(const syntax::Expr& expr);
  bool is_event_object(const syntax::Expr& expr);
  void name_to(const syntax::Expr& expr, const std::string& name, int dst);
  void meaning_to(const Meaning& found, const std::string& name, diag::Span span, int dst);
  /// R[dst] = a field of the event, where there is an event.
  void event_field_to(const std::string& name, diag::Span span, int dst);
  /// Reports what of an event is read where there is none: in timers, trace_end, the main chunk.
  void check_event_var(schema::BuiltinVar var, diag::Span span);
  void check_event_call(const std::string& name, diag::Span span);
  void check_event_field(const std::string& name, diag::Span span);
  void check_event_member(const syntax::Expr& object, const std::string& name, diag::Span span);
  /// A variable of that name that is not in scope at `at`; null when there is none.
  const syntax::Param* declared_elsewhere(const std::string& name, uint32_t at) const;
  /// `is_called`: no field of an event can be meant.
  void report_undefined(const std::string& name, diag::Span span, bool is_called = false);
  void report_undeclared(const std::string& name, diag::Span span, bool is_function);
  void report_no_member(const std::string& library, const syntax::Member& member);
  /// The variables that the text at byte `at` may use, the innermost first, globals last.
  std::vector<std::string> variables_at(uint32_t at) const;
  std::vector<std::string> known_names(uint32_t at) const;

  // ---- expressions.cc ----
  /// R[dst] = the expression's one value.
  void expr_to(const syntax::Expr& expr, int dst);
  /// The value in some register: a variable's own, `hint` when that is a temporary, or a new
  /// temporary. `calls_follow`: what is evaluated next may call, so a variable that closures change
  /// is copied.
  int operand(const syntax::Expr& expr, int hint, bool calls_follow = false);
  /// A new temporary with the value.
  int temporary(const syntax::Expr& expr);
  bool is_temporary(int reg) { return reg >= scope_->first_temporary(); }
  /// The expression, were it a name of a local variable; null else.
  const Variable* local_of(const syntax::Expr& expr);
  void value(const syntax::Expr& expr, const syntax::NilLit& node, int dst);
  void value(const syntax::Expr& expr, const syntax::BoolLit& node, int dst);
  void value(const syntax::Expr& expr, const syntax::IntLit& node, int dst);
  void value(const syntax::Expr& expr, const syntax::FloatLit& node, int dst);
  void value(const syntax::Expr& expr, const syntax::StringLit& node, int dst);
  void value(const syntax::Expr& expr, const syntax::Name& node, int dst);
  void value(const syntax::Expr& expr, const syntax::Index& node, int dst);
  void value(const syntax::Expr& expr, const syntax::Member& node, int dst);
  void value(const syntax::Expr& expr, const syntax::Call& node, int dst);
  void value(const syntax::Expr& expr, const syntax::Unary& node, int dst);
  void value(const syntax::Expr& expr, const syntax::Binary& node, int dst);
  void value(const syntax::Expr& expr, const syntax::Function& node, int dst);
  void value(const syntax::Expr& expr, const syntax::TableCtor& node, int dst);
  void value(const syntax::Expr& expr, const syntax::Paren& node, int dst);
  void arithmetic_to(bytecode::Op op, int left, const syntax::Expr& right, int dst, int hint,
                     diag::Span span);
  void match_to(const syntax::Expr& expr, const syntax::Binary& node, int dst);
  void concat_to(const syntax::Expr& expr, const syntax::Binary& node, int dst);
  void logic_to(const syntax::Expr& expr, const syntax::Binary& node, int dst);
  void boolean_to(const syntax::Expr& expr, int dst);
  void get_field(int object, const std::string& name, int dst, diag::Span span);
  /// One register with the key of t[k] or the tuple of t[a, b]. `base`: the topmost temporary, to
  /// put it there, or -1.
  int key_operand(const std::vector<syntax::Expr>& keys, int base, diag::Span span,
                  bool calls_follow);
  void table_items(const syntax::Expr& expr, const syntax::TableCtor& node, int table);
  void list_batch(int table, int64_t done, int count, bool open, diag::Span span);
  /// The values of `exprs` cut or filled up to `count`, in new consecutive registers; returns the
  /// first.
  int list_to_registers(const std::vector<syntax::Expr>& exprs, int count, diag::Span span);
  void emit(bytecode::Insn insn, diag::Span span) { scope_->emitter.emit(insn, span); }
  void emit(bytecode::Op op, int a, int b, int c, diag::Span span);
  int take(int count, diag::Span span) { return scope_->emitter.take(count, span); }
  void release(int first) { scope_->emitter.release(first); }
  int free_register() const { return scope_->emitter.free_register(); }

  // ---- conditions.cc ----
  /// Jumps to `target` when the truth of `expr` is `sense`, falls through else.
  void jump_if(const syntax::Expr& expr, bool sense, Label& target);
  void jump_if_compares(const syntax::Expr& expr, const syntax::Binary& node, bool sense,
                        Label& target);
  void jump_if_equal(const syntax::Expr& expr, const syntax::Binary& node, bool sense,
                     Label& target);
  /// The operands of a comparison; in an event filter a bare word becomes a string there.
  std::pair<int, int> compare_operands(const syntax::Binary& node);
  int compare_operand(const syntax::Expr& expr, bool is_word, bool calls_follow);
  /// Whether the left or the right operand of a comparison is a word (language, section 7).
  std::pair<bool, bool> words_of(const syntax::Binary& node);
  bool may_be_word(Meaning::Kind kind) const;

  // ---- calls.cc ----
  /// Calls, with `results` results (-1: open) from the register returned. `at`, when it is the
  /// topmost temporary, is used for it; else the first free register. Registers from there on are
  /// free again.
  int call(const syntax::Expr& expr, const syntax::Call& node, int results, int at);
  /// B of the call: arguments in new registers above the callee.
  /// `registered`: the call registers a handler, and a function among them is one of this role.
  void callee_to(const syntax::Expr& callee, const Meaning& found, int dst);
  int arguments(const syntax::Call& node, std::optional<Role> registered);
  /// `pid()`: reads the variable. True when the call was one.
  bool event_var_call(const syntax::Expr& expr, const syntax::Call& node, int dst);
  /// The expression gives a list of unknown length: a call that is not known to give one value.
  bool gives_many(const syntax::Expr& expr);
  void check_builtin_call(bytecode::Builtin builtin, const syntax::Expr& expr,
                          const syntax::Call& node);
  void check_format(bytecode::Builtin builtin, const syntax::Expr& expr, const syntax::Call& node);
  KnownType known_type(const syntax::Expr& expr);

  // ---- assignments.cc ----
  void statement(const syntax::Stmt& stmt, const syntax::Assign& node);
  void statement(const syntax::Stmt& stmt, const syntax::CompoundAssign& node);
  /// False after a diagnostic: entries of this object can never be assigned.
  bool check_stored_into(const syntax::Expr& object, diag::Span place);
  Target target(const syntax::Expr& expr, bool copy_locals, bool calls_follow);
  /// `is_function`: a function statement of that name stands there.
  Target name_target(const std::string& name, diag::Span span, bool is_function = false);
  void store(const Target& place, int value, diag::Span span);
  void update_local(const Variable& variable, const syntax::Stmt& stmt,
                    const syntax::CompoundAssign& node);
  void update_index(const syntax::Stmt& stmt, const syntax::CompoundAssign& node);
  void statement(const syntax::Stmt& stmt, const syntax::AggregateAdd& node);
  void check_sampled_name(const syntax::Expr& target);
  bool refuse_assigned_sample(const syntax::Expr& target, const syntax::Expr& value);
  /// It can be nothing but a number, or a value of the event.
  bool is_sample(const syntax::Expr& expr);
  std::string_view text_of(diag::Span span) const {
    return source_.text().substr(span.begin, span.end - span.begin);
  }

  // ---- statements.cc ----
  void statements(const syntax::Block& block);
  void one_statement(const syntax::Stmt& stmt);
  void statement(const syntax::Stmt& stmt, const syntax::VarDecl& node);
  void statement(const syntax::Stmt& stmt, const syntax::CallStmt& node);
  void statement(const syntax::Stmt& stmt, const syntax::If& node);
  void statement(const syntax::Stmt& stmt, const syntax::Do& node);
  void statement(const syntax::Stmt& stmt, const syntax::Return& node);
  void statement(const syntax::Stmt& stmt, const syntax::FunctionStmt& node);
  void global_function(const syntax::Stmt& stmt, const syntax::FunctionStmt& node);
  void open_block();
  void close_block(diag::Span span);
  void block(const syntax::Block& block);
  const Variable& declare(const syntax::Param& param, int reg = -1);
  /// R[dst] = closure of the function.
  void function_to(const syntax::FunctionBody& body, std::string name, Role role, diag::Span head,
                   int dst);
  void begin_function(std::string name, Role role, diag::Span head);
  std::unique_ptr<bytecode::Function> end_function(diag::Span end);

  // ---- loops.cc ----
  void statement(const syntax::Stmt& stmt, const syntax::While& node);
  void statement(const syntax::Stmt& stmt, const syntax::Repeat& node);
  void statement(const syntax::Stmt& stmt, const syntax::NumericFor& node);
  void statement(const syntax::Stmt& stmt, const syntax::GenericFor& node);
  void statement(const syntax::Stmt& stmt, const syntax::Break& node);
  void statement(const syntax::Stmt& stmt, const syntax::Continue& node);
  void check_iterator(const syntax::GenericFor& node);
  void repeat_continues(std::map<int, Label>& labels, diag::Span span);

  // ---- trace.cc ----
  void statement(const syntax::Stmt& stmt, const syntax::Trace& node);
  void check_timers(const syntax::Trace& node);
  /// In the scope where the statement stands.
  bool is_variable(const std::string& name, diag::Span span);
  void filter_to(const syntax::Expr* condition, syntax::TraceKind kind, diag::Span head, int dst);
  void handler_to(const syntax::Stmt& stmt, const syntax::Trace& node, int dst);
  void report_nested_handler(diag::Span span);

  const diag::Source& source_;
  diag::Sink& sink_;
  const Analysis& analysis_;
  FunctionScope* scope_ = nullptr;  ///< the innermost function
  std::vector<std::unique_ptr<FunctionScope>> scopes_;
  std::vector<syntax::Param> main_variables_;  ///< `var` and `local` at the top level, in order
  std::set<std::string> reported_;             ///< names already complained about
};

}  // namespace ktap::compiler
