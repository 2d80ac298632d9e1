// The bytecode interpreter: registers, frames, calls, upvalues, run-time errors with call traces.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "bytecode/chunk.h"
#include "runtime/aggregate.h"
#include "runtime/closure.h"
#include "runtime/heap.h"
#include "runtime/value.h"
#include "vm/host.h"

namespace ktap::vm {

class Machine;

/// A run-time error: what, where, and the calls that led there, innermost first (the function that
/// failed included).
struct RuntimeError {
  std::string text;
  bytecode::Place place;
  struct Frame {
    std::string function;  ///< "main", "f", "" for an anonymous one
    bytecode::Place place;
  };
  std::vector<Frame> trace;
};

/// Bounds of one run (language, section 9).
struct Budget {
  int64_t iterations = -1;  ///< loop iterations and tail calls in all; -1: no bound
  int call_depth = limits::kMainCallDepth;
  int64_t calls = -1;           ///< of functions of the script in all; -1: no bound
  int64_t iterations_done = 0;  ///< of those, by what has run before: a handler's filter
};

class Vm {
 public:
  /// `chunk` and `host` outlive the VM. `arg` of the script is args[0] (script name), args[1]…: one
  /// that is wholly a decimal integer becomes an integer.
  Vm(const bytecode::Chunk& chunk, Host& host, const std::vector<std::string>& args);
  ~Vm();

  /// Runs the main chunk. nullopt when it ended well (exit() included).
  std::optional<RuntimeError> run_main();
  /// Calls a closure or built-in with `args` (none, or the event object), within `budget`.
  /// `result` (may be null) gets the first result; it lives until the next run.
  std::optional<RuntimeError> call(runtime::Value function, const std::vector<runtime::Value>& args,
                                   const Budget& budget, runtime::Value* result);
  /// How many loop iterations and tail calls the last run has made; 0 without a bound.
  int64_t iterations_done() const;
  /// True once exit() was called in any run; the function that called it was unwound. call() still
  /// works.
  bool exited() const;
  /// Ends the function that runs with the error "interrupted" at its next loop or call. Safe in
  /// signal handlers and from other threads; without a run it ends the next one.
  void interrupt();
  /// Forgets an interrupt that has not ended a run.
  void clear_interrupt();

  /// What an output call prints, for records that come from kernel sites: the text of print(args…),
  /// printf(fmt, args…), print_hist(t[, n]) and its kin; "" where it went to a file. An error text
  /// for a format that does not fit.
  std::optional<std::string> format_output(bytecode::Builtin builtin,
                                           const std::vector<runtime::Value>& args,
                                           std::string* text);

  /// What runs now: the innermost function's present instruction. Nowhere between runs.
  bytecode::Place place() const;

  /// A safe point between runs, for those who make values while no code of the script runs: a slice
  /// of the collector's work, when one is due.
  void collect();

  /// A closure of a function that is not part of the chunk (a filter compiled later) and captures
  /// nothing. `function` outlives the VM.
  runtime::Value make_closure(const bytecode::Function& function);

  /// Bounds what the script's values and calls take; crossing it is a run-time error of the code
  /// that does, after everything unreachable was freed.
  void set_memory_limit_bytes(size_t limit);
  /// Code that is not there yet may ask for linear histograms of samples that came before it:
  /// aggregates keep single values from now on.
  void expect_later_readers();
  runtime::Heap& heap();
  /// What the script's readers of aggregates ask for; grows while it runs.
  const runtime::ReaderNeeds& reader_needs() const;
  std::vector<runtime::Value>& globals();  ///< by slot
  /// Adds a source of roots: called at each collection, it marks what the host keeps.
  void add_roots(std::function<void(runtime::Heap&)> roots);

 private:
  std::unique_ptr<Machine> machine_;
};

}  // namespace ktap::vm
