// Making and comparing abstract values; see abstract_value.h.
#include "lower/abstract_value.h"

#include <utility>

#include "runtime/code_address.h"
#include "runtime/kernel_pointer.h"
#include "runtime/string.h"
#include "runtime/tuple.h"

namespace ktap::lower {

AbstractValue AbstractValue::of_kind(Kind kind) {
  AbstractValue v;
  v.kind = kind;
  return v;
}

AbstractValue AbstractValue::boolean(bool value) {
  AbstractValue v = of_kind(Kind::Bool);
  v.integer = value ? 1 : 0;
  return v;
}

AbstractValue AbstractValue::of(int64_t value) {
  AbstractValue v = of_kind(Kind::Int);
  v.integer = value;
  return v;
}

AbstractValue AbstractValue::string(std::string bytes) {
  AbstractValue v = of_kind(Kind::Str);
  v.text = std::move(bytes);
  return v;
}

AbstractValue AbstractValue::ssa(ssa::ValueId id) {
  AbstractValue v = of_kind(Kind::Ssa);
  v.id = id;
  return v;
}

AbstractValue AbstractValue::address(AbstractValue number) {
  AbstractValue v = of_kind(Kind::Rendered);
  v.integer = static_cast<int64_t>(bytecode::Builtin::Ipof);
  v.parts = {std::move(number)};
  v.result = runtime::Type::Address;
  return v;
}

AbstractValue AbstractValue::pointer(schema::CType to, ssa::ValueId base, int64_t offset) {
  AbstractValue v = of_kind(Kind::Pointer);
  v.ctype = to;
  v.id = base;
  v.integer = offset;
  return v;
}

AbstractValue AbstractValue::of_world(runtime::Value value, std::string name) {
  AbstractValue v;
  switch (value.type) {
    case runtime::Type::Nil:
      v = nil();
      v.integer = runtime::is_null_pointer(value) ? 1 : 0;
      return v;
    case runtime::Type::Boolean:
      return boolean(value.boolean);
    case runtime::Type::Integer:
      return of(value.integer);
    case runtime::Type::Address:
      return address(of(value.address()->number()));
    case runtime::Type::Float:
      v = of_kind(Kind::Float);
      v.number = value.number;
      return v;
    case runtime::Type::Event:
      return of_kind(Kind::Event);
    case runtime::Type::Builtin:
      v = of_kind(Kind::Builtin);
      v.integer = value.builtin;
      return v;
    case runtime::Type::String:
      return string(std::string(value.string()->view()));
    case runtime::Type::Tuple:
      v = of_kind(Kind::Tuple);
      for (size_t i = 0; i < value.tuple()->size(); ++i) {
        v.parts.push_back(of_world(value.tuple()->parts()[i], ""));
      }
      return v;
    case runtime::Type::Table:
      v = of_kind(Kind::Table);
      v.table = value.table();
      v.text = std::move(name);
      return v;
    case runtime::Type::Function:
      v = of_kind(Kind::Function);
      v.closure = value.closure();
      v.function = v.closure->function;
      for (const runtime::Cell* cell : v.closure->upvalues) v.cells.push_back({cell, -1});
      return v;
    case runtime::Type::Aggregate:
      v = of_kind(Kind::Aggregate);
      v.aggregate = value.aggregate();
      v.text = std::move(name);
      return v;
    case runtime::Type::Pointer:
      return pointer({value.pointer()->type(), value.pointer()->pointers()}, {},
                     value.pointer()->address());
    case runtime::Type::Histogram:
    case runtime::Type::Stack:
      v = of_kind(Kind::Mixed);  // nothing in the kernel can use it
      v.text = runtime::type_phrase(value.type);
      return v;
    case runtime::Type::SharedVariable:
    case runtime::Type::SharedCell:
    case runtime::Type::Iterator:
      break;
  }
  return v;
}

bool AbstractValue::is_constant() const {
  switch (kind) {
    case Kind::Nil:
    case Kind::Bool:
    case Kind::Int:
    case Kind::Float:
    case Kind::Str:
    case Kind::Table:
    case Kind::Function:
    case Kind::Builtin:
    case Kind::Event:
    case Kind::Aggregate:
      return true;
    case Kind::Tuple:
      for (const AbstractValue& part : parts) {
        if (!part.is_constant()) return false;
      }
      return true;
    default:
      return false;
  }
}

namespace {

bool same_parts(const AbstractValue& a, const AbstractValue& b) {
  if (a.parts.size() != b.parts.size()) return false;
  for (size_t i = 0; i < a.parts.size(); ++i) {
    const bool same_tags = a.kind != AbstractValue::Kind::Mixed || a.parts[i].tag == b.parts[i].tag;
    if (!same_tags || !same(a.parts[i], b.parts[i])) return false;
  }
  return true;
}

}  // namespace

bool same(const AbstractValue& a, const AbstractValue& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case AbstractValue::Kind::Bool:
    case AbstractValue::Kind::Int:
    case AbstractValue::Kind::Builtin:
      return a.integer == b.integer;
    case AbstractValue::Kind::Float:
      return a.number == b.number;
    case AbstractValue::Kind::Pointer:
      return a.id == b.id && a.integer == b.integer && a.ctype == b.ctype &&
             a.may_be_nil == b.may_be_nil && a.may_be_zero == b.may_be_zero;
    case AbstractValue::Kind::Str:
      return a.text == b.text;
    case AbstractValue::Kind::Table:
      return a.table == b.table;
    case AbstractValue::Kind::Iterator:
      return a.table == b.table && a.integer == b.integer && a.id == b.id;
    case AbstractValue::Kind::Aggregate:
      return a.aggregate == b.aggregate;
    case AbstractValue::Kind::Function:
      return a.closure == b.closure && a.function == b.function && a.cells == b.cells;
    case AbstractValue::Kind::Ssa:
      return a.id == b.id;
    case AbstractValue::Kind::Mixed:
      if (a.id != b.id || !a.id.valid()) return false;
      return same_parts(a, b);
    case AbstractValue::Kind::Rendered:
      return a.integer == b.integer && same_parts(a, b);
    case AbstractValue::Kind::Tuple:
    case AbstractValue::Kind::Reading:
      return same_parts(a, b);
    default:
      return true;
  }
}

}  // namespace ktap::lower
