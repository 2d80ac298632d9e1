// The naive evaluator: walks the syntax tree of a main chunk and does what the language says, with
// no compiler, no registers and no speed. It judges the compiler and the VM, so it uses nothing of
// theirs. Left out: handlers, events, stacks, addresses, clocks; call depth and memory bounds.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>

#include "diag/source.h"
#include "naive/value.h"

namespace ktap::naive {

struct Outcome {
  enum class Kind : uint8_t {
    Ended,
    Failed,  ///< a run-time error at `line`
    GaveUp,  ///< too long, too deep, or beyond what is evaluated here: no judgement
  };
  Kind kind = Kind::Ended;
  uint32_t line = 0;
  std::string text;
};

/// What one run may take before the evaluator gives up.
struct Bounds {
  int64_t steps = 200000;
  int depth = 150;
  size_t text_bytes = 1 << 14;  ///< of one string
  size_t glob_bytes = 200;      ///< of a text that a glob is to match
  size_t output_bytes = 1 << 20;
};

class Evaluator {
 public:
  /// The script has no errors; it and the source outlive the evaluator.
  Evaluator(const diag::Source& source, const syntax::Script& script, Bounds bounds = {});

  Outcome run_main();
  /// Calls what a global holds. `result` (may be null) gets the first result.
  Outcome call_global(const std::string& name, const Values& args, Value* result);
  const std::string& output() const { return output_; }

  // ---- for the library
  void print(const std::string& text);
  Values call(const Value& function, Values args);
  Table* new_table() { return &tables_.emplace_back(); }
  Aggregate* new_aggregate() { return &aggregates_.emplace_back(); }
  const Tuple* new_tuple(Values parts);
  /// Keys in the order of sort_pairs or sort_keys.
  Values sorted_keys(const Table& table, bool by_value, const Value& compare);
  /// `t[key] op= operand`.
  void update_cell(const Value& object, const Value& key, syntax::BinaryOp op,
                   const Value& operand);
  void check_text(size_t bytes) const;
  /// As glob(), of texts that backtracking can bear.
  bool match(const std::string& pattern, const std::string& text) const;

 private:
  enum class Flow : uint8_t { Normal, Break, Continue, Return };
  /// Where an assignment stores.
  struct Place {
    Value* variable = nullptr;
    Value object;
    Value key;
  };

  template <class Run>
  Outcome outcome_of(Run run);
  void step();
  uint32_t line_of(diag::Span span) const { return source_.line_column(span.begin).line; }

  // ---- names
  Variable* declare(Variable* scope, const std::string& name, Value value);
  Value* find(Variable* scope, const std::string& name);
  Value name_value(Variable* scope, const std::string& name);
  const Function* builtin(const std::string& name);
  std::string library_member(Variable* scope, const syntax::Expr& object, const std::string& name);

  // ---- expressions
  Value eval(const syntax::Expr& expr, Variable* scope);
  Values eval_many(const syntax::Expr& expr, Variable* scope);
  Values eval_list(const std::vector<syntax::Expr>& exprs, Variable* scope);
  Value eval_node(const syntax::Expr& expr, Variable* scope);
  Value eval_key(const std::vector<syntax::Expr>& keys, Variable* scope);
  Value eval_table(const syntax::TableCtor& node, Variable* scope);
  Value closure(const syntax::FunctionBody& body, Variable* scope);
  Value index(const Value& object, const Value& key);
  Value unary(syntax::UnaryOp op, const Value& operand);
  Value binary(syntax::BinaryOp op, const Value& a, const Value& b);
  Value concat(const Value& a, const Value& b);

  // ---- statements; `scope` grows by what is declared
  Flow exec_block(const syntax::Block& block, Variable* scope);
  Flow exec_statements(const syntax::Block& block, Variable*& scope);
  Flow exec(const syntax::Stmt& stmt, Variable*& scope);
  Place place(const syntax::Expr& target, Variable* scope);
  void store(const Place& place, const Value& value);
  void assign(const syntax::Assign& node, Variable* scope);
  void compound(const syntax::CompoundAssign& node, Variable* scope);
  void add_sample(const syntax::AggregateAdd& node, Variable* scope);
  void define(const syntax::FunctionStmt& node, Variable*& scope);
  Flow exec_if(const syntax::If& node, Variable* scope);
  Flow exec_while(const syntax::While& node, Variable* scope);
  Flow exec_repeat(const syntax::Repeat& node, Variable* scope);
  Flow exec_numeric_for(const syntax::Stmt& stmt, const syntax::NumericFor& node, Variable* scope);
  Flow exec_generic_for(const syntax::GenericFor& node, Variable* scope);
  Variable* bind_entry(const syntax::GenericFor& node, const Value& key, const Value& value,
                       Variable* scope);
  Flow exec_return(const syntax::Return& node, Variable* scope);

  const diag::Source& source_;
  const syntax::Script& script_;
  Bounds bounds_;
  std::string output_;
  int64_t steps_ = 0;
  int depth_ = 0;
  std::map<std::string, Value> globals_;
  Variable* main_scope_ = nullptr;
  Values results_;                                     // of the `return` that runs
  std::optional<std::pair<Value, Values>> tail_call_;  // … when it is `return f(…)`

  std::deque<Table> tables_;
  std::deque<Tuple> tuples_;
  std::deque<Function> functions_;
  std::deque<Aggregate> aggregates_;
  std::deque<Variable> variables_;
  std::map<std::string, const Function*> builtins_;
};

/// Which top-level functions are made before which statement.
std::multimap<size_t, const syntax::FunctionStmt*> early_functions(const diag::Source& source,
                                                                   const syntax::Script& script);
/// A name of the language that is not evaluated here.
bool is_beyond(const std::string& name);
/// The built-in of that name ("string.sub"); empty when there is none.
Native find_native(const std::string& name);

}  // namespace ktap::naive
