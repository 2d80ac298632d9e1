// A pointer to kernel memory with its C type: what `curtask` and cast() give in user space. The
// type is two numbers that only the kernel's types (schema::CType) explain.
#pragma once

#include <cstdint>

#include "runtime/value.h"

namespace ktap::runtime {

/// Made by Heap::pointer() alone; immutable. Never null: that is null_pointer().
class KernelPointer : public Object {
 public:
  KernelPointer(int64_t address, uint32_t type, uint32_t pointers)
      : Object(Type::Pointer), address_(address), type_(type), pointers_(pointers) {}
  int64_t address() const { return address_; }
  /// What it points to.
  uint32_t type() const { return type_; }
  uint32_t pointers() const { return pointers_; }

 private:
  int64_t address_;
  uint32_t type_;
  uint32_t pointers_;
};

/// The nil that a null pointer, or memory that is not there, reads as: nil in every way, but
/// looking something up in it gives the same again and is no error.
inline Value null_pointer() {
  Value value;
  value.integer = 1;
  return value;
}
inline bool is_null_pointer(Value value) { return value.is_nil() && value.integer == 1; }

}  // namespace ktap::runtime
