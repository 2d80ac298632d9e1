// The dispatch loop: one label an opcode, computed jumps between them. Fast paths for integers,
// list items and interned names stand here; whatever is rarer is a call into the other parts of the
// machine. R is the frame's registers, K its constants; both are reloaded whenever the frame or the
// stack may have moved.
#include <cmath>
#include <optional>

#include <fmt/core.h>

#include "runtime/arith.h"
#include "runtime/iterator.h"
#include "runtime/number.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "vm/machine.h"

namespace ktap::vm {

using bytecode::Insn;
using bytecode::Op;
using runtime::ArithOp;
using runtime::Closure;
using runtime::Table;
using runtime::Type;
using runtime::Value;

namespace {

constexpr int kListBatch = 50;  // SetList counts in these

inline bool both_integers(const Value& a, const Value& b) {
  return a.type == Type::Integer && b.type == Type::Integer;
}

inline bool same(const Value& a, const Value& b) {
  if (a.type == b.type && a.integer == b.integer && a.type != Type::Float) return true;
  if (both_integers(a, b)) return false;
  return runtime::equal(a, b);
}

inline Table* plain_table(const Value& v) {
  if (v.type != Type::Table) return nullptr;
  auto* table = static_cast<Table*>(v.object);
  return table->backing == nullptr ? table : nullptr;
}

inline void load_variable(Value& to, const Value& from) {
  if (from.type == Type::SharedCell) {
    to = Value::of(__atomic_load_n(from.shared, __ATOMIC_RELAXED));
  } else {
    copy_value(to, from);
  }
}

/// Rounds that a loop over integers makes beyond its first, computed without overflow.
uint64_t rounds_left(int64_t first, int64_t last, int64_t step) {
  auto from = static_cast<uint64_t>(first);
  auto to = static_cast<uint64_t>(last);
  if (step > 0) return (to - from) / static_cast<uint64_t>(step);
  return (from - to) / (~static_cast<uint64_t>(step) + 1);
}

/// The integer limit of a loop over integers whose limit is a float; none when there is no round.
std::optional<int64_t> integer_limit(double limit, int64_t step) {
  constexpr double kEdge = 0x1p63;
  if (std::isnan(limit)) return std::nullopt;
  if (limit >= kEdge) return step > 0 ? std::optional<int64_t>(INT64_MAX) : std::nullopt;
  if (limit < -kEdge) return step > 0 ? std::nullopt : std::optional<int64_t>(INT64_MIN);
  return static_cast<int64_t>(step > 0 ? std::floor(limit) : std::ceil(limit));
}

}  // namespace

/// loop[0..2] = first, last, step. Over integers, loop[1] becomes the count of rounds left, so that
/// the loop ends at the edge of the number range too; a limit that is a float is rounded towards
/// the first value. With a float as first value or step all three become floats.
bool Machine::for_prep(Value* loop, bool* empty) {
  static constexpr const char* kWhat[] = {"first value", "last value", "step"};
  for (int i = 0; i < 3; ++i) {
    if (!loop[i].is_number()) {
      return fail(fmt::format("the {} of a for is {}, not a number", kWhat[i],
                              runtime::type_phrase(loop[i].type)));
    }
  }
  if (runtime::to_double(loop[2]) == 0) return fail("the step of a for is 0");
  if (loop[0].is_integer() && loop[2].is_integer()) {
    int64_t first = loop[0].integer;
    int64_t step = loop[2].integer;
    std::optional<int64_t> limit =
        loop[1].is_integer() ? loop[1].integer : integer_limit(loop[1].number, step);
    int64_t last = limit.value_or(0);
    *empty = !limit || (step > 0 ? first > last : first < last);
    if (!*empty) {
      loop[0] = Value::of(first);
      loop[1] = Value::of(static_cast<int64_t>(rounds_left(first, last, step)));
    }
  } else {
    for (int i = 0; i < 3; ++i) loop[i] = Value::of(runtime::to_double(loop[i]));
    *empty = loop[2].number > 0 ? !(loop[0].number <= loop[1].number)
                                : !(loop[0].number >= loop[1].number);
  }
  loop[3] = loop[0];
  return true;
}

/// The next round of a loop over floats; false at its end.
bool Machine::for_step(Value* loop) {
  double next = loop[0].number + loop[2].number;
  if (loop[2].number > 0 ? !(next <= loop[1].number) : !(next >= loop[1].number)) return false;
  loop[0] = loop[3] = Value::of(next);
  return true;
}

// Each opcode begins with OP(name) and ends with NEXT, a jump to another label, or FAIL.
#define OP(name) op_##name:
#define NEXT                                       \
  do {                                             \
    insn = *pc++;                                  \
    goto* kLabels[static_cast<size_t>(insn.op())]; \
  } while (false)
#define A (R[insn.a()])
#define B (R[insn.b()])
#define C (R[insn.c()])
#define KB (K[insn.b()])
#define KC (K[insn.c()])
#define KD (K[insn.d()])
// Before anything that may fail, call or collect, safe points among it.
#define SAVE (frame->pc = pc)
// After a built-in, which may have called a function of the script: stack and frames may have
// moved.
#define RELOAD                    \
  do {                            \
    frame = &frames_[depth_ - 1]; \
    R = stack_ + frame->base;     \
  } while (false)
#define TRY(expression)             \
  do {                              \
    SAVE;                           \
    if (!(expression)) goto failed; \
  } while (false)
#define SAFE_POINT(top)                                                                       \
  do {                                                                                        \
    if (heap_.wants_collection() && !collect(static_cast<size_t>((top)-stack_))) goto failed; \
  } while (false)
#define FRAME_END (R + frame->closure->function->register_count)
#define TICK                               \
  do {                                     \
    if (--ticks_ < 0) TRY(refill_ticks()); \
  } while (false)
#define JUMP(offset)                \
  do {                              \
    int32_t jump_offset = (offset); \
    if (jump_offset < 0) TICK;      \
    pc += jump_offset;              \
  } while (false)
// The next instruction is a Jmp, taken when `condition` holds.
#define BRANCH(condition) \
  do {                    \
    if (condition) {      \
      insn = *pc++;       \
      JUMP(insn.j());     \
    } else {              \
      ++pc;               \
    }                     \
    NEXT;                 \
  } while (false)
#define ARITH(name, right, fast)                  \
  OP(name) {                                      \
    const Value& left_value = B;                  \
    const Value& right_value = (right);           \
    if (both_integers(left_value, right_value)) { \
      int64_t a = left_value.integer;             \
      int64_t b = right_value.integer;            \
      A = Value::of(static_cast<int64_t>(fast));  \
      NEXT;                                       \
    }                                             \
    arith_left = &left_value;                     \
    arith_right = &right_value;                   \
    goto slow_##name;                             \
  }
#define SLOW(name, op)                                                                         \
  slow_##name : TRY(runtime::arith(ArithOp::op, *arith_left, *arith_right, &A, &error_text_)); \
  NEXT

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wgnu-label-as-value"
#endif

bool Machine::run() {
  static const void* const kLabels[] = {
#define KTAP_OPCODE(name, format, meaning) &&op_##name,
#include "bytecode/opcodes.def"
#undef KTAP_OPCODE
  };
  Frame* frame;
  const Insn* pc;
  Value* R;
  const Value* K;
  Insn insn;
  const Value* arith_left;
  const Value* arith_right;

enter:
  frame = &frames_[depth_ - 1];
  pc = frame->pc;
  R = stack_ + frame->base;
  K = frame->closure->proto->constants.data();
  NEXT;

  OP(LoadNil) {
    for (int i = 0; i <= insn.b(); ++i) R[insn.a() + i] = Value::nil();
    NEXT;
  }
  OP(LoadBool) {
    A = Value::of(insn.b() != 0);
    NEXT;
  }
  OP(LoadInt) {
    A = Value::of(static_cast<int64_t>(insn.s()));
    NEXT;
  }
  OP(LoadK) {
    copy_value(A, KD);
    NEXT;
  }
  OP(LoadBuiltin) {
    A = Value::of_builtin(insn.d());
    NEXT;
  }
  OP(Move) {
    copy_value(A, B);
    NEXT;
  }

  // ---- variables
  OP(GetGlobal) {
    load_variable(A, globals_[insn.d()]);
    NEXT;
  }
  OP(SetGlobal) {
    Value& global = globals_[insn.d()];
    if (global.type == Type::SharedCell) {
      TRY(store_shared(global, A));
    } else {
      copy_value(global, A);
    }
    NEXT;
  }
  OP(UpdateGlobal) {
    Value& global = globals_[insn.a()];
    TRY(update_variable(&global, static_cast<bytecode::UpdateOp>(insn.c()), B));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(GetUpval) {
    load_variable(A, *frame->closure->upvalues[insn.b()]->slot);
    NEXT;
  }
  OP(SetUpval) {
    Value* slot = frame->closure->upvalues[insn.b()]->slot;
    if (slot->type == Type::SharedCell) {
      TRY(store_shared(*slot, A));
    } else {
      heap_.shade(A);
      copy_value(*slot, A);
    }
    NEXT;
  }
  OP(UpdateUpval) {
    Value* slot = frame->closure->upvalues[insn.a()]->slot;
    TRY(update_variable(slot, static_cast<bytecode::UpdateOp>(insn.c()), B));
    heap_.shade(*slot);
    SAFE_POINT(FRAME_END);
    NEXT;
  }

  // ---- tables and tuples
  OP(GetIndex) {
    Table* table = plain_table(B);
    if (table != nullptr) {
      const Value& key = C;
      A = key.type == Type::Integer ? table->get_integer(key.integer) : table->get(key);
      NEXT;
    }
    TRY(get_index(B, C, &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(GetField) {
    Table* table = plain_table(B);
    if (table != nullptr) {
      A = table->get_string(reinterpret_cast<runtime::String*>(KC.object));
      NEXT;
    }
    TRY(get_index(B, KC, &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(SetIndex) {
    Table* table = plain_table(A);
    const Value& key = B;
    if (table != nullptr && key.type == Type::Integer) {
      if (table->overwrite_list(key.integer, C)) NEXT;
      SAVE;
      table->set(key, C);
    } else {
      TRY(set_index(A, key, C));
    }
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(SetField) {
    TRY(set_index(A, KB, C));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(UpdateIndex) {
    Table* table = plain_table(A);
    const Value& operand = R[insn.b() + 1];
    if (table != nullptr && static_cast<bytecode::UpdateOp>(insn.c()) == bytecode::UpdateOp::Add) {
      Value* cell = table->find_value(B);
      if (cell != nullptr && both_integers(*cell, operand)) {
        cell->integer = runtime::wrap_add(cell->integer, operand.integer);
        NEXT;
      }
    }
    TRY(update_index(A, B, static_cast<bytecode::UpdateOp>(insn.c()), operand));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(Tuple) {
    TRY(make_tuple(&B, insn.c(), &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(NewTable) {
    Table* table = heap_.table();
    A = Value::of_object(Type::Table, table);
    if (insn.b() != 0 || insn.c() != 0) table->reserve(insn.b(), insn.c());
    SAVE;
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(SetList) {
    size_t count = insn.b() != 0 ? insn.b() : open_top_ - (frame->base + insn.a() + 1);
    Table* table = A.table();
    for (size_t i = 1; i <= count; ++i) {
      table->set(Value::of(static_cast<int64_t>(insn.c() * kListBatch + i)), R[insn.a() + i]);
    }
    NEXT;
  }

  // ---- operators
  ARITH(Add, C, runtime::wrap_add(a, b))
  ARITH(Sub, C, runtime::wrap_sub(a, b))
  ARITH(Mul, C, runtime::wrap_mul(a, b))
  ARITH(AddK, KC, runtime::wrap_add(a, b))
  ARITH(SubK, KC, runtime::wrap_sub(a, b))
  ARITH(MulK, KC, runtime::wrap_mul(a, b))
  ARITH(BitAnd, C, a & b)
  ARITH(BitOr, C, a | b)
  ARITH(BitXor, C, a ^ b)
  ARITH(Shl, C, runtime::shift_left(a, b))
  ARITH(Shr, C, runtime::shift_right(a, b))
  SLOW(Add, Add);
  SLOW(Sub, Sub);
  SLOW(Mul, Mul);
  SLOW(AddK, Add);
  SLOW(SubK, Sub);
  SLOW(MulK, Mul);
  SLOW(BitAnd, BitAnd);
  SLOW(BitOr, BitOr);
  SLOW(BitXor, BitXor);
  SLOW(Shl, Shl);
  SLOW(Shr, Shr);
  OP(Div) {
    TRY(runtime::arith(ArithOp::Div, B, C, &A, &error_text_));
    NEXT;
  }
  OP(Mod) {
    TRY(runtime::arith(ArithOp::Mod, B, C, &A, &error_text_));
    NEXT;
  }
  OP(Concat) {
    TRY(concat(&B, static_cast<size_t>(insn.c() - insn.b()) + 1, &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(Neg) {
    TRY(runtime::negate(B, &A, &error_text_));
    NEXT;
  }
  OP(Not) {
    A = Value::of(!B.truthy());
    NEXT;
  }
  OP(BitNot) {
    TRY(runtime::bit_not(B, &A, &error_text_));
    NEXT;
  }
  OP(Match) {
    bool matches = false;
    TRY(match(B, C, &matches));
    A = Value::of(matches);
    NEXT;
  }

  // ---- jumps and tests
  OP(Jmp) {
    JUMP(insn.j());
    NEXT;
  }
  OP(Test) { BRANCH(A.truthy() == (insn.c() != 0)); }
  OP(TestEq) { BRANCH(same(A, B) == (insn.c() != 0)); }
  OP(TestEqK) { BRANCH(same(A, KB) == (insn.c() != 0)); }
  OP(TestLt) {
    const Value& left = A;
    const Value& right = B;
    bool holds;
    if (both_integers(left, right)) {
      holds = left.integer < right.integer;
    } else {
      TRY(runtime::less(left, right, &holds, &error_text_));
    }
    BRANCH(holds == (insn.c() != 0));
  }
  OP(TestLe) {
    const Value& left = A;
    const Value& right = B;
    bool holds;
    if (both_integers(left, right)) {
      holds = left.integer <= right.integer;
    } else {
      TRY(runtime::less_equal(left, right, &holds, &error_text_));
    }
    BRANCH(holds == (insn.c() != 0));
  }

  // ---- loops
  OP(ForPrep) {
    bool empty = false;
    TRY(for_prep(&A, &empty));
    if (empty) {
      pc += insn.s();
    } else {
      TICK;
    }
    NEXT;
  }
  OP(ForLoop) {
    Value* loop = &A;
    if (loop[0].type == Type::Integer) {
      if (loop[1].integer == 0) NEXT;
      loop[1].integer = runtime::wrap_sub(loop[1].integer, 1);  // may count to 2^64 - 1
      int64_t next = runtime::wrap_add(loop[0].integer, loop[2].integer);
      loop[0].integer = next;
      loop[3] = Value::of(next);
    } else if (!for_step(loop)) {
      NEXT;
    }
    TICK;
    pc += insn.s();
    NEXT;
  }
  OP(IterPrep) {
    TRY(iter_prep(static_cast<bytecode::IterKind>(insn.b()), frame->base + insn.a()));
    // Compare functions may have moved the stack and the frames.
    SAFE_POINT(stack_ + frames_[depth_ - 1].base +
               frames_[depth_ - 1].closure->function->register_count);
    goto enter;
  }
  OP(IterNext) {
    Value* into = &A + 2;
    Value key;
    Value value;
    bool more = A.iterator()->next(key, value);
    if (more) {
      if (insn.b() > 2) {
        TRY(iter_unpack(key, value, insn.b(), into));
      } else {
        into[0] = key;
        if (insn.b() == 2) into[1] = value;
      }
    }
    BRANCH(more);
  }

  // ---- functions
  OP(Closure) {
    const Closure& parent = *frame->closure;
    A = new_closure(parent, *parent.proto->children[insn.d()], R);
    SAVE;
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(Close) {
    close_cells(&A);
    NEXT;
  }
  OP(Call) {
    Value* callee = &A;
    size_t at = frame->base + insn.a();
    size_t arg_count = insn.b() != 0 ? insn.b() - 1u : open_top_ - (at + 1);
    int wanted = insn.c() - 1;
    SAVE;
    if (callee->type == Type::Function) {
      if (!push_frame(static_cast<Closure*>(callee->object), at + 1, arg_count, wanted, false))
        goto failed;
      goto enter;
    }
    if (callee->type != Type::Builtin) {
      fail_call(*frame, insn);
      goto failed;
    }
    Value result;
    bool has_result = false;
    if (!call_builtin(*callee, callee + 1, arg_count, &result, &has_result)) goto failed;
    RELOAD;
    callee = stack_ + at;
    if (wanted < 0) {
      if (has_result) *callee = result;
      open_top_ = at + (has_result ? 1 : 0);
      SAFE_POINT(FRAME_END > callee + 1 ? FRAME_END : callee + 1);
    } else {
      for (int i = 0; i < wanted; ++i) callee[i] = Value::nil();
      if (wanted > 0) *callee = result;
      SAFE_POINT(FRAME_END);
    }
    NEXT;
  }
  OP(TailCall) {
    Value* callee = &A;
    size_t at = frame->base + insn.a();
    size_t arg_count = insn.b() != 0 ? insn.b() - 1u : open_top_ - (at + 1);
    SAVE;
    if (callee->type == Type::Function) {
      if (--ticks_ < 0 && !refill_ticks()) goto failed;
      close_cells(R);
      auto* closure = static_cast<Closure*>(callee->object);
      R[-1] = *callee;
      size_t keep = std::min<size_t>(arg_count, closure->function->param_count);
      for (size_t i = 0; i < keep; ++i) copy_value(R[i], callee[i + 1]);
      Frame old = *frame;
      --depth_;
      if (!push_frame(closure, old.base, keep, old.wanted, old.entry)) {
        ++depth_;
        goto failed;
      }
      goto enter;
    }
    if (callee->type != Type::Builtin) {
      fail_call(*frame, insn);
      goto failed;
    }
    Value result;
    bool has_result = false;
    if (!call_builtin(*callee, callee + 1, arg_count, &result, &has_result)) goto failed;
    RELOAD;
    stack_[at] = result;
    open_top_ = at + (has_result ? 1 : 0);
    insn = Insn::abc(Op::Return, insn.a(), 0, 0);
    goto op_Return;
  }
  OP(Return) {
    Value* from = &A;
    size_t count = insn.b() != 0 ? insn.b() - 1u : open_top_ - (frame->base + insn.a());
    if (!open_cells_.empty()) close_cells(R);
    Value* into = R - 1;
    int wanted = frame->wanted;
    if (wanted < 0) {
      for (size_t i = 0; i < count; ++i) copy_value(into[i], from[i]);
      open_top_ = frame->base - 1 + count;
    } else {
      auto wants = static_cast<size_t>(wanted);
      size_t given = count < wants ? count : wants;
      for (size_t i = 0; i < given; ++i) copy_value(into[i], from[i]);
      for (size_t i = given; i < wants; ++i) into[i] = Value::nil();
    }
    --depth_;
    if (frame->entry) return true;
    goto enter;
  }

  // ---- events
  OP(EventVar) {
    TRY(event_var(static_cast<schema::BuiltinVar>(insn.d()), &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(EventField) {
    TRY(event_field(KD.string()->view(), false, KD, &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(EventWord) {
    TRY(event_field(KD.string()->view(), true, KD, &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(Register) {
    Value* three = &A;
    TRY(register_handler(static_cast<bytecode::HandlerKind>(insn.b()), three[0], three[1],
                         three[2]));
    NEXT;
  }
  OP(AggAdd) {
    TRY(add_sample_at(A, B, C));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(AggAddVar) {
    TRY(add_sample(A, B));
    SAFE_POINT(FRAME_END);
    NEXT;
  }

failed:
  unwind();
  return false;
}

}  // namespace ktap::vm
