// What the VM asks of the world around it: where output goes, what the current event is, what
// `trace` means, and everything that takes a system call. The session implements it; tests use a
// fake.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "bytecode/chunk.h"
#include "runtime/value.h"
#include "schema/builtin_vars.h"
#include "schema/kernel_types.h"

namespace ktap::vm {

/// The event that a handler runs on. Values may be made on the VM's heap (Vm::heap()).
class EventContext {
 public:
  virtual ~EventContext() = default;
  /// False and `error` set when this event has no such variable ("retval").
  virtual bool var(schema::BuiltinVar var, runtime::Value* out, std::string* error) = 0;
  /// args.NAME: a field; false when there is none.
  virtual bool field(std::string_view name, runtime::Value* out) = 0;
  /// e.NAME: retval, sc_nr, sc_is_enter, sc_arg1…6 before fields of that name.
  virtual bool member(std::string_view name, runtime::Value* out) { return field(name, out); }
  /// user_string(address[, n]), or kernel_string(): at most `limit_bytes` of the string that was
  /// captured with the event; nil when it was unreadable. False and `error` when that address was
  /// not captured.
  virtual bool read_string(bool is_user, int64_t address, int64_t limit_bytes, runtime::Value* out,
                           std::string* error) {
    (void)address, (void)limit_bytes, (void)out;
    *error = is_user ? "'user_string' works in handlers of events only"
                     : "'kernel_string' works in handlers of events only";
    return false;
  }
  /// pointer.NAME or pointer[i]: of what was captured alone; false and `error` when that was not.
  virtual bool kernel_member(runtime::Value pointer, runtime::Value key, runtime::Value* out,
                             std::string* error) {
    (void)pointer, (void)key, (void)out;
    *error = "kernel memory is read in handlers of events only";
    return false;
  }
};

enum class Clock : uint8_t {
  Realtime,   ///< since 1970, for gettimeofday_*
  Monotonic,  ///< what `ns` counts: the clock of the kernel's bpf_ktime_get_ns
};

class Host {
 public:
  virtual ~Host() = default;
  /// Output of print and its kin. Whole lines are never split by another handler's.
  virtual void write(std::string_view text) = 0;
  /// Null outside handlers of events (main chunk, ticks, trace_end).
  virtual EventContext* event() = 0;
  /// `trace`, `tick-`, `profile-`, `trace_end` statements and kdebug.*, timer.*. `filter` is nil or
  /// a closure. Returns "" or a run-time error text ("cannot register a handler inside a handler").
  virtual std::string register_handler(bytecode::HandlerKind kind, std::string_view event_text,
                                       runtime::Value filter, runtime::Value handler,
                                       const bytecode::Place& place) = 0;
  /// exit([status]): the VM unwinds after this returns.
  virtual void request_exit(int64_t status, bool given) = 0;

  virtual int64_t now_ns(Clock clock) = 0;
  /// strftime(format, t) in the local time zone, of a time since 1970.
  virtual std::string local_time(std::string_view format, int64_t time_ns) = 0;
  /// Where rand() starts, asked once a VM, at its first call. 0 always gives the same numbers.
  virtual uint64_t random_seed() { return 0; }
  /// CPUs that are online.
  virtual int64_t cpu_count() = 0;
  /// uname: the machine ("x86_64") and the kernel's release ("6.1.0-18-amd64").
  virtual std::string machine() = 0;
  virtual std::string kernel_release() = 0;
  /// What a pointer of cast("struct sock *", …) leads to. Errors: in words.
  virtual Result<schema::CType> cast_target(std::string_view text) {
    return Error{"this kernel does not tell its types: cast to '" + std::string(text) + "'"};
  }
  /// The address of a kernel symbol. Errors: in words.
  virtual Result<int64_t> kernel_symbol(std::string_view name) {
    return Error{"there is no kernel symbol '" + std::string(name) + "'"};
  }
  /// "openat"; "" when this kernel has no such number.
  virtual std::string syscall_name(int64_t number) = 0;
};

}  // namespace ktap::vm
