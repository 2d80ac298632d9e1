// A function with its captured variables. A variable lives in its frame's register while that runs
// (open), then in the cell itself (closed). The cell's address is the variable's identity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
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

/// The captured variables of a closure, behind it in the same block.
class Upvalues {
 public:
  Upvalues(size_t capacity) : capacity_(static_cast<uint32_t>(capacity)) {}
  Upvalues(const Upvalues&) = delete;
  Upvalues& operator=(const Upvalues&) = delete;

  Cell** data() { return reinterpret_cast<Cell**>(this + 1); }
  Cell* const* data() const { return reinterpret_cast<Cell* const*>(this + 1); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  Cell* operator[](size_t i) const { return data()[i]; }
  Cell* const* begin() const { return data(); }
  Cell* const* end() const { return data() + size_; }
  Cell* back() const { return data()[size_ - 1]; }
  void push_back(Cell* cell) {
    KTAP_CHECK(size_ < capacity_);
    data()[size_++] = cell;
  }

 private:
  uint32_t size_ = 0;
  uint32_t capacity_;
};

/// Made by Heap::closure() alone.
class Closure : public Object {
 public:
  explicit Closure(size_t upvalue_count) : Object(Type::Function), upvalues(upvalue_count) {}
  const bytecode::Function* function = nullptr;
  const vm::Proto* proto = nullptr;  ///< what the VM made of `function`: constants as values
  std::string_view name;             ///< "" for an anonymous one; owned by `function`
  Upvalues upvalues;                 ///< last: they lie behind it
};

static_assert(sizeof(Upvalues) == 8 && sizeof(Closure) % sizeof(Cell*) == 0);

}  // namespace ktap::runtime
