// The event loop of an armed run: records, ticks, signals, the target's end, exit(); then drain and
// trace_end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/bpf_engine.h"
#include "event/provider.h"
#include "session/event_view.h"
#include "session/host.h"
#include "session/options.h"
#include "session/plan.h"
#include "session/report.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "vm/vm.h"

namespace ktap::session {

/// Everything one run holds while it traces. `engine`, `plan` and `catalog` are null when no event
/// is traced.
struct TracerParts {
  const Options& options;
  const diag::Source& source;
  vm::Vm& vm;
  ScriptHost& host;
  Output& output;
  ErrorLog& errors;
  const Plan* plan = nullptr;
  engine::BpfEngine* engine = nullptr;
  event::Catalog* catalog = nullptr;
  sys::Child* child = nullptr;
  sys::ProcessRef* target = nullptr;
};

class Tracer {
 public:
  explicit Tracer(TracerParts parts);

  /// Waits for the end (signal, exit(), the target's end, --strict) with handlers running; then
  /// disarms and drains.
  Result<void> run(sys::Signals& signals);
  /// The trace_end handlers, in order.
  void run_ends();
  /// Marks what the current handler run holds.
  void mark(runtime::Heap& heap) const;

 private:
  struct Tick {
    const Registration* registration;
    int64_t next_ns;
  };

  size_t drain();
  void deliver(const engine::Record& record);
  void deliver_output(const engine::Record& record, const ssa::Site& site);
  void deliver_capture(const engine::Record& record);
  void run_due_ticks();
  void run_handler(const lower::Handler& handler, vm::EventContext& view, int64_t time_ns,
                   bool filter);
  void check_failures();
  int64_t wait_ns(bool busy) const;
  bool should_stop(sys::Signals& signals);

  TracerParts parts_;
  std::vector<Tick> ticks_;
  std::unique_ptr<EventView> view_;  ///< of the handler that runs
  bool stopping_ = false;
  bool kernel_exit_ = false;
  int64_t next_check_ns_ = 0;
};

}  // namespace ktap::session
