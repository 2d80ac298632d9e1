// A captured event as the VM's handlers see it: built-in variables, fields, argstr and user
// strings, all taken from one record that the kernel sent.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/bpf_engine.h"
#include "event/provider.h"
#include "lower/event_reads.h"
#include "session/plan.h"
#include "session/stack_names.h"
#include "vm/host.h"

namespace ktap::session {

class EventView final : public vm::EventContext {
 public:
  /// `record` and everything else outlive the view. `catalog` is null when no handler of the plan
  /// asks for the event's text. `on_cut` is told, in words, of each
  /// string and stack that is cut here; what the kernel has cut it has counted.
  EventView(const Plan& plan, event::Catalog* catalog, runtime::Heap& heap,
            const engine::Record& record, bool timestamps, StackNamer& stacks,
            std::function<void(const std::string&)> on_cut);

  bool var(schema::BuiltinVar var, runtime::Value* out, std::string* error) override;
  bool field(std::string_view name, runtime::Value* out) override;
  bool member(std::string_view name, runtime::Value* out) override;
  bool read_bytes(int64_t address, int64_t count, runtime::Value* out, std::string* error) override;
  bool read_string(bool is_user, int64_t address, int64_t limit_bytes, runtime::Value* out,
                   std::string* error) override;

  bool stack(bool is_user, int64_t depth, int64_t skip, runtime::Value* out,
             std::string* error) override;
  bool unwound_stack(int64_t depth, runtime::Value* out, std::string* error) override;
  bool kernel_member(runtime::Value pointer, runtime::Value key, runtime::Value* out,
                     std::string* error) override;

  /// False: the filter was left to the VM.
  bool filter_ran() const { return capture_->filter_in_kernel; }
  /// The record's `ns`, when timestamps were asked for.
  int64_t time_ns() const;
  void mark(runtime::Heap& heap) const;

 private:
  runtime::Value field_value(int index) const;
  /// What was captured as argument `index`, pointers as such.
  runtime::Value captured_value(size_t index) const;
  /// False where there is no value: no such name, or none that a script can read.
  bool give(const lower::EventRead& read, runtime::Value* out) const;
  std::string text();
  /// What was captured of that kind at that address.
  std::optional<runtime::Value> captured(lower::CaptureArg::Kind kind, int64_t address) const;
  runtime::Value bounded(std::string_view text, size_t limit_bytes, const char* function);

  const Plan& plan_;
  event::Catalog* catalog_;
  runtime::Heap& heap_;
  const engine::Record& record_;
  const ssa::Site& site_;
  const backend::SiteLayout& layout_;
  const ssa::EventGroup& group_;
  const lower::CaptureSite* capture_;
  const schema::Event* event_ = nullptr;
  StackNamer& stacks_;
  std::function<void(const std::string&)> on_cut_;
  bool has_time_ = false;  ///< the first argument is the timestamp, a captured `ns`
  std::vector<runtime::Value> values_;
};

/// What a tick handler sees: no event, the tracer's own process and clock.
class TickView final : public vm::EventContext {
 public:
  TickView(runtime::Heap& heap, std::string name) : heap_(heap), name_(std::move(name)) {}

  bool var(schema::BuiltinVar var, runtime::Value* out, std::string* error) override;
  bool field(std::string_view name, runtime::Value* out) override;
  bool is_timer() const override { return true; }

 private:
  runtime::Heap& heap_;
  std::string name_;
};

}  // namespace ktap::session
