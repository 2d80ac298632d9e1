// What events look like, as plain values: names, fields, where a field lies in the kernel's
// context. `event` makes them from tracefs; `lower`, `backend` and the renderers read them. Nothing
// here acts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "schema/kernel_types.h"

namespace ktap::schema {

/// How a field's bytes become a value.
enum class FieldKind : uint8_t {
  Int,        ///< integer of size_bytes, signed per is_signed
  Bool,       ///< one byte, true when it is not 0
  Pointer,    ///< kernel or user address; an integer that prints in hex
  CharArray,  ///< char[N]: string cut at the first NUL
  ByteArray,  ///< u8[N]: string of N bytes, with every NUL among them
  DynString,  ///< __data_loc char[]: u32 at offset holds (length << 16 | offset in record)
  RelString,  ///< __rel_loc char[]
  Text,       ///< characters up to a NUL where the field's Fetch leads; Fetch::Base::Comm: its own
  Opaque,     ///< arrays, structs: not readable as a value (named in diagnostics), still printed by
              ///< argstr
};

/// Memory that is followed: the number at `offset_bytes` from the word so far. Of the last step the
/// field says how wide and what that is.
struct FetchStep {
  int64_t offset_bytes = 0;
  bool is_user = false;    ///< of the process, not the kernel
  uint8_t size_bytes = 8;  ///< of an address there: 4 or 8
  friend bool operator==(const FetchStep&, const FetchStep&) = default;
};

/// Where a field of an event that gives registers comes from: a word, then steps through memory.
/// What is not there is nil. Of tracepoints and system calls: None.
struct Fetch {
  enum class Base : uint8_t {
    None,
    Address,   ///< of the probe, at run time; of a sample: where the program was
    Argument,  ///< the function's own argument number `at`, from 0
    Result,    ///< what the function gave
    Period,    ///< Sample: events since the last one
    Accessed,  ///< Sample: the address that was accessed, where the hardware says; else 0
    Register,  ///< `at` bytes into the saved registers
    Constant,  ///< `at` itself
    Comm,      ///< the name of the current thread: FieldKind::Text, no steps
  } base = Base::None;
  int64_t at = 0;
  int32_t index_at = -1;  ///< Register: another one, times index_scale, is added; -1: none
  uint8_t index_scale = 1;
  uint8_t shift_bits = 0;  ///< the value is these bits of its last number …
  uint8_t width_bits = 0;  ///< … 0: all of the field's width
  std::vector<FetchStep> steps;
  /// More than a word of the registers.
  bool is_followed() const {
    return base == Base::Constant || base == Base::Comm || !steps.empty();
  }
  friend bool operator==(const Fetch&, const Fetch&) = default;
};

struct Field {
  std::string name;
  std::string c_type;  ///< as the kernel declares it: "unsigned int", "const char *"
  FieldKind kind = FieldKind::Int;
  uint32_t offset_bytes = 0;  ///< in the tracepoint record; for syscalls unused
  uint32_t size_bytes = 8;    ///< declared width; argstr prints hex of this width for syscalls
  bool is_signed = false;
  Fetch fetch;   ///< events that give registers
  CType target;  ///< Pointer: what it points to; void: it is an address and no more
  /// Pointer: the field that gives the characters there, which is what its name means; of a result
  /// whose type is no value, a field of that type. -1: none.
  int32_t as_text = -1;
};

/// Where a probe is set.
struct ProbePoint {
  std::string path;           ///< the file; "": the kernel
  std::string file;           ///< which file that is, whatever path leads to it
  std::string symbol;         ///< "": an address alone
  uint64_t offset_bytes = 0;  ///< user: in the file; kernel: behind the symbol
  uint64_t address = 0;       ///< as symbols give it; 0: not known
  bool is_traceable = false;  ///< kernel: the function tracer has it
  /// Kernel: its number in BTF where all of its arguments are words, else 0; and how many they are.
  uint32_t btf_id = 0;
  std::string btf_module;  ///< whose number that is; "": the kernel's own
  uint32_t argument_count = 0;
  bool gives_word = true;        ///< kernel, where btf_id is known: what it returns is a word
  uint64_t semaphore_bytes = 0;  ///< where in the file the marker's semaphore lies; 0: it has none
};

/// What perf_event_open takes. Source: include/uapi/linux/perf_event.h.
struct PerfSource {
  uint32_t type = 0;
  uint64_t config = 0;
  uint64_t period = 1;        ///< events from one sample to the next, or samples a second
  bool is_frequency = false;  ///< of `period`
  bool is_of_target = false;  ///< where a process is traced, counted in its threads alone
  uint64_t address = 0;       ///< memory breakpoint; 0: none
  uint32_t length_bytes = 0;
  uint32_t access = 0;  ///< HW_BREAKPOINT_R, _W, _X
};

enum class EventKind : uint8_t {
  SyscallEnter,  ///< syscalls:sys_enter_*; fields[0] is the number, fields[1..] the arguments
  SyscallExit,   ///< syscalls:sys_exit_*; fields[0] is the number, fields[1] is `ret`
  Tracepoint,    ///< any other tracefs event; fields follow the common header. System calls whose
                 ///< number is not known too: their fields are as above, and lie in the record
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
  uint32_t unnumbered_fields = 0;  ///< so many at the end have a name, but no argN
  /// ProbeReturn of a kernel function: so many at the end are what it was called with. At its
  /// return a trampoline alone has that still, and records of the event do not hold it.
  uint32_t entry_fields = 0;
  ProbePoint point;  ///< Probe, ProbeReturn
  PerfSource perf;   ///< Sample

  /// Also of a system call that is traced as a tracepoint: fields[0] is the number.
  bool enters_syscall() const { return is_of_syscall(EventKind::SyscallEnter, "sys_enter_"); }
  bool leaves_syscall() const { return is_of_syscall(EventKind::SyscallExit, "sys_exit_"); }

  /// Those of the event itself, which its text shows and its records hold.
  size_t own_fields() const { return fields.size() - entry_fields; }

  /// Index in fields of what the name means, or -1.
  int find_field(const std::string& field_name) const {
    for (size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].name == field_name)
        return fields[i].as_text >= 0 ? fields[i].as_text : static_cast<int>(i);
    }
    return -1;
  }

 private:
  bool is_of_syscall(EventKind numbered, std::string_view head) const {
    return kind == numbered || (kind == EventKind::Tracepoint && system == "syscalls" &&
                                name.compare(0, head.size(), head) == 0);
  }
};

/// A probe in the kernel's code, and not in a program's.
inline bool is_kernel_function(const Event& event) {
  const bool is_probe = event.kind == EventKind::Probe || event.kind == EventKind::ProbeReturn;
  return is_probe && event.point.path.empty();
}

/// Shared: an event is looked up once and referred to by plans, groups and records of one run.
using EventPtr = std::shared_ptr<const Event>;

}  // namespace ktap::schema
