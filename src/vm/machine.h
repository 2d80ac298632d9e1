// The state of the interpreter, shared by its parts: interpreter.cc (dispatch), machine.cc (frames,
// upvalues, errors, roots), access.cc (what indexing, updating and concatenating mean), iterate.cc
// (generic for), lib_*.cc (the library). Private to this folder.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/printf_format.h"
#include "bytecode/chunk.h"
#include "runtime/aggregate.h"
#include "runtime/arith.h"
#include "runtime/closure.h"
#include "runtime/heap.h"
#include "runtime/table.h"
#include "runtime/value.h"
#include "vm/host.h"
#include "vm/step.h"
#include "vm/vm.h"

namespace ktap::vm {

/// A function as the machine runs it: its steps, its constants as values. Lives as long as the
/// machine.
struct Proto {
  const bytecode::Function* function = nullptr;
  std::vector<Step> steps;
  std::vector<runtime::Value> constants;
  std::vector<const Proto*> children;
  size_t register_count = 0;
  size_t param_count = 0;
};

/// An active call.
struct Frame {
  runtime::Closure* closure;
  const Step* pc;  ///< the step that runs; saved whenever control may leave the frame
  size_t base;     ///< of R[0] on the stack; the function itself lies at base - 1
  const runtime::Value* constants;  ///< of the closure's proto
  int wanted;                       ///< results that the caller takes; -1 all
  bool entry;                       ///< the first frame of a run(): its return ends that run
};

class Machine {
 public:
  Machine(const bytecode::Chunk& chunk, Host& host, const std::vector<std::string>& args);

  // ---- runs (machine.cc)
  std::optional<RuntimeError> run_main();
  std::optional<RuntimeError> call(runtime::Value function, const runtime::Value* args,
                                   size_t count, const Budget& budget, runtime::Value* result);
  /// Calls from within a run (compare functions): the stack from `at` on is free. False: failed,
  /// unwind.
  bool call_nested(runtime::Value function, const runtime::Value* args, size_t count, size_t at,
                   runtime::Value* result);
  /// A safe point: everything alive is on the stack below `live_top` or among the other roots.
  /// False: what is alive takes too much memory.
  bool collect(size_t live_top);
  runtime::Value make_closure(const Proto& proto);
  const Proto& prepare(const bytecode::Function& function);

  // ---- errors
  /// Sets the run-time error and gives false, for `return fail(…)`.
  bool fail(std::string text);
  std::string& error_text() { return error_text_; }

  // ---- meaning of operations (access.cc); false: error_text_ is set
  bool get_index(runtime::Value object, runtime::Value key, runtime::Value* result);
  bool set_index(runtime::Value object, runtime::Value key, runtime::Value value);
  bool update_index(runtime::Value object, runtime::Value key, bytecode::UpdateOp op,
                    runtime::Value operand);
  bool update_variable(runtime::Value* slot, bytecode::UpdateOp op, runtime::Value operand);
  bool store_shared(runtime::Value slot, runtime::Value value);
  bool concat(const runtime::Value* values, size_t count, runtime::Value* result);
  bool make_tuple(const runtime::Value* parts, size_t count, runtime::Value* result);
  bool match(runtime::Value text, runtime::Value pattern, bool* result);
  bool event_var(schema::BuiltinVar var, runtime::Value* result);
  bool event_field(std::string_view name, bool or_word, runtime::Value word,
                   runtime::Value* result);
  bool event_member(std::string_view name, runtime::Value* result);
  bool clear_table(runtime::Table& table);
  bool add_sample(runtime::Value aggregate, runtime::Value sample);
  /// object[key] <<< sample: an absent cell gets a new aggregate.
  bool add_sample_at(runtime::Value object, runtime::Value key, runtime::Value sample);
  /// Brings a table that has entries in the kernel up to date.
  static void refresh(runtime::Table& table) {
    if (table.backing != nullptr) table.backing->before_read(table);
  }

  // ---- generic for (iterate.cc)
  bool iter_prep(bytecode::IterKind kind, size_t at);
  bool iter_prep_histogram(bytecode::IterKind kind, size_t at);
  bool iter_unpack(runtime::Value key, runtime::Value value, size_t count, runtime::Value* into);

  // ---- table.sort (lib_table.cc)
  /// Orders `items`, stable, by a compare function or, when that is nil, numbers or strings
  /// ascending. `args_end` is the end of the arguments of the built-in that asks. False: failed.
  /// Requires: the arguments are not used any more, the stack may move.
  bool sort_values(std::vector<runtime::Value>& items, runtime::Value compare,
                   const runtime::Value* args_end);

  // ---- output (lib_output.cc)
  /// The event object prints as argstr; everything else is as it is.
  bool printable(runtime::Value value, runtime::Value* result);
  bool print_text(const runtime::Value* args, size_t count, std::string& out);
  bool printf_text(const runtime::Value* args, size_t count, std::string& out);
  bool hist_text(const runtime::Value* args, size_t count, std::string& out);
  /// print_flame, print_heatmap and print_table; what goes to a file is written to it
  /// (lib_pictures.cc).
  bool picture_text(bytecode::Builtin builtin, const runtime::Value* args, size_t count,
                    std::string& out);
  bool table_text(const runtime::Value* args, size_t count, std::string& out);

  /// 64 random bits; the host seeds them (lib_math.cc).
  uint64_t random();

  // ---- handlers
  bool register_handler(bytecode::HandlerKind kind, runtime::Value text, runtime::Value filter,
                        runtime::Value handler);
  void request_exit(int64_t status, bool given);

  void set_memory_limit_bytes(size_t limit) {
    memory_limit_ = limit;
    heap_.set_limit_bytes(limit);
  }
  /// False with an error when `bytes` more at once cannot fit, whatever is freed.
  bool fits(size_t bytes);
  runtime::Heap& heap() { return heap_; }
  Host& host() { return host_; }
  runtime::Value string(std::string_view text) { return heap_.string(text); }
  std::vector<runtime::Value>& globals() { return globals_; }
  /// What the script's readers of aggregates ask for, as far as that is known.
  runtime::ReaderNeeds& reader_needs() { return reader_needs_; }
  int64_t iterations_done() const;
  bool exited() const { return exited_; }
  bytecode::Place place() const {
    return depth_ > 0 ? place_of(frames_[depth_ - 1]) : bytecode::Place{};
  }
  void interrupt() { interrupt_.store(true, std::memory_order_relaxed); }
  void clear_interrupt() { interrupt_.store(false, std::memory_order_relaxed); }
  void add_roots(std::function<void(runtime::Heap&)> roots) {
    host_roots_.push_back(std::move(roots));
  }

 private:
  // ---- interpreter.cc
  /// Runs the topmost frame until it returns. With `labels`: gives the addresses of the steps, runs
  /// nothing.
  [[gnu::noinline]] bool run(const void* const** labels = nullptr);
  /// From numbers of steps to addresses.
  void link(std::vector<Step>& steps);

  // ---- numbers.cc
  bool slow_arith(runtime::ArithOp op, const runtime::Value& a, const runtime::Value& b,
                  runtime::Value* result);
  bool slow_less(const runtime::Value& a, const runtime::Value& b, bool* result);
  bool slow_less_equal(const runtime::Value& a, const runtime::Value& b, bool* result);
  bool for_prep(runtime::Value* loop, bool* empty);
  static bool for_step(runtime::Value* loop);

  // ---- machine.cc
  bool push_frame(runtime::Closure* closure, size_t base, size_t arg_count, int wanted, bool entry);
  bool call_builtin(runtime::Value builtin, const runtime::Value* args, size_t count,
                    runtime::Value* result, bool* has_result);
  bool reserve_stack(size_t size);
  void learn_readers(const bytecode::Function& function);
  runtime::Cell* find_cell(runtime::Value* slot);
  void close_cells(const runtime::Value* from);
  runtime::Value new_closure(const runtime::Closure& parent, const Proto& proto,
                             runtime::Value* registers);
  /// Ends the topmost frame with `count` results. False: that ends the run() too.
  bool leave(const Frame& frame, const runtime::Value* from, size_t count);
  /// Unwinds the frames of the present run() after a failure.
  void unwind();
  void note_failure();
  /// The call at frame.pc calls no function: names what it calls where the code shows how.
  void fail_call(const Frame& frame);
  bytecode::Place place_of(const Frame& frame) const;
  RuntimeError take_error();
  std::optional<RuntimeError> finish(bool ok);
  void mark_roots();
  bool fail_memory();
  /// Called when ticks_ has run out: the interrupt, the budget, the next portion. False: unwind.
  bool refill_ticks(bool is_tail_call = false);
  /// The same for call_ticks_.
  bool refill_calls();
  /// True, with the error set, once after interrupt().
  bool interrupted();
  void begin(const Budget& budget);

  Host& host_;
  const bytecode::Chunk& chunk_;
  runtime::Heap heap_;
  std::vector<std::function<void(runtime::Heap&)>> host_roots_;
  std::vector<std::unique_ptr<Proto>> protos_;
  std::vector<runtime::Value> globals_;
  runtime::ReaderNeeds reader_needs_;

  size_t memory_limit_ = SIZE_MAX;
  std::vector<runtime::Value> stack_store_;
  runtime::Value* stack_ = nullptr;  // stack_store_'s memory
  runtime::Value* stack_end_ = nullptr;
  size_t stack_size_ = 0;
  size_t open_top_ = 0;  // end of an open list of results or arguments
  size_t live_top_ = 0;  // roots end here; above it slots are stale
  std::vector<Frame> frames_;
  size_t depth_ = 0;  // active frames
  size_t depth_limit_ = 0;
  size_t frame_room_ = 0;                   // depth that needs neither more frames nor an error
  std::vector<runtime::Cell*> open_cells_;  // by slot, ascending

  int64_t call_ticks_ = 0;  // calls until refill_calls()
  int64_t calls_left_ = 0;  // beyond call_ticks_; -1: no bound
  int64_t calls_allowed_ = 0;
  int64_t ticks_ = 0;            // loop iterations until refill_ticks()
  int64_t iterations_left_ = 0;  // beyond ticks_; -1: no bound
  int64_t iterations_allowed_ = 0;
  int nested_runs_ = 0;
  std::atomic<bool> interrupt_{false};

  std::string error_text_;
  RuntimeError error_;
  bool failure_noted_ = false;
  bool exiting_ = false;  // this run unwinds because of exit()
  bool exited_ = false;

  std::optional<uint64_t> random_state_;  // none before the first rand()
  std::string scratch_;
  std::map<std::string, std::vector<FormatPiece>, std::less<>> formats_;
};

}  // namespace ktap::vm
