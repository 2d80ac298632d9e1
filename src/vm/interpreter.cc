// The dispatch loop over steps (step.h): one label a step, computed jumps between them. Fast paths
// for integers, floats, list items, interned names and calls of closures stand here; whatever is
// rarer is a call into the other parts of the machine. R is the frame's registers, K its constants;
// both are reloaded whenever the frame or the stack may have moved. `pc` stands on the step that
// runs; frame->pc is brought up to date before anything that may fail, call or collect.
#include <algorithm>

#include "runtime/arith.h"
#include "runtime/iterator.h"
#include "runtime/number.h"
#include "runtime/shared_variable.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "vm/library.h"
#include "vm/machine.h"

namespace ktap::vm {

using bytecode::UpdateOp;
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

inline bool both_floats(const Value& a, const Value& b) {
  return a.type == Type::Float && b.type == Type::Float;
}

// Into a register, member by member: see copy_value().
inline void put(Value& to, int64_t integer) {
  to.type = Type::Integer;
  to.integer = integer;
}
inline void put(Value& to, double number) {
  to.type = Type::Float;
  to.number = number;
}
inline void put(Value& to, bool boolean) {
  to.type = Type::Boolean;
  to.integer = boolean ? 1 : 0;
}
inline void put_nil(Value& to) {
  to.type = Type::Nil;
  to.integer = 0;
}

inline bool same(const Value& a, const Value& b) {
  if (a.type == b.type && a.integer == b.integer && a.type != Type::Float) return true;
  if (both_integers(a, b)) return false;
  return runtime::equal(a, b);
}

/// For the next time: names mostly stand at the same entry in tables of the same making.
inline void remember_entry(const Step* step, uint32_t entry) {
  const_cast<Step*>(step)->d = static_cast<uint16_t>(entry < UINT16_MAX ? entry : UINT16_MAX);
}

/// 64-bit division costs several times what 32-bit does. Requires b > 0.
inline int64_t quotient(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}
inline int64_t remainder(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) % static_cast<uint32_t>(b);
  return a % b;
}

inline Table* plain_table(const Value& v) {
  if (v.type != Type::Table) return nullptr;
  auto* table = static_cast<Table*>(v.object);
  return table->backing == nullptr ? table : nullptr;
}

inline void load_variable(Value& to, const Value& from) {
  if (from.type == Type::SharedCell) {
    to = Value::of(__atomic_load_n(from.shared, __ATOMIC_RELAXED));
  } else if (from.type == Type::SharedVariable) {
    to = from.variable->load();
  } else {
    copy_value(to, from);
  }
}

}  // namespace

// Each step begins with OP(name) and ends with NEXT, SKIP, GO, another jump, or a failure.
#define OP(name) op_##name:
#define GO goto*(pc->label)
#define NEXT \
  do {       \
    ++pc;    \
    GO;      \
  } while (false)
#define REGISTER(offset) (*reinterpret_cast<Value*>(reinterpret_cast<char*>(R) + (offset)))
#define CONSTANT(offset) \
  (*reinterpret_cast<const Value*>(reinterpret_cast<const char*>(K) + (offset)))
#define A REGISTER(pc->a)
#define B REGISTER(pc->b)
#define C REGISTER(pc->c)
#define KB CONSTANT(pc->b)
#define KC CONSTANT(pc->c)
#define KD CONSTANT(pc->imm)
#define GLOBAL(offset) \
  (*reinterpret_cast<Value*>(reinterpret_cast<char*>(globals_.data()) + (offset)))
#define UPVALUE(index) (frame->closure->upvalues[index]->slot)
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
// Requires SAVE.
#define SAFE_POINT(top)                                                                       \
  do {                                                                                        \
    if (heap_.wants_collection() && !collect(static_cast<size_t>((top)-stack_))) goto failed; \
  } while (false)
#define FRAME_END (R + frame->closure->function->register_count)
// One more round; `at` is the step to blame when there are too many.
#define TICK(at)                        \
  do {                                  \
    if (--ticks_ < 0) [[unlikely]] {    \
      frame->pc = (at);                 \
      if (!refill_ticks()) goto failed; \
    }                                   \
  } while (false)
#define LEAP(from)                                                                     \
  do {                                                                                 \
    pc = reinterpret_cast<const Step*>(reinterpret_cast<const char*>(from) + pc->imm); \
    GO;                                                                                \
  } while (false)
// The jump at step `at`; one that does not lead on is a round.
#define JUMP(at)                \
  do {                          \
    if (pc->imm <= 0) TICK(at); \
    LEAP(at);                   \
  } while (false)
// The test's jump is the next step.
#define BRANCH(condition)        \
  do {                           \
    if (condition) JUMP(pc + 1); \
    pc += 2;                     \
    GO;                          \
  } while (false)

#define ARITH(name, op, right, of_integers, of_floats)         \
  OP(name) {                                                   \
    const Value& left_value = B;                               \
    const Value& right_value = (right);                        \
    if (both_integers(left_value, right_value)) {              \
      int64_t a = left_value.integer;                          \
      int64_t b = right_value.integer;                         \
      put(A, static_cast<int64_t>(of_integers));               \
      NEXT;                                                    \
    }                                                          \
    if (both_floats(left_value, right_value)) {                \
      double a = left_value.number;                            \
      double b = right_value.number;                           \
      put(A, of_floats);                                       \
      NEXT;                                                    \
    }                                                          \
    TRY(slow_arith(ArithOp::op, left_value, right_value, &A)); \
    NEXT;                                                      \
  }
// With a small integer as right operand.
#define ARITH_INT(name, op, of_integers, of_floats)                            \
  OP(name) {                                                                   \
    const Value& left_value = B;                                               \
    if (left_value.type == Type::Integer) {                                    \
      int64_t a = left_value.integer;                                          \
      int64_t b = pc->imm;                                                     \
      put(A, static_cast<int64_t>(of_integers));                               \
      NEXT;                                                                    \
    }                                                                          \
    if (left_value.type == Type::Float) {                                      \
      double a = left_value.number;                                            \
      double b = pc->imm;                                                      \
      put(A, of_floats);                                                       \
      NEXT;                                                                    \
    }                                                                          \
    TRY(slow_arith(ArithOp::op, left_value, Value::of(int64_t{pc->imm}), &A)); \
    NEXT;                                                                      \
  }
#define BITS(name, of_integers)                                  \
  OP(name) {                                                     \
    const Value& left_value = B;                                 \
    const Value& right_value = C;                                \
    if (both_integers(left_value, right_value)) {                \
      int64_t a = left_value.integer;                            \
      int64_t b = right_value.integer;                           \
      put(A, static_cast<int64_t>(of_integers));                 \
      NEXT;                                                      \
    }                                                            \
    TRY(slow_arith(ArithOp::name, left_value, right_value, &A)); \
    NEXT;                                                        \
  }
#define COMPARE(name, sense, symbol, slow)       \
  OP(name) {                                     \
    const Value& left = A;                       \
    const Value& right = B;                      \
    bool holds;                                  \
    if (both_integers(left, right)) {            \
      holds = left.integer symbol right.integer; \
    } else if (both_floats(left, right)) {       \
      holds = left.number symbol right.number;   \
    } else {                                     \
      TRY(slow(left, right, &holds));            \
    }                                            \
    BRANCH(holds == (sense));                    \
  }
// R[a] = imm, then what the next step does, `operand` of it being an integer too.
#define INT_THEN(name, then, operand, fast)          \
  OP(name) {                                         \
    int64_t loaded = pc->imm;                        \
    put(A, loaded);                                  \
    ++pc;                                            \
    const Value& other = (operand);                  \
    if (other.type != Type::Integer) goto op_##then; \
    int64_t a = other.integer;                       \
    int64_t b = loaded;                              \
    fast;                                            \
  }
#define INT_ARITH(name, then, result) \
  INT_THEN(name, then, B, put(A, static_cast<int64_t>(result)); NEXT)

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wgnu-label-as-value"
#endif

void Machine::link(std::vector<Step>& steps) {
  const void* const* labels = nullptr;
  run(&labels);
  for (Step& step : steps) step.label = labels[static_cast<size_t>(step.op)];
}

bool Machine::run(const void* const** labels) {
  static const void* const kLabels[] = {
#define KTAP_STEP(name, meaning) &&op_##name,
#include "vm/steps.def"
#undef KTAP_STEP
  };
  if (labels != nullptr) {
    *labels = kLabels;
    return true;
  }
  Frame* frame;
  const Step* pc;
  Value* R;
  const Value* K;

enter:
  frame = &frames_[depth_ - 1];
  pc = frame->pc;
  R = stack_ + frame->base;
  K = frame->constants;
  GO;

resume:
  frame = &frames_[depth_ - 1];
  pc = frame->pc;
  R = stack_ + frame->base;
  K = frame->constants;
  NEXT;

  OP(LoadNil) {
    Value* to = &A;
    for (int i = 0; i <= pc->imm; ++i) put_nil(to[i]);
    NEXT;
  }
  OP(LoadBool) {
    put(A, pc->imm != 0);
    NEXT;
  }
  OP(LoadInt) {
    put(A, int64_t{pc->imm});
    NEXT;
  }
  OP(LoadK) {
    copy_value(A, KD);
    NEXT;
  }
  OP(LoadBuiltin) {
    A = Value::of_builtin(static_cast<uint16_t>(pc->imm));
    NEXT;
  }
  OP(Move) {
    copy_value(A, B);
    NEXT;
  }

  // ---- variables
  OP(GetGlobal) {
    load_variable(A, GLOBAL(pc->imm));
    NEXT;
  }
  OP(SetGlobal) {
    Value& global = GLOBAL(pc->imm);
    if (global.type == Type::SharedCell || global.type == Type::SharedVariable) {
      TRY(store_shared(global, A));
    } else {
      copy_value(global, A);
    }
    NEXT;
  }
  OP(AddGlobal) {
    Value& global = globals_[pc->a];
    if (both_integers(global, B)) {
      global.integer = runtime::wrap_add(global.integer, B.integer);
      NEXT;
    }
    TRY(update_variable(&global, UpdateOp::Add, B));
    NEXT;
  }
  OP(UpdateGlobal) {
    TRY(update_variable(&globals_[pc->a], static_cast<UpdateOp>(pc->c), B));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(GetUpval) {
    load_variable(A, *UPVALUE(pc->b));
    NEXT;
  }
  OP(SetUpval) {
    Value* slot = UPVALUE(pc->b);
    if (slot->type == Type::SharedCell || slot->type == Type::SharedVariable) {
      TRY(store_shared(*slot, A));
    } else {
      heap_.shade(A);
      copy_value(*slot, A);
    }
    NEXT;
  }
  OP(AddUpval) {
    Value* slot = UPVALUE(pc->a);
    if (both_integers(*slot, B)) {
      slot->integer = runtime::wrap_add(slot->integer, B.integer);
      NEXT;
    }
    TRY(update_variable(slot, UpdateOp::Add, B));  // a number: nothing to shade
    NEXT;
  }
  OP(UpdateUpval) {
    TRY(update_variable(UPVALUE(pc->a), static_cast<UpdateOp>(pc->c), B));
    heap_.shade(*UPVALUE(pc->a));
    SAFE_POINT(FRAME_END);
    NEXT;
  }

  // ---- tables and tuples
  OP(GetIndex) {
    Table* table = plain_table(B);
    const Value& key = C;
    if (table != nullptr) {
      const Value* found = table->find(key);
      if (found != nullptr) {
        copy_value(A, *found);
      } else {
        put_nil(A);
      }
      NEXT;
    }
    TRY(get_index(B, key, &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(GetField) {
    Table* table = plain_table(B);
    if (table != nullptr) {
      auto* name = static_cast<runtime::String*>(KC.object);
      const Value* found = table->entry_with(pc->d, name);
      if (found == nullptr) {
        uint32_t entry = table->find_name(name);
        if (entry == Table::kNoEntry) {
          put_nil(A);
          NEXT;
        }
        remember_entry(pc, entry);
        found = table->value_at(entry);
      }
      copy_value(A, *found);
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
      if (table->set_list(key.integer, C)) NEXT;
      SAVE;
      table->set(key, C);
    } else {
      TRY(set_index(A, key, C));
    }
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(SetField) {
    Table* table = plain_table(A);
    const Value& value = C;
    if (table != nullptr) {
      auto* name = static_cast<runtime::String*>(KB.object);
      Value* found = table->entry_with(pc->d, name);
      if (found == nullptr) {
        uint32_t entry = table->find_name(name);
        if (entry != Table::kNoEntry) {
          remember_entry(pc, entry);
          found = table->value_at(entry);
        }
      }
      // What appears or vanishes is the table's own affair.
      if (found != nullptr && !found->is_nil() && !value.is_nil()) {
        table->shade(value);
        copy_value(*found, value);
        NEXT;
      }
      SAVE;
      table->set(KB, value);
    } else {
      TRY(set_index(A, KB, value));
    }
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(AddIndex) {
    Table* table = plain_table(A);
    const Value& operand = *(&B + 1);
    if (table != nullptr) {
      Value* cell = table->find_value(B);
      if (cell != nullptr && both_integers(*cell, operand)) {
        cell->integer = runtime::wrap_add(cell->integer, operand.integer);
        NEXT;
      }
    }
    TRY(update_index(A, B, UpdateOp::Add, operand));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(UpdateIndex) {
    TRY(update_index(A, B, static_cast<UpdateOp>(pc->c), *(&B + 1)));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(Tuple) {
    TRY(make_tuple(&B, pc->c, &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(NewTable) {
    Table* table = heap_.table();
    A = Value::of_object(Type::Table, table);
    if (pc->imm != 0 || pc->b != 0) table->reserve(pc->b, pc->c);
    SAVE;
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(SetList) {
    size_t first = static_cast<size_t>(&A - stack_) + 1;
    size_t count = pc->b != 0 ? pc->b : open_top_ - first;
    A.table()->set_items(pc->c * kListBatch + 1, &A + 1, count);
    NEXT;
  }

  // ---- operators
  ARITH(Add, Add, C, runtime::wrap_add(a, b), a + b)
  ARITH(Sub, Sub, C, runtime::wrap_sub(a, b), a - b)
  ARITH(Mul, Mul, C, runtime::wrap_mul(a, b), a * b)
  ARITH(AddK, Add, KC, runtime::wrap_add(a, b), a + b)
  ARITH(SubK, Sub, KC, runtime::wrap_sub(a, b), a - b)
  ARITH(MulK, Mul, KC, runtime::wrap_mul(a, b), a * b)
  ARITH_INT(AddInt, Add, runtime::wrap_add(a, b), a + b)
  ARITH_INT(SubInt, Sub, runtime::wrap_sub(a, b), a - b)
  ARITH_INT(MulInt, Mul, runtime::wrap_mul(a, b), a * b)
  BITS(BitAnd, a & b)
  BITS(BitOr, a | b)
  BITS(BitXor, a ^ b)
  BITS(Shl, runtime::shift_left(a, b))
  BITS(Shr, runtime::shift_right(a, b))
  OP(Div) {
    const Value& left = B;
    const Value& right = C;
    if (both_integers(left, right) && right.integer > 0) {
      put(A, quotient(left.integer, right.integer));
      NEXT;
    }
    if (both_floats(left, right)) {
      put(A, left.number / right.number);
      NEXT;
    }
    TRY(slow_arith(ArithOp::Div, left, right, &A));
    NEXT;
  }
  OP(Mod) {
    const Value& left = B;
    const Value& right = C;
    if (both_integers(left, right) && right.integer > 0) {
      put(A, remainder(left.integer, right.integer));
      NEXT;
    }
    TRY(slow_arith(ArithOp::Mod, left, right, &A));
    NEXT;
  }
  INT_ARITH(IntDiv, Div, quotient(a, b))
  INT_ARITH(IntMod, Mod, remainder(a, b))
  INT_ARITH(IntBitAnd, BitAnd, a & b)
  INT_ARITH(IntShl, Shl, runtime::shift_left(a, b))
  INT_ARITH(IntShr, Shr, runtime::shift_right(a, b))
  OP(Concat) {
    TRY(concat(&B, pc->c, &A));
    SAFE_POINT(FRAME_END);
    NEXT;
  }
  OP(Neg) {
    TRY(runtime::negate(B, &A, &error_text_));
    NEXT;
  }
  OP(Not) {
    put(A, !B.truthy());
    NEXT;
  }
  OP(BitNot) {
    TRY(runtime::bit_not(B, &A, &error_text_));
    NEXT;
  }
  OP(Match) {
    bool matches = false;
    TRY(match(B, C, &matches));
    put(A, matches);
    NEXT;
  }

  // ---- jumps and tests
  OP(Jmp) { JUMP(pc); }
  OP(Test) { BRANCH(A.truthy()); }
  OP(TestNot) { BRANCH(!A.truthy()); }
  OP(TestEq) { BRANCH(same(A, B)); }
  OP(TestNotEq) { BRANCH(!same(A, B)); }
  OP(TestEqK) { BRANCH(same(A, KB)); }
  OP(TestNotEqK) { BRANCH(!same(A, KB)); }
  OP(TestNil) { BRANCH(A.is_nil()); }
  OP(TestNotNil) { BRANCH(!A.is_nil()); }
  COMPARE(TestLt, true, <, slow_less)
  COMPARE(TestNotLt, false, <, slow_less)
  COMPARE(TestLe, true, <=, slow_less_equal)
  COMPARE(TestNotLe, false, <=, slow_less_equal)
  INT_THEN(IntTestLt, TestLt, A, BRANCH(a < b))
  INT_THEN(IntTestNotLt, TestNotLt, A, BRANCH(!(a < b)))
  INT_THEN(IntTestLe, TestLe, A, BRANCH(a <= b))
  INT_THEN(IntTestNotLe, TestNotLe, A, BRANCH(!(a <= b)))
  INT_THEN(IntTestGt, TestLt, B, BRANCH(a > b))
  INT_THEN(IntTestNotGt, TestNotLt, B, BRANCH(!(a > b)))
  INT_THEN(IntTestGe, TestLe, B, BRANCH(a >= b))
  INT_THEN(IntTestNotGe, TestNotLe, B, BRANCH(!(a >= b)))
  OP(IntAddIndex) {
    put(A, int64_t{pc->imm});
    ++pc;
    goto op_AddIndex;
  }

  // ---- loops
  OP(ForPrep) {
    bool empty = false;
    TRY(for_prep(&A, &empty));
    if (empty) LEAP(pc);
    TICK(pc);
    NEXT;
  }
  OP(ForLoop) {
    Value* loop = &A;
    if (loop[0].type == Type::Integer) {
      if (loop[1].integer == 0) NEXT;
      loop[1].integer = runtime::wrap_sub(loop[1].integer, 1);  // may count to 2^64 - 1
      int64_t next = runtime::wrap_add(loop[0].integer, loop[2].integer);
      loop[0].integer = next;
      put(loop[3], next);
    } else if (!for_step(loop)) {
      NEXT;
    }
    TICK(pc);
    LEAP(pc);
  }
  OP(IterPrep) {
    TRY(iter_prep(static_cast<bytecode::IterKind>(pc->b), static_cast<size_t>(&A - stack_)));
    // Compare functions may have moved the stack and the frames.
    SAFE_POINT(stack_ + frames_[depth_ - 1].base +
               frames_[depth_ - 1].closure->function->register_count);
    goto resume;
  }
  OP(IterNext) {
    Value* into = &A + 2;
    auto& iterator = *static_cast<runtime::Iterator*>(A.object);
    bool more;
    if (pc->b == 2) {
      more = iterator.next(into[0], into[1]);
    } else {
      Value key;
      Value value;
      more = iterator.next(key, value);
      if (more && pc->b == 1) {
        copy_value(into[0], key);
      } else if (more) {
        TRY(iter_unpack(key, value, pc->b, into));
      }
    }
    BRANCH(more);
  }

  // ---- functions
  OP(Closure) {
    const Closure& parent = *frame->closure;
    A = new_closure(parent, *parent.proto->children[static_cast<size_t>(pc->imm)], R);
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
    SAVE;
    size_t arg_count =
        pc->b != 0 ? pc->b - 1u : open_top_ - static_cast<size_t>(callee + 1 - stack_);
    int wanted = pc->c - 1;
    if (callee->type == Type::Function) {
      auto* closure = static_cast<Closure*>(callee->object);
      const Proto& proto = *closure->proto;
      R = callee + 1;
      if (depth_ >= frame_room_ || R + proto.register_count > stack_end_ || call_ticks_ == 0)
          [[unlikely]] {
        if (!push_frame(closure, static_cast<size_t>(R - stack_), arg_count, wanted, false))
          goto failed;
        goto enter;
      }
      --call_ticks_;
      for (size_t i = arg_count; i < proto.param_count; ++i) put_nil(R[i]);
      ++depth_;
      ++frame;
      frame->closure = closure;
      frame->base = static_cast<size_t>(R - stack_);
      frame->constants = K = proto.constants.data();
      frame->wanted = wanted;
      frame->entry = false;
      pc = proto.steps.data();
      GO;
    }
    if (callee->type != Type::Builtin) {
      fail_call(*frame);
      goto failed;
    }
    Value result;
    bool has_result = false;
    if (!call_builtin(*callee, callee + 1, arg_count, &result, &has_result)) goto failed;
    RELOAD;
    callee = &A;
    if (wanted < 0) {
      if (has_result) *callee = result;
      open_top_ = static_cast<size_t>(callee - stack_) + (has_result ? 1 : 0);
      SAFE_POINT(FRAME_END > callee + 1 ? FRAME_END : callee + 1);
    } else {
      if (wanted > 0) copy_value(*callee, result);
      for (int i = 1; i < wanted; ++i) put_nil(callee[i]);
      SAFE_POINT(FRAME_END);
    }
    NEXT;
  }
  OP(TailCall) {
    Value* callee = &A;
    size_t at = static_cast<size_t>(callee - stack_);
    size_t arg_count = pc->b != 0 ? pc->b - 1u : open_top_ - (at + 1);
    SAVE;
    if (callee->type == Type::Function) {
      if (--ticks_ < 0 && !refill_ticks(true)) goto failed;
      close_cells(R);
      auto* closure = static_cast<Closure*>(callee->object);
      R[-1] = *callee;
      size_t keep = std::min<size_t>(arg_count, closure->proto->param_count);
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
      fail_call(*frame);
      goto failed;
    }
    Value result;
    bool has_result = false;
    if (!call_builtin(*callee, callee + 1, arg_count, &result, &has_result)) goto failed;
    RELOAD;
    if (!open_cells_.empty()) close_cells(R);
    if (!leave(*frame, &result, has_result ? 1 : 0)) return true;
    goto resume;
  }
  OP(Return) {
    const Value* from = &A;
    size_t count = pc->b != 0 ? pc->b - 1u : open_top_ - static_cast<size_t>(from - stack_);
    if (!open_cells_.empty()) close_cells(R);
    if (!leave(*frame, from, count)) return true;
    goto resume;
  }
  OP(Return0) {
    if (!leave(*frame, nullptr, 0)) return true;
    goto resume;
  }
  OP(Return1) {
    if (frame->wanted != 1 || frame->entry) [[unlikely]] {
      if (!leave(*frame, &A, 1)) return true;
      goto resume;
    }
    copy_value(R[-1], A);
    --depth_;
    --frame;
    pc = frame->pc;
    R = stack_ + frame->base;
    K = frame->constants;
    NEXT;
  }

  // ---- events
  OP(EventVar) {
    TRY(event_var(static_cast<schema::BuiltinVar>(pc->imm), &A));
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
    TRY(register_handler(static_cast<bytecode::HandlerKind>(pc->b), three[0], three[1], three[2]));
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
