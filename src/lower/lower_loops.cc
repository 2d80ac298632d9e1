// Loops. A head gets phis for the variables that rounds change, by what earlier attempts have
// learned (loop_hints.h); all others stay what they were before the loop, constants too. A counting
// loop of few rounds between constants is interpreted round by round, and so are the entries of a
// small table that no handler changes.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/budget_errors.h"
#include "base/limits.h"
#include "lower/lowerer.h"
#include "runtime/value.h"

namespace ktap::lower {

namespace {

using bytecode::Insn;
using ShapeKind = LoopShape::Kind;

constexpr uint64_t kMaxUnrolledRounds = 8;          // guessed: as much code as a few ifs
constexpr uint64_t kMaxUnrolledEntries = 16;        // guessed: a table of names
constexpr uint64_t kMaxUnrolledInstructions = 100;  // guessed: all rounds together

constexpr const char* kTypeChanges = "a variable whose type changes in a loop";

uint64_t bits(int64_t value) { return static_cast<uint64_t>(value); }
int64_t number(uint64_t value) { return static_cast<int64_t>(value); }

/// |step|, also of INT64_MIN.
uint64_t magnitude(int64_t step) { return step < 0 ? 0 - bits(step) : bits(step); }

/// Of a loop that has a first round: how many follow it.
uint64_t rounds_left(int64_t first, int64_t last, int64_t step) {
  const uint64_t distance = step > 0 ? bits(last) - bits(first) : bits(first) - bits(last);
  return distance / magnitude(step);
}

}  // namespace

// ---- heads and rounds ------------------------------------------------------------------------

/// All that leads to `pc` is known: go on there.
void Lowerer::arrive(Frame& frame, size_t pc, std::vector<Edge> edges) {
  const auto first_back =
      std::stable_partition(edges.begin(), edges.end(), [](const Edge& e) { return !e.is_back; });
  std::vector<Edge> rounds(std::make_move_iterator(first_back),
                           std::make_move_iterator(edges.end()));
  edges.erase(first_back, edges.end());
  const auto unrolled = frame.unrolled.find(pc);
  const bool is_unrolled = unrolled != frame.unrolled.end() && unrolled->second;
  if (frame.plan->loop_at(pc) < 0 || is_unrolled) {
    edges.insert(edges.end(), std::make_move_iterator(rounds.begin()),
                 std::make_move_iterator(rounds.end()));
    return meet(frame, std::move(edges));
  }
  if (!edges.empty()) {
    meet(frame, std::move(edges));
    if (stopped()) return;
    enter_loop(frame, pc);
    if (rounds.empty()) return;
  }
  for (Edge& edge : rounds) next_round(frame.loops[pc], std::move(edge));
}

void Lowerer::enter_loop(Frame& frame, size_t pc) {
  OpenLoop loop;
  loop.head = new_block();
  loop.boxes = frame.boxes;
  const uint32_t visit = frame.visits[pc]++;
  const CodeLoop& shape = frame.plan->loops[static_cast<size_t>(frame.plan->loop_at(pc))];
  const auto place = static_cast<uint32_t>(pc);
  loop.registers.resize(frame.registers.size());
  for (size_t r = 0; r < frame.registers.size(); ++r) {
    if (r >= shape.live.size() || !shape.live[r]) frame.registers[r] = AbstractValue();
    LoopSlot& slot = loop.registers[r];
    slot.key = {frame.path, place, visit, static_cast<uint32_t>(r)};
    slot.at_entry = frame.registers[r];
    frame.registers[r] = open_slot(slot, loop.head);
  }
  loop.locals.resize(locals_.size());
  for (size_t i = 0; i < locals_.size(); ++i) {
    LoopSlot& slot = loop.locals[i];
    slot.key = {frame.path, place, visit, 256 + hints_.name(local_names_[i])};
    slot.at_entry = locals_[i];
    locals_[i] = open_slot(slot, loop.head);
  }
  if (stopped()) return;
  const ssa::BlockId before = current_;
  emit({ssa::Op::Jump});
  connect(before, loop.head);
  current_ = loop.head;
  frame.loops[pc] = std::move(loop);
}

/// What the variable is in all rounds. A string that is kept as a call is made where the loop is
/// entered when rounds change it.
AbstractValue Lowerer::open_slot(LoopSlot& slot, ssa::BlockId head) {
  slot.shape = hints_.find(slot.key);
  if (slot.shape.kind == ShapeKind::Unknown || slot.shape.kind == ShapeKind::Nil ||
      slot.at_entry.is(Kind::Undefined)) {
    return slot.at_entry;
  }
  if (slot.shape.kind == ShapeKind::Value || slot.shape.kind == ShapeKind::Union) {
    slot.at_entry = with_texts_made(slot.at_entry, slot.shape);
    if (stopped()) return {};
  }
  if (slot.shape.kind == ShapeKind::Union) return open_union(slot, head);
  const ssa::ValueId first = as_shape(slot.at_entry, slot.shape, current_);
  if (!first.valid()) return useless(slot);
  ssa::Inst phi{ssa::Op::Phi, slot.shape.type, slot.shape.str_kind, slot.shape.max_bytes};
  phi.operands = {first};
  slot.phi = emit_in(head, std::move(phi));
  if (slot.shape.kind == ShapeKind::Pointer)
    return AbstractValue::pointer(slot.shape.ctype, slot.phi, 0);
  if (slot.shape.kind != ShapeKind::Slot) return AbstractValue::ssa(slot.phi);
  AbstractValue iterator = slot.at_entry;
  iterator.id = slot.phi;
  return iterator;
}

/// What is there before the loop does not fit: the next attempt may know better.
AbstractValue Lowerer::useless(LoopSlot& slot) {
  hints_.add(slot.key, shape_beside(slot.at_entry, slot.shape));
  slot.shape = hints_.find(slot.key);
  AbstractValue value = AbstractValue::of_kind(Kind::Mixed);
  value.text = slot.shape.kind == ShapeKind::Anything
                   ? kTypeChanges
                   : "a string that a loop makes, of a length that is not known";
  return value;
}

/// A variable that rounds give values of different types: a phi tells of which one it is, and there
/// is one for the value of each.
AbstractValue Lowerer::open_union(LoopSlot& slot, ssa::BlockId head) {
  const std::vector<ssa::ValueId> first = as_union(slot.at_entry, slot.shape, current_);
  if (first.empty()) return useless(slot);
  const auto add = [&](const ssa::Inst& like) {
    ssa::Inst phi{ssa::Op::Phi, like.type, like.str_kind, like.max_bytes};
    phi.operands = {first[slot.phis.size()]};
    slot.phis.push_back(emit_in(head, std::move(phi)));
    return slot.phis.back();
  };
  constexpr const char* kNames[] = {"nil", "a boolean", "an integer", "a string", "a stack"};
  AbstractValue value = AbstractValue::of_kind(Kind::Mixed);
  value.id = add({ssa::Op::Phi, ssa::Type::Int});
  for (size_t tag = 0; tag < slot.shape.parts.size(); ++tag) {
    const LoopShape& part = slot.shape.parts[tag];
    if (part.kind == ShapeKind::Unknown) continue;
    value.parts.push_back(
        part.kind == ShapeKind::Nil
            ? AbstractValue::nil()
            : AbstractValue::ssa(add({ssa::Op::Phi, part.type, part.str_kind, part.max_bytes})));
    value.parts.back().tag = static_cast<int>(tag);
    value.text += std::string(value.text.empty() ? "" : " or ") + kNames[tag];
  }
  return value;
}

/// What the phis of a union get, made at the end of a block; empty where the value does not fit.
std::vector<ssa::ValueId> Lowerer::as_union(const AbstractValue& value, const LoopShape& shape,
                                            ssa::BlockId in) {
  std::vector<ssa::ValueId> ids;
  if (shape.is_useless() || widen(shape, shape_beside(value, shape)) != shape) return ids;
  const auto alternative = [&](int tag) -> const AbstractValue* {
    if (!is_union(value)) return tag_of(value) == tag ? &value : nullptr;
    const auto at = std::find_if(value.parts.begin(), value.parts.end(),
                                 [&](const AbstractValue& part) { return part.tag == tag; });
    return at == value.parts.end() ? nullptr : &*at;
  };
  const bool has_calls = is_union(value) && std::any_of(value.parts.begin(), value.parts.end(),
                                                        [](const AbstractValue& part) {
                                                          return part.tag >= kFirstOther;
                                                        });
  if (has_calls) return ids;
  ssa::Inst own_tag{ssa::Op::ConstInt, ssa::Type::Int};
  own_tag.imm = tag_of(value);
  ids.push_back(is_union(value) ? value.id : emit_in(in, std::move(own_tag)));
  for (size_t tag = 0; tag < shape.parts.size(); ++tag) {
    const LoopShape& part = shape.parts[tag];
    if (part.kind == ShapeKind::Unknown || part.kind == ShapeKind::Nil) continue;
    const AbstractValue* found = alternative(static_cast<int>(tag));
    ids.push_back(found != nullptr
                      ? as_shape(*found, part, in)
                      : filler({ssa::Op::Phi, part.type, part.str_kind, part.max_bytes}, in));
    if (!ids.back().valid()) return {};
  }
  return ids;
}

/// For a place of `shape`: strings that are kept as calls as strings of the kernel, also where they
/// are one of several types, and a name that may be nil as bytes that may be nil.
AbstractValue Lowerer::with_texts_made(const AbstractValue& value, const LoopShape& shape) {
  if (value.is(Kind::Rendered) && value.result == runtime::Type::String && text_bound(value))
    return make_text(AbstractValue(value));
  const bool wants_bytes =
      shape.str_kind == ssa::StrKind::Bytes ||
      (!shape.parts.empty() && shape.parts[kStrTag].str_kind == ssa::StrKind::Bytes);
  if (wants_bytes && is_name(value) && is_maybe(value) && text_bound(value)) {
    AbstractValue name = value;
    const ssa::BlockId absent = enter_where_there(name);
    ssa::Inst bytes{ssa::Op::StrBytes, ssa::Type::Str, ssa::StrKind::Bytes,
                    std::max(*text_bound(name), uint32_t{1})};
    bytes.operands = {name.id};
    const AbstractValue made = AbstractValue::ssa(emit(std::move(bytes)));
    return join({{absent, {AbstractValue::nil()}, 0}, {current_, {made}, 0}})[0];
  }
  const auto needs = [&](const AbstractValue& v) {
    return v.is(Kind::Rendered) || (wants_bytes && is_name(v) && is_maybe(v));
  };
  if (!is_union(value) || std::none_of(value.parts.begin(), value.parts.end(), needs)) return value;
  return for_each_type(value, [&](const AbstractValue& v) { return with_texts_made(v, shape); });
}

/// Of the strings that code knows by number, one that is found when the handler runs.
bool Lowerer::is_name(const AbstractValue& value) const {
  return value.is(Kind::Ssa) && function_[value.id].str_kind == ssa::StrKind::Id;
}

/// A round ends: its values go back to the head.
void Lowerer::next_round(OpenLoop& loop, Edge edge) {
  if (edge.boxes != loop.boxes)
    return refuse("a function that outlives the round of a loop in which it is made");
  edge.values.resize(std::max(edge.values.size(), loop.registers.size()));
  edge.locals.resize(std::max(edge.locals.size(), loop.locals.size()));
  make_round_texts(loop, edge);
  if (stopped()) return;
  for (size_t r = 0; r < loop.registers.size(); ++r) {
    close_slot(loop.registers[r], edge.values[r], edge.block);
  }
  for (size_t i = 0; i < loop.locals.size(); ++i) {
    close_slot(loop.locals[i], edge.locals[i], edge.block);
  }
  emit_in(edge.block, {ssa::Op::Jump});
  connect(edge.block, loop.head);
  has_rounds_ = true;
}

/// What a round leaves as a call, other than it was at the loop's head, is made at its end.
void Lowerer::make_round_texts(const OpenLoop& loop, Edge& edge) {
  const ssa::BlockId going_on = current_;
  current_ = edge.block;
  const auto make = [this](const LoopSlot& slot, AbstractValue& value) {
    if (stopped() || slot.at_entry.is(Kind::Undefined) || same(value, slot.at_entry)) return;
    value = with_texts_made(value, slot.shape);
  };
  for (size_t r = 0; r < loop.registers.size(); ++r) make(loop.registers[r], edge.values[r]);
  for (size_t i = 0; i < loop.locals.size(); ++i) make(loop.locals[i], edge.locals[i]);
  edge.block = current_;
  current_ = going_on;
}

/// The value does not fit what was believed of the variable.
void Lowerer::learn(const LoopSlot& slot, const AbstractValue& value) {
  hints_.add(slot.key, shape_beside(value, slot.shape));
  if (hints_.find(slot.key) == slot.shape) refuse(kTypeChanges);
}

void Lowerer::close_slot(LoopSlot& slot, const AbstractValue& value, ssa::BlockId from) {
  if (slot.at_entry.is(Kind::Undefined)) return;
  if (!slot.phis.empty()) {
    const std::vector<ssa::ValueId> ids = as_union(value, slot.shape, from);
    if (ids.empty()) learn(slot, value);
    for (size_t i = 0; i < slot.phis.size(); ++i)
      function_[slot.phis[i]].operands.push_back(ids.empty() ? slot.phis[i] : ids[i]);
    return;
  }
  if (slot.phi.valid()) {
    const ssa::ValueId id = as_shape(value, slot.shape, from);
    if (!id.valid()) learn(slot, value);
    // This attempt is for nothing then; a phi of itself keeps it in form.
    function_[slot.phi].operands.push_back(id.valid() ? id : slot.phi);
    return;
  }
  if (slot.shape.kind == ShapeKind::Anything || is_unchanged(value, slot.at_entry)) return;
  hints_.add(slot.key, widen(shape_of(slot.at_entry), shape_of(value)));
}

/// The value itself, or what a test for nil made of it.
bool Lowerer::is_unchanged(const AbstractValue& value, const AbstractValue& at_entry) const {
  if (same(value, at_entry)) return true;
  if (!value.is(Kind::Ssa) || !at_entry.is(Kind::Ssa)) return false;
  const ssa::Inst& inst = function_[value.id];
  return inst.op == ssa::Op::Unwrap && inst.operands[0] == at_entry.id;
}

/// A string on whatever way it came, or nil on some.
bool Lowerer::is_some_text(const AbstractValue& value) const {
  if (value.is(Kind::Mixed)) {
    return !value.parts.empty() &&
           std::all_of(value.parts.begin(), value.parts.end(),
                       [this](const AbstractValue& part) { return is_some_text(part); });
  }
  return value.is(Kind::Nil) || ssa::sure_type(type_of(value)) == ssa::Type::Str ||
         (value.is(Kind::Rendered) && value.result == runtime::Type::String);
}

/// Where the alternative of a union is in a LoopShape; nothing for one that can be in none.
std::optional<size_t> Lowerer::place_in_union(const AbstractValue& part) {
  if (part.tag < kFirstOther) return static_cast<size_t>(part.tag);
  if (part.is(Kind::Rendered) && part.result == runtime::Type::String) return kStrTag;
  return std::nullopt;
}

LoopShape Lowerer::shape_of(const AbstractValue& value) const {
  LoopShape shape;
  shape.kind = ShapeKind::Anything;
  if (value.is(Kind::Nil)) {
    shape.kind = ShapeKind::Nil;
  } else if (value.is(Kind::Iterator) && value.id.valid()) {
    shape.kind = ShapeKind::Slot;
    shape.type = ssa::Type::Int;
    shape.table = value.table;
  } else if (value.is(Kind::Pointer) && !value.may_be_nil && !value.may_be_zero) {
    shape.kind = ShapeKind::Pointer;
    shape.type = ssa::Type::MaybeInt;
    shape.ctype = value.ctype;
  } else if (value.is(Kind::Rendered) && value.result == runtime::Type::String) {
    const std::optional<uint32_t> bound = text_bound(value);
    shape.kind = bound ? ShapeKind::Value : ShapeKind::Text;
    if (bound) {
      shape.type = value.may_be_nil ? ssa::Type::MaybeStr : ssa::Type::Str;
      shape.str_kind = ssa::StrKind::Bytes;
      shape.max_bytes = std::max(*bound, uint32_t{1});
    }
  } else if (is_union(value) &&
             std::all_of(value.parts.begin(), value.parts.end(), [](const AbstractValue& part) {
               return place_in_union(part).has_value();
             })) {
    shape.kind = ShapeKind::Union;
    shape.parts.resize(kStackTag + 1);
    for (const AbstractValue& part : value.parts) {
      LoopShape& place = shape.parts[*place_in_union(part)];
      place = widen(place, shape_of(part));
    }
  } else if (value.is(Kind::Mixed) && is_some_text(value)) {
    shape.kind = ShapeKind::Text;
  } else if (type_of(value) != ssa::Type::None) {
    shape.kind = ShapeKind::Value;
    shape.type = type_of(value);
    if (value.is(Kind::Ssa)) {
      const ssa::Inst& inst = function_[value.id];
      shape.str_kind = inst.str_kind;
      if (inst.str_kind == ssa::StrKind::Bytes) shape.max_bytes = inst.max_bytes;
    } else if (value.is(Kind::Str)) {
      shape.str_kind = ssa::StrKind::Id;
    }
  }
  return shape;
}

/// The shape of a value that is to be of `shape`: names are bytes where it is bytes.
LoopShape Lowerer::shape_beside(const AbstractValue& value, const LoopShape& shape) const {
  LoopShape own = shape_of(value);
  if (shape.kind == ShapeKind::Union) {
    const LoopShape& texts = shape.parts[kStrTag];
    if (own.kind == ShapeKind::Value) return shape_beside(value, texts);
    if (own.kind != ShapeKind::Union) return own;
    own.parts[kStrTag] = LoopShape();
    for (const AbstractValue& part : value.parts) {
      if (place_in_union(part) == kStrTag)
        own.parts[kStrTag] = widen(own.parts[kStrTag], shape_beside(part, texts));
    }
    return own;
  }
  if (shape.str_kind != ssa::StrKind::Bytes || own.str_kind != ssa::StrKind::Id) return own;
  const std::optional<uint32_t> bound = text_bound(value);
  if (!bound) {
    own = LoopShape();
    own.kind = ShapeKind::Text;
    return own;
  }
  own.str_kind = ssa::StrKind::Bytes;
  own.max_bytes = std::max(*bound, uint32_t{1});
  return own;
}

/// The value in the form of `shape`, made at the end of a block; invalid where it does not fit.
ssa::ValueId Lowerer::as_shape(const AbstractValue& value, const LoopShape& shape,
                               ssa::BlockId in) {
  if (shape.is_useless() || widen(shape, shape_beside(value, shape)) != shape) return {};
  ssa::Inst inst{ssa::Op::ConstNil, shape.type, shape.str_kind, shape.max_bytes};
  if (ssa::sure_type(shape.type) == ssa::Type::Str)
    return as_joined(value, in, inst).value_or(ssa::ValueId());
  ssa::ValueId id = value.id;
  switch (value.kind) {
    case Kind::Pointer:
      return maybe_address(value, in);
    case Kind::Nil:
      return emit_in(in, std::move(inst));
    case Kind::Int:
    case Kind::Bool: {
      ssa::Inst constant{value.is(Kind::Int) ? ssa::Op::ConstInt : ssa::Op::ConstBool,
                         type_of(value)};
      constant.imm = value.integer;
      id = emit_in(in, std::move(constant));
      break;
    }
    default:
      break;
  }
  if (function_[id].type == shape.type) return id;
  inst.op = ssa::Op::Wrap;
  inst.operands = {id};
  return emit_in(in, std::move(inst));
}

// ---- the budget ------------------------------------------------------------------------------

/// Not yet known to be a failure: settle_guards() looks whether there is any loop.
void Lowerer::emit_guard(ssa::Op op, bool is_tail_call) {
  ssa::Inst inst{op};
  inst.imm = static_cast<int64_t>(guards_.size());
  guards_.push_back({is_tail_call, trace()});
  emit(std::move(inst));
}

void Lowerer::count_round(bool is_tail_call) { emit_guard(ssa::Op::LoopGuard, is_tail_call); }

/// The handler's own call, and its filter's, are made outside of what is counted here.
void Lowerer::count_call() {
  if (calls_.empty()) return;
  ++calls_made_;
  emit_guard(ssa::Op::CallGuard);
}

/// Without a way back nothing can use up a budget; and calls cannot where each of them is made in
/// every round that a run may have.
void Lowerer::settle_guards() {
  const bool counts_calls =
      has_rounds_ && (calls_made_ + 1) * limits::kHandlerIterations >= limits::kHandlerCalls;
  for (ssa::Block& block : function_.blocks) {
    const auto end = std::remove_if(block.insts.begin(), block.insts.end(), [&](ssa::ValueId id) {
      return (!has_rounds_ && function_[id].op == ssa::Op::LoopGuard) ||
             (!counts_calls && function_[id].op == ssa::Op::CallGuard);
    });
    block.insts.erase(end, block.insts.end());
    for (ssa::ValueId id : block.insts) {
      ssa::Inst& inst = function_[id];
      const bool is_call = inst.op == ssa::Op::CallGuard;
      if (!is_call && inst.op != ssa::Op::LoopGuard && inst.op != ssa::Op::LoopTurn) continue;
      const Guard& guard = guards_[static_cast<size_t>(inst.imm)];
      inst.imm = failure(is_call ? too_many_calls(limits::kHandlerCalls)
                                 : too_many_rounds(limits::kHandlerIterations, guard.is_tail_call),
                         guard.trace);
    }
  }
}

// ---- counting loops --------------------------------------------------------------------------

bool Lowerer::fits_unrolled(const Frame& frame, size_t head, uint64_t rounds) const {
  const int number = frame.plan->loop_at(head);
  if (number < 0) return false;
  const CodeLoop& loop = frame.plan->loops[static_cast<size_t>(number)];
  return !loop.has_inner && rounds * loop.size <= kMaxUnrolledInstructions;
}

/// An integer, or a check for nil that fails as the VM does.
bool Lowerer::for_operand(AbstractValue& value, const char* what) {
  if (auto result = by_type({value}, [&](const std::vector<AbstractValue>& v) {
        AbstractValue sure = v[0];
        for_operand(sure, what);
        return sure;
      })) {
    value = *result;
    return !stopped() && reachable();
  }
  const auto text = [what](runtime::Type type) {
    return fmt::format("the {} of a for is {}, not a number", what, runtime::type_phrase(type));
  };
  if (type_of(value) == ssa::Type::MaybeInt) value = check_not_nil(value, text(runtime::Type::Nil));
  if (!stopped() && type_of(value) != ssa::Type::Int) {
    fail_by_types(value, AbstractValue::nil(), "a for", [&](runtime::Value of, runtime::Value) {
      return of.type == runtime::Type::Float ? std::string() : text(of.type);
    });
    return false;
  }
  return !stopped();
}

void Lowerer::for_prep(Frame& frame, Insn insn, size_t pc) {
  const size_t a = insn.a();
  const size_t end = static_cast<size_t>(static_cast<int64_t>(pc) + 1 + insn.s());
  AbstractValue first = reg(frame, a);
  AbstractValue last = reg(frame, a + 1);
  AbstractValue step = reg(frame, a + 2);
  if (!for_operand(first, "first value") || !for_operand(last, "last value") ||
      !for_operand(step, "step")) {
    return;
  }
  const std::string no_step = "the step of a for is 0";
  if (step.is(Kind::Int) && step.integer == 0) return fail_now(no_step);
  if (!step.is(Kind::Int))
    fail_when(op2(ssa::Op::Eq, ssa::Type::Bool, step.id, const_int(0)), no_step);
  frame.unrolled[pc + 1] = false;
  const Truth empty = truth(is_empty_range(first, last, step));
  if (stopped()) return;
  if (empty.known && empty.value) return go(frame, pc, end);
  reg(frame, a) = first;
  reg(frame, a + 2) = step;
  frame.exact_limits[a] = step.is(Kind::Int) && magnitude(step.integer) == 1;
  if (first.is(Kind::Int) && last.is(Kind::Int) && step.is(Kind::Int)) {
    const uint64_t more = rounds_left(first.integer, last.integer, step.integer);
    last = AbstractValue::of(number(bits(first.integer) + more * bits(step.integer)));
    frame.exact_limits[a] = true;
    frame.unrolled[pc + 1] = more < kMaxUnrolledRounds && fits_unrolled(frame, pc + 1, more + 1);
  }
  reg(frame, a + 1) = last;
  if (!empty.known) {
    const ssa::BlockId none = new_block();
    const ssa::BlockId some = new_block();
    branch(empty.id, none, some);
    add_edge(frame, pc, end, {none, frame.registers, frame.top});
    current_ = some;
  }
  count_round();
  reg(frame, a + 3) = AbstractValue(reg(frame, a));
}

AbstractValue Lowerer::is_empty_range(const AbstractValue& first, const AbstractValue& last,
                                      const AbstractValue& step) {
  if (step.is(Kind::Int)) {
    return to_value(step.integer > 0 ? less(last, first, false) : less(first, last, false));
  }
  const Truth up = less(AbstractValue::of(int64_t{0}), step, false);
  const ssa::BlockId upwards = new_block();
  const ssa::BlockId downwards = new_block();
  branch(truth_id(up), upwards, downwards);
  current_ = upwards;
  const AbstractValue past = to_value(less(last, first, false));
  const ssa::BlockId up_end = current_;
  current_ = downwards;
  const AbstractValue below = to_value(less(first, last, false));
  return join({{up_end, {past}, 0}, {current_, {below}, 0}})[0];
}

/// Whether the counter at `now` has another round, without a step past the ends of the range of
/// integers: by the distance that is left, as an unsigned number.
Lowerer::Truth Lowerer::has_next(bool exact, const AbstractValue& now, const AbstractValue& last,
                                 const AbstractValue& step) {
  if (exact) return negate(equals(now, last));
  const AbstractValue lowest = AbstractValue::of(INT64_MIN);  // x ^ lowest orders as unsigned x
  const auto order = [&](const AbstractValue& v) { return arithmetic(ssa::Op::Xor, v, lowest); };
  if (step.is(Kind::Int)) {
    const AbstractValue distance = step.integer > 0 ? arithmetic(ssa::Op::Sub, last, now)
                                                    : arithmetic(ssa::Op::Sub, now, last);
    return less(order(AbstractValue::of(number(magnitude(step.integer)))), order(distance), true);
  }
  const AbstractValue sign = arithmetic(ssa::Op::Sar, step, AbstractValue::of(int64_t{63}));
  const auto absolute = [&](const AbstractValue& v) {
    return arithmetic(ssa::Op::Sub, arithmetic(ssa::Op::Xor, v, sign), sign);
  };
  return less(order(absolute(step)), order(absolute(arithmetic(ssa::Op::Sub, last, now))), true);
}

void Lowerer::for_loop(Frame& frame, Insn insn, size_t pc) {
  const size_t a = insn.a();
  const size_t head = static_cast<size_t>(static_cast<int64_t>(pc) + 1 + insn.s());
  const AbstractValue now = reg(frame, a);
  const AbstractValue last = reg(frame, a + 1);
  const AbstractValue step = reg(frame, a + 2);
  for (const AbstractValue* v : {&now, &last, &step}) {
    if (type_of(*v) != ssa::Type::Int) return refuse_use("a for", *v);
  }
  const Truth more = has_next(frame.exact_limits[a], now, last, step);
  if (stopped() || (more.known && !more.value)) return;
  ssa::BlockId done;
  if (!more.known) {
    done = new_block();
    const ssa::BlockId again = new_block();
    branch(more.id, again, done);
    current_ = again;
  }
  std::vector<AbstractValue> after = frame.registers;
  reg(frame, a) = arithmetic(ssa::Op::Add, now, step);
  reg(frame, a + 3) = AbstractValue(reg(frame, a));
  const std::vector<AbstractValue> locals = locals_;
  go(frame, pc, head);
  if (!done.valid()) return;
  current_ = done;
  frame.registers = std::move(after);
  locals_ = locals;
}

// ---- loops over tables -----------------------------------------------------------------------

void Lowerer::iter_prep(Frame& frame, Insn insn, size_t pc) {
  const AbstractValue table = reg(frame, insn.a());
  const auto kind = static_cast<bytecode::IterKind>(insn.b());
  if (kind != bytecode::IterKind::Pairs) {
    return refuse(kind == bytecode::IterKind::SortPairs ? "sort_pairs() has no kernel form"
                                                        : "sort_keys() has no kernel form");
  }
  if (!table.is(Kind::Table)) return refuse_use("a loop with pairs()", table);
  const Insn jump = frame.function->code[pc + 1];
  if (jump.op() != bytecode::Op::Jmp) return refuse("a loop over a table");
  const size_t head = static_cast<size_t>(static_cast<int64_t>(pc) + 2 + jump.j());
  AbstractValue iterator = AbstractValue::of_kind(Kind::Iterator);
  iterator.table = table.table;
  iterator.text = table.text;
  const size_t entries = table.table->entries().size();
  if (world_.written_tables.count(table.table) == 0 &&
      (entries == 0 ||
       (entries <= kMaxUnrolledEntries && fits_unrolled(frame, head, entries + 1)))) {
    frame.unrolled[head] = true;
  } else {
    const std::optional<int64_t> id = whole_table(table, "pairs()");
    if (!id) return;
    // Without a key no code has stored anything so far, and the main chunk has not: a loop over
    // nothing, as long as nobody is met who stores something.
    frame.unrolled[head] = linkage_.module.tables[static_cast<size_t>(*id)].key.empty();
    if (frame.unrolled[head]) {
      shape_of(*id).wants_key = true;
    } else {
      begin_walk(frame, insn, *id, iterator);
    }
  }
  reg(frame, insn.a()) = iterator;
}

/// Over a table in the kernel.
void Lowerer::begin_walk(const Frame& frame, Insn insn, int64_t id, AbstractValue& iterator) {
  ssa::TableInfo& info = linkage_.module.tables[static_cast<size_t>(id)];
  info.is_read = true;
  info.is_iterated = true;
  iterator.integer = id;
  iterator.tag = open_walks(frame, insn.a());
  ssa::Inst walk{ssa::Op::TableWalk, ssa::Type::Int};
  walk.imm = id;
  walk.operands = {const_int(iterator.tag)};
  iterator.parts = {AbstractValue::ssa(emit(std::move(walk)))};
  iterator.id = const_int(0);
}

/// Walks over tables in the kernel that are under way: those of the callers, and those whose
/// iterators lie in registers `below`. So two have the same number only where the first is over.
int Lowerer::open_walks(const Frame& frame, size_t below) const {
  int open = callers_walks_;
  for (size_t r = 0; r < below; ++r) {
    const AbstractValue& value = frame.registers[r];
    if (value.is(Kind::Iterator) && value.id.valid()) open = std::max(open, value.tag + 1);
  }
  return open;
}

void Lowerer::iter_next(Frame& frame, Insn insn, size_t pc) {
  const AbstractValue& iterator = reg(frame, insn.a());
  if (!iterator.is(Kind::Iterator)) return refuse("a loop over a table");
  if (iterator.id.valid()) return next_slot(frame, insn, pc);
  next_known_entry(frame, insn, pc);
}

void Lowerer::next_known_entry(Frame& frame, Insn insn, size_t pc) {
  AbstractValue& iterator = reg(frame, insn.a());
  const auto entries = iterator.table->entries();
  const auto index = static_cast<size_t>(iterator.integer);
  if (index >= entries.size()) return go(frame, pc, pc + 2);
  ++iterator.integer;
  const std::string name = iterator.text + "[…]";
  put_entry(frame, insn, AbstractValue::of_world(entries[index].first, ""),
            AbstractValue::of_world(entries[index].second, name));
}

/// Slot by slot; one that is empty is a round that the script does not see.
void Lowerer::next_slot(Frame& frame, Insn insn, size_t pc) {
  AbstractValue iterator = reg(frame, insn.a());
  const ssa::TableInfo info = linkage_.module.tables[static_cast<size_t>(iterator.integer)];
  const ssa::ValueId slot = iterator.id;
  const ssa::ValueId count = iterator.parts[0].id;
  const ssa::BlockId done = new_block();
  const ssa::BlockId look = new_block();
  branch(op2(ssa::Op::Lt, ssa::Type::Bool, slot, count), look, done);
  add_edge(frame, pc, pc + 2, {done, frame.registers, frame.top});
  current_ = look;
  const ssa::ValueId walk = const_int(iterator.tag);
  ssa::Inst value = ssa::shape_of(info.value);
  value.op = ssa::Op::TableSlot;
  value.type = ssa::maybe_type(value.type);
  value.imm = iterator.integer;
  value.operands = {walk, slot};
  const ssa::ValueId found = emit(std::move(value));
  iterator.id = op2(ssa::Op::Add, ssa::Type::Int, slot, const_int(1));
  reg(frame, insn.a()) = iterator;
  const ssa::BlockId empty = new_block();
  const ssa::BlockId full = new_block();
  const bool is_union = info.value.kind == ssa::KeyPart::Kind::Union;
  branch(is_union ? is_nil_union(found) : op1(ssa::Op::IsNil, ssa::Type::Bool, found), empty, full);
  current_ = empty;
  emit_guard(ssa::Op::LoopTurn);
  add_edge(frame, pc, pc, {current_, frame.registers, frame.top});
  current_ = full;
  AbstractValue key = AbstractValue::of_kind(Kind::Tuple);
  for (size_t i = 0; i < info.key.size(); ++i) {
    ssa::Inst part = ssa::shape_of(info.key[i]);
    part.op = ssa::Op::TableSlotKey;
    part.imm = iterator.integer;
    part.operands = {walk, slot, const_int(static_cast<int64_t>(i))};
    key.parts.push_back(kept_value(info.key[i], emit(std::move(part))));
  }
  if (key.parts.size() == 1) key = AbstractValue(key.parts[0]);
  put_entry(frame, insn, key,
            kept_value(info.value, is_union ? found : unwrap(AbstractValue::ssa(found))));
}

ssa::ValueId Lowerer::is_nil_union(ssa::ValueId id) {
  const ssa::ValueId tag = op1(ssa::Op::UnionTag, ssa::Type::Int, id);
  return op2(ssa::Op::Eq, ssa::Type::Bool, tag, const_int(kNilTag));
}

/// Into the loop's variables: the key, or its parts, and the value.
void Lowerer::put_entry(Frame& frame, Insn insn, const AbstractValue& key,
                        const AbstractValue& value) {
  const size_t into = insn.a() + size_t{2};
  const size_t count = insn.b();
  if (count <= 2) {
    reg(frame, into) = key;
    if (count == 2) reg(frame, into + 1) = value;
    return;
  }
  const size_t parts = key.is(Kind::Tuple) ? key.parts.size() : 1;
  if (parts != count - 1) {
    return fail_now(fmt::format("a key of {} part{} for {} variables", parts, parts == 1 ? "" : "s",
                                count - 1));
  }
  for (size_t i = 0; i < parts; ++i) reg(frame, into + i) = key.parts[i];
  reg(frame, into + parts) = value;
}

}  // namespace ktap::lower
