// Equality, the order of keys, and the names of types.
#include "runtime/value.h"

#include <algorithm>

#include "runtime/code_address.h"
#include "runtime/kernel_pointer.h"
#include "runtime/number.h"
#include "runtime/stack.h"
#include "runtime/string.h"
#include "runtime/tuple.h"

namespace ktap::runtime {
namespace {

bool is_place(Type type) { return type == Type::Pointer || type == Type::Address; }

/// As keys, what is more than its integer is one of its own. A part is never a tuple, so this does
/// not go deep.
bool same_part(Value a, Value b) {
  return (a.type == b.type || (!is_place(a.type) && !is_place(b.type))) && equal(a, b);
}

/// Where a type stands in the order of keys.
int key_rank(Type type) {
  switch (type) {
    case Type::Integer:
      return 0;
    case Type::Float:
      return 1;
    case Type::String:
      return 2;
    case Type::Boolean:
      return 3;
    case Type::Tuple:
      return 4;
    default:
      return 5 + static_cast<int>(type);
  }
}

template <class T>
int three_way(T a, T b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

int compare_tuples(const Tuple& a, const Tuple& b) {
  size_t common = std::min(a.size(), b.size());
  for (size_t i = 0; i < common; ++i) {
    int order = compare_keys(a[i], b[i]);
    if (order != 0) return order;
  }
  return three_way(a.size(), b.size());
}

/// An integer, or what is one and knows more about itself.
bool is_place(Value value, int64_t* number) {
  if (value.type == Type::Pointer) {
    *number = value.pointer()->address();
  } else if (value.type == Type::Address) {
    *number = value.address()->number();
  } else if (value.is_integer()) {
    *number = value.integer;
  } else {
    return false;
  }
  return true;
}

}  // namespace

bool same_parts(const Tuple& a, const Tuple& b) {
  if (&a == &b) return true;
  return a.size() == b.size() && std::equal(a.parts(), a.parts() + a.size(), b.parts(), same_part);
}

bool equal(Value a, Value b) {
  if (a.is_number() && b.is_number()) return number_equal(a, b);
  int64_t x = 0;
  int64_t y = 0;
  if (is_place(a, &x) && is_place(b, &y)) return x == y;
  if (a.type != b.type) return false;
  switch (a.type) {
    case Type::Nil:
    case Type::Event:
      return true;
    case Type::Boolean:
      return a.boolean == b.boolean;
    case Type::Builtin:
      return a.builtin == b.builtin;
    case Type::SharedVariable:
      return a.variable == b.variable;
    case Type::SharedCell:
      return a.shared == b.shared;
    case Type::String:
      return same_string(a.string(), b.string());
    case Type::Tuple:
      return same_parts(*a.tuple(), *b.tuple());
    case Type::Stack:
      return same_stack(*a.stack(), *b.stack());
    default:
      return a.object == b.object;
  }
}

std::string_view type_name(Type type) {
  switch (type) {
    case Type::Nil:
      return "nil";
    case Type::Boolean:
      return "boolean";
    case Type::Integer:
      return "integer";
    case Type::Float:
      return "float";
    case Type::Address:
      return "address";
    case Type::Event:
      return "event";
    case Type::Builtin:
    case Type::Function:
      return "function";
    case Type::String:
      return "string";
    case Type::Tuple:
      return "tuple";
    case Type::Table:
      return "table";
    case Type::Aggregate:
      return "aggregate";
    case Type::Histogram:
      return "histogram";
    case Type::Pointer:
      return "pointer";
    case Type::Stack:
      return "stack";
    case Type::SharedVariable:
    case Type::SharedCell:
    case Type::Iterator:
      return "internal";
  }
  KTAP_UNREACHABLE();
}

std::string_view type_phrase(Type type) {
  switch (type) {
    case Type::Nil:
      return "nil";
    case Type::Boolean:
      return "a boolean";
    case Type::Integer:
      return "an integer";
    case Type::Float:
      return "a float";
    case Type::Address:
      return "an address";
    case Type::Event:
      return "an event";
    case Type::Builtin:
    case Type::Function:
      return "a function";
    case Type::String:
      return "a string";
    case Type::Tuple:
      return "a tuple";
    case Type::Table:
      return "a table";
    case Type::Aggregate:
      return "an aggregate";
    case Type::Histogram:
      return "a histogram";
    case Type::Pointer:
      return "a pointer";
    case Type::Stack:
      return "a stack";
    case Type::SharedVariable:
    case Type::SharedCell:
    case Type::Iterator:
      return "an internal value";
  }
  KTAP_UNREACHABLE();
}

int compare_keys(Value a, Value b) {
  int order = three_way(key_rank(a.type), key_rank(b.type));
  if (order != 0) return order;
  switch (a.type) {
    case Type::Integer:
      return three_way(a.integer, b.integer);
    case Type::Address:
      return three_way(static_cast<uint64_t>(a.address()->number()),
                       static_cast<uint64_t>(b.address()->number()));
    case Type::Float:
      return three_way(a.number, b.number);
    case Type::String:
      return three_way(a.string()->view().compare(b.string()->view()), 0);
    case Type::Boolean:
      return three_way(a.boolean, b.boolean);
    case Type::Tuple:
      return compare_tuples(*a.tuple(), *b.tuple());
    case Type::Builtin:
      return three_way(a.builtin, b.builtin);
    case Type::Stack:
      return compare_stacks(*a.stack(), *b.stack());
    case Type::Pointer:
      return three_way(static_cast<uint64_t>(a.pointer()->address()),
                       static_cast<uint64_t>(b.pointer()->address()));
    default:
      return three_way(a.is_object() ? a.object : nullptr, b.is_object() ? b.object : nullptr);
  }
}

}  // namespace ktap::runtime
