// Library: kdebug and timer, the seeds' spellings of `trace`, `tick-`, `profile-` and `trace_end`.
// Their event texts are put into today's form here; the host takes them from there.
#include <string>
#include <string_view>

#include "vm/library.h"

namespace ktap::vm {
namespace {

using bytecode::HandlerKind;
using runtime::Value;

bool starts_with(std::string_view text, std::string_view head) {
  return text.substr(0, head.size()) == head;
}

/// "tp:syscalls" → "syscalls:*", "tp:sched:sched_switch" → "sched:sched_switch", "kprobe:f!" →
/// "probe:f%return"; what is in today's form stays. A filter or fetch arguments behind the name
/// stay too.
std::string event_text(std::string_view text) {
  size_t name_end = text.find_first_of(" \t\n");
  std::string_view name = text.substr(0, name_end);
  std::string rest(name_end == std::string_view::npos ? "" : text.substr(name_end));
  if (starts_with(name, "tp:")) {
    name.remove_prefix(3);
    if (name.empty()) return rest;  // no event's name: no glob of all either
    bool whole_system = name.find(':') == std::string_view::npos;
    return std::string(name) + (whole_system ? ":*" : "") + rest;
  }
  if (starts_with(name, "kprobe:")) {
    name.remove_prefix(7);
    bool on_return = !name.empty() && name.back() == '!';
    if (on_return) name.remove_suffix(1);
    return "probe:" + std::string(name) + (on_return ? "%return" : "") + rest;
  }
  return std::string(text);
}

bool add(NativeCall& call, HandlerKind kind, std::string_view text, Value handler) {
  return call.machine.register_handler(kind, call.machine.string(text), Value::nil(), handler);
}

bool add_timer(NativeCall& call, HandlerKind kind, std::string_view name, std::string_view prefix) {
  std::string_view interval;
  return call.string_arg(name, 0, &interval) &&
         add(call, kind, std::string(prefix) + std::string(interval), call.arg(1));
}

}  // namespace

namespace lib {

bool KdebugProbe(NativeCall& call) {
  std::string_view text;
  return call.string_arg("kdebug.probe", 0, &text) &&
         add(call, HandlerKind::Event, event_text(text), call.arg(1));
}

bool KdebugProbeEnd(NativeCall& call) { return add(call, HandlerKind::End, "", call.arg(0)); }

bool KdebugKprobe(NativeCall& call) {
  std::string_view symbol;
  return call.string_arg("kdebug.kprobe", 0, &symbol) &&
         add(call, HandlerKind::Event, event_text("kprobe:" + std::string(symbol)), call.arg(1));
}

bool KdebugTracepoint(NativeCall& call) {
  std::string_view name;
  if (!call.string_arg("kdebug.tracepoint", 0, &name)) return false;
  return add(call, HandlerKind::Event,
             starts_with(name, "tp:") ? event_text(name) : std::string(name), call.arg(1));
}

bool TimerTick(NativeCall& call) {
  return add_timer(call, HandlerKind::Tick, "timer.tick", "tick-");
}
bool TimerProfile(NativeCall& call) {
  return add_timer(call, HandlerKind::Profile, "timer.profile", "profile-");
}

}  // namespace lib
}  // namespace ktap::vm
