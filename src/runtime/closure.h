// A function with its captured variables. A variable lives in its frame's register while that runs
// (open), then in the cell itself (closed). The cell's address is the variable's identity.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/value.h"

namespace ktap::bytecode {
struct Function;
}
namespace ktap::vm {
struct Proto;
}

namespace ktap::runtime {

/// Heap object without a script-visible type (its Object::type is Iterator's neighbour; never in a
/// Value).
struct Cell : Object {
  Cell() : Object(Type::SharedCell) {}
  Value* slot = &closed;  ///< register while open, &closed after
  Value closed;
};

class Closure : public Object {
 public:
  Closure() : Object(Type::Function) {}
  const bytecode::Function* function = nullptr;
  const vm::Proto* proto = nullptr;  ///< what the VM made of `function`: constants as values
  std::string_view name;             ///< "" for an anonymous one; owned by `function`
  std::vector<Cell*> upvalues;
};

}  // namespace ktap::runtime
