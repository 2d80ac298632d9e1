// What `lower` knows of one register: a constant of the frozen world, an SSA value, or something
// that user space alone can render (argstr). Plain data, copied freely.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bytecode/chunk.h"
#include "runtime/closure.h"
#include "runtime/table.h"
#include "runtime/value.h"
#include "schema/kernel_types.h"
#include "ssa/function.h"

namespace ktap::lower {

/// What a captured variable is: a cell of the world, or a variable of code that is inlined here.
struct Upvalue {
  const runtime::Cell* cell = nullptr;
  int local = -1;  ///< number of the variable, when there is no cell
  friend bool operator==(const Upvalue&, const Upvalue&) = default;
};

struct AbstractValue {
  enum class Kind : uint8_t {
    Undefined,  ///< never assigned on the way here
    Nil,
    Bool,
    Int,
    Float,
    Str,
    Table,
    Function,
    Builtin,
    Event,          ///< the event object `e`
    EventText,      ///< argstr: user space renders it from the raw event
    EventTextLine,  ///< e.tostring()
    Tuple,
    Iterator,   ///< over a table: at a known entry, or at a slot of the table in the kernel
    Aggregate,  ///< of the world
    Reading,  ///< of a cell with an aggregate, by the reader that is called next: `parts` has what
              ///< it gives
    Pointer,  ///< to kernel memory of a known type
    Ssa,
    Rendered,  ///< what the built-in function makes of `parts`: user space does it where the value
               ///< is printed, the kernel where it is used otherwise and has a form
    Mixed,     ///< of different types on different ways: `parts` are the alternatives; a histogram:
               ///< of no use
  };
  Kind kind = Kind::Undefined;
  /// Int; Bool (0 or 1); Nil: 1 for a null pointer of the main chunk; Builtin, Rendered (its
  /// number); Iterator: the next entry's number; Pointer: bytes from `id`, or the address
  int64_t integer = 0;
  double number = 0;  ///< Float
  std::string
      text;  ///< Str: the bytes; Table, Aggregate: its name in the script; Mixed: what meets
  runtime::Table* table = nullptr;
  runtime::Aggregate* aggregate = nullptr;
  const runtime::Closure* closure = nullptr;     ///< Function; null for one made in the handler
  const bytecode::Function* function = nullptr;  ///< Function
  std::vector<Upvalue> cells;                    ///< Function
  /// Tuple, Mixed; Rendered: its arguments; Iterator with a slot: how many slots there are
  std::vector<AbstractValue> parts;
  runtime::Type result = runtime::Type::String;  ///< Rendered: String, Integer, Float, Address
  /// Rendered; Pointer: where it is nil it is none that can be looked up in, as null pointers are
  bool may_be_nil = false;
  bool may_be_zero = false;  ///< Pointer: the number 0 stands for a null pointer
  schema::CType ctype;       ///< Pointer: what it points to
  int tag = 0;  ///< an alternative of a Mixed: its number; Iterator with a slot: the walk's
  /// Ssa; Mixed: the number of its alternative as an Int, invalid: of no use; Iterator: the next
  /// slot, or invalid; Pointer: an Int or MaybeInt, or invalid where the address is known
  ssa::ValueId id;

  static AbstractValue nil() { return of_kind(Kind::Nil); }
  static AbstractValue boolean(bool value);
  static AbstractValue of(int64_t value);
  static AbstractValue string(std::string bytes);
  static AbstractValue ssa(ssa::ValueId id);
  static AbstractValue of_kind(Kind kind);
  /// Of the kernel's code; `number` is an Int.
  static AbstractValue address(AbstractValue number);
  static AbstractValue pointer(schema::CType to, ssa::ValueId base, int64_t offset);
  /// A value of the world. `name` is what the script calls it; tables keep it.
  static AbstractValue of_world(runtime::Value value, std::string name);

  bool is(Kind k) const { return kind == k; }
  /// What ipof() gives.
  bool is_address() const { return kind == Kind::Rendered && result == runtime::Type::Address; }
  /// One value, known now.
  bool is_constant() const;
};

// The tags of the types that SSA has are the same in all unions: unions that meet need no renaming.
using ssa::kBoolTag;
using ssa::kIntTag;
using ssa::kNilTag;
using ssa::kStrTag;
constexpr int kStackTag = 4;
constexpr int kFirstOther = 5;  ///< a table, a float, a string that is kept as a call

/// Of a value of such a type, nil or not.
constexpr int tag_of_type(ssa::Type type) {
  switch (ssa::sure_type(type)) {
    case ssa::Type::Bool:
      return kBoolTag;
    case ssa::Type::Int:
      return kIntTag;
    case ssa::Type::Str:
      return kStrTag;
    case ssa::Type::Stack:
      return kStackTag;
    default:
      return kFirstOther;
  }
}

/// Of several types, and of use.
inline bool is_union(const AbstractValue& value) {
  return value.is(AbstractValue::Kind::Mixed) && value.id.valid();
}

/// The very same value or constant.
bool same(const AbstractValue& a, const AbstractValue& b);

}  // namespace ktap::lower
