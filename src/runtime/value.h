// Values of the language: 16 bytes, a type tag and a payload. Heap objects belong to one Heap,
// which collects them by mark and sweep. No system calls, no clock.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/check.h"

namespace ktap::runtime {

enum class Type : uint8_t {
  Nil,
  Boolean,
  Integer,
  Float,
  Event,           ///< the event object `e`: no payload, stands for the current event
  Builtin,         ///< built-in function, by number
  SharedVariable,  ///< the same for what is no integer: see shared_variable.h
  SharedCell,      ///< never seen by a script: a variable whose value lives in kernel-shared memory
  // Heap objects from here on.
  String,
  Tuple,
  Table,
  Function,  ///< closure
  Aggregate,
  Histogram,
  Pointer,   ///< to kernel memory, with a C type
  Address,   ///< of the kernel's code: an integer that prints as a symbol
  Stack,     ///< of calls, in the kernel or in a process
  Iterator,  ///< never seen by a script: the state of a generic for
};

struct Object;
class String;
class Tuple;
class Table;
class Closure;
class Aggregate;
class Histogram;
class KernelPointer;
class CodeAddress;
class Stack;
class Iterator;

/// Plain, copied freely; it does not own. `type` tells which member is alive.
struct Value {
  Type type = Type::Nil;
  union {
    bool boolean;
    int64_t integer = 0;
    double number;
    uint16_t builtin;
    class SharedVariable* variable;  ///< SharedVariable
    int64_t* shared;                 ///< SharedCell: read and written with atomic operations
    Object* object;
  };

  static Value nil() { return {}; }
  static Value of(bool b) {
    Value v;
    v.type = Type::Boolean;
    v.integer = 0;
    v.boolean = b;
    return v;
  }
  static Value of(int64_t i) {
    Value v;
    v.type = Type::Integer;
    v.integer = i;
    return v;
  }
  static Value of(double d) {
    Value v;
    v.type = Type::Float;
    v.number = d;
    return v;
  }
  static Value event() {
    Value v;
    v.type = Type::Event;
    return v;
  }
  static Value of_builtin(uint16_t b) {
    Value v;
    v.type = Type::Builtin;
    v.integer = 0;
    v.builtin = b;
    return v;
  }
  static Value of_shared(int64_t* cell) {
    Value v;
    v.type = Type::SharedCell;
    v.shared = cell;
    return v;
  }
  static Value of_variable(SharedVariable* variable) {
    Value v;
    v.type = Type::SharedVariable;
    v.variable = variable;
    return v;
  }
  static Value of_object(Type type, Object* object) {
    Value v;
    v.type = type;
    v.object = object;
    return v;
  }

  bool is_nil() const { return type == Type::Nil; }
  bool truthy() const { return !(type == Type::Nil || (type == Type::Boolean && !boolean)); }
  bool is_integer() const { return type == Type::Integer; }
  bool is_number() const { return is_integer() || type == Type::Float; }
  bool is_object() const { return type >= Type::String; }
  String* string() const {
    KTAP_CHECK(type == Type::String);
    return reinterpret_cast<String*>(object);
  }
  Tuple* tuple() const {
    KTAP_CHECK(type == Type::Tuple);
    return reinterpret_cast<Tuple*>(object);
  }
  Table* table() const {
    KTAP_CHECK(type == Type::Table);
    return reinterpret_cast<Table*>(object);
  }
  Closure* closure() const {
    KTAP_CHECK(type == Type::Function);
    return reinterpret_cast<Closure*>(object);
  }
  Aggregate* aggregate() const {
    KTAP_CHECK(type == Type::Aggregate);
    return reinterpret_cast<Aggregate*>(object);
  }
  Histogram* histogram() const {
    KTAP_CHECK(type == Type::Histogram);
    return reinterpret_cast<Histogram*>(object);
  }
  KernelPointer* pointer() const {
    KTAP_CHECK(type == Type::Pointer);
    return reinterpret_cast<KernelPointer*>(object);
  }
  CodeAddress* address() const {
    KTAP_CHECK(type == Type::Address);
    return reinterpret_cast<CodeAddress*>(object);
  }
  Stack* stack() const {
    KTAP_CHECK(type == Type::Stack);
    return reinterpret_cast<Stack*>(object);
  }
  Iterator* iterator() const {
    KTAP_CHECK(type == Type::Iterator);
    return reinterpret_cast<Iterator*>(object);
  }
};

/// to = from, member by member. A value that was just made is two stores; copying it as 16 bytes at
/// once would have to wait for both (a failed store forwarding), which the interpreter's hot paths
/// cannot afford.
inline void copy_value(Value& to, const Value& from) {
  to.integer = from.integer;
  to.type = from.type;
}

/// Common head of every heap object.
struct Object {
  Object* next = nullptr;  ///< in the heap's list
  Type type;
  uint8_t mark = 0;  ///< the heap's present mark: reached in this cycle, or made since it began
  explicit Object(Type t) : type(t) {}
};

/// `==` of the language: across all types, 1 == 1.0, strings by bytes, tuples by parts, stacks
/// by frames, others by identity.
bool equal(Value a, Value b);
/// As keys: a pointer or address in a tuple is not the integer that it equals.
bool same_parts(const Tuple& a, const Tuple& b);
/// "nil", "boolean", "integer", … as type(x) says.
std::string_view type_name(Type type);
/// The same with its article, for messages: "a string", "an integer", "nil".
std::string_view type_phrase(Type type);
/// The order of keys in printed tables: integers, strings bytewise, booleans, tuples part by part,
/// the rest by type. Negative, 0 or positive.
int compare_keys(Value a, Value b);

}  // namespace ktap::runtime
