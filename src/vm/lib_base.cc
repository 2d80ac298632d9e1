// Library: types and conversions, tables, errors, exit.
#include <string>

#include <fmt/core.h>

#include "base/limits.h"
#include "runtime/aggregate.h"
#include "runtime/code_address.h"
#include "runtime/histogram.h"
#include "runtime/kernel_pointer.h"
#include "runtime/parse_number.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "runtime/text.h"
#include "runtime/tuple.h"
#include "vm/library.h"

namespace ktap::vm {

using runtime::Type;
using runtime::Value;

namespace {

constexpr size_t kMostReserved =
    4096;  // table.new(n) makes room for so many at once; the rest grows

/// `t[key] += amount`, as the seeds spell it.
bool add_to_cell(NativeCall& call, Value amount) {
  return call.machine.update_index(call.arg(0), call.arg(1), bytecode::UpdateOp::Add, amount);
}

/// The first argument: a number, or a pointer to something.
bool address_arg(NativeCall& call, std::string_view function, int64_t* address) {
  if (call.arg(0).type != Type::Pointer) return call.integer_arg(function, 0, address);
  *address = call.arg(0).pointer()->address();
  return true;
}

/// The address and the bound of user_string() and kernel_string().
bool string_args(NativeCall& call, std::string_view function, int64_t* address, int64_t* limit) {
  *limit = limits::kStringBytes;
  if (!address_arg(call, function, address)) return false;
  if (call.has(1) && !call.integer_arg(function, 1, limit)) return false;
  return (*limit >= 1 && *limit <= limits::kMaxStringBytes) ||
         call.wrong_value(function, 1, fmt::format("1 to {}", limits::kMaxStringBytes));
}

/// What an absent cell or field gave is no mistake of the script where it only removes.
bool has_nil(Value key) {
  if (key.type != Type::Tuple) return key.is_nil();
  const runtime::Tuple& parts = *key.tuple();
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].is_nil()) return true;
  }
  return false;
}

bool new_table(NativeCall& call, std::string_view name) {
  int64_t sizes[2] = {0, 0};
  for (size_t i = 0; i < call.count; ++i) {
    if (call.has(i) && !call.integer_arg(name, i, &sizes[i])) return false;
    if (sizes[i] < 0 || sizes[i] > limits::kTableEntries)
      return call.out_of_range(name, i,
                               fmt::format("0 to {}, got {}", limits::kTableEntries, sizes[i]));
  }
  runtime::Table* table = call.machine.heap().table();
  table->capacity_hint = static_cast<uint32_t>(sizes[1]);
  table->reserve(std::min<size_t>(static_cast<size_t>(sizes[0]), kMostReserved),
                 std::min<size_t>(static_cast<size_t>(sizes[1]), kMostReserved));
  return call.give(Value::of_object(runtime::Type::Table, table));
}

}  // namespace

namespace lib {

bool Tonumber(NativeCall& call) {
  Value value = runtime::plain_number(call.arg(0));
  if (!call.has(1) && value.is_number()) return call.give(value);
  if (!call.has(1) && value.type != runtime::Type::String) return call.give(Value::nil());
  std::string_view text;
  if (!call.string_arg("tonumber", 0, &text)) return false;
  text = runtime::trimmed(text);
  if (!call.has(1)) return call.give(runtime::parse_number(text));
  int64_t base = 0;
  if (!call.integer_arg("tonumber", 1, &base)) return false;
  if (base < 2 || base > 36) return call.wrong_value("tonumber", 1, "2 to 36");
  int64_t number = 0;
  bool ok = runtime::parse_integer(text, static_cast<int>(base), &number);
  return call.give(ok ? Value::of(number) : Value::nil());
}

bool Type(NativeCall& call) { return call.give(runtime::type_name(call.arg(0).type)); }

bool Len(NativeCall& call) {
  Value value = call.arg(0);
  size_t length = 0;
  switch (value.type) {
    case runtime::Type::String:
      length = value.string()->size();
      break;
    case runtime::Type::Tuple:
      length = value.tuple()->size();
      break;
    case runtime::Type::Histogram:
      length = value.histogram()->distribution().counts.size();
      break;
    case runtime::Type::Table:
      Machine::refresh(*value.table());
      length = value.table()->size();
      break;
    default:
      return call.machine.fail(
          fmt::format("len takes a string, a table, a multi-key or a histogram, got {}",
                      runtime::type_phrase(value.type)));
  }
  return call.give(Value::of(static_cast<int64_t>(length)));
}

bool Delete(NativeCall& call) {
  if (call.count == 1 && call.arg(0).type == runtime::Type::Aggregate) {
    call.arg(0).aggregate()->refresh();
    call.arg(0).aggregate()->clear();
    return true;
  }
  if (call.count == 1 && call.arg(0).type != runtime::Type::Table) {
    return call.machine.fail(fmt::format("delete empties a table or an aggregate, got {}",
                                         runtime::type_phrase(call.arg(0).type)));
  }
  runtime::Table* table = nullptr;
  if (!call.table_arg("delete", 0, &table)) return false;
  if (call.count == 1) return call.machine.clear_table(*table);
  Value key = call.arg(1);
  if (call.count > 2 && !call.machine.make_tuple(call.args + 1, call.count - 1, &key)) return false;
  if (has_nil(key)) return true;  // nothing is stored under it
  return call.machine.set_index(call.arg(0), key, Value::nil());
}

bool Error(NativeCall& call) {
  Value message;
  return call.machine.printable(call.arg(0), &message) &&
         call.machine.fail(runtime::to_text(message));
}

bool Assert(NativeCall& call) {
  if (call.arg(0).truthy()) return call.give(call.arg(0));
  if (!call.has(1)) return call.machine.fail("assertion failed");
  Value message;
  return call.machine.printable(call.arg(1), &message) &&
         call.machine.fail(runtime::to_text(message));
}

bool Exit(NativeCall& call) {
  int64_t status = 0;
  if (call.has(0) && !call.integer_arg("exit", 0, &status)) return false;
  call.machine.request_exit(status, call.has(0));
  return false;
}

bool InplaceInc(NativeCall& call) { return add_to_cell(call, Value::of(int64_t{1})); }

bool TableCount(NativeCall& call) {
  return add_to_cell(call, call.has(2) ? call.arg(2) : Value::of(int64_t{1}));
}

bool Ptable(NativeCall& call) { return new_table(call, "ptable"); }
bool TableNew(NativeCall& call) { return new_table(call, "table.new"); }

bool read_string(NativeCall& call, bool is_user, const char* name) {
  int64_t address = 0;
  int64_t limit = 0;
  if (!string_args(call, name, &address, &limit)) return false;
  EventContext* event = call.machine.host().event();
  if (event == nullptr)
    return call.machine.fail(fmt::format("'{}' works in handlers of events only", name));
  Value text;
  return event->read_string(is_user, address, limit, &text, &call.machine.error_text()) &&
         call.give(text);
}

/// cast("struct sock *", address): a pointer; nil for none.
bool Cast(NativeCall& call) {
  std::string_view text;
  if (!call.string_arg("cast", 0, &text)) return false;
  const Value from = runtime::plain_number(call.arg(1));
  const Result<schema::CType> type = call.machine.host().cast_target(text);
  if (!type.ok()) return call.machine.fail(type.error().message);
  int64_t address = 0;
  if (from.type == Type::Pointer) {
    address = from.pointer()->address();
  } else if (from.is_integer()) {
    address = from.integer;
  } else if (!from.is_nil()) {
    return call.wrong("cast", 1, "an integer or a pointer");
  }
  return call.give(call.machine.heap().pointer(address, type.value().id, type.value().pointers));
}

/// enum_name("enum pid_type", n): nil where the enum has no such value.
bool EnumName(NativeCall& call) {
  std::string_view text;
  int64_t number = 0;
  if (!call.string_arg("enum_name", 0, &text) || !call.integer_arg("enum_name", 1, &number))
    return false;
  const Result<std::string> name = call.machine.host().enum_name(text, number);
  if (!name.ok()) return call.machine.fail(name.error().message);
  return call.give_or_nil(name.value());
}

bool Kaddr(NativeCall& call) {
  std::string_view name;
  if (!call.string_arg("kaddr", 0, &name)) return false;
  const Result<int64_t> address = call.machine.host().kernel_symbol(name);
  if (!address.ok()) return call.machine.fail(address.error().message);
  return call.give(Value::of(address.value()));
}

bool UserString(NativeCall& call) { return read_string(call, true, "user_string"); }
bool KernelString(NativeCall& call) { return read_string(call, false, "kernel_string"); }

bool Buf(NativeCall& call) {
  int64_t address = 0;
  int64_t count = 0;
  if (!address_arg(call, "buf", &address) || !call.integer_arg("buf", 1, &count)) return false;
  EventContext* event = call.machine.host().event();
  if (event == nullptr) return call.machine.fail("'buf' works in handlers of events only");
  Value bytes;
  return event->read_bytes(address, count, &bytes, &call.machine.error_text()) && call.give(bytes);
}

}  // namespace lib
}  // namespace ktap::vm
