// Walking the bytecode: instructions in an order in which all that leads to a place comes before
// it, the rounds of loops aside (code_plan.h); where ways meet, registers that differ become phis.
// See lowerer.h.
#include "lower/lowerer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "lower/code_walk.h"

namespace ktap::lower {

namespace {

using bytecode::Insn;
using bytecode::Op;

constexpr size_t kMaxValues = 20000;  // guessed: far over any real handler, quick to compile still
constexpr size_t kMaxInlineDepth = 20;  // guessed
constexpr size_t kMaxSteps = 200000;    // guessed: calls that make no values multiply too

/// Why an instruction has no kernel form at all; null for the others.
const char* never_in_kernel(Op op) {
  switch (op) {
    case Op::NewTable:
    case Op::SetList:
      return "a table is built here";
    case Op::Register:
      return "a handler is registered here";
    default:
      return nullptr;
  }
}

}  // namespace

Lowerer::Lowerer(const World& world, const ssa::EventGroup& group, const Options& options,
                 uint32_t handler, std::string name, Linkage& linkage, LoopHints& hints)
    : world_(world),
      group_(group),
      options_(options),
      handler_(handler),
      linkage_(linkage),
      hints_(hints) {
  function_.name = std::move(name);
  current_ = new_block();
}

Lowered Lowerer::result() {
  if (!stop_) return std::move(function_);
  return *stop_;
}

void Lowerer::refuse(std::string text) {
  if (!stop_) stop_ = Refusal{std::move(text), place_.span, place_.line};
}

ssa::BlockId Lowerer::new_block() {
  function_.blocks.emplace_back();
  return ssa::BlockId(static_cast<uint32_t>(function_.blocks.size() - 1));
}

ssa::ValueId Lowerer::emit_in(ssa::BlockId block, ssa::Inst inst) {
  inst.span = place_.span;
  inst.line = place_.line;
  return function_.append(block, std::move(inst));
}

ssa::ValueId Lowerer::emit(ssa::Inst inst) {
  if (!current_.valid()) current_ = new_block();  // after a refusal: the result is thrown away
  return emit_in(current_, std::move(inst));
}

void Lowerer::connect(ssa::BlockId from, ssa::BlockId to) {
  function_.blocks[from.index].succs.push_back(to);
  function_.blocks[to.index].preds.push_back(from);
}

void Lowerer::branch(ssa::ValueId condition, ssa::BlockId yes, ssa::BlockId no) {
  const ssa::BlockId from = current_;
  ssa::Inst inst{ssa::Op::Branch};
  inst.operands = {condition};
  emit(std::move(inst));
  connect(from, yes);
  connect(from, no);
}

void Lowerer::run_filter(runtime::Value filter) {
  if (filter.is_nil()) return;
  std::vector<AbstractValue> results = call(AbstractValue::of_world(filter, "filter"), {});
  if (stopped() || !reachable()) return;
  const Mark before = mark();
  const Truth holds = truth(results.empty() ? AbstractValue::nil() : results[0]);
  if (stopped() && is_prefix_) return leave(before);
  if (stopped()) return;
  if (holds.known) {
    if (!holds.value) {
      emit({ssa::Op::Return});
      current_ = {};
    }
    return;
  }
  const ssa::BlockId yes = new_block();
  const ssa::BlockId no = new_block();
  branch(holds.id, yes, no);
  emit_in(no, {ssa::Op::Return});
  current_ = yes;
}

void Lowerer::run_handler(const Handler& handler) {
  if (stopped() || !reachable()) return;
  if (handler.function.type != runtime::Type::Function) at(handler.place);
  call(AbstractValue::of_world(handler.function, "handler"), {AbstractValue::of_kind(Kind::Event)});
}

void Lowerer::finish() {
  if (stopped()) return;
  if (reachable()) emit({ssa::Op::Return});
  current_ = {};
  // What was lowered behind a failure, where nothing leads to.
  for (uint32_t b = 1; b < function_.blocks.size(); ++b) {
    const ssa::Block& block = function_.blocks[b];
    const bool is_open = block.insts.empty() || !ssa::is_control(function_[block.insts.back()].op);
    if (is_open && block.preds.empty() && !block.insts.empty())
      emit_in(ssa::BlockId(b), {ssa::Op::Return});
  }
  settle_guards();
}

// ---- functions -------------------------------------------------------------------------------

std::vector<AbstractValue> Lowerer::call_function(const AbstractValue& callee,
                                                  std::vector<AbstractValue> args,
                                                  bool is_tail_call) {
  if (std::find(calls_.begin(), calls_.end(), callee.function) != calls_.end()) {
    refuse("a function that calls itself");
    return {};
  }
  if (calls_.size() >= kMaxInlineDepth) {
    refuse(fmt::format("calls nested deeper than {}", kMaxInlineDepth));
    return {};
  }
  Frame frame;
  frame.function = callee.function;
  frame.plan = &plan_of(callee.function);
  if (!frame.plan->problem.empty()) {
    refuse(frame.plan->problem);
    return {};
  }
  if (is_prefix_ && !frame.plan->loops.empty()) {
    refuse("a loop");  // what has begun could not be taken back
    return {};
  }
  frame.path = hints_.path(path_, call_pc_);
  frame.cells = callee.cells;
  frame.registers.resize(
      std::max<size_t>(callee.function->register_count, callee.function->param_count));
  for (size_t i = 0; i < callee.function->param_count; ++i) {
    frame.registers[i] = i < args.size() ? args[i] : AbstractValue::nil();
  }
  open_boxes(frame);
  count_call();
  const bytecode::Place call_place = place_;
  const uint32_t call_path = std::exchange(path_, frame.path);
  const size_t call_pc = call_pc_;
  const Frame* const caller = frame_;
  const int walks = callers_walks_;
  if (caller != nullptr) callers_walks_ = open_walks(*caller, caller->registers.size());
  frame_ = &frame;
  const size_t callers = callers_.size();
  if (!calls_.empty() && !is_tail_call)
    callers_.push_back({calls_.back()->name, place_.span, place_.line});
  calls_.push_back(callee.function);
  interpret(frame);
  calls_.pop_back();
  callers_.resize(callers);
  frame_ = caller;
  callers_walks_ = walks;
  place_ = call_place;
  path_ = call_path;
  call_pc_ = call_pc;
  if (stopped() || frame.returns.empty()) return {};
  size_t count = 0;
  bool has_some = false;
  for (const Edge& edge : frame.returns) {
    has_some = has_some || edge.has_some || edge.values.size() != frame.returns[0].values.size();
    count = std::max(count, edge.values.size());
  }
  has_some_results_ = has_some;
  for (Edge& edge : frame.returns) edge.values.resize(count, AbstractValue::nil());
  return join_with_locals(std::move(frame.returns));
}

const CodePlan& Lowerer::plan_of(const bytecode::Function* function) {
  auto found = plans_.find(function);
  if (found == plans_.end()) found = plans_.emplace(function, plan_code(*function)).first;
  return found->second;
}

void Lowerer::interpret(Frame& frame) {
  const size_t size = frame.function->code.size();
  size_t pc = 0;
  add_edge(frame, 0, 0, {current_, frame.registers, frame.top});
  frame.pending.begin()->second.back().is_back = false;  // the entrance may be a loop's head
  current_ = {};
  while (!stopped()) {
    if (!reachable()) {
      if (frame.pending.empty()) return;
      const auto pending = next_pending(frame);
      pc = pending->second.front().target;
      std::vector<Edge> edges = std::move(pending->second);
      frame.pending.erase(pending);
      arrive(frame, pc, std::move(edges));
      continue;
    }
    if (pc >= size) return refuse("code that has no end");
    if (function_.values.size() > kMaxValues || ++steps_ > kMaxSteps || !hints_.step())
      return refuse("too much code for one handler");
    if (pc < frame.function->places.size()) place_ = frame.function->places[pc];
    call_pc_ = pc;
    is_prefix_ ? step_of_prefix(frame, pc) : step(frame, pc);
    ++pc;
    if (!stopped() && reachable() && pc < size && frame.plan->is_leader[pc]) {
      add_edge(frame, pc - 1, pc, {current_, frame.registers, frame.top});
      current_ = {};
    }
  }
}

/// The first in the order of ranks. But where a loop is unrolled all ways through a round meet
/// before the next one begins, though its head stands first.
std::map<uint32_t, std::vector<Lowerer::Edge>>::iterator Lowerer::next_pending(Frame& frame) {
  const auto first = frame.pending.begin();
  const size_t head = first->second.front().target;
  const auto unrolled = frame.unrolled.find(head);
  const auto next = std::next(first);
  if (unrolled == frame.unrolled.end() || !unrolled->second || next == frame.pending.end())
    return first;
  const bool goes_on =
      frame.plan->is_inside(next->second.front().target, frame.plan->loop_at(head));
  return goes_on ? next : first;
}

/// A jump. One that leads back is a round of a loop.
void Lowerer::go(Frame& frame, size_t pc, size_t target) {
  if (target <= pc) count_round();
  add_edge(frame, pc, target, {current_, frame.registers, frame.top});
  current_ = {};
}

/// The way from `pc` to `target` waits there until all others that lead to it are known.
void Lowerer::add_edge(Frame& frame, size_t pc, size_t target, Edge edge) {
  if (target >= frame.function->code.size()) return refuse("code that has no end");
  const int loop = frame.plan->loop_at(target);
  edge.is_back = loop >= 0 && frame.plan->is_inside(pc, loop);
  edge.target = target;
  if (edge.locals.empty()) edge.locals = locals_;
  edge.boxes = frame.boxes;
  frame.pending[frame.plan->rank[target]].push_back(std::move(edge));
}

AbstractValue& Lowerer::reg(Frame& frame, size_t r) {
  if (r < frame.boxes.size() && frame.boxes[r] >= 0) {
    return locals_[static_cast<size_t>(frame.boxes[r])];
  }
  if (r >= frame.registers.size()) frame.registers.resize(r + 1);
  return frame.registers[r];
}

const std::string& Lowerer::constant_text(const Frame& frame, size_t k) const {
  return std::get<std::string>(frame.function->constants[k]);
}

AbstractValue Lowerer::constant(const Frame& frame, size_t k) const {
  const bytecode::Constant& c = frame.function->constants[k];
  if (const bool* b = std::get_if<bool>(&c)) return AbstractValue::boolean(*b);
  if (const int64_t* i = std::get_if<int64_t>(&c)) return AbstractValue::of(*i);
  if (const std::string* s = std::get_if<std::string>(&c)) return AbstractValue::string(*s);
  if (const double* d = std::get_if<double>(&c)) {
    AbstractValue v = AbstractValue::of_kind(Kind::Float);
    v.number = *d;
    return v;
  }
  return AbstractValue::nil();
}

void Lowerer::step(Frame& frame, size_t pc) {
  const Insn insn = frame.function->code[pc];
  switch (insn.op()) {
    case Op::LoadNil:
    case Op::LoadBool:
    case Op::LoadInt:
    case Op::LoadK:
    case Op::LoadBuiltin:
    case Op::Move:
    case Op::GetGlobal:
    case Op::SetGlobal:
    case Op::UpdateGlobal:
    case Op::GetUpval:
    case Op::SetUpval:
    case Op::UpdateUpval:
    case Op::EventVar:
    case Op::EventField:
    case Op::EventWord:
    case Op::Closure:
      step_move(frame, insn);
      break;
    case Op::GetIndex:
    case Op::GetField:
      if (!reads_cell(frame, pc)) step_table(frame, insn);
      break;
    case Op::SetIndex:
    case Op::SetField:
    case Op::UpdateIndex:
    case Op::Tuple:
      step_table(frame, insn);
      break;
    case Op::AggAdd:
      add_sample(reg(frame, insn.a()), AbstractValue(reg(frame, insn.b())), reg(frame, insn.c()));
      break;
    case Op::AggAddVar:
      add_sample(reg(frame, insn.a()), std::nullopt, reg(frame, insn.b()));
      break;
    case Op::Jmp:
      go(frame, pc, static_cast<size_t>(static_cast<int64_t>(pc) + 1 + insn.j()));
      break;
    case Op::Test:
    case Op::TestEq:
    case Op::TestLt:
    case Op::TestLe:
    case Op::TestEqK:
      step_test(frame, insn, pc);
      break;
    case Op::Call:
    case Op::TailCall:
    case Op::Return:
      step_return(frame, insn);
      break;
    case Op::Close:
      close_boxes(frame, insn.a());
      break;
    case Op::ForPrep:
    case Op::ForLoop:
    case Op::IterPrep:
    case Op::IterNext:
      step_loop(frame, insn, pc);
      break;
    default:
      if (const char* reason = never_in_kernel(insn.op())) {
        refuse(reason);
      } else {
        step_compute(frame, insn);
      }
      break;
  }
}

void Lowerer::step_loop(Frame& frame, Insn insn, size_t pc) {
  switch (insn.op()) {
    case Op::ForPrep:
      return for_prep(frame, insn, pc);
    case Op::ForLoop:
      return for_loop(frame, insn, pc);
    case Op::IterPrep:
      return iter_prep(frame, insn, pc);
    default:
      return iter_next(frame, insn, pc);
  }
}

void Lowerer::step_move(Frame& frame, Insn insn) {
  const size_t a = insn.a();
  switch (insn.op()) {
    case Op::LoadNil:
      for (size_t r = a; r <= a + insn.b(); ++r) reg(frame, r) = AbstractValue::nil();
      break;
    case Op::LoadBool:
      reg(frame, a) = AbstractValue::boolean(insn.b() != 0);
      break;
    case Op::LoadInt:
      reg(frame, a) = AbstractValue::of(int64_t{insn.s()});
      break;
    case Op::LoadK:
      reg(frame, a) = constant(frame, insn.d());
      break;
    case Op::LoadBuiltin: {
      AbstractValue v = AbstractValue::of_kind(Kind::Builtin);
      v.integer = insn.d();
      reg(frame, a) = v;
      break;
    }
    case Op::Move:
      reg(frame, a) = AbstractValue(reg(frame, insn.b()));
      break;
    case Op::GetGlobal:
      reg(frame, a) = read_global(insn.d());
      break;
    case Op::SetGlobal:
      write_global(insn.d(), reg(frame, a));
      break;
    case Op::UpdateGlobal:
      update_variable({nullptr, insn.a()}, global_name(insn.a()),
                      static_cast<bytecode::UpdateOp>(insn.c()), reg(frame, insn.b()));
      break;
    case Op::GetUpval:
      reg(frame, a) = read_upvalue(frame, insn.b());
      break;
    case Op::SetUpval:
      write_upvalue(frame, insn.b(), AbstractValue(reg(frame, a)));
      break;
    case Op::UpdateUpval:
      update_upvalue(frame, a, static_cast<bytecode::UpdateOp>(insn.c()),
                     AbstractValue(reg(frame, insn.b())));
      break;
    case Op::EventVar:
      reg(frame, a) = event_var(static_cast<schema::BuiltinVar>(insn.d()));
      break;
    case Op::EventField:
    case Op::EventWord:
      reg(frame, a) = event_field(constant_text(frame, insn.d()), insn.op() == Op::EventWord);
      break;
    default:
      make_closure(frame, insn);
      break;
  }
}

void Lowerer::step_table(Frame& frame, Insn insn) {
  const AbstractValue a = reg(frame, insn.a());
  switch (insn.op()) {
    case Op::GetIndex:
      reg(frame, insn.a()) =
          get_index(AbstractValue(reg(frame, insn.b())), AbstractValue(reg(frame, insn.c())));
      break;
    case Op::GetField:
      reg(frame, insn.a()) =
          get_index(AbstractValue(reg(frame, insn.b())), constant(frame, insn.c()));
      break;
    case Op::SetIndex:
      table_set(a, AbstractValue(reg(frame, insn.b())), AbstractValue(reg(frame, insn.c())));
      break;
    case Op::SetField:
      table_set(a, constant(frame, insn.b()), AbstractValue(reg(frame, insn.c())));
      break;
    case Op::UpdateIndex:
      table_update(a, AbstractValue(reg(frame, insn.b())),
                   AbstractValue(reg(frame, insn.b() + size_t{1})),
                   static_cast<bytecode::UpdateOp>(insn.c()));
      break;
    default: {  // Tuple
      AbstractValue v = AbstractValue::of_kind(Kind::Tuple);
      for (size_t i = 0; i < insn.c(); ++i) v.parts.push_back(reg(frame, insn.b() + i));
      reg(frame, insn.a()) = v;
      break;
    }
  }
}

void Lowerer::step_compute(Frame& frame, Insn insn) {
  const AbstractValue b = reg(frame, insn.b());
  const bool has_constant = insn.op() == Op::AddK || insn.op() == Op::SubK || insn.op() == Op::MulK;
  const AbstractValue c = has_constant ? constant(frame, insn.c()) : reg(frame, insn.c());
  AbstractValue value;
  switch (insn.op()) {
    case Op::Add:
    case Op::AddK:
      value = arithmetic(ssa::Op::Add, b, c);
      break;
    case Op::Sub:
    case Op::SubK:
      value = arithmetic(ssa::Op::Sub, b, c);
      break;
    case Op::Mul:
    case Op::MulK:
      value = arithmetic(ssa::Op::Mul, b, c);
      break;
    case Op::Div:
      value = divide(ssa::Op::DivS, b, c);
      break;
    case Op::Mod:
      value = divide(ssa::Op::ModS, b, c);
      break;
    case Op::BitAnd:
      value = arithmetic(ssa::Op::And, b, c);
      break;
    case Op::BitOr:
      value = arithmetic(ssa::Op::Or, b, c);
      break;
    case Op::BitXor:
      value = arithmetic(ssa::Op::Xor, b, c);
      break;
    case Op::Shl:
      value = arithmetic(ssa::Op::Shl, b, c);
      break;
    case Op::Shr:
      value = arithmetic(ssa::Op::Sar, b, c);
      break;
    case Op::Neg:
    case Op::BitNot:
      value = unary(insn.op() == Op::Neg, b);
      break;
    case Op::Not:
      value = to_value(negate(truth(b)));
      break;
    case Op::Match:
      value = to_value(match(b, c));
      break;
    case Op::Concat: {
      std::vector<AbstractValue> operands;
      for (size_t r = insn.b(); r <= insn.c(); ++r) operands.push_back(reg(frame, r));
      value = concat(operands);
      break;
    }
    default:
      refuse("an operation that has no kernel form");
      break;
  }
  reg(frame, insn.a()) = value;
}

void Lowerer::step_test(Frame& frame, Insn insn, size_t pc) {
  const AbstractValue a = reg(frame, insn.a());
  AbstractValue b;
  Truth condition;
  switch (insn.op()) {
    case Op::Test:
      condition = truth(a);
      break;
    case Op::TestEq:
      b = reg(frame, insn.b());
      condition = equals(a, b);
      break;
    case Op::TestEqK:
      b = constant(frame, insn.b());
      condition = equals(a, b);
      break;
    default:
      b = reg(frame, insn.b());
      condition = less(a, b, insn.op() == Op::TestLe);
      break;
  }
  if (stopped() || !reachable()) return;
  // The jump behind runs when the condition is C, else it is skipped.
  const bool wants = insn.c() != 0;
  if (condition.known) {
    if (condition.value != wants) go(frame, pc, pc + 2);
    return;
  }
  const ssa::BlockId yes = new_block();
  const ssa::BlockId no = new_block();
  branch(condition.id, yes, no);
  // What each side knows now.
  std::vector<AbstractValue> when_true = frame.registers;
  std::vector<AbstractValue> when_false = frame.registers;
  std::vector<AbstractValue> locals_true = locals_;
  std::vector<AbstractValue> locals_false = locals_;
  const bool nil_test = b.is(Kind::Nil) && (insn.op() == Op::TestEq || insn.op() == Op::TestEqK);
  if (insn.op() == Op::Test || nil_test) {
    current_ = yes;
    if (auto now = narrowed(a, nil_test ? Found::Nil : Found::True)) {
      replace(when_true, a, *now);
      replace(locals_true, a, *now);
    }
    current_ = no;
    if (auto now = narrowed(a, nil_test ? Found::NotNil : Found::False)) {
      replace(when_false, a, *now);
      replace(locals_false, a, *now);
    }
  }
  const ssa::BlockId skip = wants ? no : yes;
  Edge edge{skip, wants ? when_false : when_true, frame.top};
  edge.locals = wants ? locals_false : locals_true;
  add_edge(frame, pc, pc + 2, std::move(edge));
  frame.registers = wants ? std::move(when_true) : std::move(when_false);
  locals_ = wants ? std::move(locals_true) : std::move(locals_false);
  current_ = wants ? yes : no;
}

void Lowerer::replace(std::vector<AbstractValue>& registers, const AbstractValue& old,
                      const AbstractValue& now) {
  for (AbstractValue& r : registers) {
    if (same(r, old)) r = now;
  }
}

void Lowerer::step_return(Frame& frame, Insn insn) {
  const size_t a = insn.a();
  std::vector<AbstractValue> values;
  if (insn.op() == Op::Return) {
    const size_t end = insn.b() == 0 ? frame.top : a + insn.b() - 1;
    for (size_t r = a; r < end; ++r) values.push_back(reg(frame, r));
    frame.returns.push_back({current_, std::move(values), 0, locals_});
    current_ = {};
    return;
  }
  const size_t end = insn.b() == 0 ? frame.top : a + insn.b();
  for (size_t r = a + 1; r < end; ++r) values.push_back(reg(frame, r));
  const AbstractValue callee = reg(frame, a);
  if (insn.op() == Op::TailCall && callee.is(Kind::Function)) count_round(true);
  has_some_results_ = false;
  std::vector<AbstractValue> results = call(callee, std::move(values), insn.op() == Op::TailCall);
  if (stopped() || !reachable()) return;
  if (insn.op() == Op::TailCall) {
    frame.returns.push_back({current_, std::move(results), 0, locals_});
    frame.returns.back().has_some = has_some_results_;
    current_ = {};
    return;
  }
  if (insn.c() == 0 && has_some_results_) {
    return refuse("all results of a function that returns more or fewer of them");
  }
  const size_t wanted = insn.c() == 0 ? results.size() : insn.c() - size_t{1};
  for (size_t i = 0; i < wanted; ++i) {
    reg(frame, a + i) = i < results.size() ? results[i] : AbstractValue::nil();
  }
  if (insn.c() == 0) frame.top = a + results.size();
}

bool Lowerer::reads_what_handlers_change() const {
  for (const ssa::Block& block : function_.blocks) {
    for (ssa::ValueId id : block.insts) {
      if (reads_what_handlers_change(function_[id])) return true;
    }
  }
  return false;
}

bool Lowerer::reads_what_handlers_change(const ssa::Inst& inst) const {
  if (inst.op == ssa::Op::CellGet) return true;
  if (inst.op == ssa::Op::TableLength) return true;
  if (inst.op != ssa::Op::TableGet) return false;
  const auto table = static_cast<size_t>(inst.imm);
  return linkage_.variables[table].valid() ||
         world_.written_tables.count(linkage_.tables[table]) != 0;
}

}  // namespace ktap::lower
