// The event loop of an armed run: records, ticks, signals, the target's end, exit(); then drain and
// trace_end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/bpf_engine.h"
#include "event/provider.h"
#include "session/event_view.h"
#include "session/host.h"
#include "session/interrupt.h"
#include "session/options.h"
#include "session/plan.h"
#include "session/process_tree.h"
#include "session/report.h"
#include "session/site_writer.h"
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
  ProcessTree* tree = nullptr;  ///< --follow
};

class Tracer {
 public:
  explicit Tracer(TracerParts parts);

  /// Waits for the end (signal, exit(), the target's end, --strict) with handlers running; then
  /// disarms and drains.
  void run(sys::Signals& signals);
  enum class Waited : uint8_t { Input, Interrupted, Ended };
  /// The same, but comes back when `input_fd` is readable or Ctrl-C was hit, with handlers still
  /// running. -1: no input; Ctrl-C is an end then.
  Waited wait(sys::Signals& signals, int input_fd);
  /// Disarms and drains.
  void finish();
  /// The trace_end handlers, in order; none after a signal.
  void run_ends(const InterruptGuard& guard);
  /// `ktap: N FILE:LINE: …` for the beats of ticks that fell together with the next one.
  std::string missed_ticks() const;
  const Cuts& cuts() const { return cuts_; }
  /// Marks what the current handler run holds.
  void mark(runtime::Heap& heap) const;

 private:
  struct Tick {
    Registration* registration;
    int64_t next_ns;
    uint64_t missed = 0;  ///< beats that were over before they could run
  };

  size_t drain();
  void deliver(const engine::Record& record);
  runtime::Value output_value(const engine::Record& record, const lower::OutputArg& arg,
                              const std::vector<runtime::Value>& values,
                              std::optional<std::string>& error);
  void deliver_output(const engine::Record& record, const ssa::Site& site);
  std::optional<std::string> run_command(runtime::Value command);
  void make_writers();
  void deliver_capture(const engine::Record& record);
  void run_due_ticks();
  void run_handler(const Registration& registration, vm::EventContext& view, int64_t time_ns,
                   bool filter);
  void run_each_end(const InterruptGuard& guard);
  void add_error(vm::RuntimeError error, const Registration& registration);
  void check_failures();
  int64_t wait_ns(bool busy) const;
  void take_signals();
  bool should_stop();
  bool target_ended();

  TracerParts parts_;
  const bool sends_;  ///< records or exit() may come from kernel code
  std::vector<Tick> ticks_;
  std::vector<std::optional<SiteWriter>> writers_;  ///< by site
  sys::Signals* signals_ = nullptr;
  uint32_t records_since_look_ = 0;
  Cuts cuts_;
  std::unique_ptr<EventView> view_;  ///< of the handler that runs
  bool interactive_ = false;         ///< Ctrl-C is no end
  bool interrupted_ = false;
  bool stopping_ = false;
  bool disarmed_ = false;
  bool kernel_exit_ = false;
  bool met_error_ = false;  ///< in the kernel; its text may be under way, or lost
  int64_t next_check_ns_ = 0;
};

}  // namespace ktap::session
