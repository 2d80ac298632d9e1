// Runs, calls and expressions. An error becomes one of the innermost node on whose evaluation it
// happens: eval() and exec() turn a Failure into an error at the line where their node begins.
#include "naive/evaluator.h"

#include <cmath>
#include <utility>

namespace ktap::naive {

namespace sx = syntax;
using sx::BinaryOp;

namespace {

/// A Failure that knows its line.
struct ErrorAt {
  uint32_t line;
  std::string text;
};

int64_t wrap(uint64_t bits) { return static_cast<int64_t>(bits); }

Value integers(BinaryOp op, int64_t a, int64_t b) {
  const auto x = static_cast<uint64_t>(a);
  const auto y = static_cast<uint64_t>(b);
  switch (op) {
    case BinaryOp::Add:
      return wrap(x + y);
    case BinaryOp::Sub:
      return wrap(x - y);
    case BinaryOp::Mul:
      return wrap(x * y);
    case BinaryOp::Div:
      if (b == 0) throw Failure{"division by zero"};
      return b == -1 ? wrap(0 - x) : a / b;
    case BinaryOp::Mod:
      if (b == 0) throw Failure{"division by zero"};
      return b == -1 ? int64_t{0} : a % b;
    case BinaryOp::BitOr:
      return wrap(x | y);
    case BinaryOp::BitXor:
      return wrap(x ^ y);
    case BinaryOp::BitAnd:
      return wrap(x & y);
    case BinaryOp::Shl:
      return wrap(x << (y % 64));
    case BinaryOp::Shr:
      return a >> (y % 64);
    default:
      throw Failure{"no such operator on integers"};
  }
}

Value floats(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::Add:
      return a + b;
    case BinaryOp::Sub:
      return a - b;
    case BinaryOp::Mul:
      return a * b;
    case BinaryOp::Div:
      return a / b;
    case BinaryOp::Mod:
      return std::fmod(a, b);
    default:
      throw Failure{"bit operators take integers"};
  }
}

Value first_of(const Values& values) { return values.empty() ? Value{} : values[0]; }

}  // namespace

Evaluator::Evaluator(const diag::Source& source, const sx::Script& script, Bounds bounds)
    : source_(source), script_(script), bounds_(bounds) {}

// ---- runs

template <class Run>
Outcome Evaluator::outcome_of(Run run) {
  steps_ = 0;
  depth_ = 0;
  try {
    run();
    return {};
  } catch (const Exit&) {
    return {};
  } catch (const ErrorAt& error) {
    return {Outcome::Kind::Failed, error.line, error.text};
  } catch (const GaveUp& gave_up) {
    return {Outcome::Kind::GaveUp, 0, gave_up.why};
  }
}

Outcome Evaluator::run_main() {
  return outcome_of([this] {
    exec_statements(script_.body, main_scope_);
    if (tail_call_) {
      auto [function, args] = *std::exchange(tail_call_, std::nullopt);
      call(function, std::move(args));
    }
  });
}

Outcome Evaluator::call_global(const std::string& name, const Values& args, Value* result) {
  return outcome_of([&] {
    Value first = first_of(call(globals_[name], args));
    if (result != nullptr) *result = first;
  });
}

void Evaluator::step() {
  if (++steps_ > bounds_.steps) throw GaveUp{"too many steps"};
}

void Evaluator::print(const std::string& text) {
  output_ += text;
  if (output_.size() > bounds_.output_bytes) throw GaveUp{"too much output"};
}

void Evaluator::check_text(size_t bytes) const {
  if (bytes > bounds_.text_bytes) throw GaveUp{"a long string"};
}

bool Evaluator::match(const std::string& pattern, const std::string& text) const {
  if (pattern.size() + text.size() > bounds_.glob_bytes) throw GaveUp{"a long glob"};
  return glob(pattern, text);
}

// ---- calls

Values Evaluator::call(const Value& function, Values args) {
  const Function* const* callee = std::get_if<const Function*>(&function);
  if (callee == nullptr) throw Failure{"cannot call " + type_name(function)};
  if (++depth_ > bounds_.depth) throw GaveUp{"too deep"};
  const Function* now = *callee;
  for (;;) {
    step();
    if (now->native) {
      Values results = now->native(*this, args);
      --depth_;
      return results;
    }
    Variable* scope = now->scope;
    for (size_t i = 0; i < now->body->params.size(); ++i) {
      scope = declare(scope, now->body->params[i].name, i < args.size() ? args[i] : Value{});
    }
    results_.clear();
    tail_call_.reset();
    if (exec_block(now->body->body, scope) != Flow::Return) results_.clear();
    if (!tail_call_) break;
    args = std::move(tail_call_->second);
    now = std::get<const Function*>(tail_call_->first);
    tail_call_.reset();
  }
  --depth_;
  return std::move(results_);
}

// ---- names

Variable* Evaluator::declare(Variable* scope, const std::string& name, Value value) {
  return &variables_.emplace_back(Variable{name, std::move(value), scope});
}

Value* Evaluator::find(Variable* scope, const std::string& name) {
  for (; scope != nullptr; scope = scope->outer) {
    if (scope->name == name) return &scope->value;
  }
  return nullptr;
}

const Function* Evaluator::builtin(const std::string& name) {
  auto at = builtins_.find(name);
  if (at != builtins_.end()) return at->second;
  Native native = find_native(name);
  const Function* made = nullptr;
  if (native) made = &functions_.emplace_back(Function{nullptr, nullptr, std::move(native)});
  return builtins_[name] = made;
}

Value Evaluator::name_value(Variable* scope, const std::string& name) {
  if (const Value* variable = find(scope, name)) return *variable;
  auto global = globals_.find(name);
  if (global != globals_.end()) return global->second;
  if (const Function* native = builtin(name)) return native;
  if (is_beyond(name)) throw GaveUp{name};
  return {};  // a global that nothing has assigned yet
}

/// "string.sub" where `object` names a library and no variable.
std::string Evaluator::library_member(Variable* scope, const sx::Expr& object,
                                      const std::string& name) {
  const auto* library = std::get_if<sx::Name>(&object.node);
  if (library == nullptr || find(scope, library->name) != nullptr ||
      globals_.count(library->name) != 0)
    return {};
  std::string full = library->name + "." + name;
  return builtin(full) != nullptr ? full : std::string();
}

// ---- expressions

Value Evaluator::eval(const sx::Expr& expr, Variable* scope) {
  step();
  try {
    return eval_node(expr, scope);
  } catch (const Failure& failure) {
    throw ErrorAt{line_of(expr.span), failure.text};
  }
}

Values Evaluator::eval_many(const sx::Expr& expr, Variable* scope) {
  const auto* node = std::get_if<sx::Call>(&expr.node);
  if (node == nullptr) return {eval(expr, scope)};
  Value callee = eval(*node->callee, scope);
  Values args = eval_list(node->args, scope);
  try {
    return call(callee, std::move(args));
  } catch (const Failure& failure) {
    throw ErrorAt{line_of(expr.span), failure.text};
  }
}

Values Evaluator::eval_list(const std::vector<sx::Expr>& exprs, Variable* scope) {
  Values values;
  for (const sx::Expr& expr : exprs) {
    if (&expr == &exprs.back()) {
      for (Value& value : eval_many(expr, scope)) values.push_back(std::move(value));
    } else {
      values.push_back(eval(expr, scope));
    }
  }
  return values;
}

Value Evaluator::eval_node(const sx::Expr& expr, Variable* scope) {
  struct Visitor {
    Evaluator& self;
    const sx::Expr& expr;
    Variable* scope;
    Value operator()(const sx::NilLit&) const { return {}; }
    Value operator()(const sx::BoolLit& node) const { return node.value; }
    Value operator()(const sx::IntLit& node) const { return node.value; }
    Value operator()(const sx::FloatLit& node) const { return node.value; }
    Value operator()(const sx::StringLit& node) const { return node.value; }
    Value operator()(const sx::Name& node) const { return self.name_value(scope, node.name); }
    Value operator()(const sx::Paren& node) const { return self.eval(*node.inner, scope); }
    Value operator()(const sx::Call&) const { return first_of(self.eval_many(expr, scope)); }
    Value operator()(const sx::Function& node) const { return self.closure(*node.body, scope); }
    Value operator()(const sx::TableCtor& node) const { return self.eval_table(node, scope); }
    Value operator()(const sx::Member& node) const {
      std::string member = self.library_member(scope, *node.object, node.name);
      if (!member.empty()) return self.builtin(member);
      return self.index(self.eval(*node.object, scope), node.name);
    }
    Value operator()(const sx::Index& node) const {
      Value object = self.eval(*node.object, scope);
      return self.index(object, self.eval_key(node.keys, scope));
    }
    Value operator()(const sx::Unary& node) const {
      return self.unary(node.op, self.eval(*node.operand, scope));
    }
    Value operator()(const sx::Binary& node) const {
      Value left = self.eval(*node.left, scope);
      if (node.op == BinaryOp::And && !truthy(left)) return left;
      if (node.op == BinaryOp::Or && truthy(left)) return left;
      Value right = self.eval(*node.right, scope);
      if (node.op == BinaryOp::And || node.op == BinaryOp::Or) return right;
      return self.binary(node.op, left, right);
    }
  };
  return std::visit(Visitor{*this, expr, scope}, expr.node);
}

const Tuple* Evaluator::new_tuple(Values parts) {
  for (const Value& part : parts) {
    if (std::holds_alternative<const Tuple*>(part)) throw Failure{"a multi-key within another"};
  }
  return &tuples_.emplace_back(Tuple{std::move(parts)});
}

Value Evaluator::eval_key(const std::vector<sx::Expr>& keys, Variable* scope) {
  if (keys.size() == 1) return eval(keys[0], scope);
  Values parts;
  for (const sx::Expr& key : keys) parts.push_back(eval(key, scope));
  return new_tuple(std::move(parts));
}

Value Evaluator::eval_table(const sx::TableCtor& node, Variable* scope) {
  Table* table = new_table();
  int64_t position = 0;
  for (const sx::TableItem& item : node.items) {
    if (item.key == nullptr) {
      const bool is_last = &item == &node.items.back();
      Values values = is_last ? eval_many(*item.value, scope) : Values{eval(*item.value, scope)};
      for (const Value& value : values) set(*table, ++position, value);
      continue;
    }
    Value key = eval(*item.key, scope);
    Value value = eval(*item.value, scope);
    try {
      set(*table, key, value);
    } catch (const Failure& failure) {
      throw ErrorAt{line_of(item.key->span), failure.text};
    }
  }
  return table;
}

Value Evaluator::closure(const sx::FunctionBody& body, Variable* scope) {
  return &functions_.emplace_back(Function{&body, scope, {}});
}

Value Evaluator::index(const Value& object, const Value& key) {
  if (Table* const* table = std::get_if<Table*>(&object)) return get(**table, key);
  const Tuple* const* tuple = std::get_if<const Tuple*>(&object);
  if (tuple == nullptr) throw Failure{"cannot index " + type_name(object)};
  const int64_t* i = std::get_if<int64_t>(&key);
  if (i == nullptr) throw Failure{"a multi-key is indexed by integers"};
  const Values& parts = (*tuple)->parts;
  if (*i < 1 || static_cast<uint64_t>(*i) > parts.size()) return {};
  return parts[static_cast<size_t>(*i) - 1];
}

Value Evaluator::unary(sx::UnaryOp op, const Value& operand) {
  const int64_t* integer = std::get_if<int64_t>(&operand);
  switch (op) {
    case sx::UnaryOp::Not:
      return !truthy(operand);
    case sx::UnaryOp::Neg:
      if (integer != nullptr) return wrap(0 - static_cast<uint64_t>(*integer));
      if (is_number(operand)) return -to_double(operand);
      throw Failure{"unary '-' takes a number"};
    case sx::UnaryOp::BitNot:
      if (integer == nullptr) throw Failure{"unary '~' takes an integer"};
      return ~*integer;
  }
  return {};
}

Value Evaluator::concat(const Value& a, const Value& b) {
  for (const Value* part : {&a, &b}) {
    if (!std::holds_alternative<std::string>(*part) && !is_number(*part))
      throw Failure{"'..' joins strings and numbers"};
  }
  std::string joined = text(a) + text(b);
  check_text(joined.size());
  return joined;
}

Value Evaluator::binary(BinaryOp op, const Value& a, const Value& b) {
  switch (op) {
    case BinaryOp::Eq:
      return equal(a, b);
    case BinaryOp::Ne:
      return !equal(a, b);
    case BinaryOp::Lt:
      return less(a, b);
    case BinaryOp::Le:
      return less_equal(a, b);
    case BinaryOp::Gt:
      return less(b, a);
    case BinaryOp::Ge:
      return less_equal(b, a);
    case BinaryOp::Concat:
      return concat(a, b);
    case BinaryOp::Match: {
      const auto* subject = std::get_if<std::string>(&a);
      const auto* pattern = std::get_if<std::string>(&b);
      if (subject == nullptr || pattern == nullptr) throw Failure{"'~' takes strings"};
      return match(*pattern, *subject);
    }
    default:
      break;
  }
  if (!is_number(a) || !is_number(b)) throw Failure{"arithmetic is for numbers"};
  const int64_t* x = std::get_if<int64_t>(&a);
  const int64_t* y = std::get_if<int64_t>(&b);
  if (x != nullptr && y != nullptr) return integers(op, *x, *y);
  return floats(op, to_double(a), to_double(b));
}

// ---- statements end here with the line that they begin on

Evaluator::Flow Evaluator::exec_statements(const sx::Block& block, Variable*& scope) {
  const bool is_main = &block == &script_.body;
  std::multimap<size_t, const sx::FunctionStmt*> early;
  if (is_main) early = early_functions(source_, script_);
  for (size_t i = 0; i < block.statements.size(); ++i) {
    const auto [first, last] = early.equal_range(i);
    for (auto at = first; at != last; ++at)
      globals_[at->second->name.name] = closure(*at->second->body, scope);
    step();
    const sx::Stmt& stmt = block.statements[i];
    Flow flow = Flow::Normal;
    try {
      flow = exec(stmt, scope);
    } catch (const Failure& failure) {
      throw ErrorAt{line_of(stmt.span), failure.text};
    }
    if (flow != Flow::Normal) return flow;
  }
  return Flow::Normal;
}

Evaluator::Flow Evaluator::exec_block(const sx::Block& block, Variable* scope) {
  return exec_statements(block, scope);
}

}  // namespace ktap::naive
