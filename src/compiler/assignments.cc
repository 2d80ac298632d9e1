// Assignments. What stands left is evaluated first, from left to right and once, then the values,
// then all is stored from left to right. `t[k] += v` and updates of shared variables are one
// instruction, so that they can be atomic.
#include <fmt/format.h>

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

bool reads_aggregate(bc::Builtin builtin) {
  switch (builtin) {
    case bc::Builtin::Count:
    case bc::Builtin::Sum:
    case bc::Builtin::Min:
    case bc::Builtin::Max:
    case bc::Builtin::Avg:
    case bc::Builtin::Stddev:
    case bc::Builtin::Quantile:
    case bc::Builtin::Hist:
      return true;
    default:
      return false;
  }
}

/// `t` of `t[a].b[c]`, `args` of `args.a.b`.
const sx::Expr& beginning(const sx::Expr& place) {
  const sx::Expr* inner = &place;
  while (true) {
    if (const auto* index = std::get_if<sx::Index>(&inner->node)) {
      inner = index->object.get();
    } else if (const auto* member = std::get_if<sx::Member>(&inner->node)) {
      inner = member->object.get();
    } else {
      return *inner;
    }
  }
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

bool Generator::check_stored_into(const sx::Expr& object, diag::Span place) {
  const auto* name = std::get_if<sx::Name>(&object.node);
  if (name == nullptr) return true;
  switch (meaning(name->name, object.span, true).kind) {
    case Meaning::Kind::Args:
      sink_.report(Code::CannotAssign, place, "the arguments of an event cannot be assigned");
      return false;
    case Meaning::Kind::Library:
      sink_.report(Code::CannotAssign, place, "a member of a library cannot be assigned");
      return false;
    case Meaning::Kind::Builtin: {
      auto& diagnostic = sink_.report(
          Code::CannotAssign, object.span,
          fmt::format("'{}' is a built-in function, nothing can be stored in it", name->name));
      const std::string near = diag::did_you_mean(name->name, variables_at(object.span.begin));
      if (!near.empty()) diagnostic.hints.push_back(near);
      return false;
    }
    default:
      return true;
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
  if (!check_stored_into(object, expr.span)) return {};
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
    if (refuse_assigned_sample(node.targets[0], node.values[0])) return;
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
  if (!check_stored_into(object_expr, node.target.span)) return;
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

// `place <<< sample`: a table cell is named to the instruction, since it may have to be made; an
// aggregate in a variable is a value like others.
void Generator::statement(const sx::Stmt& stmt, const sx::AggregateAdd& node) {
  const auto* index = std::get_if<sx::Index>(&node.target.node);
  const auto* member = std::get_if<sx::Member>(&node.target.node);
  if (index == nullptr && member == nullptr) {
    check_sampled_name(node.target);
    const int aggregate = operand(node.target, -1, true);
    return emit(Op::AggAddVar, aggregate, operand(node.value, -1), 0, stmt.span);
  }
  const sx::Expr& object_expr = index != nullptr ? *index->object : *member->object;
  if (!check_stored_into(object_expr, node.target.span)) return;
  const int object = operand(object_expr, -1, true);
  int key = 0;
  if (index != nullptr) {
    key = key_operand(index->keys, -1, node.target.span, true);
  } else {
    key = take(1, stmt.span);
    scope_->emitter.load(member->name, key, member->name_span);
  }
  emit(Op::AggAdd, object, key, operand(node.value, -1), stmt.span);
}

/// A built-in variable or function left of `<<<` can never be an aggregate.
void Generator::check_sampled_name(const sx::Expr& target) {
  const auto* name = std::get_if<sx::Name>(&target.node);
  if (name == nullptr) return;
  const Meaning::Kind kind = meaning(name->name, target.span, true).kind;
  if (kind != Meaning::Kind::Builtin && kind != Meaning::Kind::EventVar) return;
  sink_
      .report(Code::CannotAssign, target.span,
              fmt::format("'{}' is a built-in {}, it takes no samples", name->name,
                          kind == Meaning::Kind::Builtin ? "function" : "variable"))
      .hints.emplace_back("'<<<' adds to a table cell or to a variable that holds aggr()");
}

bool Generator::is_sample(const sx::Expr& expr) {
  if (const auto* paren = std::get_if<sx::Paren>(&expr.node)) return is_sample(*paren->inner);
  if (const auto* unary = std::get_if<sx::Unary>(&expr.node))
    return unary->op == sx::UnaryOp::Neg || unary->op == sx::UnaryOp::BitNot;
  if (const auto* binary = std::get_if<sx::Binary>(&expr.node)) {
    switch (binary->op) {
      case sx::BinaryOp::Add:
      case sx::BinaryOp::Sub:
      case sx::BinaryOp::Mul:
      case sx::BinaryOp::Div:
      case sx::BinaryOp::Mod:
        return true;
      default:
        break;
    }
  }
  const sx::Expr& object = beginning(expr);
  if (&object != &expr && (is_args(object) || is_event_object(object))) return true;
  const KnownType type = known_type(expr);
  if (type != KnownType::Unknown) return type == KnownType::Integer || type == KnownType::Float;
  return meaning(expr, false).kind == Meaning::Kind::EventVar && !is_event_object(expr);
}

/// `t[k] = hist(n)` and `t[k] = count()`, as other tracers add samples: reported in ktap's words.
bool Generator::refuse_assigned_sample(const sx::Expr& target, const sx::Expr& value) {
  const auto* call = std::get_if<sx::Call>(&value.node);
  const auto* home = std::get_if<sx::Name>(&beginning(target).node);
  if (call == nullptr || home == nullptr) return false;
  const Meaning reader = meaning(*call->callee, true);
  if (reader.kind != Meaning::Kind::Builtin || !reads_aggregate(reader.builtin)) return false;
  const bool counts = reader.builtin == bc::Builtin::Count;
  const bool counts_nothing = counts && call->args.empty();
  if (!counts_nothing && (call->args.empty() || !is_sample(call->args[0]))) return false;
  if (counts && call->args.size() > 1) return false;  // the older spelling of t[k] += 1
  const std::string_view name = text_of(call->callee->span);
  const std::string_view place = text_of(target.span);
  const bool is_cell = !std::holds_alternative<sx::Name>(target.node);
  const bool is_known =
      is_cell && meaning(home->name, target.span, true).kind != Meaning::Kind::Unknown;
  const auto with = [&](std::string_view first) {
    return is_known ? ""
                    : fmt::format(", with `{} = {}` in the main chunk", home->name,
                                  is_cell ? "{}" : first);
  };
  if (counts_nothing) {
    sink_.report(Code::ArgumentCount, value.span, "'count' reads an aggregate, and none is given")
        .hints.push_back(fmt::format("to count, write `{} += 1`{}", place, with("0")));
    return true;
  }
  const diag::Span sample = call->args[0].span;
  const std::string_view behind = text_of({sample.end, value.span.end});
  sink_
      .report(Code::SampleForAggregate, sample,
              fmt::format("'{}' reads an aggregate, this is a single number", name))
      .hints.push_back(fmt::format("to add it, write `{} <<< {}`{}; `{}({}{}` reads what was added",
                                   place, text_of(sample), with("aggr()"), name, place, behind));
  return true;
}

}  // namespace ktap::compiler
