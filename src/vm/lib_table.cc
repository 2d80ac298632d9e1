// Library: table.insert, remove, concat, sort. The list of a table is t[1] … t[n], up to the first
// that is nil; all else in the table stays as it is. Each reads a table that kernel handlers write
// up to date first, and changes go back to the kernel one key at a time.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "runtime/arith.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "runtime/text.h"
#include "vm/library.h"
#include "vm/merge_sort.h"

namespace ktap::vm {

using runtime::Table;
using runtime::Type;
using runtime::Value;

namespace {

/// The first argument, a table that is up to date, and the length of its list.
bool list_arg(NativeCall& call, std::string_view function, Table** table, int64_t* length) {
  if (!call.table_arg(function, 0, table)) return false;
  Machine::refresh(**table);
  *length = (*table)->list_length();
  return true;
}

bool store(NativeCall& call, Table& table, int64_t at, Value value) {
  return call.machine.set_index(Value::of_object(Type::Table, &table), Value::of(at), value);
}

/// `behind` says for an error what the position behind the last item is there for.
bool position_arg(NativeCall& call, std::string_view function, int64_t length,
                  std::string_view behind, int64_t* position) {
  if (!call.integer_arg(function, 1, position)) return false;
  if (*position >= 1 && *position <= length + 1) return true;
  const std::string range = length == 0 ? std::string("1") : fmt::format("1 to {}", length + 1);
  return call.wrong_value(function, 1, range + std::string(behind));
}

/// The order without a compare function: numbers or strings, ascending.
bool in_order(Machine& machine, Value a, Value b, bool* result) {
  bool comparable =
      (a.is_number() && b.is_number()) || (a.type == Type::String && b.type == Type::String);
  if (!comparable) {
    return machine.fail(fmt::format("table.sort cannot order {} and {}",
                                    runtime::type_phrase(a.type), runtime::type_phrase(b.type)));
  }
  return runtime::less(a, b, result, &machine.error_text());
}

}  // namespace

bool Machine::sort_values(std::vector<Value>& items, Value compare, const Value* args_end) {
  if (compare.is_nil()) {
    return merge_sort(
        items, [this](Value a, Value b, bool* result) { return in_order(*this, a, b, result); });
  }
  // The function may take them out of the table and collect: they stay on the stack, above all that
  // is in use.
  auto at = static_cast<size_t>(args_end - stack_);
  if (depth_ > 0) {
    const Frame& frame = frames_[depth_ - 1];
    at = std::max(at, frame.base + frame.closure->function->register_count);
  }
  if (!reserve_stack(at + items.size())) return false;
  std::copy(items.begin(), items.end(), stack_ + at);
  at += items.size();
  return merge_sort(items, [this, compare, at](Value a, Value b, bool* result) {
    Value args[] = {a, b};
    Value verdict;
    if (!call_nested(compare, args, 2, at, &verdict)) return false;
    *result = verdict.truthy();
    return true;
  });
}

namespace lib {

bool TableInsert(NativeCall& call) {
  Table* table = nullptr;
  int64_t length = 0;
  if (!list_arg(call, "table.insert", &table, &length)) return false;
  const Value value = call.arg(call.count - 1);
  int64_t position = length + 1;
  const bool has_position = call.count == 3 && call.has(1);
  if (has_position && !position_arg(call, "table.insert", length, "", &position)) return false;
  for (int64_t i = length; i >= position; --i) {
    if (!store(call, *table, i + 1, table->get_integer(i))) return false;
  }
  return store(call, *table, position, value);
}

bool TableRemove(NativeCall& call) {
  Table* table = nullptr;
  int64_t length = 0;
  if (!list_arg(call, "table.remove", &table, &length)) return false;
  int64_t position = length;
  constexpr std::string_view kBehind = " (behind the last item there is nil)";
  if (call.has(1) && !position_arg(call, "table.remove", length, kBehind, &position)) return false;
  if (position < 1 || position > length) return call.give(Value::nil());
  Value removed = table->get_integer(position);
  for (int64_t i = position; i < length; ++i) {
    if (!store(call, *table, i, table->get_integer(i + 1))) return false;
  }
  return store(call, *table, length, Value::nil()) && call.give(removed);
}

bool TableConcat(NativeCall& call) {
  Table* table = nullptr;
  std::string_view separator;
  int64_t first = 1;
  int64_t last = 0;
  if (!list_arg(call, "table.concat", &table, &last)) return false;
  if (call.has(1) && !call.string_arg("table.concat", 1, &separator)) return false;
  if (call.has(2) && !call.integer_arg("table.concat", 2, &first)) return false;
  if (call.has(3) && !call.integer_arg("table.concat", 3, &last)) return false;
  std::string out;
  for (int64_t i = first; i <= last; ++i) {
    Value item = table->get_integer(i);
    if (item.type != Type::String && !item.is_number()) {
      return call.machine.fail(
          fmt::format("'table.concat' joins strings and numbers, item {} is {}", i,
                      runtime::type_phrase(item.type)));
    }
    if (i > first) out += separator;
    runtime::append_text(out, item);
    if (!call.fits(out.size())) return false;
    if (i == INT64_MAX) break;
  }
  return call.give(out);
}

bool TableSort(NativeCall& call) {
  Table* table = nullptr;
  int64_t length = 0;
  if (!list_arg(call, "table.sort", &table, &length)) return false;
  Value compare = call.arg(1);
  if (!compare.is_nil() && compare.type != Type::Function && compare.type != Type::Builtin) {
    return call.wrong("table.sort", 1, "a function");
  }
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(length));
  for (int64_t i = 1; i <= length; ++i) items.push_back(table->get_integer(i));
  if (!call.machine.sort_values(items, compare, call.args + call.count)) return false;
  for (int64_t i = 1; i <= length; ++i) {
    if (!store(call, *table, i, items[static_cast<size_t>(i - 1)])) return false;
  }
  return true;
}

}  // namespace lib
}  // namespace ktap::vm
