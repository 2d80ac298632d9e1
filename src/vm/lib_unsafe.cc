// Library: what changes things outside of the script (--unsafe). Handlers in the kernel have forms
// of their own; here is what the main chunk, timers and trace_end do.
#include <fmt/format.h>

#include "vm/library.h"

namespace ktap::vm {
namespace {

/// It acts on the event itself: that has passed when user space hears of it.
bool needs_event(NativeCall& call, const char* name) {
  return call.machine.fail(fmt::format("'{}' works in handlers of events only", name));
}

}  // namespace

namespace lib {

/// system(command): its exit status; nil in handlers of events, where nobody waits for it.
bool System(NativeCall& call) {
  std::string_view command;
  if (!call.string_arg("system", 0, &command)) return false;
  Host& host = call.machine.host();
  const Result<int64_t> status = host.run_command(command);
  if (!status.ok()) return call.machine.fail(status.error().message);
  const EventContext* event = host.event();
  const bool is_event = event != nullptr && !event->is_timer();
  return call.give(is_event ? runtime::Value::nil() : runtime::Value::of(status.value()));
}

bool Override(NativeCall& call) { return needs_event(call, "override"); }
bool Signal(NativeCall& call) { return needs_event(call, "signal"); }
bool WriteUser(NativeCall& call) { return needs_event(call, "write_user"); }

}  // namespace lib
}  // namespace ktap::vm
