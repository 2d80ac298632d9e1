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

}  // namespace

ssa::Op Lowerer::operation(UpdateOp op) {
  switch (op) {
    case UpdateOp::Add:
      return ssa::Op::Add;
    case UpdateOp::Sub:
      return ssa::Op::Sub;
    case UpdateOp::BitAnd:
      return ssa::Op::And;
    case UpdateOp::BitOr:
      return ssa::Op::Or;
    case UpdateOp::BitXor:
      return ssa::Op::Xor;
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

/// The value of `now op value`; not of a join.
AbstractValue Lowerer::compute(UpdateOp op, const AbstractValue& now, const AbstractValue& value) {
  const ssa::Op how = operation(op);
  const bool divides = how == ssa::Op::DivS || how == ssa::Op::ModS;
  return divides ? divide(how, now, value) : arithmetic(how, now, value);
}

/// An index on what has none.
void Lowerer::fail_index(const char* what, const AbstractValue& object, const AbstractValue& key) {
  const bool is_word = ssa::sure_type(type_of(key)) == ssa::Type::Str || key.is(Kind::Rendered);
  if (is_word && !key.is(Kind::Str)) return refuse_use("an index", object);  // it names the field
  const std::string note = is_word ? fmt::format(" (field '{}')", key.text) : std::string();
  fail_by_types(object, AbstractValue::nil(), "an index", [&](runtime::Value of, runtime::Value) {
    return fmt::format("{} {}{}", what, runtime::type_phrase(of.type), note);
  });
}

AbstractValue Lowerer::get_index(const AbstractValue& object, const AbstractValue& key) {
  if (auto result = by_type({object, key}, [&](const std::vector<AbstractValue>& v) {
        return get_index(v[0], v[1]);
      })) {
    return *result;
  }
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
    case Kind::Pointer:
      return typed_index(object, key);
    case Kind::Nil:
      if (object.integer == 1) return object;
      [[fallthrough]];
    default:
      if (is_read_from_memory(object)) {
        no_member(object, key);
        return {};
      }
      fail_index("cannot index", object, key);
      return AbstractValue::nil();
  }
}

/// Empty, and no more than removed from.
bool Lowerer::is_never_filled(const runtime::Table& table) const {
  const auto kinds = world_.table_kinds.find(&table);
  return table.size() == 0 && (kinds == world_.table_kinds.end() || kinds->second == kNil);
}

AbstractValue Lowerer::table_get(const AbstractValue& table, const AbstractValue& key) {
  if (key.is(Kind::Nil) || never_a_key(key)) return AbstractValue::nil();
  if (auto result = by_type(
          {key}, [&](const std::vector<AbstractValue>& v) { return table_get(table, v[0]); })) {
    return *result;
  }
  if (is_never_filled(*table.table)) return AbstractValue::nil();
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
  if (world_.sampled_tables.count(table.table) != 0) {
    refuse("an aggregate is read here");
    return {};
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
  std::vector<ssa::ValueId> operands;
  const std::optional<int64_t> id = table_access(table, sure, operands);
  return id ? get_entry(*id, std::move(operands)) : AbstractValue();
}

void Lowerer::table_set(const AbstractValue& object, const AbstractValue& at,
                        const AbstractValue& value) {
  if (by_type({object, at, value}, [&](const std::vector<AbstractValue>& v) {
        table_set(v[0], v[1], v[2]);
        return AbstractValue::nil();
      })) {
    return;
  }
  if (!object.is(Kind::Table)) return fail_index("cannot store into", object, at);
  if (value.is(Kind::Nil)) {
    table_delete(object, at);
    return;
  }
  AbstractValue key = at;
  if (!sure_key(key)) return;
  AbstractValue kept = value;
  if (value.is(Kind::Pointer) && nil_part(kept) != nullptr) {
    if (kept.is(Kind::Nil)) return table_set(object, key, kept);
    return do_either(kept, [&](const AbstractValue& v) { table_set(object, key, v); });
  }
  if (is_maybe(value)) {
    return do_either(value, [&](const AbstractValue& v) { table_set(object, key, v); });
  }
  std::vector<ssa::ValueId> operands;
  const std::optional<int64_t> id = table_access(object, key, operands);
  if (id) set_entry(*id, std::move(operands), kept);
}

void Lowerer::table_add(const AbstractValue& object, const AbstractValue& key,
                        const AbstractValue& value) {
  ssa::Inst inst{ssa::Op::TableAdd};
  const std::optional<int64_t> id = table_access(object, key, inst.operands);
  if (!id) return;
  if (!unify_value(*id, AbstractValue::of(int64_t{0}))) return;
  inst.imm = *id;
  inst.operands.push_back(to_int(value, "arithmetic"));
  linkage_.module.tables[static_cast<size_t>(*id)].is_added = true;
  emit(std::move(inst));
}

/// What an entry is that += -= &= |= ^= changes, for the check: absent it counts as 0, for &= it is
/// an error.
std::optional<AbstractValue> Lowerer::updated_entry(const AbstractValue& object,
                                                    const AbstractValue& key, UpdateOp op) {
  const std::optional<int64_t> id = table_id(object);
  if (!id) return std::nullopt;
  const bool is_union =
      linkage_.module.tables[static_cast<size_t>(*id)].value.kind == KeyPart::Kind::Union;
  if (op != UpdateOp::BitAnd && !is_union) return AbstractValue::of(int64_t{0});
  AbstractValue entry = table_get(object, key);
  if (stopped()) return std::nullopt;
  for (AbstractValue& part : entry.parts) {
    const int tag = part.tag;
    if (op != UpdateOp::BitAnd && tag == kNilTag) part = AbstractValue::of(int64_t{0});
    part.tag = tag;
  }
  return entry;
}

/// `now op= operand` is for integers: the run ends where one is something else. `operand` becomes a
/// sure integer. False: nothing runs behind this.
bool Lowerer::check_update(const AbstractValue& now, AbstractValue& operand, UpdateOp op) {
  const ErrorText error_text = [op](runtime::Value of_entry, runtime::Value of_operand) {
    runtime::Value ignored;
    std::string text;
    runtime::arith(static_cast<runtime::ArithOp>(op), of_entry, of_operand, &ignored, &text);
    return text;
  };
  AbstractValue sure = now;
  if (is_union(now)) {
    for_each_type(now, [&](const AbstractValue& alternative) {
      AbstractValue left = alternative, right = operand;
      sure_operands(left, right, "arithmetic", error_text);
      return AbstractValue::nil();
    });
    if (stopped() || !reachable()) return false;
    sure = AbstractValue::of(int64_t{0});
  }
  return sure_operands(sure, operand, "arithmetic", error_text);
}

void Lowerer::table_update(const AbstractValue& object, const AbstractValue& at,
                           const AbstractValue& value, UpdateOp op) {
  if (by_type({object, at, value}, [&](const std::vector<AbstractValue>& v) {
        table_update(v[0], v[1], v[2], op);
        return AbstractValue::nil();
      })) {
    return;
  }
  if (!object.is(Kind::Table)) return fail_index("cannot store into", object, at);
  AbstractValue key = at;
  if (!sure_key(key)) return;
  const std::optional<ssa::Op> bits = bit_operation(op);
  if (op == UpdateOp::Add || op == UpdateOp::Sub || bits) {
    const std::optional<AbstractValue> entry = updated_entry(object, key, op);
    AbstractValue operand = value;
    if (!entry || !check_update(*entry, operand, op)) return;
    if (op == UpdateOp::Sub)
      operand = arithmetic(ssa::Op::Sub, AbstractValue::of(int64_t{0}), operand);
    if (stopped() || !reachable()) return;
    if (!bits) return table_add(object, key, operand);
    ssa::Inst inst{*bits};
    const std::optional<int64_t> id = table_access(object, key, inst.operands);
    if (id) combine_entry(std::move(inst), *id, operand);
    return;
  }
  const AbstractValue entry = table_get(object, key);
  if (stopped()) return;
  if (op == UpdateOp::Concat) {
    const AbstractValue joined = concat({entry, value});
    if (!stopped() && reachable()) table_set(object, key, joined);
    return;
  }
  const AbstractValue result = compute(op, entry, value);
  if (!stopped() && reachable()) table_set(object, key, result);
}

void Lowerer::table_delete(const AbstractValue& object, const AbstractValue& at) {
  if (by_type({at}, [&](const std::vector<AbstractValue>& v) {
        table_delete(object, v[0]);
        return AbstractValue::nil();
      })) {
    return;
  }
  AbstractValue key = at;
  if (!sure_key(key)) return;
  ssa::Inst inst{ssa::Op::TableDelete};
  const std::optional<int64_t> id = table_access(object, key, inst.operands);
  if (!id) return;
  inst.imm = *id;
  linkage_.module.tables[static_cast<size_t>(*id)].is_deleted = true;
  emit(std::move(inst));
}

// ---- the table as a whole ----------------------------------------------------------------------

/// The id of a table that is used without a key. What the main chunk left in it counts too.
std::optional<int64_t> Lowerer::whole_table(const AbstractValue& table, const char* what) {
  if (world_.sampled_tables.count(table.table) != 0) {
    refuse(fmt::format("{} on a table of aggregates", what));
    return std::nullopt;
  }
  const std::optional<int64_t> id = table_id(table);
  if (!id || !learn_present_keys(table, *id)) return std::nullopt;
  return id;
}

AbstractValue Lowerer::table_length(const AbstractValue& table) {
  if (world_.written_tables.count(table.table) == 0)
    return AbstractValue::of(static_cast<int64_t>(table.table->entries().size()));
  const std::optional<int64_t> id = whole_table(table, "len()");
  if (!id) return {};
  ssa::Inst inst{ssa::Op::TableLength, ssa::Type::Int};
  inst.imm = *id;
  return AbstractValue::ssa(emit(std::move(inst)));
}

void Lowerer::clear_table(const AbstractValue& table) {
  if (by_type({table}, [&](const std::vector<AbstractValue>& v) {
        clear_table(v[0]);
        return AbstractValue::nil();
      })) {
    return;
  }
  if (!table.is(Kind::Table)) return refuse_use("delete()", table);
  const std::optional<int64_t> id = whole_table(table, "delete()");
  if (!id) return;
  ssa::Inst inst{ssa::Op::TableClear};
  inst.imm = *id;
  emit(std::move(inst));
}

// ---- keys ------------------------------------------------------------------------------------

/// A pointer as a key or value: a number that is there, or may not be; nil where it is known to be
/// none.
AbstractValue Lowerer::kept_pointer(const AbstractValue& pointer) {
  const AbstractValue number = plain(pointer);
  if (number.is(Kind::Nil)) return number;
  const ssa::ValueId id = number.is(Kind::Int) ? const_int(number.integer) : number.id;
  return AbstractValue::pointer(pointer.ctype, id, 0);
}

/// The first part that is nil or may be; null when there is none. Pointers become kept_pointer()s.
AbstractValue* Lowerer::nil_part(AbstractValue& key) {
  if (key.is(Kind::Pointer)) {
    key = kept_pointer(key);
    const bool is_there = key.is(Kind::Pointer) && function_[key.id].type == ssa::Type::Int;
    return is_there ? nullptr : &key;
  }
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
  const ssa::ValueId sure = unwrap(maybe);
  if (!maybe.is(Kind::Pointer)) maybe = AbstractValue::ssa(sure);
  maybe.id = sure;
  maybe.may_be_nil = false;
  return absent;
}

/// `what` for a value that may be nil: with the sure value where it is there, with nil where not.
void Lowerer::do_either(const AbstractValue& maybe,
                        const std::function<void(const AbstractValue&)>& what) {
  AbstractValue sure = maybe;
  const ssa::BlockId absent = enter_where_there(sure);
  what(sure);
  if (stopped()) return;
  const ssa::BlockId there = current_;
  current_ = absent;
  what(AbstractValue::nil());
  if (!stopped()) join({{there, {}, 0}, {current_, {}, 0}});
}

/// Before a write: a key that is nil, or has a nil part, is a run-time error.
bool Lowerer::sure_key(AbstractValue& key) {
  const auto check = [this](AbstractValue& part, const char* what) {
    const std::string nil_error = fmt::format("nil cannot be a {}", what);
    if (part.is(Kind::Pointer)) part = kept_pointer(part);
    if (part.is(Kind::Pointer)) {
      const AbstractValue sure = check_not_nil(AbstractValue::ssa(part.id), nil_error);
      part.id = sure.id;
      return !stopped();
    }
    if (part.is(Kind::Nil) || never_a_key(part)) {
      const std::optional<runtime::Value> wrong = typed_sample(part);
      fail_now(fmt::format("{} cannot be a {}", runtime::type_phrase(wrong->type), what));
      return false;
    }
    part = check_not_nil(part, nil_error);
    return !stopped();
  };
  if (!key.is(Kind::Tuple)) return check(key, "key");
  for (AbstractValue& part : key.parts) {
    if (!check(part, "part of a key")) return false;
  }
  return true;
}

/// Of a type that no key has, nil apart.
bool Lowerer::never_a_key(const AbstractValue& value) {
  return value.is(Kind::Float) || value.is(Kind::Table) || value.is(Kind::Function) ||
         value.is(Kind::Builtin) || value.is(Kind::Aggregate) || value.is(Kind::Event);
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
  if (type_of(key) == ssa::Type::None && !key.is_address() && !key.is(Kind::Pointer)) {
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
  for (size_t i = 0; i < parts.size(); ++i) {
    operands.push_back(as_part(parts[i], linkage_.module.tables[static_cast<size_t>(*id)].key[i]));
  }
  if (stopped()) return std::nullopt;
  return id;
}

AbstractValue Lowerer::get_entry(int64_t id, std::vector<ssa::ValueId> operands) {
  ssa::TableInfo& info = linkage_.module.tables[static_cast<size_t>(id)];
  info.is_read = true;
  ssa::Inst inst = ssa::shape_of(info.value);
  inst.op = ssa::Op::TableGet;
  inst.type = ssa::maybe_type(inst.type);
  inst.imm = id;
  inst.operands = std::move(operands);
  const KeyPart of = info.value;
  const ssa::ValueId got = emit(std::move(inst));
  return of.kind == KeyPart::Kind::Union ? kept_union(of, got, true) : kept_value(of, got);
}

/// A Union that a table holds, as the alternatives that it may be.
AbstractValue Lowerer::kept_union(const KeyPart& part, ssa::ValueId id, bool may_be_nil) {
  AbstractValue kept = AbstractValue::of_kind(Kind::Mixed);
  kept.id = op1(ssa::Op::UnionTag, ssa::Type::Int, id);
  const auto add = [&](int tag, AbstractValue value) {
    value.tag = tag;
    kept.text += (kept.text.empty() ? "" : " or ") + describe(value);
    kept.parts.push_back(std::move(value));
  };
  const auto may_be = [&](int tag) { return (part.tags >> tag & 1) != 0; };
  if (may_be_nil) add(kNilTag, AbstractValue::nil());
  const ssa::ValueId word = op1(ssa::Op::UnionWord, ssa::Type::Int, id);
  if (may_be(kBoolTag)) {
    const ssa::ValueId truth = op2(ssa::Op::Ne, ssa::Type::Bool, word, const_int(0));
    add(kBoolTag, AbstractValue::ssa(truth));
  }
  if (may_be(kIntTag)) add(kIntTag, AbstractValue::ssa(word));
  if (may_be(kStrTag)) {
    ssa::Inst text = ssa::shape_of(ssa::union_text(part.max_bytes));
    text.op = ssa::Op::UnionText;
    text.operands = {id};
    add(kStrTag, AbstractValue::ssa(emit(std::move(text))));
  }
  return kept;
}

/// A part of a key, or a value, as the script knows it; of a Maybe nil is no null pointer.
AbstractValue Lowerer::kept_value(const KeyPart& part, ssa::ValueId id) {
  if (part.kind == KeyPart::Kind::Union) return kept_union(part, id, false);
  if (part.kind == KeyPart::Kind::Address) return AbstractValue::address(AbstractValue::ssa(id));
  if (part.kind != KeyPart::Kind::Pointer) return AbstractValue::ssa(id);
  AbstractValue pointer = AbstractValue::pointer(part.ctype, id, 0);
  pointer.may_be_nil = ssa::is_maybe(function_[id].type);
  return pointer;
}

void Lowerer::set_entry(int64_t id, std::vector<ssa::ValueId> operands,
                        const AbstractValue& given) {
  const bool is_call = given.is(Kind::Rendered) && is_text(given);
  const AbstractValue value = is_call ? text_value(given) : given;
  if (stopped() || !unify_value(id, value)) return;
  ssa::TableInfo& info = linkage_.module.tables[static_cast<size_t>(id)];
  info.is_set = true;
  ssa::Inst inst{ssa::Op::TableSet};
  inst.imm = id;
  inst.operands = std::move(operands);
  inst.operands.push_back(as_part(value, info.value));
  if (!stopped()) emit(std::move(inst));
}

/// An atomic bit operation: the last operand is added here.
void Lowerer::combine_entry(ssa::Inst inst, int64_t id, const AbstractValue& value) {
  if (!unify_value(id, AbstractValue::of(int64_t{0}))) return;
  inst.imm = id;
  inst.operands.push_back(to_int(value, "arithmetic"));
  ssa::TableInfo& info = linkage_.module.tables[static_cast<size_t>(id)];
  (inst.op == ssa::Op::TableAdd ? info.is_added : info.is_combined) = true;
  emit(std::move(inst));
}

}  // namespace ktap::lower
