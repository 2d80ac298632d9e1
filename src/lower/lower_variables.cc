// Variables of the main chunk that handlers assign. One that holds integers alone is a word that
// kernel and user space share; any other is a table of its own with one entry, under `true`: no
// entry is nil.
#include <fmt/format.h>

#include <utility>

#include "lower/lowerer.h"
#include "runtime/arith.h"
#include "runtime/kernel_pointer.h"

namespace ktap::lower {

using bytecode::UpdateOp;

std::optional<ssa::Op> Lowerer::bit_operation(UpdateOp op) {
  switch (op) {
    case UpdateOp::BitAnd:
      return ssa::Op::TableAnd;
    case UpdateOp::BitOr:
      return ssa::Op::TableOr;
    case UpdateOp::BitXor:
      return ssa::Op::TableXor;
    default:
      return std::nullopt;
  }
}

std::string Lowerer::global_name(uint32_t slot) const {
  if (world_.global_names && slot < world_.global_names->size())
    return (*world_.global_names)[slot];
  return fmt::format("global {}", slot);
}

/// What the main chunk left in it.
runtime::Value Lowerer::present_value(const Variable& variable) const {
  if (variable.cell != nullptr) return *variable.cell->slot;
  const auto slot = static_cast<size_t>(variable.global);
  return slot < world_.globals->size() ? (*world_.globals)[slot] : runtime::Value::nil();
}

/// Kinds of values that handlers give it.
uint8_t Lowerer::kinds_of(const Variable& variable) const {
  if (variable.cell != nullptr) {
    const auto at = world_.cell_kinds.find(variable.cell);
    return at == world_.cell_kinds.end() ? uint8_t{0} : at->second;
  }
  const auto at = world_.global_kinds.find(static_cast<uint32_t>(variable.global));
  return at == world_.global_kinds.end() ? uint8_t{0} : at->second;
}

AbstractValue Lowerer::read_cell(const runtime::Cell* cell, const std::string& name) {
  if (world_.assigned_cells.count(cell) == 0) return AbstractValue::of_world(*cell->slot, name);
  return get_variable({cell, -1}, name);
}

AbstractValue Lowerer::read_global(uint32_t slot) {
  const Variable variable{nullptr, slot};
  if (world_.assigned_globals.count(slot) == 0)
    return AbstractValue::of_world(present_value(variable), global_name(slot));
  return get_variable(variable, global_name(slot));
}

/// A word, unless something else than an integer was or may be there.
bool Lowerer::is_word(const Variable& variable) const {
  const runtime::Type present = present_value(variable).type;
  return (present == runtime::Type::Integer || present == runtime::Type::SharedCell) &&
         (kinds_of(variable) & ~kInteger) == 0 && linkage_.shapes.variables.count(variable) == 0;
}

int64_t Lowerer::word_id(const Variable& variable, const std::string& name) {
  for (size_t i = 0; i < linkage_.cells.size(); ++i) {
    if (linkage_.cells[i] == variable.cell && linkage_.cell_globals[i] == variable.global)
      return static_cast<int64_t>(i);
  }
  linkage_.module.cells.push_back(name);
  linkage_.cells.push_back(variable.cell);
  linkage_.cell_globals.push_back(variable.global);
  return static_cast<int64_t>(linkage_.cells.size() - 1);
}

/// The table that stands for the variable.
std::optional<int64_t> Lowerer::variable_table(const Variable& variable, const std::string& name) {
  for (size_t i = 0; i < linkage_.variables.size(); ++i) {
    if (linkage_.variables[i] == variable) return static_cast<int64_t>(i);
  }
  const runtime::Value present = present_value(variable);
  switch (runtime::is_null_pointer(present) ? runtime::Type::Pointer : present.type) {
    case runtime::Type::Nil:
    case runtime::Type::Integer:
    case runtime::Type::Boolean:
    case runtime::Type::String:
      break;
    default:
      refuse(fmt::format("variable {} holds {}", name,
                         describe(AbstractValue::of_world(present, name))));
      return std::nullopt;
  }
  runtime::Table* table = linkage_.constants->table();
  table->capacity_hint = 1;
  if (!present.is_nil()) table->set(runtime::Value::of(true), present);
  const std::optional<int64_t> id = add_table(table, name, kinds_of(variable), variable);
  if (!id) return std::nullopt;
  ssa::TableInfo& info = linkage_.module.tables[static_cast<size_t>(*id)];
  info.key = {{ssa::KeyPart::Kind::Bool, 8}};
  info.is_variable = true;
  return id;
}

AbstractValue Lowerer::get_variable(const Variable& variable, const std::string& name) {
  if (is_word(variable)) {
    ssa::Inst inst{ssa::Op::CellGet, ssa::Type::Int};
    inst.imm = word_id(variable, name);
    return AbstractValue::ssa(emit(std::move(inst)));
  }
  const std::optional<int64_t> id = variable_table(variable, name);
  if (!id) return {};
  AbstractValue value = get_entry(*id, {const_bool(true)});
  const auto learnt = linkage_.shapes.variables.find(variable);
  const bool may_be_nil = (kinds_of(variable) & kNil) != 0 || present_value(variable).is_nil() ||
                          (learnt != linkage_.shapes.variables.end() && learnt->second.may_be_nil);
  value.may_be_zero = value.is(Kind::Pointer);
  if (may_be_nil) return value;
  if (is_union(value)) {
    std::erase_if(value.parts, [](const AbstractValue& part) { return part.tag == kNilTag; });
    return value;
  }
  value.id = unwrap(value);
  value.may_be_nil = false;
  return value;
}

/// A pointer as a variable keeps it, which knows a null pointer, 0, from nil.
AbstractValue Lowerer::zero_for_null(const AbstractValue& pointer) {
  AbstractValue number = plain(pointer);
  if (is_maybe(number)) {
    const ssa::BlockId absent = enter_where_there(number);
    number = join({{absent, {AbstractValue::of(int64_t{0})}, 0}, {current_, {number}, 0}})[0];
  }
  if (number.is_constant()) number = AbstractValue::ssa(const_int(number.integer));
  return AbstractValue::pointer(pointer.ctype, number.id, 0);
}

void Lowerer::write_cell(const runtime::Cell* cell, const std::string& name,
                         const AbstractValue& value) {
  write_variable({cell, -1}, name, value);
}

void Lowerer::write_global(uint32_t slot, const AbstractValue& value) {
  write_variable({nullptr, slot}, global_name(slot), value);
}

void Lowerer::write_variable(const Variable& variable, const std::string& name,
                             const AbstractValue& value) {
  if (by_type({value}, [&](const std::vector<AbstractValue>& v) {
        write_variable(variable, name, v[0]);
        return AbstractValue::nil();
      })) {
    return;
  }
  if (is_word(variable) && type_of(value) == ssa::Type::Int) {
    ssa::Inst inst{ssa::Op::CellSet};
    inst.imm = word_id(variable, name);
    inst.operands = {to_int(value, "an assignment")};
    emit(std::move(inst));
    return;
  }
  if (is_word(variable)) {  // once more, as a table
    linkage_.shapes.variables[variable];
    return refuse(fmt::format("{} is assigned to variable {}", describe(value), name));
  }
  if (is_maybe(value) || (value.is(Kind::Pointer) && value.may_be_nil)) {
    return do_either(value, [&](const AbstractValue& v) { write_variable(variable, name, v); });
  }
  const std::optional<int64_t> id = variable_table(variable, name);
  if (!id) return;
  if (value.is(Kind::Pointer) && (!value.may_be_zero || ssa::is_maybe(function_[value.id].type)))
    return set_entry(*id, {const_bool(true)}, zero_for_null(value));
  if (!value.is(Kind::Nil)) return set_entry(*id, {const_bool(true)}, value);
  if ((kinds_of(variable) & kNil) == 0) linkage_.shapes.variables[variable].may_be_nil = true;
  ssa::Inst inst{ssa::Op::TableDelete};
  inst.imm = *id;
  inst.operands = {const_bool(true)};
  linkage_.module.tables[static_cast<size_t>(*id)].is_deleted = true;
  emit(std::move(inst));
}

void Lowerer::update_variable(const Variable& variable, const std::string& name, UpdateOp op,
                              const AbstractValue& value) {
  if (by_type({value}, [&](const std::vector<AbstractValue>& v) {
        update_variable(variable, name, op, v[0]);
        return AbstractValue::nil();
      })) {
    return;
  }
  AbstractValue operand = value;
  const std::optional<ssa::Op> bits = bit_operation(op);
  const bool adds = op == UpdateOp::Add || op == UpdateOp::Sub;
  if (!adds && !bits) {
    const AbstractValue now = get_variable(variable, name);
    if (stopped()) return;
    const AbstractValue result =
        op == UpdateOp::Concat ? concat({now, operand}) : compute(op, now, operand);
    if (!stopped() && reachable()) write_variable(variable, name, result);
    return;
  }
  AbstractValue now = AbstractValue::of(int64_t{0});
  if (!is_word(variable)) now = get_variable(variable, name);
  if (stopped() || !check_update(now, operand, op)) return;
  if (op == UpdateOp::Sub)
    operand = arithmetic(ssa::Op::Sub, AbstractValue::of(int64_t{0}), operand);
  if (stopped() || !reachable()) return;
  if (is_word(variable)) {
    ssa::Inst inst{op == UpdateOp::BitAnd   ? ssa::Op::CellAnd
                   : op == UpdateOp::BitOr  ? ssa::Op::CellOr
                   : op == UpdateOp::BitXor ? ssa::Op::CellXor
                                            : ssa::Op::CellAdd};
    inst.imm = word_id(variable, name);
    inst.operands = {to_int(operand, "arithmetic")};
    emit(std::move(inst));
    return;
  }
  // It is there: what adds to it or combines with it needs no other look.
  const std::optional<int64_t> id = variable_table(variable, name);
  ssa::Inst inst{bits.value_or(ssa::Op::TableAdd)};
  inst.operands = {const_bool(true)};
  if (id) combine_entry(std::move(inst), *id, operand);
}

}  // namespace ktap::lower
