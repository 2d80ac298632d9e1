// Answers come from the capture record alone; what was not captured does not exist for the handler.
#include "session/event_view.h"

#include <fmt/format.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/limits.h"
#include "lower/event_reads.h"
#include "lower/kernel_types.h"
#include "runtime/kernel_pointer.h"
#include "runtime/string.h"
#include "session/record.h"

namespace ktap::session {

using runtime::Value;
using schema::BuiltinVar;

EventView::EventView(const Plan& plan, event::Catalog* catalog, runtime::Heap& heap,
                     const engine::Record& record, bool timestamps,
                     std::function<void(const char*)> on_cut)
    : plan_(plan),
      catalog_(catalog),
      heap_(heap),
      record_(record),
      site_(plan.linkage.module.sites[record.site]),
      layout_(plan.unit.sites[record.site]),
      group_(plan.handlers[plan.owners[record.site].handler]
                 .groups[plan.owners[record.site].group]
                 .group),
      capture_(&plan.linkage.captures[site_.user_index]),
      on_cut_(std::move(on_cut)),
      has_time_(timestamps),
      values_(decode_args(site_, layout_, record.data, plan.linkage.module, heap)) {
  event_ = raw_event(group_, layout_, record.data);
  if (event_ != nullptr) return;
  Value name;
  for (size_t i = 0; i < capture_->args.size(); ++i) {
    const lower::CaptureArg& arg = capture_->args[i];
    if (arg.kind != lower::CaptureArg::Kind::Var || arg.var != BuiltinVar::Probename) continue;
    int64_t id = 0;
    std::memcpy(&id, record.data + layout_.arg_offset_bytes[i], sizeof id);
    const auto at = std::find(group_.name_ids.begin(), group_.name_ids.end(), id);
    if (at != group_.name_ids.end())
      event_ = group_.events[static_cast<size_t>(at - group_.name_ids.begin())].get();
  }
  if (event_ == nullptr) event_ = group_.events.front().get();
}

int64_t EventView::time_ns() const { return has_time_ ? values_[0].integer : 0; }

void EventView::mark(runtime::Heap& heap) const {
  for (const Value value : values_) heap.mark(value);
}

Value EventView::field_value(int index) const {
  for (size_t i = 0; i < capture_->args.size(); ++i) {
    const lower::CaptureArg& arg = capture_->args[i];
    if (arg.kind == lower::CaptureArg::Kind::Field && arg.field == static_cast<uint32_t>(index)) {
      return values_[i];
    }
  }
  return Value::nil();
}

std::string EventView::text() {
  if (layout_.raw_offset_bytes == 0) return event_->name;
  return render_raw(*catalog_, *event_, layout_, record_.data, record_.size_bytes, record_.cpu);
}

bool EventView::var(BuiltinVar var, Value* out, std::string* error) {
  for (size_t i = 0; i < capture_->args.size(); ++i) {
    const lower::CaptureArg& arg = capture_->args[i];
    if (arg.kind == lower::CaptureArg::Kind::Var && arg.var == var) {
      *out = captured_value(i);
      return true;
    }
  }
  if (var == BuiltinVar::Probename) {
    *out = heap_.string(event_->name);
    return true;
  }
  if (var == BuiltinVar::Argstr) {
    *out = heap_.string(text());
    return true;
  }
  if (give(lower::read_variable(*event_, var), out)) return true;
  *error = "the event gives no '" + std::string(schema::builtin_var_name(var)) + "'";
  return false;
}

bool EventView::field(std::string_view name, Value* out) {
  return give(lower::read_field(*event_, std::string(name)), out);
}

bool EventView::member(std::string_view name, Value* out) {
  return give(lower::read_member(*event_, std::string(name)), out);
}

bool EventView::give(const lower::EventRead& read, Value* out) const {
  switch (read.kind) {
    case lower::EventRead::Kind::Field:
      *out = field_value(static_cast<int>(read.field));
      return true;
    case lower::EventRead::Kind::Nil:
      *out = Value::nil();
      return true;
    case lower::EventRead::Kind::Bool:
      *out = Value::of(read.boolean);
      return true;
    default:
      return false;
  }
}

Value EventView::bounded(std::string_view text, size_t limit_bytes, const char* function) {
  if (text.size() > limit_bytes) on_cut_(function);
  return heap_.string(text.substr(0, limit_bytes));
}

std::optional<Value> EventView::captured(lower::CaptureArg::Kind kind, int64_t address) const {
  for (size_t i = 0; i < capture_->args.size(); ++i) {
    const lower::CaptureArg& arg = capture_->args[i];
    if (arg.kind != kind) continue;
    const Value from = values_[arg.address_arg];
    if (from.is_integer() && from.integer == address) return values_[i];
  }
  return std::nullopt;
}

bool EventView::read_string(bool is_user, int64_t address, int64_t limit_bytes, Value* out,
                            std::string* error) {
  const char* name = is_user ? "user_string" : "kernel_string";
  const auto text = captured(
      is_user ? lower::CaptureArg::Kind::UserString : lower::CaptureArg::Kind::KernelString,
      address);
  if (!text) {
    // The process has gone on by now: what is there was not there when the event was.
    *error = fmt::format(
        "in user space '{}' reads what a field or variable of the event points to, straight; this "
        "address was computed",
        name);
    return false;
  }
  *out = *text;
  if (!text->is_nil())
    *out = bounded(text->string()->view(), static_cast<size_t>(limit_bytes), name);
  return true;
}

Value EventView::captured_value(size_t index) const {
  const lower::CaptureArg& arg = capture_->args[index];
  const Value value = values_[index];
  if (value.is_nil() && arg.kind == lower::CaptureArg::Kind::Memory) return runtime::null_pointer();
  if (!arg.is_pointer) return value;
  return heap_.pointer(value.integer, arg.target.id, arg.target.pointers);
}

bool EventView::kernel_member(Value pointer, Value key, Value* out, std::string* error) {
  const runtime::KernelPointer& from = *pointer.pointer();
  const schema::CType type{from.type(), from.pointers()};
  for (size_t i = 0; i < capture_->args.size(); ++i) {
    const lower::CaptureArg& arg = capture_->args[i];
    if (arg.kind != lower::CaptureArg::Kind::Memory || arg.is_root || arg.of != type) continue;
    const bool is_key = arg.member.empty() ? key.is_integer() && key.integer == arg.element
                                           : key.type == runtime::Type::String &&
                                                 key.string()->view() == arg.member;
    const Value address = values_[arg.address_arg];
    if (!is_key || !address.is_integer() || address.integer != from.address()) continue;
    *out = captured_value(i);
    return true;
  }
  if (!key.is_integer() && key.type != runtime::Type::String) {
    *error = lower::pointer_index_error(key.type);
  } else {
    *error =
        "in user space kernel memory is read where members and known indexes follow 'curtask' or "
        "cast(), straight; this pointer or index was computed";
  }
  return false;
}

bool TickView::var(BuiltinVar var, Value* out, std::string* error) {
  switch (var) {
    case BuiltinVar::Pid:
    case BuiltinVar::Tid:
      *out = Value::of(static_cast<int64_t>(getpid()));
      return true;
    case BuiltinVar::Ppid:
      *out = Value::of(static_cast<int64_t>(getppid()));
      return true;
    case BuiltinVar::Uid:
      *out = Value::of(static_cast<int64_t>(getuid()));
      return true;
    case BuiltinVar::Gid:
      *out = Value::of(static_cast<int64_t>(getgid()));
      return true;
    case BuiltinVar::Cpu:
      *out = Value::of(static_cast<int64_t>(sched_getcpu()));
      return true;
    case BuiltinVar::Ns: {
      timespec now{};
      clock_gettime(CLOCK_MONOTONIC, &now);
      *out = Value::of(static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec);
      return true;
    }
    case BuiltinVar::Execname:
      *out = heap_.string("ktap");
      return true;
    case BuiltinVar::Probename:
    case BuiltinVar::Argstr:
      *out = heap_.string(name_);
      return true;
    default:
      *error = "'" + std::string(schema::builtin_var_name(var)) + "' is not there in " + name_;
      return false;
  }
}

bool TickView::field(std::string_view, Value*) { return false; }

}  // namespace ktap::session
