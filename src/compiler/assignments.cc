// Assignments. What stands left is evaluated first, from left to right and once, then the values,
// then all is stored from left to right. `t[k] += v` and updates of shared variables are one
// instruction, so that they can be atomic.
#include "base/check.h"
#include "compiler/fold.h"
#include "compiler/generator.h"

namespace ktap::compiler {

namespace sx = syntax;
namespace bc = bytecode;
using bc::Insn;
using bc::Op;
using bc::UpdateOp;
using diag::Code;

namespace {

UpdateOp update_op(sx::BinaryOp op) {
  switch (op) {
    case sx::BinaryOp::Add:
      return UpdateOp::Add;
    case sx::BinaryOp::Sub:
      return UpdateOp::Sub;
    case sx::BinaryOp::Mul:
      return UpdateOp::Mul;
    case sx::BinaryOp::Div:
      return UpdateOp::Div;
    case sx::BinaryOp::Mod:
      return UpdateOp::Mod;
    case sx::BinaryOp::BitAnd:
      return UpdateOp::BitAnd;
    case sx::BinaryOp::BitOr:
      return UpdateOp::BitOr;
    case sx::BinaryOp::BitXor:
      return UpdateOp::BitXor;
    case sx::BinaryOp::Shl:
      return UpdateOp::Shl;
    case sx::BinaryOp::Shr:
      return UpdateOp::Shr;
    case sx::BinaryOp::Concat:
      return UpdateOp::Concat;
    default:
      KTAP_UNREACHABLE();
  }
}

/// The instruction that does an update of a variable in a register.
Op register_op(UpdateOp op) {
  switch (op) {
    case UpdateOp::Add:
      return Op::Add;
    case UpdateOp::Sub:
      return Op::Sub;
    case UpdateOp::BitAnd:
      return Op::BitAnd;
    case UpdateOp::BitOr:
      return Op::BitOr;
    case UpdateOp::BitXor:
      return Op::BitXor;
    case UpdateOp::Mul:
      return Op::Mul;
    case UpdateOp::Div:
      return Op::Div;
    case UpdateOp::Mod:
      return Op::Mod;
    case UpdateOp::Shl:
      return Op::Shl;
    case UpdateOp::Shr:
      return Op::Shr;
    case UpdateOp::Concat:
      return Op::Concat;
  }
  KTAP_UNREACHABLE();
}

}  // namespace

Target Generator::name_target(const std::string& name, diag::Span span, bool is_function) {
  const Meaning found = meaning(name, span, true);
  switch (found.kind) {
    case Meaning::Kind::Local:
      return {Target::Kind::Local, found.index, 0};
    case Meaning::Kind::Upvalue:
      return {Target::Kind::Upvalue, found.index, 0};
    case Meaning::Kind::Global:
      return {Target::Kind::Global, found.index, 0};
    default:
      report_undeclared(name, span, is_function);
      return {};
  }
}

Target Generator::target(const sx::Expr& expr, bool copy_locals, bool calls_follow) {
  if (const auto* name = std::get_if<sx::Name>(&expr.node))
    return name_target(name->name, expr.span);
  const auto* index = std::get_if<sx::Index>(&expr.node);
  const auto* member = std::get_if<sx::Member>(&expr.node);
  if (index == nullptr && member == nullptr) {
    sink_.report(Code::CannotAssign, expr.span, "this cannot be assigned");
    return {};
  }
  const sx::Expr& object = index != nullptr ? *index->object : *member->object;
  if (is_args(object) || is_library_name(object)) {
    sink_.report(Code::CannotAssign, expr.span,
                 is_args(object) ? "the arguments of an event cannot be assigned"
                                 : "a member of a library cannot be assigned");
    return {};
  }
  const auto in_register = [&](const sx::Expr& part) {
    return copy_locals ? temporary(part) : operand(part, -1, calls_follow || index != nullptr);
  };
  Target place{Target::Kind::Index, in_register(object), 0};
  const auto key = index == nullptr          ? std::optional<bc::Constant>(member->name)
                   : index->keys.size() == 1 ? fold(index->keys[0])
                                             : std::nullopt;
  if (key && std::holds_alternative<std::string>(*key)) {
    if (const auto constant = scope_->emitter.small_constant(*key, expr.span)) {
      return {Target::Kind::Field, place.index, *constant};
    }
  }
  if (member != nullptr) {
    place.key = take(1, expr.span);
    scope_->emitter.load(*key, place.key, expr.span);
  } else if (index->keys.size() == 1) {
    place.key = in_register(index->keys[0]);
  } else {
    place.key = key_operand(index->keys, -1, expr.span, calls_follow);
  }
  return place;
}

void Generator::store(const Target& place, int value, diag::Span span) {
  switch (place.kind) {
    case Target::Kind::Invalid:
      return;
    case Target::Kind::Local:
      if (place.index != value) emit(Op::Move, place.index, value, 0, span);
      return;
    case Target::Kind::Upvalue:
      return emit(Op::SetUpval, value, place.index, 0, span);
    case Target::Kind::Global:
      return emit(
          Insn::ad(Op::SetGlobal, static_cast<uint8_t>(value), static_cast<uint16_t>(place.index)),
          span);
    case Target::Kind::Index:
      return emit(Op::SetIndex, place.index, place.key, value, span);
    case Target::Kind::Field:
      return emit(Op::SetField, place.index, place.key, value, span);
  }
}

void Generator::statement(const sx::Stmt& stmt, const sx::Assign& node) {
  if (node.targets.size() == 1 && node.values.size() == 1) {
    const Target place = target(node.targets[0], false, true);
    if (place.kind == Target::Kind::Local) return expr_to(node.values[0], place.index);
    return store(place, operand(node.values[0], -1), stmt.span);
  }
  std::vector<Target> places;
  for (const sx::Expr& expr : node.targets) places.push_back(target(expr, true, true));
  const int first = list_to_registers(node.values, static_cast<int>(places.size()), stmt.span);
  for (size_t i = 0; i < places.size(); ++i) {
    store(places[i], first + static_cast<int>(i), node.targets[i].span);
  }
}

void Generator::statement(const sx::Stmt& stmt, const sx::CompoundAssign& node) {
  const auto* name = std::get_if<sx::Name>(&node.target.node);
  if (name == nullptr) return update_index(stmt, node);
  if (const Variable* variable = scope_->find(name->name))
    return update_local(*variable, stmt, node);
  const Target place = name_target(name->name, node.target.span);
  const int value = operand(node.value, -1);
  if (place.kind == Target::Kind::Invalid) return;
  const Op op = place.kind == Target::Kind::Global ? Op::UpdateGlobal : Op::UpdateUpval;
  emit(op, place.index, value, static_cast<int>(update_op(node.op)), stmt.span);
}

void Generator::update_local(const Variable& variable, const sx::Stmt& stmt,
                             const sx::CompoundAssign& node) {
  const int reg = variable.reg;
  const UpdateOp op = update_op(node.op);
  if (op != UpdateOp::Concat)
    return arithmetic_to(register_op(op), reg, node.value, reg, -1, stmt.span);
  const int pair = take(2, stmt.span);
  expr_to(node.value, pair + 1);
  emit(Op::Move, pair, reg, 0, node.target.span);
  emit(Op::Concat, reg, pair, pair + 1, stmt.span);
}

void Generator::update_index(const sx::Stmt& stmt, const sx::CompoundAssign& node) {
  const auto* index = std::get_if<sx::Index>(&node.target.node);
  const auto* member = std::get_if<sx::Member>(&node.target.node);
  if (index == nullptr && member == nullptr) {
    sink_.report(Code::CannotAssign, node.target.span, "this cannot be assigned");
    return;
  }
  const sx::Expr& object_expr = index != nullptr ? *index->object : *member->object;
  if (is_args(object_expr) || is_library_name(object_expr)) {
    target(node.target, false, false);  // says why not
    return;
  }
  const int object = operand(object_expr, -1, true);
  const int key = take(1, stmt.span);
  if (index != nullptr) {
    key_operand(index->keys, key, node.target.span, true);
  } else {
    scope_->emitter.load(member->name, key, member->name_span);
  }
  temporary(node.value);  // right above the key
  emit(Op::UpdateIndex, object, key, static_cast<int>(update_op(node.op)), stmt.span);
}

}  // namespace ktap::compiler
