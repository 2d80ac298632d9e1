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
#include "ssa/function.h"

namespace ktap::lower {

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
    Ssa,
    Rendered,  ///< what the built-in function makes of `parts`: user space does it where the value
               ///< is printed, the kernel where it is used otherwise and has a form
    Mixed,  ///< of different types on different ways: usable for its truth alone; an aggregate: for
            ///< nothing
  };
  Kind kind = Kind::Undefined;
  int64_t integer = 0;  ///< Int; Bool (0 or 1); Builtin, Rendered (its number)
  double number = 0;    ///< Float
  std::string text;     ///< Str: the bytes; Table: its name in the script; Mixed: what meets here
  runtime::Table* table = nullptr;
  const runtime::Closure* closure = nullptr;     ///< Function; null for one made in the handler
  const bytecode::Function* function = nullptr;  ///< Function
  std::vector<const runtime::Cell*> cells;       ///< Function: its upvalues
  std::vector<AbstractValue> parts;              ///< Tuple; Rendered: its arguments
  runtime::Type result = runtime::Type::String;  ///< Rendered: String, Integer or Float
  bool may_be_nil = false;                       ///< Rendered
  ssa::ValueId id;                               ///< Ssa; Mixed: its truth as a Bool, or invalid

  static AbstractValue nil() { return of_kind(Kind::Nil); }
  static AbstractValue boolean(bool value);
  static AbstractValue of(int64_t value);
  static AbstractValue string(std::string bytes);
  static AbstractValue ssa(ssa::ValueId id);
  static AbstractValue of_kind(Kind kind);
  /// A value of the world. `name` is what the script calls it; tables keep it.
  static AbstractValue of_world(runtime::Value value, std::string name);

  bool is(Kind k) const { return kind == k; }
  /// One value, known now.
  bool is_constant() const;
};

/// The very same value or constant.
bool same(const AbstractValue& a, const AbstractValue& b);

}  // namespace ktap::lower
