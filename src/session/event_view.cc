// Answers come from the capture record alone; what was not captured does not exist for the handler.
#include "session/event_view.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <optional>

#include "base/limits.h"
#include "base/user_stack.h"
#include "lower/event_reads.h"
#include "lower/kernel_types.h"
#include "runtime/kernel_pointer.h"
#include "runtime/stack.h"
#include "runtime/string.h"
#include "session/record.h"
#include "symbol/unwind.h"
#include "sys/clock.h"

namespace ktap::session {

using runtime::Value;
using schema::BuiltinVar;

EventView::EventView(const Plan& plan, event::Catalog* catalog, runtime::Heap& heap,
                     const engine::Record& record, bool timestamps, StackNamer& stacks,
                     std::function<void(const std::string&)> on_cut)
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
      stacks_(stacks),
      on_cut_(std::move(on_cut)),
      has_time_(timestamps),
      values_(decode_args(site_, layout_, record.data, plan.linkage.module, heap)) {
  event_ = raw_event(group_, layout_, record.data);
  if (event_ != nullptr) return;
  for (size_t i = 0; i < capture_->args.size(); ++i) {
    const lower::CaptureArg& arg = capture_->args[i];
    if (arg.kind != lower::CaptureArg::Kind::Var || arg.var != BuiltinVar::Probename) continue;
    int64_t id = 0;
    std::memcpy(&id, record.data + layout_.arg_offset_bytes[i], sizeof id);
    event_ = event_named(group_, id);
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
  return render_raw(*catalog_, group_, *event_, layout_, record_.data, record_.size_bytes,
                    record_.cpu);
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
      if (read.is_word && out->type == runtime::Type::Boolean)
        *out = Value::of(int64_t{out->boolean});
      if (read.is_pointer && out->is_integer()) {
        const schema::CType target = event_->fields[read.field].target;
        *out = out->integer == 0 ? runtime::null_pointer()
                                 : heap_.pointer(out->integer, target.id, target.pointers);
      }
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
  if (text.size() > limit_bytes) on_cut_(fmt::format("string cut ({})", function));
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
        "address was computed or kept (--explain says what keeps the handler out of the kernel)",
        name);
    return false;
  }
  *out = *text;
  if (!text->is_nil())
    *out = bounded(text->string()->view(), static_cast<size_t>(limit_bytes), name);
  return true;
}

bool EventView::read_bytes(int64_t address, int64_t count, Value* out, std::string* error) {
  for (size_t i = 0; i < capture_->args.size(); ++i) {
    const lower::CaptureArg& arg = capture_->args[i];
    if (arg.kind != lower::CaptureArg::Kind::Bytes) continue;
    const Value from = values_[arg.address_arg];
    const Value kept =
        arg.count_arg == UINT32_MAX ? Value::of(arg.element) : values_[arg.count_arg];
    if (!from.is_integer() || from.integer != address) continue;
    if (!kept.is_integer() || kept.integer != count) continue;
    *out = buffer_of(values_[i], kept, heap_);
    return true;
  }
  *error =
      "in user space 'buf' reads what a field or variable of the event points to, as many bytes as "
      "another tells or a known number; this address or number was computed or kept";
  return false;
}

bool EventView::stack(bool is_user, int64_t depth, int64_t skip, Value* out, std::string* error) {
  const auto kind =
      is_user ? lower::CaptureArg::Kind::UserStack : lower::CaptureArg::Kind::KernelStack;
  for (size_t i = 0; i < capture_->args.size(); ++i) {
    if (capture_->args[i].kind != kind) continue;
    const runtime::Stack& all = *values_[i].stack();
    std::vector<uint64_t> words{all.words()[0]};
    for (size_t at = static_cast<size_t>(skip); at < all.frame_count(); ++at) {
      if (words.size() > static_cast<size_t>(depth)) break;
      words.push_back(all.frame(at));
    }
    *out = heap_.stack(words.data(), words.size());
    return true;
  }
  *error = "no stack was kept of this event";
  return false;
}

bool EventView::unwound_stack(int64_t depth, Value* out, std::string* error) {
  if (layout_.stack_offset_bytes == 0) {
    *error =
        "no copy of the stack was kept of this event: it is not seen that 'ustack' is called "
        "with \"dwarf\" here";
    return false;
  }
  const uint8_t* at = record_.data + layout_.stack_offset_bytes;
  uint64_t head[kStackCopyHeaderBytes / sizeof(uint64_t)] = {};
  std::memcpy(head, at, sizeof head);
  symbol::StackCopy copy;
  copy.registers = symbol::Bytes(at + sizeof head, symbol::kSavedRegistersBytes);
  copy.begin = head[2];
  copy.bytes = symbol::Bytes(copy.registers.data() + copy.registers.size(),
                             std::min<uint64_t>(head[1], kStackCopyBytes));
  const uint8_t* probe = copy.registers.data() + copy.registers.size() + kStackCopyBytes;
  for (uint32_t i = 0; i < kReturnProbes; ++i, probe += kReturnProbeBytes) {
    symbol::ReturnProbe waiting;
    std::memcpy(&waiting.stack, probe, sizeof waiting.stack);
    std::memcpy(&waiting.address, probe + sizeof waiting.stack, sizeof waiting.address);
    if (waiting.address == 0) break;
    copy.return_probes.push_back(waiting);
  }
  symbol::Unwound unwound = stacks_.unwind(head[0], head[3], copy, static_cast<size_t>(depth));
  if (unwound.is_cut && copy.bytes.size() < kStackCopyBytes)
    on_cut_("stack cut (not all of it could be read)");
  if (unwound.is_cut && copy.bytes.size() == kStackCopyBytes)
    on_cut_(fmt::format("stack cut (ustack(\"dwarf\") copies {} bytes)", kStackCopyBytes));
  if (unwound.is_elsewhere)
    on_cut_("stack cut (its callers have a stack of their own, of which there is no copy)");
  if (unwound.is_hidden)
    on_cut_("stack cut (a function that a %return probe waits for hides its callers)");
  unwound.addresses.insert(unwound.addresses.begin(), head[0]);
  *out = heap_.stack(unwound.addresses.data(), unwound.addresses.size());
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
    const int64_t element =
        arg.index_arg >= 0 ? values_[static_cast<size_t>(arg.index_arg)].integer : arg.element;
    const bool is_key = arg.member.empty() ? key.is_integer() && key.integer == element
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
    const bool is_user = schema::is_user_type(type);
    *error = fmt::format(
        "in user space {} memory is read where members and indexes that are known, or the event's, "
        "follow {}, straight; this pointer or index was computed or kept (--explain tells why it "
        "runs there)",
        is_user ? "a program's" : "kernel", is_user ? "'args'" : "'curtask' or cast()");
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
    case BuiltinVar::Ns:
      *out = Value::of(sys::clock_ns(CLOCK_MONOTONIC));
      return true;
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
