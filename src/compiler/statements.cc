// Statements without loops, blocks, and functions: how a body becomes a function of the chunk and a
// closure in a register.
#include <fmt/format.h>

#include <map>

#include "compiler/generator.h"

namespace ktap::compiler {

namespace sx = syntax;
namespace bc = bytecode;
using bc::Insn;
using bc::Op;
using diag::Code;

// ---- functions ----

void Generator::begin_function(std::string name, Role role, diag::Span head) {
  scopes_.push_back(std::make_unique<FunctionScope>(
      scope_, role, Emitter(source_, sink_, std::move(name), head)));
  scope_ = scopes_.back().get();
  scope_->blocks.push_back({});
}

std::unique_ptr<bc::Function> Generator::end_function(diag::Span end) {
  std::unique_ptr<bc::Function> function = scope_->emitter.finish(end);
  scope_ = scope_->parent;
  scopes_.pop_back();
  return function;
}

void Generator::function_to(const sx::FunctionBody& body, std::string name, Role role,
                            diag::Span head, int dst) {
  begin_function(std::move(name), role, head);
  bc::Function& function = scope_->emitter.function();
  for (const sx::Param& param : body.params) {
    const bool is_first = &param == &body.params.front();
    declare(param);
    const bool gets_event = role == Role::Handler || role == Role::TimerHandler;
    scope_->variables.back().is_event = gets_event && is_first;
    function.param_names.push_back(param.name);
  }
  function.param_count = static_cast<uint8_t>(body.params.size());
  statements(body.body);
  const uint32_t end = head.end > head.begin ? head.end - 1 : head.begin;
  std::unique_ptr<bc::Function> made = end_function({end, head.end});
  const int child = scope_->emitter.add_child(std::move(made), head);
  emit(Insn::ad(Op::Closure, static_cast<uint8_t>(dst), static_cast<uint16_t>(child)), head);
}

std::unique_ptr<bc::Function> Generator::script(const sx::Script& script) {
  begin_function("main", Role::Main, {});
  const auto& all = script.body.statements;
  std::multimap<size_t, const sx::Stmt*> hoisted;  // by the statement before which they are made
  for (const sx::Stmt& stmt : all) {
    const auto* function = std::get_if<sx::FunctionStmt>(&stmt.node);
    if (const auto* variables = std::get_if<sx::VarDecl>(&stmt.node)) {
      main_variables_.insert(main_variables_.end(), variables->names.begin(),
                             variables->names.end());
    } else if (function != nullptr && function->is_local) {
      main_variables_.push_back(function->name);
    }
    const auto found =
        function == nullptr ? analysis_.hoisted.end() : analysis_.hoisted.find(function);
    if (found != analysis_.hoisted.end()) hoisted.emplace(found->second, &stmt);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    const auto [first, last] = hoisted.equal_range(i);
    for (auto it = first; it != last; ++it) {
      global_function(*it->second, std::get<sx::FunctionStmt>(it->second->node));
    }
    const auto* function = std::get_if<sx::FunctionStmt>(&all[i].node);
    const bool is_made = function != nullptr && analysis_.hoisted.count(function) != 0;
    if (!is_made || analysis_.remade.count(function) != 0) one_statement(all[i]);
  }
  return end_function(all.empty() ? diag::Span{} : all.back().span);
}

std::unique_ptr<bc::Function> Generator::filter(const sx::Expr& expr, Role role) {
  begin_function("filter", role, expr.span);
  const int reg = take(1, expr.span);
  const int value = operand(expr, reg);
  emit(Op::Return, value, 2, 0, expr.span);
  return end_function(expr.span);
}

// ---- blocks ----

void Generator::open_block() {
  scope_->blocks.push_back({scope_->variables.size(), scope_->first_temporary()});
}

void Generator::close_block(diag::Span span) {
  const Block block = scope_->blocks.back();
  if (scope_->captures_from(block.variables_begin))
    emit(Op::Close, block.first_register, 0, 0, span);
  scope_->variables.resize(block.variables_begin);
  release(block.first_register);
  scope_->blocks.pop_back();
}

void Generator::block(const sx::Block& block) {
  open_block();
  statements(block);
  close_block(
      {block.span.end > block.span.begin ? block.span.end - 1 : block.span.begin, block.span.end});
}

void Generator::statements(const sx::Block& block) {
  for (const sx::Stmt& stmt : block.statements) one_statement(stmt);
}

void Generator::one_statement(const sx::Stmt& stmt) {
  std::visit([&](const auto& node) { statement(stmt, node); }, stmt.node);
  release(scope_->first_temporary());
}

const Variable& Generator::declare(const sx::Param& param, int reg) {
  return scope_->declare(param.name, reg, analysis_.facts(&param), param.span);
}

// ---- statements ----

void Generator::statement(const sx::Stmt& stmt, const sx::VarDecl& node) {
  const int count = static_cast<int>(node.names.size());
  const int first = list_to_registers(node.values, count, stmt.span);
  for (int i = 0; i < count; ++i) declare(node.names[static_cast<size_t>(i)], first + i);
}

void Generator::statement(const sx::Stmt&, const sx::CallStmt& node) {
  const auto& call_node = std::get<sx::Call>(node.call.node);
  const int reg = free_register();
  if (meaning(*call_node.callee, true).kind == Meaning::Kind::EventVar) {
    expr_to(node.call, take(1, node.call.span));
  } else {
    call(node.call, call_node, 0, -1);
  }
  release(reg);
}

void Generator::statement(const sx::Stmt& stmt, const sx::If& node) {
  Label end;
  for (const sx::IfArm& arm : node.arms) {
    Label next;
    jump_if(arm.condition, false, next);
    block(arm.body);
    const bool is_last = &arm == &node.arms.back() && !node.otherwise;
    if (!is_last && !scope_->emitter.is_unreachable()) scope_->emitter.jump(end, stmt.span);
    scope_->emitter.bind(next);
  }
  if (node.otherwise) block(*node.otherwise);
  scope_->emitter.bind(end);
}

void Generator::statement(const sx::Stmt&, const sx::Do& node) { block(node.body); }

void Generator::statement(const sx::Stmt& stmt, const sx::Return& node) {
  if (node.values.empty()) return emit(Op::Return, 0, 1, 0, stmt.span);
  if (node.values.size() == 1 && gives_many(node.values[0])) {
    const auto& call_node = std::get<sx::Call>(node.values[0].node);
    call(node.values[0], call_node, -1, -1);
    scope_->emitter.make_tail_call();
    return;
  }
  if (node.values.size() == 1) {
    return emit(Op::Return, operand(node.values[0], -1), 2, 0, stmt.span);
  }
  const int first = free_register();
  for (const sx::Expr& expr : node.values) {
    if (&expr == &node.values.back() && gives_many(expr)) {
      call(expr, std::get<sx::Call>(expr.node), -1, -1);
      return emit(Op::Return, first, 0, 0, stmt.span);
    }
    expr_to(expr, take(1, expr.span));
  }
  emit(Op::Return, first, static_cast<int>(node.values.size()) + 1, 0, stmt.span);
}

void Generator::statement(const sx::Stmt& stmt, const sx::FunctionStmt& node) {
  if (node.is_local) {
    const int reg = declare(node.name).reg;
    return function_to(*node.body, node.name.name, Role::Plain, stmt.span, reg);
  }
  if (node.path.empty()) return global_function(stmt, node);
  const Meaning found = meaning(node.name.name, node.name.span, true);
  if (found.kind == Meaning::Kind::Library || found.kind == Meaning::Kind::Args) {
    sink_.report(Code::CannotAssign, node.name.span,
                 fmt::format("'{}' is part of the language", node.name.name));
    return;
  }
  std::string full_name = node.name.name;
  int object = take(1, node.name.span);
  meaning_to(found, node.name.name, node.name.span, object);
  for (const sx::Param& part : node.path) {
    full_name += "." + part.name;
    if (&part != &node.path.back()) get_field(object, part.name, object, part.span);
  }
  const int function = take(1, stmt.span);
  function_to(*node.body, full_name, Role::Plain, stmt.span, function);
  if (const auto constant = scope_->emitter.small_constant(node.path.back().name, stmt.span)) {
    return emit(Op::SetField, object, *constant, function, stmt.span);
  }
  const int key = take(1, stmt.span);
  scope_->emitter.load(node.path.back().name, key, stmt.span);
  emit(Op::SetIndex, object, key, function, stmt.span);
}

void Generator::global_function(const sx::Stmt& stmt, const sx::FunctionStmt& node) {
  const Target place = name_target(node.name.name, node.name.span, true);
  const int reg = take(1, stmt.span);
  function_to(*node.body, node.name.name, Role::Plain, stmt.span, reg);
  store(place, reg, stmt.span);
  release(reg);
}

}  // namespace ktap::compiler
