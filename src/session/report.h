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
#include "session/plan.h"
#include "vm/vm.h"

namespace ktap::session {

/// The located message of a run-time error: `FILE:LINE:COL: error: TEXT`, source line, caret, call
/// trace.
std::string render_runtime_error(const diag::Source& source, const vm::RuntimeError& error);

/// Counts run-time errors of handlers by place; the first at each place is written to standard
/// error.
class ErrorLog {
 public:
  explicit ErrorLog(const diag::Source& source) : source_(source) {}

  /// Called before anything is told: what was printed earlier goes out first.
  void before_telling(std::function<void()> flush) { flush_ = std::move(flush); }

  /// An error of a handler that ran in the VM.
  void add(const vm::RuntimeError& error);
  /// The number of times kernel code met `failure` so far; tells the first one.
  void set_kernel_count(uint32_t failure, const ssa::Failure& what, uint64_t count);

  bool empty() const { return total() == 0; }
  uint64_t total() const;
  /// `ktap: N errors at FILE:LINE: TEXT`, one line a place, in source order.
  std::string summary() const;

 private:
  using Key = std::pair<uint32_t, std::string>;    // line, text: a row of the summary
  using Place = std::pair<uint32_t, std::string>;  // where its span begins, text: told once

  void tell(const std::string& text) const;

  const diag::Source& source_;
  std::function<void()> flush_;
  std::map<Key, uint64_t> counts_;
  std::set<Place> told_;
  std::map<uint32_t, std::pair<Key, uint64_t>> kernel_counts_;  // by failure
};

/// Strings that were cut in the VM, by line of the script and the function that did.
using CutStrings = std::map<std::pair<uint32_t, std::string>, uint64_t>;

/// `ktap: lost N FILE:LINE: CAUSE` for every loss counter that is not 0, and runs that the kernel
/// skipped; with `verbose` also CPU by CPU.
std::string loss_report(const Plan& plan, const engine::BpfEngine& engine,
                        const CutStrings& cut_strings,
                        const std::vector<Registration>& registrations, const diag::Source& source,
                        bool verbose);

}  // namespace ktap::session
