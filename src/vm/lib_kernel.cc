// Library: what is read of the kernel's memory by a function's name: in_iowait, curr_taskinfo,
// net.ip_sock_saddr and net.ip_sock_daddr. As kernel pointers are: of what was captured alone.
#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "runtime/code_address.h"
#include "runtime/kernel_pointer.h"
#include "schema/library_reads.h"
#include "vm/library.h"

namespace ktap::vm {

using runtime::Type;
using runtime::Value;

namespace {

EventContext* event_of(NativeCall& call, std::string_view function) {
  EventContext* event = call.machine.host().event();
  if (event == nullptr)
    call.machine.fail(fmt::format("'{}' works in handlers of events only", function));
  return event;
}

/// `*value` = its member; of nil nil.
bool follow(NativeCall& call, EventContext& event, std::string_view member, Value* value) {
  if (value->type != Type::Pointer) return true;
  const Value from = *value;
  return event.kernel_member(from, call.machine.string(member), value, &call.machine.error_text());
}

/// The address as a pointer to `type`.
bool pointer_to(NativeCall& call, int64_t address, const char* type, Value* out) {
  const Result<schema::CType> target = call.machine.host().cast_target(type);
  if (!target.ok()) return call.machine.fail(target.error().message);
  *out = call.machine.heap().pointer(address, target.value().id, target.value().pointers);
  return true;
}

bool socket_address(NativeCall& call, std::string_view function, const char* member) {
  EventContext* event = event_of(call, function);
  if (event == nullptr) return false;
  const Value from = runtime::plain_number(call.arg(0));
  if (from.is_nil()) return call.give(Value::nil());
  if (from.type != Type::Pointer && !from.is_integer())
    return call.wrong(function, 0, "an integer or a pointer");
  const int64_t address = from.type == Type::Pointer ? from.pointer()->address() : from.integer;
  Value common;
  if (!pointer_to(call, address, schema::kSocketPointer, &common) ||
      !follow(call, *event, schema::kSocketCommon, &common))
    return false;
  Value family = common;
  if (!follow(call, *event, schema::kSocketFamily, &family)) return false;
  if (!family.is_integer() || family.integer != schema::kIpv4Family) return call.give(Value::nil());
  return follow(call, *event, member, &common) && call.give(common);
}

}  // namespace

namespace lib {

bool InIowait(NativeCall& call) {
  EventContext* event = event_of(call, "in_iowait");
  Value value;
  if (event == nullptr ||
      !event->var(schema::BuiltinVar::Curtask, &value, &call.machine.error_text()) ||
      !follow(call, *event, schema::kInIowait, &value))
    return false;
  return call.give(Value::of(value.is_integer() && value.integer != 0));
}

/// Where the bytes were not captured, what they are is not known before handlers run.
bool CurrTaskinfo(NativeCall& call) {
  int64_t offset = 0;
  int64_t size = schema::kTaskinfoBytes;
  if (!call.integer_arg("curr_taskinfo", 0, &offset) ||
      (call.has(1) && !call.integer_arg("curr_taskinfo", 1, &size)))
    return false;
  const char* type = schema::taskinfo_pointer(size);
  if (type == nullptr) return call.out_of_range("curr_taskinfo", 1, schema::kTaskinfoSizes);
  EventContext* event = event_of(call, "curr_taskinfo");
  Value value;
  if (event == nullptr ||
      !event->var(schema::BuiltinVar::Curtask, &value, &call.machine.error_text()) ||
      !pointer_to(call, value.pointer()->address() + offset, type, &value))
    return false;
  Value number;
  if (event->kernel_member(value, Value::of(int64_t{0}), &number, &call.machine.error_text()))
    return call.give(number);
  return call.machine.fail(
      "in user space 'curr_taskinfo' takes numbers that stand there, or that the main chunk has "
      "set; this one was computed or kept");
}

bool NetIpSockSaddr(NativeCall& call) {
  return socket_address(call, "net.ip_sock_saddr", schema::kSocketSource);
}
bool NetIpSockDaddr(NativeCall& call) {
  return socket_address(call, "net.ip_sock_daddr", schema::kSocketDestination);
}

}  // namespace lib
}  // namespace ktap::vm
