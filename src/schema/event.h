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

/// The word that is a field of an event that gives registers. Of tracepoints and system calls:
/// None.
struct Fetch {
  enum class Base : uint8_t {
    None,
    Address,   ///< of the probe, at run time; of a sample: where the program was
    Argument,  ///< the function's own argument number `at`, from 0
    Result,    ///< what the function gave
    Period,    ///< Sample: events since the last one
    Accessed,  ///< Sample: the address that was accessed, where the hardware says; else 0
  } base = Base::None;
  int64_t at = 0;
  friend bool operator==(const Fetch&, const Fetch&) = default;
};

struct Field {
  std::string name;
  std::string c_type;  ///< as the kernel declares it: "unsigned int", "const char *"
  FieldKind kind = FieldKind::Int;
  uint32_t offset_bytes = 0;  ///< in the tracepoint record; for syscalls unused
  uint32_t size_bytes = 8;    ///< declared width; argstr prints hex of this width for syscalls
  bool is_signed = false;
  Fetch fetch;  ///< events that give registers
};

/// Where a probe is set.
struct ProbePoint {
  std::string path;              ///< the file; "": the kernel
  std::string symbol;            ///< "": an address alone
  uint64_t offset_bytes = 0;     ///< user: in the file; kernel: behind the symbol
  uint64_t address = 0;          ///< as symbols give it; 0: not known
  uint64_t semaphore_bytes = 0;  ///< where in the file the marker's semaphore lies; 0: it has none
};

/// What perf_event_open takes. Source: include/uapi/linux/perf_event.h.
struct PerfSource {
  uint32_t type = 0;
  uint64_t config = 0;
  uint64_t period = 1;        ///< events from one sample to the next, or samples a second
  bool is_frequency = false;  ///< of `period`
  uint64_t address = 0;       ///< memory breakpoint; 0: none
  uint32_t length_bytes = 0;
  uint32_t access = 0;  ///< HW_BREAKPOINT_R, _W, _X
};

enum class EventKind : uint8_t {
  SyscallEnter,  ///< syscalls:sys_enter_*; fields[0] is the number, fields[1..] the arguments
  SyscallExit,   ///< syscalls:sys_exit_*; fields[0] is the number, fields[1] is `ret`
  Tracepoint,    ///< any other tracefs event; fields follow the common header
  Probe,         ///< an instruction, mostly a function's first; fields[0] is its address
  ProbeReturn,   ///< a function's return; fields[0] is the function's address
  Sample,        ///< a perf event, a memory breakpoint, a profile timer; fields[0] is where it was
};

constexpr bool is_syscall(EventKind kind) {
  return kind == EventKind::SyscallEnter || kind == EventKind::SyscallExit;
}
/// Its fields are fetched from registers and memory.
constexpr bool gives_registers(EventKind kind) {
  return kind == EventKind::Probe || kind == EventKind::ProbeReturn || kind == EventKind::Sample;
}

/// One event of the running kernel.
struct Event {
  std::string system;  ///< "sched"
  std::string name;    ///< "sched_switch": what `probename` gives
  EventKind kind = EventKind::Tracepoint;
  int64_t syscall_nr = -1;  ///< SyscallEnter/Exit only
  int32_t tracefs_id = -1;
  uint32_t record_size_bytes = 0;  ///< Tracepoint: fixed part of the record, common header included
  std::vector<Field> fields;
  ProbePoint point;  ///< Probe, ProbeReturn
  PerfSource perf;   ///< Sample

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
