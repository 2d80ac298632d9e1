// Tables and shared variables. A table's identity is always known here; one that no handler writes
// is read at compile time when the key is known. The first use of a written table fixes what its
// key is made of, later ones must agree, and so must the entries that the main chunk put there.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "lower/lowerer.h"
#include "runtime/arith.h"
#include "runtime/string.h"
#include "runtime/tuple.h"

namespace ktap::lower {

namespace {

using bytecode::UpdateOp;
using ssa::KeyPart;

/// The size class of a string part of a key.
uint32_t part_bytes(uint32_t max_bytes) {
  if (max_bytes <= 16) return 16;
  return max_bytes <= 64 ? 64 : limits::kStringBytes;
}

bool is_key_of(const AbstractValue& key, runtime::Value present) {
  switch (key.kind) {
    case AbstractValue::Kind::Bool:
      return present.type == runtime::Type::Boolean && present.boolean == (key.integer != 0);
    case AbstractValue::Kind::Int:
      return present.is_integer() && present.integer == key.integer;
    case AbstractValue::Kind::Str:
      return present.type == runtime::Type::String && present.string()->view() == key.text;
    case AbstractValue::Kind::Tuple:
      if (present.type != runtime::Type::Tuple || present.tuple()->size() != key.parts.size())
        return false;
      for (size_t i = 0; i < key.parts.size(); ++i) {
        if (!is_key_of(key.parts[i], (*present.tuple())[i])) return false;
      }
      return true;
    default:
      return false;
  }
}

ssa::Op operation(UpdateOp op) {
  switch (op) {
    case UpdateOp::Mul:
      return ssa::Op::Mul;
    case UpdateOp::Shl:
      return ssa::Op::Shl;
    case UpdateOp::Shr:
      return ssa::Op::Sar;
    case UpdateOp::Div:
      return ssa::Op::DivS;
    default:
      return ssa::Op::ModS;
  }
}

bool has_bits(UpdateOp op) {
  return op == UpdateOp::BitAnd || op == UpdateOp::BitOr || op == UpdateOp::BitXor;
}

}  // namespace

AbstractValue Lowerer::get_index(const AbstractValue& object, const AbstractValue& key) {
  switch (object.kind) {
    case Kind::Table:
      return table_get(object, key);
    case Kind::Event:
      if (!key.is(Kind::Str)) {
        refuse("a field of the event whose name is not known");
        return {};
      }
      return event_member(key.text);
    case Kind::Tuple:
      if (key.is(Kind::Int)) {
        const auto part = static_cast<uint64_t>(key.integer) - 1;
        return part < object.parts.size() ? object.parts[part] : AbstractValue::nil();
      }
      refuse("a part of a multi-key that is not known");
      return {};
    default:
      refuse_use("an index", object);
      return {};
  }
}

AbstractValue Lowerer::table_get(const AbstractValue& table, const AbstractValue& key) {
  if (key.is(Kind::Nil)) return AbstractValue::nil();
  if (key.is_constant() && world_.written_tables.count(table.table) == 0) {
    for (const auto& [present, value] : table.table->entries()) {
      if (!is_key_of(key, present)) continue;
      const std::string name = key.is(Kind::Str)   ? fmt::format("{}.{}", table.text, key.text)
                               : key.is(Kind::Int) ? fmt::format("{}[{}]", table.text, key.integer)
                                                   : table.text + "[…]";
      return AbstractValue::of_world(value, name);
    }
    if (!key.is(Kind::Float)) return AbstractValue::nil();
  }
  // Under a key that is nil or has a nil part nothing is stored.
  AbstractValue sure = key;
  AbstractValue* part = nil_part(sure);
  if (part != nullptr && part->is(Kind::Nil)) return AbstractValue::nil();
  if (part != nullptr) {
    const ssa::BlockId absent = enter_where_there(*part);
    const AbstractValue got = table_get(table, sure);
    if (stopped()) return {};
    return join({{absent, {AbstractValue::nil()}, 0}, {current_, {got}, 0}})[0];
  }
  ssa::Inst inst{ssa::Op::TableGet, ssa::Type::MaybeInt};
  const std::optional<int64_t> id = table_access(table, key, inst.operands);
  if (!id) return {};
  inst.imm = *id;
  linkage_.module.tables[static_cast<size_t>(*id)].is_read = true;
  return AbstractValue::ssa(emit(std::move(inst)));
}

void Lowerer::table_set(const AbstractValue& object, const AbstractValue& at,
                        const AbstractValue& value) {
  if (value.is(Kind::Nil)) {
    table_delete(object, at);
    return;
  }
  AbstractValue key = at;
  if (!sure_key(key)) return;
  if (type_of(value) != ssa::Type::Int) {
    refuse(fmt::format("{} is stored in a table", describe(value)));
    return;
  }
  ssa::Inst inst{ssa::Op::TableSet};
  const std::optional<int64_t> id = table_access(object, key, inst.operands);
  if (!id) return;
  inst.imm = *id;
  inst.operands.push_back(to_int(value, "a table entry"));
  linkage_.module.tables[static_cast<size_t>(*id)].is_set = true;
  emit(std::move(inst));
}

void Lowerer::table_add(const AbstractValue& object, const AbstractValue& key,
                        const AbstractValue& value) {
  ssa::Inst inst{ssa::Op::TableAdd};
  const std::optional<int64_t> id = table_access(object, key, inst.operands);
  if (!id) return;
  inst.imm = *id;
  inst.operands.push_back(to_int(value, "arithmetic"));
  linkage_.module.tables[static_cast<size_t>(*id)].is_added = true;
  emit(std::move(inst));
}

void Lowerer::table_update(const AbstractValue& object, const AbstractValue& at,
                           const AbstractValue& value, UpdateOp op) {
  AbstractValue key = at;
  if (!sure_key(key)) return;
  if (op == UpdateOp::Concat) return refuse("strings are joined here");
  if (has_bits(op)) return refuse("an atomic bit operation on a table entry");
  const auto error_text = [op](runtime::Value entry, runtime::Value operand) {
    runtime::Value ignored;
    std::string text;
    runtime::arith(static_cast<runtime::ArithOp>(op), entry, operand, &ignored, &text);
    return text;
  };
  if (op == UpdateOp::Add || op == UpdateOp::Sub) {
    const runtime::Value one = runtime::Value::of(int64_t{1});
    AbstractValue addend = check_not_nil(value, error_text(one, runtime::Value::nil()));
    if (op == UpdateOp::Sub)
      addend = arithmetic(ssa::Op::Sub, AbstractValue::of(int64_t{0}), addend);
    if (!stopped()) table_add(object, key, addend);
    return;
  }
  if (!object.is(Kind::Table)) return refuse_use("an index", object);
  const AbstractValue entry = table_get(object, key);
  if (stopped()) return;
  const ssa::Op how = operation(op);
  const bool divides = how == ssa::Op::DivS || how == ssa::Op::ModS;
  const AbstractValue result = divides ? divide(how, entry, value) : arithmetic(how, entry, value);
  if (!stopped() && reachable()) table_set(object, key, result);
}

void Lowerer::table_delete(const AbstractValue& object, const AbstractValue& at) {
  AbstractValue key = at;
  if (!sure_key(key)) return;
  ssa::Inst inst{ssa::Op::TableDelete};
  const std::optional<int64_t> id = table_access(object, key, inst.operands);
  if (!id) return;
  inst.imm = *id;
  linkage_.module.tables[static_cast<size_t>(*id)].is_deleted = true;
  emit(std::move(inst));
}

// ---- keys ------------------------------------------------------------------------------------

/// The first part that is nil or may be; null when there is none.
AbstractValue* Lowerer::nil_part(AbstractValue& key) {
  if (key.is(Kind::Nil) || is_maybe(key)) return &key;
  for (AbstractValue& part : key.parts) {
    if (AbstractValue* found = nil_part(part)) return found;
  }
  return nullptr;
}

/// Goes on where `maybe` is there, and makes it sure; gives the block where it is nil.
ssa::BlockId Lowerer::enter_where_there(AbstractValue& maybe) {
  const ssa::BlockId absent = new_block();
  const ssa::BlockId present = new_block();
  branch(op1(ssa::Op::IsNil, ssa::Type::Bool, maybe.id), absent, present);
  current_ = present;
  maybe = AbstractValue::ssa(unwrap(maybe));
  return absent;
}

/// Before a write: a key that is nil, or has a nil part, is a run-time error.
bool Lowerer::sure_key(AbstractValue& key) {
  if (!key.is(Kind::Tuple)) {
    key = check_not_nil(key, "nil cannot be a key");
  } else {
    for (AbstractValue& part : key.parts)
      part = check_not_nil(part, "nil cannot be a part of a key");
  }
  return !stopped();
}

bool Lowerer::key_parts(const AbstractValue& key, std::vector<AbstractValue>& parts) {
  if (key.is(Kind::Tuple)) {
    for (const AbstractValue& part : key.parts) {
      if (!key_parts(part, parts)) return false;
    }
    return true;
  }
  if (key.is(Kind::Rendered) && is_text(key)) {
    parts.push_back(text_value(key));
    return !stopped();
  }
  if (type_of(key) == ssa::Type::None) {
    refuse(fmt::format("{} as a table key", describe(key)));
    return false;
  }
  parts.push_back(key);
  return true;
}

std::optional<int64_t> Lowerer::table_access(const AbstractValue& object, const AbstractValue& key,
                                             std::vector<ssa::ValueId>& operands) {
  if (!object.is(Kind::Table)) {
    refuse_use("an index", object);
    return std::nullopt;
  }
  std::vector<AbstractValue> parts;
  if (!key_parts(key, parts)) return std::nullopt;
  const std::optional<int64_t> id = table_id(object);
  if (!id || !unify_key(*id, parts) || !fits_present_keys(object, *id)) return std::nullopt;
  for (const AbstractValue& part : parts) {
    switch (part.kind) {
      case Kind::Int:
        operands.push_back(const_int(part.integer));
        break;
      case Kind::Bool:
        operands.push_back(const_bool(part.integer != 0));
        break;
      case Kind::Str:
        operands.push_back(const_str(part.text));
        break;
      default:
        operands.push_back(part.id);
        break;
    }
  }
  return id;
}

std::optional<int64_t> Lowerer::table_id(const AbstractValue& table) {
  for (size_t i = 0; i < linkage_.tables.size(); ++i) {
    if (linkage_.tables[i] == table.table) return static_cast<int64_t>(i);
  }
  if (world_.mixed_tables.count(table.table) != 0) {
    refuse(fmt::format("table {} may get something else than integers", table.text));
    return std::nullopt;
  }
  for (const auto& entry : table.table->entries()) {
    if (entry.second.type == runtime::Type::Integer) continue;
    refuse(fmt::format("table {} holds {}", table.text,
                       describe(AbstractValue::of_world(entry.second, ""))));
    return std::nullopt;
  }
  ssa::TableInfo info;
  info.name = table.text;
  info.max_entries =
      table.table->capacity_hint != 0 ? table.table->capacity_hint : limits::kDefaultTableSize;
  linkage_.module.tables.push_back(std::move(info));
  linkage_.tables.push_back(table.table);
  linkage_.literal_parts.emplace_back();
  return static_cast<int64_t>(linkage_.tables.size() - 1);
}

/// The key's parts against what the table has: the first use decides, a literal string fits both
/// kinds.
bool Lowerer::unify_key(int64_t table, const std::vector<AbstractValue>& parts) {
  ssa::TableInfo& info = linkage_.module.tables[static_cast<size_t>(table)];
  std::vector<bool>& literal = linkage_.literal_parts[static_cast<size_t>(table)];
  const bool is_first = info.key.empty();
  if (!is_first && info.key.size() != parts.size()) {
    refuse(fmt::format("table {} has keys of {} and of {} parts", info.name, info.key.size(),
                       parts.size()));
    return false;
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    KeyPart part;
    bool is_literal = false;
    switch (type_of(parts[i])) {
      case ssa::Type::Int:
        break;
      case ssa::Type::Bool:
        part.kind = KeyPart::Kind::Bool;
        break;
      default:
        is_literal = parts[i].is(Kind::Str);
        part.kind = KeyPart::Kind::StrId;
        if (!is_literal && function_[parts[i].id].str_kind == ssa::StrKind::Bytes) {
          part.kind = KeyPart::Kind::Bytes;
          part.max_bytes = part_bytes(function_[parts[i].id].max_bytes);
        }
        break;
    }
    if (is_first) {
      info.key.push_back(part);
      literal.push_back(is_literal);
      continue;
    }
    KeyPart& have = info.key[i];
    const bool bytes = have.kind == KeyPart::Kind::Bytes;
    if (is_literal && bytes) {
      if (parts[i].text.size() > have.max_bytes) {
        refuse(fmt::format("a key of table {} is longer than {} bytes", info.name, have.max_bytes));
        return false;
      }
    } else if (part.kind == KeyPart::Kind::Bytes &&
               (bytes || (have.kind == KeyPart::Kind::StrId && literal[i]))) {
      have.max_bytes = bytes ? std::max(have.max_bytes, part.max_bytes) : part.max_bytes;
      have.kind = KeyPart::Kind::Bytes;
      literal[i] = false;
    } else if (have.kind != part.kind) {
      refuse(fmt::format("table {} has keys of different kinds", info.name));
      return false;
    } else {
      literal[i] = literal[i] && is_literal;
    }
  }
  return true;
}

/// What the main chunk left in the table has keys of the same make. Literal keys of other handlers
/// are long enough by then or the table was refused to them.
bool Lowerer::fits_present_keys(const AbstractValue& table, int64_t id) {
  const std::vector<KeyPart> key = linkage_.module.tables[static_cast<size_t>(id)].key;
  const auto fits = [&](runtime::Value value, const KeyPart& part) {
    switch (part.kind) {
      case KeyPart::Kind::Int:
        return value.type == runtime::Type::Integer;
      case KeyPart::Kind::Bool:
        return value.type == runtime::Type::Boolean;
      case KeyPart::Kind::StrId:
        if (value.type != runtime::Type::String) return false;
        linkage_.module.intern(value.string()->view());
        return true;
      case KeyPart::Kind::Bytes:
        return value.type == runtime::Type::String && value.string()->size() <= part.max_bytes;
    }
    return false;
  };
  for (const auto& entry : table.table->entries()) {
    const runtime::Value present = entry.first;
    const size_t size = present.type == runtime::Type::Tuple ? present.tuple()->size() : 1;
    bool good = size == key.size();
    for (size_t i = 0; good && i < size; ++i) {
      good = fits(present.type == runtime::Type::Tuple ? (*present.tuple())[i] : present, key[i]);
    }
    if (good) continue;
    refuse(fmt::format("table {} holds keys of another kind", table.text));
    return false;
  }
  return true;
}

// ---- variables -------------------------------------------------------------------------------

AbstractValue Lowerer::read_cell(const runtime::Cell* cell, const std::string& name) {
  if (world_.assigned_cells.count(cell) == 0) return AbstractValue::of_world(*cell->slot, name);
  const std::optional<int64_t> id = cell_id(cell, name);
  if (!id) return {};
  ssa::Inst inst{ssa::Op::CellGet, ssa::Type::Int};
  inst.imm = *id;
  return AbstractValue::ssa(emit(std::move(inst)));
}

AbstractValue Lowerer::read_global(uint32_t slot) {
  if (world_.assigned_globals.count(slot) == 0) {
    const runtime::Value value =
        slot < world_.globals->size() ? (*world_.globals)[slot] : runtime::Value::nil();
    return AbstractValue::of_world(value, global_name(slot));
  }
  const std::optional<int64_t> id = global_id(slot);
  if (!id) return {};
  ssa::Inst inst{ssa::Op::CellGet, ssa::Type::Int};
  inst.imm = *id;
  return AbstractValue::ssa(emit(std::move(inst)));
}

std::string Lowerer::global_name(uint32_t slot) const {
  if (world_.global_names && slot < world_.global_names->size())
    return (*world_.global_names)[slot];
  return fmt::format("global {}", slot);
}

void Lowerer::write_variable(std::optional<int64_t> id, const AbstractValue& value) {
  if (!id) return;
  if (type_of(value) != ssa::Type::Int) {
    refuse(fmt::format("{} is assigned to a variable of the main chunk", describe(value)));
    return;
  }
  ssa::Inst inst{ssa::Op::CellSet};
  inst.imm = *id;
  inst.operands = {to_int(value, "an assignment")};
  emit(std::move(inst));
}

void Lowerer::write_cell(const runtime::Cell* cell, const std::string& name,
                         const AbstractValue& value) {
  write_variable(cell_id(cell, name), value);
}

void Lowerer::write_global(uint32_t slot, const AbstractValue& value) {
  write_variable(global_id(slot), value);
}

void Lowerer::update_variable(std::optional<int64_t> id, UpdateOp op, const AbstractValue& value) {
  if (!id) return;
  if (op == UpdateOp::Concat) return refuse("strings are joined here");
  if (has_bits(op)) return refuse("an atomic bit operation on a variable of the main chunk");
  ssa::Inst get{ssa::Op::CellGet, ssa::Type::Int};
  get.imm = *id;
  if (op == UpdateOp::Add || op == UpdateOp::Sub) {
    runtime::Value ignored;
    std::string text;
    runtime::arith(static_cast<runtime::ArithOp>(op), runtime::Value::of(int64_t{1}),
                   runtime::Value::nil(), &ignored, &text);
    AbstractValue addend = check_not_nil(value, text);
    if (op == UpdateOp::Sub)
      addend = arithmetic(ssa::Op::Sub, AbstractValue::of(int64_t{0}), addend);
    if (stopped()) return;
    ssa::Inst inst{ssa::Op::CellAdd};
    inst.imm = *id;
    inst.operands = {to_int(addend, "arithmetic")};
    emit(std::move(inst));
    return;
  }
  const AbstractValue now = AbstractValue::ssa(emit(std::move(get)));
  const ssa::Op how = operation(op);
  const bool divides = how == ssa::Op::DivS || how == ssa::Op::ModS;
  const AbstractValue result = divides ? divide(how, now, value) : arithmetic(how, now, value);
  if (!stopped() && reachable()) write_variable(id, result);
}

std::optional<int64_t> Lowerer::cell_id(const runtime::Cell* cell, const std::string& name) {
  return variable_id(cell, -1, name, *cell->slot, world_.mixed_cells.count(cell) != 0);
}

std::optional<int64_t> Lowerer::global_id(uint32_t slot) {
  const runtime::Value present =
      slot < world_.globals->size() ? (*world_.globals)[slot] : runtime::Value::nil();
  return variable_id(nullptr, slot, global_name(slot), present,
                     world_.mixed_globals.count(slot) != 0);
}

std::optional<int64_t> Lowerer::variable_id(const runtime::Cell* cell, int64_t slot,
                                            const std::string& name, runtime::Value present,
                                            bool mixed) {
  for (size_t i = 0; i < linkage_.cells.size(); ++i) {
    if (linkage_.cells[i] == cell && linkage_.cell_globals[i] == slot)
      return static_cast<int64_t>(i);
  }
  if (mixed) {
    refuse(fmt::format("variable {} may get something else than an integer", name));
    return std::nullopt;
  }
  if (present.type != runtime::Type::Integer && present.type != runtime::Type::SharedCell) {
    refuse(fmt::format("variable {} holds {}", name,
                       describe(AbstractValue::of_world(present, name))));
    return std::nullopt;
  }
  linkage_.module.cells.push_back(name);
  linkage_.cells.push_back(cell);
  linkage_.cell_globals.push_back(slot);
  return static_cast<int64_t>(linkage_.cells.size() - 1);
}

}  // namespace ktap::lower
