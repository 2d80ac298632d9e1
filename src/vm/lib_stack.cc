// Library: stacks of calls, in today's spelling and in those of earlier ktaps.
#include <string>

#include <fmt/core.h>

#include "base/limits.h"
#include "base/user_stack.h"
#include "runtime/kernel_pointer.h"
#include "runtime/string.h"
#include "runtime/text.h"
#include "vm/library.h"

namespace ktap::vm {
namespace {

using runtime::Value;

/// How much of a stack a call asks for.
struct Extent {
  int64_t depth = limits::kStackFrames;
  int64_t skip = 0;
};

/// Argument `i` as a depth; -1, as it once was, asks for all there is.
bool depth_arg(NativeCall& call, std::string_view name, size_t i, Extent* extent) {
  if (!call.has(i)) return true;
  if (!call.integer_arg(name, i, &extent->depth)) return false;
  if (extent->depth == -1) extent->depth = limits::kStackFrames;
  return (extent->depth >= 1 && extent->depth <= limits::kStackFrames) ||
         call.out_of_range(name, i, fmt::format("1 to {}", limits::kStackFrames));
}

bool skip_arg(NativeCall& call, std::string_view name, size_t i, Extent* extent) {
  if (!call.has(i)) return true;
  if (!call.integer_arg(name, i, &extent->skip)) return false;
  return (extent->skip >= 0 && extent->skip <= limits::kStackSkip) ||
         call.out_of_range(name, i, fmt::format("0 to {}", limits::kStackSkip));
}

bool take(NativeCall& call, std::string_view name, const Extent& extent, Value* stack) {
  const bool is_user = name == "ustack";
  EventContext* event = call.machine.host().event();
  if (event == nullptr)
    return call.machine.fail(fmt::format("'{}' works in handlers of events only", name));
  return event->stack(is_user, extent.depth, extent.skip, stack, &call.machine.error_text());
}

/// backtrace([skip[, depth]]).
bool older(NativeCall& call, std::string_view name, Value* stack) {
  Extent extent;
  return skip_arg(call, name, 0, &extent) && depth_arg(call, name, 1, &extent) &&
         take(call, name, extent, stack);
}

bool print(NativeCall& call, Value stack) {
  call.machine.host().write(runtime::to_text(stack) + "\n");
  return true;
}

}  // namespace

std::string Host::address_text(int64_t address) {
  return fmt::format("0x{:x}", static_cast<uint64_t>(address));
}

namespace {

/// An integer, or a pointer to kernel memory.
bool address_arg(NativeCall& call, std::string_view name, int64_t* address) {
  if (call.arg(0).type != runtime::Type::Pointer) return call.integer_arg(name, 0, address);
  *address = call.arg(0).pointer()->address();
  return true;
}

}  // namespace

namespace lib {

bool Ksym(NativeCall& call) {
  int64_t address = 0;
  return address_arg(call, "ksym", &address) && call.give(call.machine.host().kernel_name(address));
}

/// ipof(address): an address of the kernel's code that prints as its symbol.
bool Ipof(NativeCall& call) {
  int64_t address = 0;
  return address_arg(call, "ipof", &address) && call.give(call.machine.heap().address(address));
}

/// usym(address[, pid]): of the event's process, when none is given.
bool Usym(NativeCall& call) {
  int64_t address = 0;
  int64_t pid = 0;
  if (!address_arg(call, "usym", &address)) return false;
  if (call.has(1)) {
    if (!call.integer_arg("usym", 1, &pid)) return false;
  } else {
    EventContext* event = call.machine.host().event();
    if (event == nullptr)
      return call.machine.fail("'usym' without a process works in handlers of events only");
    Value own;
    if (!event->var(schema::BuiltinVar::Pid, &own, &call.machine.error_text())) return false;
    pid = own.integer;
  }
  return call.give(call.machine.host().user_name(pid, address));
}

bool Stack(NativeCall& call) {
  Extent extent;
  Value stack;
  return depth_arg(call, "stack", 0, &extent) && skip_arg(call, "stack", 1, &extent) &&
         take(call, "stack", extent, &stack) && call.give(stack);
}

/// ustack([depth]), ustack("dwarf"[, depth]).
bool Ustack(NativeCall& call) {
  Extent extent;
  Value stack;
  const bool is_text = call.has(0) && call.arg(0).type == runtime::Type::String;
  if (is_text && call.arg(0).string()->view() != kDwarfStack)
    return call.out_of_range("ustack", 0, kUstackTakes);
  if (is_text) {
    EventContext* event = call.machine.host().event();
    if (event == nullptr) return call.machine.fail("'ustack' works in handlers of events only");
    return depth_arg(call, "ustack", 1, &extent) &&
           event->unwound_stack(extent.depth, &stack, &call.machine.error_text()) &&
           call.give(stack);
  }
  if (call.has(1)) return call.out_of_range("ustack", 0, kUstackTakesTwo);
  return depth_arg(call, "ustack", 0, &extent) && take(call, "ustack", extent, &stack) &&
         call.give(stack);
}

bool Backtrace(NativeCall& call) {
  Value stack;
  return older(call, "backtrace", &stack) && call.give(stack);
}

bool PrintBacktrace(NativeCall& call) {
  Value stack;
  return older(call, "print_backtrace", &stack) && print(call, stack);
}

bool KdebugDumpstack(NativeCall& call) {
  Value stack;
  return take(call, "kdebug.dumpstack", Extent(), &stack) && print(call, stack);
}

}  // namespace lib
}  // namespace ktap::vm
