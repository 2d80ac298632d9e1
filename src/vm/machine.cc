// Frames, calls from outside, upvalues, budget, roots and errors of the interpreter.
#include "vm/machine.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/core.h>

#include "base/budget_errors.h"
#include "bytecode/hist_calls.h"
#include "runtime/string.h"
#include "vm/library.h"

namespace ktap::vm {

using bytecode::Function;
using bytecode::Place;
using runtime::Cell;
using runtime::Closure;
using runtime::Type;
using runtime::Value;

namespace {

constexpr size_t kFirstStackSize = 1024;
constexpr int64_t kTicksPerPortion = 4096;  // guessed: how often a loop looks for the interrupt

/// `arg[n]`: one that is wholly a decimal integer is an integer.
Value argument_value(runtime::Heap& heap, const std::string& text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (!text.empty() && error == std::errc() && end == text.data() + text.size()) {
    return Value::of(number);
  }
  return heap.string(text);
}

Value constant_value(runtime::Heap& heap, const bytecode::Constant& constant) {
  if (const auto* b = std::get_if<bool>(&constant)) return Value::of(*b);
  if (const auto* i = std::get_if<int64_t>(&constant)) return Value::of(*i);
  if (const auto* d = std::get_if<double>(&constant)) return Value::of(*d);
  if (const auto* s = std::get_if<std::string>(&constant)) return heap.string(*s);
  return Value::nil();
}

}  // namespace

Machine::Machine(const bytecode::Chunk& chunk, Host& host, const std::vector<std::string>& args)
    : host_(host), chunk_(chunk), globals_(std::max<size_t>(1, chunk.globals.size())) {
  heap_.set_roots([this](runtime::Heap&) { mark_roots(); });
  reserve_stack(kFirstStackSize);
  frames_.resize(16);
  runtime::Table* table = heap_.table();
  for (size_t i = 0; i < args.size(); ++i) {
    table->set(Value::of(static_cast<int64_t>(i)), argument_value(heap_, args[i]));
  }
  globals_[0] = Value::of_object(Type::Table, table);
}

const Proto& Machine::prepare(const Function& function) {
  auto& proto = *protos_.emplace_back(std::make_unique<Proto>());
  proto.function = &function;
  for (const bytecode::Constant& constant : function.constants) {
    proto.constants.push_back(constant_value(heap_, constant));
  }
  proto.register_count = function.register_count;
  proto.param_count = function.param_count;
  proto.steps = translate(function);
  link(proto.steps);
  learn_readers(function);
  for (const auto& child : function.children) proto.children.push_back(&prepare(*child));
  return proto;
}

/// What its linear histograms ask of every aggregate from the first sample on.
void Machine::learn_readers(const Function& function) {
  bytecode::HistCalls calls;
  bytecode::find_hist_calls(function, &calls);
  reader_needs_.values |= calls.computed;
  for (const auto& [lo, hi, step] : calls.constant) {
    const runtime::LinearShape shape{lo, hi, step};
    // A shape that is none, or one too many, is reported where it is read.
    if (runtime::shape_problem(shape).empty()) static_cast<void>(reader_needs_.learn(shape));
  }
}

// ---- runs
// ------------------------------------------------------------------------------------------------

void Machine::begin(const Budget& budget) {
  KTAP_CHECK(depth_ == 0);
  iterations_allowed_ = budget.iterations;
  iterations_left_ = budget.iterations - budget.iterations_done;
  ticks_ = 0;
  calls_allowed_ = budget.calls;
  calls_left_ = budget.calls;
  call_ticks_ = 0;
  depth_limit_ = static_cast<size_t>(std::max(0, budget.call_depth));
  frame_room_ = std::min(depth_limit_, frames_.size());
  failure_noted_ = false;
  exiting_ = false;
  error_text_.clear();
}

int64_t Machine::iterations_done() const {
  return iterations_allowed_ < 0
             ? 0
             : iterations_allowed_ - iterations_left_ - std::max<int64_t>(ticks_, 0);
}

std::optional<RuntimeError> Machine::run_main() {
  begin(Budget{});
  Value main = make_closure(prepare(*chunk_.main));
  return finish(call_nested(main, nullptr, 0, 0, nullptr));
}

std::optional<RuntimeError> Machine::call(Value function, const Value* args, size_t count,
                                          const Budget& budget, Value* result) {
  begin(budget);
  return finish(call_nested(function, args, count, 0, result));
}

std::optional<RuntimeError> Machine::finish(bool ok) {
  KTAP_CHECK(depth_ == 0 && open_cells_.empty());
  if (ok || exiting_) return std::nullopt;
  note_failure();
  return std::exchange(error_, {});
}

bool Machine::call_nested(Value function, const Value* args, size_t count, size_t at,
                          Value* result) {
  if (result != nullptr) *result = Value::nil();
  if (nested_runs_ >= limits::kMaxNestedRuns)
    return fail("compare functions are nested too deeply");
  if (!reserve_stack(at + 1 + count + 8)) return false;
  stack_[at] = function;
  std::copy(args, args + count, stack_ + at + 1);
  live_top_ = at + 1 + count;
  if (function.type == Type::Builtin) {
    Value out;
    bool has_result = false;
    ++nested_runs_;
    bool ok = call_builtin(function, stack_ + at + 1, count, &out, &has_result);
    --nested_runs_;
    if (ok && result != nullptr) *result = out;
    return ok;
  }
  if (function.type != Type::Function) {
    return fail(fmt::format("cannot call {}", runtime::type_phrase(function.type)));
  }
  if (!push_frame(function.closure(), at + 1, count, 1, true)) return false;
  ++nested_runs_;
  bool ok = run();
  --nested_runs_;
  if (ok && result != nullptr) *result = stack_[at];
  return ok;
}

bool Machine::push_frame(Closure* closure, size_t base, size_t arg_count, int wanted, bool entry) {
  if (depth_ >= depth_limit_) return fail(fmt::format("call depth over {}", depth_limit_));
  if (call_ticks_ == 0 && !refill_calls()) return false;
  --call_ticks_;
  const Proto& proto = *closure->proto;
  size_t end = base + proto.register_count;
  if (end > stack_size_ && !reserve_stack(end)) return false;
  for (size_t i = arg_count; i < proto.param_count; ++i) stack_[base + i] = Value::nil();
  if (depth_ == frames_.size()) {
    frames_.resize(frames_.size() * 2);
    frame_room_ = std::min(depth_limit_, frames_.size());
  }
  frames_[depth_++] = {closure, proto.steps.data(), base, proto.constants.data(), wanted, entry};
  return true;
}

bool Machine::leave(const Frame& frame, const Value* from, size_t count) {
  Value* into = stack_ + frame.base - 1;
  if (frame.wanted < 0) {
    for (size_t i = 0; i < count; ++i) copy_value(into[i], from[i]);
    open_top_ = frame.base - 1 + count;
  } else {
    auto wanted = static_cast<size_t>(frame.wanted);
    size_t given = std::min(count, wanted);
    for (size_t i = 0; i < given; ++i) copy_value(into[i], from[i]);
    for (size_t i = given; i < wanted; ++i) into[i] = Value::nil();
  }
  --depth_;
  return !frame.entry;
}

bool Machine::call_builtin(Value builtin, const Value* args, size_t count, Value* result,
                           bool* has_result) {
  if (interrupted()) return false;  // some take long
  const auto number = static_cast<bytecode::Builtin>(builtin.builtin);
  const bytecode::BuiltinInfo& info = bytecode::builtin_info(number);
  auto given = static_cast<int64_t>(count);
  if (given < info.min_args || (info.max_args >= 0 && given > info.max_args)) {
    return fail(argument_count_error(info, count));
  }
  NativeCall call{*this, args, count, Value::nil(), false};
  if (!builtin_function(number)(call)) return false;
  *result = call.result;
  *has_result = call.has_result;
  return true;
}

bool Machine::reserve_stack(size_t size) {
  if (size <= stack_size_) return true;
  if (size > limits::kMaxStackValues) return fail("too many values on the stack");
  size_t bigger = std::min<size_t>(std::max(size, stack_size_ * 2), limits::kMaxStackValues);
  if (!fits(bigger * sizeof(Value))) return false;
  const Value* old = stack_;
  stack_store_.resize(bigger);
  stack_ = stack_store_.data();
  stack_size_ = bigger;
  stack_end_ = stack_ + bigger;
  for (Cell* cell : open_cells_) cell->slot = stack_ + (cell->slot - old);
  return true;
}

// ---- closures
// --------------------------------------------------------------------------------------------

Value Machine::make_closure(const Proto& proto) {
  Closure* closure = heap_.closure(proto.function->upvalues.size());
  closure->function = proto.function;
  closure->proto = &proto;
  closure->name = proto.function->name;
  return Value::of_object(Type::Function, closure);
}

Value Machine::new_closure(const Closure& parent, const Proto& proto, Value* registers) {
  Value value = make_closure(proto);
  auto& upvalues = value.closure()->upvalues;
  for (const bytecode::UpvalueDesc& upvalue : proto.function->upvalues) {
    upvalues.push_back(upvalue.from_parent_register ? find_cell(registers + upvalue.index)
                                                    : parent.upvalues[upvalue.index]);
    heap_.shade(upvalues.back());
  }
  return value;
}

/// The cell of an open variable; one variable has one cell.
Cell* Machine::find_cell(Value* slot) {
  auto at = open_cells_.end();
  while (at != open_cells_.begin() && (*(at - 1))->slot > slot) --at;
  if (at != open_cells_.begin() && (*(at - 1))->slot == slot) return *(at - 1);
  Cell* cell = heap_.cell();
  cell->slot = slot;
  open_cells_.insert(at, cell);
  return cell;
}

void Machine::close_cells(const Value* from) {
  while (!open_cells_.empty() && open_cells_.back()->slot >= from) {
    Cell* cell = open_cells_.back();
    cell->closed = *cell->slot;
    cell->slot = &cell->closed;
    heap_.shade(cell->closed);
    open_cells_.pop_back();
  }
}

// ---- budget
// ----------------------------------------------------------------------------------------------

bool Machine::interrupted() {
  if (!interrupt_.load(std::memory_order_relaxed)) return false;
  interrupt_.store(false, std::memory_order_relaxed);
  fail("interrupted");
  return true;
}

bool Machine::refill_calls() {
  if (interrupted()) return false;
  call_ticks_ = kTicksPerPortion;
  if (calls_allowed_ < 0) return true;
  if (calls_left_ == 0) return fail(too_many_calls(calls_allowed_));
  call_ticks_ = std::min(kTicksPerPortion, calls_left_);
  calls_left_ -= call_ticks_;
  return true;
}

bool Machine::refill_ticks(bool is_tail_call) {
  if (interrupted()) return false;
  int64_t portion = kTicksPerPortion;
  if (iterations_allowed_ >= 0) {
    if (iterations_left_ == 0) {
      return fail(too_many_rounds(iterations_allowed_, is_tail_call));
    }
    portion = std::min(portion, iterations_left_);
    iterations_left_ -= portion;
  }
  ticks_ = portion - 1;  // the one that asked is the first
  return true;
}

// ---- collection
// ------------------------------------------------------------------------------------------

/// What lies above live_top_ is cleared, so that no slot ever holds an object that is freed.
void Machine::mark_roots() {
  std::fill(stack_ + live_top_, stack_ + stack_size_, Value::nil());
  for (const auto& proto : protos_) {
    for (Value constant : proto->constants) heap_.mark(constant);
  }
  for (Value global : globals_) heap_.mark(global);
  for (size_t i = 0; i < live_top_; ++i) heap_.mark(stack_[i]);
  for (size_t i = 0; i < depth_; ++i) heap_.mark(frames_[i].closure);
  for (Cell* cell : open_cells_) heap_.mark(cell);
  for (const auto& roots : host_roots_) roots(heap_);
}

/// A safe point: everything alive is on the stack below `live_top` or among the other roots.
bool Machine::collect(size_t live_top) {
  live_top_ = live_top;
  return heap_.step() || fail_memory();
}

bool Machine::fits(size_t bytes) { return bytes <= memory_limit_ || fail_memory(); }

bool Machine::fail_memory() {
  size_t shown = memory_limit_ >> 20;
  bool whole = memory_limit_ % (size_t{1} << 30) == 0;
  return fail(fmt::format("the script's data takes more than {}{} of memory (--max-memory)",
                          whole ? shown >> 10 : shown, whole ? 'G' : 'M'));
}

// ---- errors
// ----------------------------------------------------------------------------------------------

bool Machine::fail(std::string text) {
  error_text_ = std::move(text);
  return false;
}

Place Machine::place_of(const Frame& frame) const {
  const Function& function = *frame.closure->function;
  auto index = static_cast<size_t>(frame.pc - frame.closure->proto->steps.data());
  return index < function.places.size() ? function.places[index] : function.place;
}

/// Takes down what failed and where, once, while all frames are still there.
void Machine::note_failure() {
  if (failure_noted_ || exiting_) return;
  failure_noted_ = true;
  error_ = {};
  error_.text = error_text_;
  for (size_t i = depth_; i-- > 0;) {
    error_.trace.push_back({frames_[i].closure->function->name, place_of(frames_[i])});
  }
  if (!error_.trace.empty()) error_.place = error_.trace.front().place;
}

void Machine::fail_call(const Frame& frame) {
  using bytecode::Op;
  const bytecode::Function& function = *frame.closure->function;
  auto at = static_cast<size_t>(frame.pc - frame.closure->proto->steps.data());
  const bytecode::Insn call = function.code[at];
  const Value& callee = stack_[frame.base + call.a()];
  const std::string text = fmt::format("cannot call {}", runtime::type_phrase(callee.type));
  const diag::Span span = function.places[at].span;
  // The arguments lie in registers above the callee's: what wrote that last gave the callee, and
  // its text begins where that of the call does, unless the callee is more than a name.
  for (size_t i = at; i-- > 0;) {
    bytecode::Insn insn = function.code[i];
    if (insn.a() != call.a() || bytecode::op_format(insn.op()) == bytecode::Format::J) continue;
    bool same_text = span.end != 0 && function.places[i].span.begin == span.begin;
    if (insn.op() == Op::GetField && same_text) {
      const auto* name = std::get_if<std::string>(&function.constants[insn.c()]);
      if (name != nullptr) {
        fail(fmt::format("{} (field '{}')", text, *name));
        return;
      }
    }
    if (insn.op() == Op::GetGlobal && same_text) {
      fail(fmt::format("{} (variable '{}')", text, chunk_.globals[insn.d()]));
      return;
    }
    break;
  }
  fail(text);
}

void Machine::unwind() {
  note_failure();
  while (true) {
    const Frame& frame = frames_[--depth_];
    close_cells(stack_ + frame.base);
    if (frame.entry) return;
  }
}

void Machine::request_exit(int64_t status, bool given) {
  host_.request_exit(status, given);
  exiting_ = true;
  exited_ = true;
}

bool Machine::register_handler(bytecode::HandlerKind kind, Value text, Value filter,
                               Value handler) {
  if (text.type != Type::String) {
    return fail(fmt::format("an event text is a string, got {}", runtime::type_phrase(text.type)));
  }
  if (handler.type != Type::Function && handler.type != Type::Builtin) {
    return fail(fmt::format("a handler is a function, got {}", runtime::type_phrase(handler.type)));
  }
  // The compiler puts nothing else there; a file may.
  if (filter.type != Type::Function && !filter.is_nil())
    return fail(fmt::format("a filter is a function, got {}", runtime::type_phrase(filter.type)));
  std::string error = host_.register_handler(kind, text.string()->view(), filter, handler, place());
  return error.empty() || fail(std::move(error));
}

}  // namespace ktap::vm
