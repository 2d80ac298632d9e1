// The generic for: `pairs` walks the table itself, `sort_pairs` and `sort_keys` walk keys that are
// sorted first.
#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "runtime/aggregate.h"
#include "runtime/arith.h"
#include "runtime/histogram.h"
#include "runtime/iterator.h"
#include "runtime/table.h"
#include "runtime/tuple.h"
#include "vm/machine.h"
#include "vm/merge_sort.h"

namespace ktap::vm {

using runtime::Type;
using runtime::Value;

namespace {

using Entry = std::pair<Value, Value>;

/// Is `b` to stand before `a`, though it came behind? False return: failed.
class EntryOrder {
 public:
  /// The stack from `at` on is free for calls of `compare`.
  EntryOrder(Machine& machine, bytecode::IterKind kind, Value compare, size_t at)
      : machine_(machine),
        by_value_(kind == bytecode::IterKind::SortPairs),
        compare_(compare),
        at_(at) {}

  bool operator()(const Entry& a, const Entry& b, bool* result) {
    if (!compare_.is_nil()) {
      Value args[4] = {a.first, b.first, Value::nil(), Value::nil()};
      if (by_value_) {
        args[0] = a.second;
        args[1] = b.second;
        args[2] = a.first;
        args[3] = b.first;
      }
      Value verdict;
      if (!machine_.call_nested(compare_, args, by_value_ ? 4 : 2, at_, &verdict)) return false;
      *result = verdict.truthy();
      return true;
    }
    if (!by_value_) {
      *result = runtime::compare_keys(a.first, b.first) < 0;
      return true;
    }
    if (a.second.type == Type::Aggregate && b.second.type == Type::Aggregate) {
      *result = a.second.aggregate()->count() < b.second.aggregate()->count();
      return true;
    }
    bool comparable = (a.second.is_number() && b.second.is_number()) ||
                      (a.second.type == Type::String && b.second.type == Type::String);
    if (!comparable) {
      return machine_.fail(fmt::format("sort_pairs cannot order {} and {}",
                                       runtime::type_phrase(a.second.type),
                                       runtime::type_phrase(b.second.type)));
    }
    return runtime::less(a.second, b.second, result, &machine_.error_text());
  }

 private:
  Machine& machine_;
  bool by_value_;
  Value compare_;
  size_t at_;
};

const char* iter_name(bytecode::IterKind kind) {
  switch (kind) {
    case bytecode::IterKind::Pairs:
      return "pairs";
    case bytecode::IterKind::SortPairs:
      return "sort_pairs";
    case bytecode::IterKind::SortKeys:
      return "sort_keys";
  }
  KTAP_UNREACHABLE();
}

}  // namespace

/// pairs and its kin walk a histogram as a table from lower bounds to counts, the bounds in order.
bool Machine::iter_prep_histogram(bytecode::IterKind kind, size_t at) {
  const runtime::Distribution& distribution = stack_[at].histogram()->distribution();
  runtime::Table* table = heap_.table();
  std::vector<Value> bounds;
  for (const runtime::BucketCount& b : distribution.counts) {
    bounds.push_back(Value::of(distribution.lower(b.bucket)));
    table->set(bounds.back(), Value::of(static_cast<int64_t>(b.count)));
  }
  stack_[at] = Value::of_object(Type::Table, table);
  if (kind != bytecode::IterKind::Pairs) return iter_prep(kind, at);
  stack_[at] = Value::of_object(Type::Iterator, heap_.sorted_iterator(table, std::move(bounds)));
  return true;
}

/// stack_[at] is the table, the next one the compare function.
bool Machine::iter_prep(bytecode::IterKind kind, size_t at) {
  if (stack_[at].type == Type::Histogram) return iter_prep_histogram(kind, at);
  if (stack_[at].type != Type::Table) {
    return fail(fmt::format("{} takes a table, got {}", iter_name(kind),
                            runtime::type_phrase(stack_[at].type)));
  }
  runtime::Table* table = stack_[at].table();
  refresh(*table);
  if (kind == bytecode::IterKind::Pairs) {
    stack_[at] = Value::of_object(Type::Iterator, heap_.iterator(table));
    return true;
  }
  Value compare = stack_[at + 1];
  if (!compare.is_nil() && compare.type != Type::Function && compare.type != Type::Builtin) {
    return fail(fmt::format("{} takes a function to compare with, got {}", iter_name(kind),
                            runtime::type_phrase(compare.type)));
  }
  std::vector<Entry> entries = table->entries();
  for (const Entry& entry : entries) {
    if (entry.second.type == Type::Aggregate) entry.second.aggregate()->refresh();
  }
  const Frame& frame = frames_[depth_ - 1];
  size_t keep = frame.base + frame.closure->function->register_count;
  // A compare function may remove entries and collect: everything that is being sorted stays on the
  // stack.
  size_t free_at = keep + 2 * entries.size();
  if (!compare.is_nil()) {
    if (!reserve_stack(free_at)) return false;
    for (const Entry& entry : entries) {
      stack_[keep++] = entry.first;
      stack_[keep++] = entry.second;
    }
  }
  EntryOrder by_key(*this, bytecode::IterKind::SortKeys, Value::nil(), free_at);
  if (!merge_sort(entries, by_key)) return false;
  if (kind == bytecode::IterKind::SortPairs || !compare.is_nil()) {
    if (!merge_sort(entries, EntryOrder(*this, kind, compare, free_at))) return false;
  }
  std::vector<Value> keys;
  keys.reserve(entries.size());
  for (const Entry& entry : entries) keys.push_back(entry.first);
  stack_[at] = Value::of_object(Type::Iterator, heap_.sorted_iterator(table, std::move(keys)));
  return true;
}

/// The loop's variables: count - 1 parts of the key, then the value.
bool Machine::iter_unpack(Value key, Value value, size_t count, Value* into) {
  size_t parts = key.type == Type::Tuple ? key.tuple()->size() : 1;
  if (parts != count - 1) {
    return fail(fmt::format("a key of {} part{} for {} variables", parts, parts == 1 ? "" : "s",
                            count - 1));
  }
  for (size_t i = 0; i < parts; ++i) into[i] = (*key.tuple())[i];
  into[count - 1] = value;
  return true;
}

}  // namespace ktap::vm
