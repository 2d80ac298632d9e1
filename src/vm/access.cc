// What indexing, updating, joining and matching mean, beyond the interpreter's fast paths. Tables
// with entries in the kernel are brought up to date before each access and told of each change.
#include <algorithm>

#include <fmt/format.h>

#include "base/glob.h"
#include "base/limits.h"
#include "runtime/arith.h"
#include "runtime/code_address.h"
#include "runtime/histogram.h"
#include "runtime/kernel_pointer.h"
#include "runtime/shared_variable.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "runtime/text.h"
#include "runtime/tuple.h"
#include "schema/builtin_vars.h"
#include "vm/machine.h"

namespace ktap::vm {

using bytecode::UpdateOp;
using runtime::ArithOp;
using runtime::Table;
using runtime::Type;
using runtime::type_phrase;
using runtime::Value;
using schema::BuiltinVar;

static_assert(static_cast<int>(UpdateOp::Add) == static_cast<int>(ArithOp::Add));
static_assert(static_cast<int>(UpdateOp::BitXor) == static_cast<int>(ArithOp::BitXor));
static_assert(static_cast<int>(UpdateOp::Shr) == static_cast<int>(ArithOp::Shr));

namespace {

std::string key_error(Value key) {
  if (key.type == Type::Tuple) {
    const runtime::Tuple& tuple = *key.tuple();
    for (size_t i = 0; i < tuple.size(); ++i) {
      if (!Table::valid_key(tuple[i])) {
        return fmt::format("{} cannot be a part of a key", type_phrase(tuple[i].type));
      }
    }
  }
  return fmt::format("{} cannot be a key", type_phrase(key.type));
}

/// " (field 'x')" when the key is a name.
std::string field_note(Value key) {
  if (key.type != Type::String) return {};
  return fmt::format(" (field '{}')", key.string()->view());
}

/// What `op=` gives. `absent`: the place is a table cell that is not there.
bool updated(Machine& machine, UpdateOp op, Value old, bool absent, Value operand, Value* result) {
  if (op == UpdateOp::Concat) {
    Value both[] = {old, operand};
    return machine.concat(both, 2, result);
  }
  auto arith_op = static_cast<ArithOp>(op);
  if (absent && runtime::absent_counts_as_zero(arith_op)) old = Value::of(int64_t{0});
  return runtime::arith(arith_op, old, operand, result, &machine.error_text());
}

/// cell op= operand on memory that the kernel shares; false when `op` has no atomic form.
bool update_atomically(int64_t* cell, UpdateOp op, int64_t operand) {
  switch (op) {
    case UpdateOp::Add:
      __atomic_fetch_add(cell, operand, __ATOMIC_RELAXED);
      return true;
    case UpdateOp::Sub:
      __atomic_fetch_sub(cell, operand, __ATOMIC_RELAXED);
      return true;
    case UpdateOp::BitAnd:
      __atomic_fetch_and(cell, operand, __ATOMIC_RELAXED);
      return true;
    case UpdateOp::BitOr:
      __atomic_fetch_or(cell, operand, __ATOMIC_RELAXED);
      return true;
    case UpdateOp::BitXor:
      __atomic_fetch_xor(cell, operand, __ATOMIC_RELAXED);
      return true;
    default:
      return false;
  }
}

}  // namespace

bool Machine::get_index(Value object, Value key, Value* result) {
  switch (object.type) {
    case Type::Table:
      refresh(*object.table());
      *result = object.table()->get(key);
      return true;
    case Type::Tuple: {
      const runtime::Tuple& tuple = *object.tuple();
      if (!key.is_integer()) {
        return fail(
            fmt::format("a multi-key is indexed by integers, got {}", type_phrase(key.type)));
      }
      uint64_t i = static_cast<uint64_t>(key.integer) - 1;
      *result = i < tuple.size() ? tuple[i] : Value::nil();
      return true;
    }
    case Type::Histogram: {
      const uint64_t count =
          key.is_integer() ? object.histogram()->distribution().count_from(key.integer) : 0;
      *result = count == 0 ? Value::nil() : Value::of(static_cast<int64_t>(count));
      return true;
    }
    case Type::Event: {
      if (key.type != Type::String) {
        return fail(fmt::format("an event is indexed by names, got {}", type_phrase(key.type)));
      }
      std::string_view name = key.string()->view();
      if (name == "name") return event_var(BuiltinVar::Probename, result);
      if (name == "tostring") {
        *result = Value::of_builtin(static_cast<uint16_t>(bytecode::Builtin::EventTostring));
        return true;
      }
      return event_member(name, result);
    }
    case Type::Pointer: {
      EventContext* event = host_.event();
      if (event == nullptr) return fail("kernel memory is read in handlers of events only");
      return event->kernel_member(object, key, result, &error_text_);
    }
    case Type::Nil:
      if (runtime::is_null_pointer(object)) {
        *result = object;
        return true;
      }
      [[fallthrough]];
    default:
      return fail(fmt::format("cannot index {}{}", type_phrase(object.type), field_note(key)));
  }
}

bool Machine::set_index(Value object, Value key, Value value) {
  if (object.type != Type::Table) {
    return fail(fmt::format("cannot store into {}{}", type_phrase(object.type), field_note(key)));
  }
  if (!Table::valid_key(key)) return fail(key_error(key));
  Table& table = *object.table();
  if (table.backing != nullptr) {
    refresh(table);
    if (const Result<void> done = table.backing->on_set(table, key, value); !done.ok())
      return fail(done.error().message);
  }
  table.set(key, value);
  return true;
}

bool Machine::update_index(Value object, Value key, UpdateOp op, Value operand) {
  if (object.type != Type::Table) {
    return fail(fmt::format("cannot store into {}{}", type_phrase(object.type), field_note(key)));
  }
  if (!Table::valid_key(key)) return fail(key_error(key));
  Table& table = *object.table();
  refresh(table);
  Value* cell = table.find_value(key);
  Value result;
  if (!updated(*this, op, cell != nullptr ? *cell : Value::nil(), cell == nullptr, operand,
               &result))
    return false;
  if (table.backing != nullptr) {
    const Result<void> done = op != UpdateOp::Concat && operand.is_integer()
                                  ? table.backing->on_update(table, key, static_cast<ArithOp>(op),
                                                             operand.integer, result)
                                  : table.backing->on_set(table, key, result);
    if (!done.ok()) return fail(done.error().message);
  }
  if (cell != nullptr && table.backing == nullptr) {
    *cell = result;
  } else {
    table.set(key, result);
  }
  return true;
}

bool Machine::update_variable(Value* slot, UpdateOp op, Value operand) {
  if (slot->type == Type::SharedVariable) {
    if (op != UpdateOp::Concat && operand.is_integer() &&
        slot->variable->update(static_cast<ArithOp>(op), operand.integer))
      return true;
    Value result;
    return updated(*this, op, slot->variable->load(), false, operand, &result) &&
           store_shared(*slot, result);
  }
  if (slot->type != Type::SharedCell) return updated(*this, op, *slot, false, operand, slot);
  if (operand.is_integer() && update_atomically(slot->shared, op, operand.integer)) return true;
  Value old = Value::of(__atomic_load_n(slot->shared, __ATOMIC_RELAXED));
  Value result;
  return updated(*this, op, old, false, operand, &result) && store_shared(*slot, result);
}

bool Machine::store_shared(Value slot, Value value) {
  if (slot.type == Type::SharedVariable) {
    return slot.variable->store(value) ||
           fail(fmt::format("a variable that handlers in the kernel share cannot hold {}",
                            runtime::unfit_phrase(value)));
  }
  if (!value.is_integer()) {
    return fail(fmt::format("a variable that handlers in the kernel share holds integers, got {}",
                            type_phrase(value.type)));
  }
  __atomic_store_n(slot.shared, value.integer, __ATOMIC_RELAXED);
  return true;
}

bool Machine::concat(const Value* values, size_t count, Value* result) {
  scratch_.clear();
  for (size_t i = 0; i < count; ++i) {
    if (values[i].type == Type::String) {
      scratch_ += values[i].string()->view();
    } else if (values[i].is_number() || values[i].type == Type::Address) {
      runtime::append_text(scratch_, values[i]);
    } else {
      return fail(
          fmt::format("'..' joins strings and numbers, got {}", type_phrase(values[i].type)));
    }
    if (scratch_.size() > limits::kMaxTextBytes) {
      return fail(fmt::format("a string of more than {} bytes", limits::kMaxTextBytes));
    }
    if (!fits(scratch_.size())) return false;
  }
  *result = string(scratch_);
  return true;
}

bool Machine::make_tuple(const Value* parts, size_t count, Value* result) {
  if (count > static_cast<size_t>(limits::kMaxKeyParts)) {
    return fail(fmt::format("a multi-key of more than {} parts", limits::kMaxKeyParts));
  }
  if (std::any_of(parts, parts + count, [](Value part) { return part.type == Type::Tuple; })) {
    return fail("a multi-key cannot be a part of another one");
  }
  *result = heap_.tuple(parts, count);
  return true;
}

bool Machine::match(Value text, Value pattern, bool* result) {
  if (text.type != Type::String || pattern.type != Type::String) {
    return fail(fmt::format("'~' matches a string with a glob, got {} and {}",
                            type_phrase(text.type), type_phrase(pattern.type)));
  }
  *result = glob_match(pattern.string()->view(), text.string()->view());
  return true;
}

bool Machine::event_var(BuiltinVar var, Value* result) {
  EventContext* event = host_.event();
  if (event != nullptr) {
    if (var == BuiltinVar::EventObject) {
      *result = Value::event();
      return true;
    }
    return event->var(var, result, &error_text_);
  }
  if (var == BuiltinVar::Ns) {
    *result = Value::of(host_.now_ns(Clock::Monotonic));
    return true;
  }
  return fail(
      fmt::format("'{}' has a value in handlers of events only", schema::builtin_var_name(var)));
}

bool Machine::event_field(std::string_view name, bool or_word, Value word, Value* result) {
  EventContext* event = host_.event();
  if (event == nullptr)
    return fail(fmt::format("there is no event here that has a field '{}'", name));
  if (event->field(name, result)) return true;
  if (or_word) {
    *result = word;
    return true;
  }
  return fail(fmt::format("the event has no field '{}'", name));
}

bool Machine::event_member(std::string_view name, Value* result) {
  EventContext* event = host_.event();
  if (event != nullptr && event->member(name, result)) return true;
  return fail(fmt::format("the event has no field '{}'", name));
}

bool Machine::clear_table(Table& table) {
  if (table.backing != nullptr) {
    refresh(table);
    table.backing->on_clear(table);
  }
  table.clear();
  return true;
}

bool Machine::add_sample(Value aggregate, Value sample) {
  sample = runtime::plain_number(sample);
  if (aggregate.type != Type::Aggregate) {
    return fail(fmt::format("'<<<' adds a sample to an aggregate, got {}{}",
                            type_phrase(aggregate.type),
                            aggregate.is_nil() ? " (aggr() makes one)" : ""));
  }
  if (!sample.is_integer())
    return fail(fmt::format("a sample is an integer, got {}", type_phrase(sample.type)));
  aggregate.aggregate()->add(sample.integer, reader_needs_);
  return true;
}

bool Machine::add_sample_at(Value object, Value key, Value sample) {
  if (object.type != Type::Table) {
    return fail(fmt::format("cannot store into {}{}", type_phrase(object.type), field_note(key)));
  }
  if (!Table::valid_key(key)) return fail(key_error(key));
  Table& table = *object.table();
  refresh(table);
  const Value* cell = table.find_value(key);
  if (cell != nullptr) {
    if (cell->type == Type::Aggregate) return add_sample(*cell, sample);
    return fail(fmt::format("'<<<' adds a sample to an aggregate, the cell{} holds {}",
                            field_note(key), type_phrase(cell->type)));
  }
  const Value fresh = Value::of_object(Type::Aggregate, heap_.aggregate());
  if (table.backing != nullptr) fresh.aggregate()->set_from_source();
  return add_sample(fresh, sample) && set_index(object, key, fresh);
}

}  // namespace ktap::vm
