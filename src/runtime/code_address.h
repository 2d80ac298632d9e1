// An address of the kernel's code: what ipof() gives. An integer wherever a number is wanted; as
// text it is the symbol that lies there, looked up when it is printed.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/value.h"

namespace ktap::runtime {

class StackNames;

/// Made by Heap::address() alone; immutable.
class CodeAddress : public Object {
 public:
  int64_t number() const { return number_; }
  /// As its heap has them; null: nobody knows.
  StackNames* names() const { return *names_; }

 private:
  friend class Heap;
  CodeAddress(int64_t number, StackNames* const* names)
      : Object(Type::Address), number_(number), names_(names) {}

  int64_t number_;
  StackNames* const* names_;
};

/// "vfs_read+0x12/0x90 [module]", or the number in hex.
std::string address_text(const CodeAddress& address);
/// "vfs_read", or the number in hex.
std::string address_function(const CodeAddress& address);
/// The integer in the place of an address; other values as they are.
inline Value plain_number(Value value) {
  return value.type == Type::Address ? Value::of(value.address()->number()) : value;
}

}  // namespace ktap::runtime
