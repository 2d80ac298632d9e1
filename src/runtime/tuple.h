// Tuples: the multi-keys `t[a, b]`. Immutable values, equal by parts; the parts follow the object.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/value.h"

namespace ktap::runtime {

/// Made by Heap::tuple() alone.
class alignas(Value) Tuple : public Object {
 public:
  size_t size() const { return size_; }
  const Value& operator[](size_t i) const { return parts()[i]; }
  const Value* parts() const { return reinterpret_cast<const Value*>(this + 1); }
  uint32_t hash() const { return hash_; }
  /// Every part may be a key.
  bool valid_key() const { return valid_key_; }

 private:
  friend class Heap;
  Tuple() : Object(Type::Tuple) {}

  uint32_t size_ = 0;
  uint32_t hash_ = 0;
  bool valid_key_ = true;
};
static_assert(sizeof(Tuple) % alignof(Value) == 0);

}  // namespace ktap::runtime
