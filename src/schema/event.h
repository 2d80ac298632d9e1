// What events look like, as plain values: names, fields, where a field lies in the kernel's
// context. `event` makes them from tracefs; `lower`, `backend` and the renderers read them. Nothing
// here acts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ktap::schema {

/// How a field's bytes become a value.
enum class FieldKind : uint8_t {
  Int,        ///< integer of size_bytes, signed per is_signed
  Bool,       ///< one byte, true when it is not 0
  Pointer,    ///< kernel or user address; an integer that prints in hex
  CharArray,  ///< char[N]: string cut at the first NUL
  DynString,  ///< __data_loc char[]: u32 at offset holds (length << 16 | offset in record)
  RelString,  ///< __rel_loc char[]
  Opaque,     ///< arrays, structs: not readable as a value (named in diagnostics), still printed by
              ///< argstr
};

struct Field {
  std::string name;
  std::string c_type;  ///< as the kernel declares it: "unsigned int", "const char *"
  FieldKind kind = FieldKind::Int;
  uint32_t offset_bytes = 0;  ///< in the tracepoint record; for syscalls unused
  uint32_t size_bytes = 8;    ///< declared width; argstr prints hex of this width for syscalls
  bool is_signed = false;
};

enum class EventKind : uint8_t {
  SyscallEnter,  ///< syscalls:sys_enter_*; fields[0] is the number, fields[1..] the arguments
  SyscallExit,   ///< syscalls:sys_exit_*; fields[0] is the number, fields[1] is `ret`
  Tracepoint,    ///< any other tracefs event; fields follow the common header
};

/// One event of the running kernel.
struct Event {
  std::string system;  ///< "sched"
  std::string name;    ///< "sched_switch": what `probename` gives
  EventKind kind = EventKind::Tracepoint;
  int64_t syscall_nr = -1;  ///< SyscallEnter/Exit only
  int32_t tracefs_id = -1;
  uint32_t record_size_bytes = 0;  ///< Tracepoint: fixed part of the record, common header included
  std::vector<Field> fields;

  /// Index in fields, or -1.
  int find_field(const std::string& field_name) const {
    for (size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].name == field_name) return static_cast<int>(i);
    }
    return -1;
  }
};

/// Shared: an event is looked up once and referred to by plans, groups and records of one run.
using EventPtr = std::shared_ptr<const Event>;

}  // namespace ktap::schema
