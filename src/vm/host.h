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
  /// A timer's: nothing happened but that its time came.
  virtual bool is_timer() const { return false; }
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
  /// buf(address, n): as many bytes of those that were captured with the event, NULs among them.
  /// Nil and false as read_string().
  virtual bool read_bytes(int64_t address, int64_t count, runtime::Value* out, std::string* error) {
    (void)address, (void)count, (void)out;
    *error = "'buf' works in handlers of events only";
    return false;
  }
  /// stack() and ustack(): at most `depth` frames, in the kernel behind the `skip` innermost ones.
  /// False and `error` where none was captured.
  virtual bool stack(bool is_user, int64_t depth, int64_t skip, runtime::Value* out,
                     std::string* error) {
    (void)depth, (void)skip, (void)out;
    *error = is_user ? "'ustack' works in handlers of events only"
                     : "'stack' works in handlers of events only";
    return false;
  }
  /// ustack("dwarf"): the same of the process, out of a copy of its stack.
  virtual bool unwound_stack(int64_t depth, runtime::Value* out, std::string* error) {
    (void)depth, (void)out;
    *error = "'ustack' works in handlers of events only";
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
  /// Output of warn: to standard error, behind what was written before.
  virtual void write_warning(std::string_view text) = 0;
  /// What pictures that are given no file are drawn on: the output as text, with colours where a
  /// terminal shows them, or a picture's file of its own (-o NAME.svg).
  enum class Canvas : uint8_t { Text, Colour, Picture };
  virtual Canvas canvas() { return Canvas::Text; }
  /// Makes a file of `text`, in place of what it held; `path` "": that of Canvas::Picture. Errors:
  /// in words.
  virtual Result<void> write_file(const std::string& path, std::string_view text) {
    (void)text;
    return Error{"cannot write to " + path};
  }
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
  /// The name of a value of the kernel's enum, "" when it has none. Errors: no such enum; in words.
  virtual Result<std::string> enum_name(std::string_view type, int64_t value) {
    (void)value;
    return Error{"this kernel does not tell its types: '" + std::string(type) + "'"};
  }
  /// The address of a kernel symbol. Errors: in words.
  virtual Result<int64_t> kernel_symbol(std::string_view name) {
    return Error{"there is no kernel symbol '" + std::string(name) + "'"};
  }
  /// What lies at an address of the kernel: "vfs_read+0x12/0x90 [module]"; of a process:
  /// "malloc+0x12 (libc.so.6)". The address where that is not known.
  virtual std::string kernel_name(int64_t address) { return address_text(address); }
  virtual std::string user_name(int64_t pid, int64_t address) {
    (void)pid;
    return address_text(address);
  }
  /// "0x12ab".
  static std::string address_text(int64_t address);
  /// system(): runs it in a shell, its output in order with ours; its exit status as a shell
  /// gives it.
  virtual Result<int64_t> run_command(std::string_view command) {
    (void)command;
    return Error{"'system' is refused without --unsafe"};
  }
  /// "openat"; "" when this kernel has no such number.
  virtual std::string syscall_name(int64_t number) = 0;
};

}  // namespace ktap::vm
