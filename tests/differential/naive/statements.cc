// Statements of the naive evaluator.
#include <algorithm>

#include "naive/evaluator.h"

namespace ktap::naive {

namespace sx = syntax;
using sx::BinaryOp;

Evaluator::Flow Evaluator::exec(const sx::Stmt& stmt, Variable*& scope) {
  struct Visitor {
    Evaluator& self;
    const sx::Stmt& stmt;
    Variable*& scope;
    Flow operator()(const sx::VarDecl& node) const {
      Values values = self.eval_list(node.values, scope);
      values.resize(std::max(values.size(), node.names.size()));
      for (size_t i = 0; i < node.names.size(); ++i)
        scope = self.declare(scope, node.names[i].name, values[i]);
      return Flow::Normal;
    }
    Flow operator()(const sx::Assign& node) const {
      self.assign(node, scope);
      return Flow::Normal;
    }
    Flow operator()(const sx::CompoundAssign& node) const {
      self.compound(node, scope);
      return Flow::Normal;
    }
    Flow operator()(const sx::AggregateAdd& node) const {
      self.add_sample(node, scope);
      return Flow::Normal;
    }
    Flow operator()(const sx::CallStmt& node) const {
      self.eval_many(node.call, scope);
      return Flow::Normal;
    }
    Flow operator()(const sx::If& node) const { return self.exec_if(node, scope); }
    Flow operator()(const sx::While& node) const { return self.exec_while(node, scope); }
    Flow operator()(const sx::Repeat& node) const { return self.exec_repeat(node, scope); }
    Flow operator()(const sx::NumericFor& node) const {
      return self.exec_numeric_for(stmt, node, scope);
    }
    Flow operator()(const sx::GenericFor& node) const { return self.exec_generic_for(node, scope); }
    Flow operator()(const sx::Do& node) const { return self.exec_block(node.body, scope); }
    Flow operator()(const sx::Break&) const { return Flow::Break; }
    Flow operator()(const sx::Continue&) const { return Flow::Continue; }
    Flow operator()(const sx::Return& node) const { return self.exec_return(node, scope); }
    Flow operator()(const sx::FunctionStmt& node) const {
      self.define(node, scope);
      return Flow::Normal;
    }
    Flow operator()(const sx::Trace&) const { throw GaveUp{"handlers"}; }
  };
  return std::visit(Visitor{*this, stmt, scope}, stmt.node);
}

// ---- assignments

Evaluator::Place Evaluator::place(const sx::Expr& target, Variable* scope) {
  Place made;
  if (const auto* name = std::get_if<sx::Name>(&target.node)) {
    made.variable = find(scope, name->name);
    if (made.variable == nullptr) made.variable = &globals_[name->name];
  } else if (const auto* member = std::get_if<sx::Member>(&target.node)) {
    made.object = eval(*member->object, scope);
    made.key = member->name;
  } else {
    const auto& index = std::get<sx::Index>(target.node);
    made.object = eval(*index.object, scope);
    made.key = eval_key(index.keys, scope);
  }
  return made;
}

void Evaluator::store(const Place& place, const Value& value) {
  if (place.variable != nullptr) {
    *place.variable = value;
    return;
  }
  Table* const* table = std::get_if<Table*>(&place.object);
  if (table == nullptr) throw Failure{"cannot store into " + type_name(place.object)};
  set(**table, place.key, value);
}

void Evaluator::assign(const sx::Assign& node, Variable* scope) {
  std::vector<Place> places;
  for (const sx::Expr& target : node.targets) places.push_back(place(target, scope));
  Values values = eval_list(node.values, scope);
  values.resize(std::max(values.size(), places.size()));
  for (size_t i = 0; i < places.size(); ++i) store(places[i], values[i]);
}

void Evaluator::update_cell(const Value& object, const Value& key, BinaryOp op,
                            const Value& operand) {
  Table* const* table = std::get_if<Table*>(&object);
  if (table == nullptr) throw Failure{"cannot store into " + type_name(object)};
  if (!valid_key(key)) throw Failure{"cannot be a key"};
  Value old = get(**table, key);
  const bool counts =
      op == BinaryOp::Add || op == BinaryOp::Sub || op == BinaryOp::BitOr || op == BinaryOp::BitXor;
  if (counts && std::holds_alternative<std::monostate>(old)) old = int64_t{0};
  set(**table, key, binary(op, old, operand));
}

void Evaluator::compound(const sx::CompoundAssign& node, Variable* scope) {
  Place at = place(node.target, scope);
  Value operand = eval(node.value, scope);
  if (at.variable == nullptr) return update_cell(at.object, at.key, node.op, operand);
  *at.variable = binary(node.op, *at.variable, operand);
}

void Evaluator::add_sample(const sx::AggregateAdd& node, Variable* scope) {
  Place at = place(node.target, scope);
  Value sample = eval(node.value, scope);
  Value held;
  if (at.variable != nullptr) {
    held = *at.variable;
  } else {
    Table* const* table = std::get_if<Table*>(&at.object);
    if (table == nullptr || !valid_key(at.key)) throw Failure{"takes no samples"};
    held = get(**table, at.key);
  }
  const int64_t* n = std::get_if<int64_t>(&sample);
  if (n == nullptr) throw Failure{"a sample is an integer"};
  if (at.variable == nullptr && std::holds_alternative<std::monostate>(held)) {
    held = new_aggregate();
    store(at, held);
  }
  Aggregate* const* aggregate = std::get_if<Aggregate*>(&held);
  if (aggregate == nullptr) throw Failure{"takes no samples"};
  Aggregate& a = **aggregate;
  a.min = a.count == 0 ? *n : std::min(a.min, *n);
  a.max = a.count == 0 ? *n : std::max(a.max, *n);
  a.sum += *n;
  ++a.count;
}

// ---- functions

void Evaluator::define(const sx::FunctionStmt& node, Variable*& scope) {
  if (node.is_local) {
    scope = declare(scope, node.name.name, {});
    scope->value = closure(*node.body, scope);
    return;
  }
  Value* at = find(scope, node.name.name);
  if (at == nullptr) at = &globals_[node.name.name];
  if (node.path.empty()) {
    *at = closure(*node.body, scope);
    return;
  }
  Value object = *at;
  for (size_t i = 0; i + 1 < node.path.size(); ++i) object = index(object, node.path[i].name);
  Place member;
  member.object = object;
  member.key = node.path.back().name;
  store(member, closure(*node.body, scope));
}

Evaluator::Flow Evaluator::exec_return(const sx::Return& node, Variable* scope) {
  results_.clear();
  tail_call_.reset();
  const auto* call_node =
      node.values.size() == 1 ? std::get_if<sx::Call>(&node.values[0].node) : nullptr;
  if (call_node != nullptr) {
    Value callee = eval(*call_node->callee, scope);
    Values args = eval_list(call_node->args, scope);
    const Function* const* function = std::get_if<const Function*>(&callee);
    if (function != nullptr && (*function)->body != nullptr) {
      tail_call_ = {callee, std::move(args)};
    } else {
      results_ = call(callee, std::move(args));
    }
    return Flow::Return;
  }
  Values values = eval_list(node.values, scope);
  tail_call_.reset();
  results_ = std::move(values);
  return Flow::Return;
}

// ---- control

Evaluator::Flow Evaluator::exec_if(const sx::If& node, Variable* scope) {
  for (const sx::IfArm& arm : node.arms) {
    if (truthy(eval(arm.condition, scope))) return exec_block(arm.body, scope);
  }
  return node.otherwise ? exec_block(*node.otherwise, scope) : Flow::Normal;
}

Evaluator::Flow Evaluator::exec_while(const sx::While& node, Variable* scope) {
  while (truthy(eval(node.condition, scope))) {
    step();
    Flow flow = exec_block(node.body, scope);
    if (flow == Flow::Break) break;
    if (flow == Flow::Return) return flow;
  }
  return Flow::Normal;
}

Evaluator::Flow Evaluator::exec_repeat(const sx::Repeat& node, Variable* scope) {
  for (;;) {
    step();
    Variable* inner = scope;
    Flow flow = exec_statements(node.body, inner);
    if (flow == Flow::Break) return Flow::Normal;
    if (flow == Flow::Return) return flow;
    // `until` sees the body's variables; those that `continue` jumped over are nil.
    Variable* seen = inner;
    for (const sx::Stmt& stmt : node.body.statements) {
      const auto* declared = std::get_if<sx::VarDecl>(&stmt.node);
      if (flow != Flow::Continue || declared == nullptr) continue;
      for (const sx::Param& name : declared->names) {
        bool is_there = false;
        for (Variable* at = inner; at != scope; at = at->outer) is_there |= at->name == name.name;
        if (!is_there) seen = declare(seen, name.name, {});
      }
    }
    if (truthy(eval(node.until, seen))) return Flow::Normal;
  }
}

Evaluator::Flow Evaluator::exec_numeric_for(const sx::Stmt&, const sx::NumericFor& node,
                                            Variable* scope) {
  Value first = eval(node.first, scope);
  Value last = eval(node.last, scope);
  Value step_value = node.step ? eval(*node.step, scope) : Value{int64_t{1}};
  if (!is_number(first) || !is_number(last) || !is_number(step_value))
    throw Failure{"a for takes numbers"};
  const bool up = compare_numbers(step_value, int64_t{0}) == 1;
  if (compare_numbers(step_value, int64_t{0}) == 0) throw Failure{"the step of a for is 0"};
  const bool integers =
      std::holds_alternative<int64_t>(first) && std::holds_alternative<int64_t>(step_value);
  Value now = first;
  if (!integers) now = to_double(first);
  for (;;) {
    const int order = compare_numbers(now, last);
    if (order == 2 || order == (up ? 1 : -1)) return Flow::Normal;
    step();
    Flow flow = exec_block(node.body, declare(scope, node.var.name, now));
    if (flow == Flow::Break) return Flow::Normal;
    if (flow == Flow::Return) return flow;
    if (!integers) {
      now = std::get<double>(now) + to_double(step_value);
      continue;
    }
    int64_t next = 0;
    if (__builtin_add_overflow(std::get<int64_t>(now), std::get<int64_t>(step_value), &next))
      return Flow::Normal;
    now = next;
  }
}

Values Evaluator::sorted_keys(const Table& table, bool by_value, const Value& compare) {
  Values keys;
  for (const auto& [key, value] : table.entries) {
    keys.push_back(key);
    if (is_number(value) && compare_numbers(value, value) == 2)
      throw GaveUp{"a NaN has no place in an order"};
  }
  const auto before = [&](const Value& a, const Value& b) {
    Value value_a = get(table, a);
    Value value_b = get(table, b);
    if (!std::holds_alternative<std::monostate>(compare)) {
      Values results = call(compare, by_value ? Values{value_a, value_b, a, b} : Values{a, b});
      return !results.empty() && truthy(results[0]);
    }
    if (!by_value) return KeyLess()(a, b);
    auto* const* x = std::get_if<Aggregate*>(&value_a);
    auto* const* y = std::get_if<Aggregate*>(&value_b);
    if (x != nullptr && y != nullptr) return (*x)->count < (*y)->count;
    return less(value_a, value_b);
  };
  // By insertion, so that a strange compare function cannot do more than give a strange order.
  Values sorted;
  for (const Value& key : keys) {
    step();
    auto at = sorted.end();
    while (at != sorted.begin() && before(key, *(at - 1))) --at;
    sorted.insert(at, key);
  }
  return sorted;
}

Variable* Evaluator::bind_entry(const sx::GenericFor& node, const Value& key, const Value& value,
                                Variable* scope) {
  if (node.vars.size() == 1) return declare(scope, node.vars[0].name, key);
  const size_t parts_wanted = node.vars.size() - 1;
  Values parts = {key};
  if (parts_wanted > 1) {
    const Tuple* const* tuple = std::get_if<const Tuple*>(&key);
    if (tuple == nullptr || (*tuple)->parts.size() != parts_wanted)
      throw Failure{"a key of another number of parts"};
    parts = (*tuple)->parts;
  }
  for (size_t i = 0; i < parts.size(); ++i) scope = declare(scope, node.vars[i].name, parts[i]);
  return declare(scope, node.vars.back().name, value);
}

Evaluator::Flow Evaluator::exec_generic_for(const sx::GenericFor& node, Variable* scope) {
  Value object = eval(node.table, scope);
  Value compare = node.compare ? eval(*node.compare, scope) : Value{};
  Table* const* table = std::get_if<Table*>(&object);
  if (table == nullptr) throw Failure{"takes a table"};
  if (compare.index() != 0 && !std::holds_alternative<const Function*>(compare))
    throw Failure{"takes a function to compare with"};
  Values keys;
  if (node.kind == sx::IterKind::Pairs) {
    for (const auto& [key, value] : (*table)->entries) keys.push_back(key);
  } else {
    keys = sorted_keys(**table, node.kind == sx::IterKind::SortPairs, compare);
  }
  for (const Value& key : keys) {
    Value value = get(**table, key);
    if (std::holds_alternative<std::monostate>(value)) continue;  // removed meanwhile
    step();
    Flow flow = exec_block(node.body, bind_entry(node, key, value, scope));
    if (flow == Flow::Break) break;
    if (flow == Flow::Return) return flow;
  }
  return Flow::Normal;
}

}  // namespace ktap::naive
