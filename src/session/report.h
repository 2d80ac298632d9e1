// What went wrong while tracing: run-time errors and losses, told once as they first happen and
// summed at the end.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "diag/diagnostic.h"
#include "engine/bpf_engine.h"
#include "session/host.h"
#include "session/output.h"
#include "session/plan.h"
#include "vm/vm.h"

namespace ktap::session {

/// The located message of a run-time error: `FILE:LINE:COL: error: TEXT`, source line, caret, call
/// trace; or the same as one line of JSON.
std::string render_runtime_error(const diag::Source& source, const vm::RuntimeError& error,
                                 bool json);

/// `ktap: error: TEXT`: what the machine or the command line has against it.
std::string render_error(const std::string& text, bool json, const std::string& program = "ktap");

/// `ktap: warning: TEXT`, of the command line.
std::string render_warning(const std::string& text, bool json);

/// As the VM would have met it.
vm::RuntimeError error_of(const ssa::Failure& failure, const std::string& text);

class ErrorLog;
/// The exit status of a run that came to its end (language, section 9).
int exit_status_of(const ScriptHost& host, const ErrorLog& errors);
/// Flushes the output; `status`, or an error's when what was printed could not be written, or the
/// file of pictures got none.
int end_output(Output& output, int status, bool json);

/// What attaching failed for, at the event text of the handler that the engine names. False: it
/// names none.
bool report_unattached(const Plan& plan, const std::vector<Registration>& registrations,
                       const engine::BpfEngine& engine, const Error& error, diag::Sink& sink);

/// Counts run-time errors of handlers by place; the first at each place is written to standard
/// error.
class ErrorLog {
 public:
  /// `json`: for --diagnostics=json.
  ErrorLog(const diag::Source& source, bool json) : source_(source), json_(json) {}

  /// Called before anything is told: what was printed earlier goes out first.
  void before_telling(std::function<void()> flush) { flush_ = std::move(flush); }
  /// Called after something was told (a prompt is drawn again).
  void after_telling(std::function<void()> then) { then_ = std::move(then); }

  /// An error of a handler that ran in the VM.
  void add(const vm::RuntimeError& error);
  /// The number of times kernel code met `failure` so far; tells the first one.
  void set_kernel_count(uint32_t failure, const ssa::Failure& what, uint64_t count);

  /// Another plan follows, whose failures have numbers of their own: keeps what was counted.
  void keep_kernel_counts();

  bool empty() const { return total() == 0; }
  uint64_t total() const;
  /// `ktap: N errors at FILE:LINE: TEXT`, one line a place, in source order.
  std::string summary() const;

 private:
  using Key = std::pair<uint32_t, std::string>;    // line, text: a row of the summary
  using Place = std::pair<uint32_t, std::string>;  // where its span begins, text: told once

  /// What a text is counted as: its own, or, where a place has had many, all others.
  const std::string& counted_as(uint32_t place, const std::string& text);
  void tell(const std::string& text) const;

  const diag::Source& source_;
  const bool json_;
  std::function<void()> flush_;
  std::function<void()> then_;
  std::map<Key, uint64_t> counts_;
  std::set<Place> told_;
  std::map<uint32_t, std::pair<Key, uint64_t>> kernel_counts_;  // by failure
};

/// `ktap: N stacks end early: WHAT`, a line each, or of JSON: of stacks that user space unwound
/// (StackNamer::early_ends).
std::string early_ends_report(const std::vector<std::pair<std::string, uint64_t>>& ends, bool json);

/// What was cut in the VM, by line of the script and in words.
using Cuts = std::map<std::pair<uint32_t, std::string>, uint64_t>;

/// What was lost, by cause and place, over all plans of a run.
class LossLog {
 public:
  /// Adds every loss counter that is not 0, and runs that the kernel skipped.
  void add(const Plan& plan, const engine::BpfEngine& engine, const Cuts& cuts,
           const std::vector<Registration>& registrations);
  /// What the kernel could not tell of what programs had mapped.
  void add_map_records(uint64_t count);
  /// `ktap: lost N FILE:LINE: CAUSE`, one line each; with `verbose` also CPU by CPU. With `json` a
  /// line of JSON each, CPU by CPU in it.
  std::string report(const diag::Source& source, bool verbose, bool json) const;

 private:
  using Key = std::pair<uint32_t, std::string>;  // line, cause

  void add(const std::vector<uint64_t>& by_cpu, uint32_t line, const std::string& cause);

  std::map<Key, std::vector<uint64_t>> losses_;
};

}  // namespace ktap::session
