// Unit test of the interpreter with chunks assembled by hand: each group of instructions, calls and
// closures, run-time errors with their traces, budgets, shared variables and table backings.
#include "vm/vm.h"

#include <cmath>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "runtime/shared_variable.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "runtime/text.h"
#include "vm/fake_host.h"

namespace ktap::vm {
namespace {

using bytecode::Builtin;
using bytecode::Op;
using bytecode::UpdateOp;
using runtime::Table;
using runtime::Value;
using testing::Assembler;
using testing::FakeEvent;
using testing::Program;

Value i(int64_t x) { return Value::of(x); }
int op(UpdateOp update) { return static_cast<int>(update); }

/// Main stores into global 1 what the function under test is; the test then calls it.
Value global(Program& run, size_t slot = 1) { return run.vm->globals()[slot]; }

TEST(Vm, LoadsAndPrints) {
  Assembler a("main");
  int text = a.constant(std::string("kernel"));
  int number = a.constant(2.5);
  a.builtin(0, Builtin::Print)
      .as(Op::LoadInt, 1, -7)
      .ad(Op::LoadK, 2, text)
      .ad(Op::LoadK, 3, number);
  a.abc(Op::LoadBool, 4, 1).abc(Op::LoadNil, 5, 1).abc(Op::Move, 7, 1).call(0, 7, 0).ret();
  Program run(a);
  EXPECT_EQ(run.main(), "");
  EXPECT_EQ(run.host.output(), "-7\tkernel\t2.5\ttrue\tnil\tnil\t-7\n");
  EXPECT_EQ(run.host.writes.size(), 1u);
}

TEST(Vm, Arguments) {
  Assembler a("main");
  a.ret();
  Program run(a, {"t.kp", "12", "-3", "1x", "", "9223372036854775808"});
  EXPECT_EQ(run.main(), "");
  EXPECT_EQ(runtime::to_text(global(run, 0)),
            "0: t.kp\n1: 12\n2: -3\n3: 1x\n4: \n5: 9223372036854775808");
  EXPECT_TRUE(global(run, 0).table()->get(i(1)).is_integer());
  EXPECT_FALSE(global(run, 0).table()->get(i(5)).is_integer());
}

TEST(Vm, TestsSkipTheJump) {
  // R0 = 1 < 2 ? 10 : 20, and the reverse through C = 0.
  for (int sense : {1, 0}) {
    Assembler a("main");
    a.as(Op::LoadInt, 1, 1).as(Op::LoadInt, 2, 2).abc(Op::TestLt, 1, 2, sense).jump(2);
    a.as(Op::LoadInt, 0, 20).jump(1).as(Op::LoadInt, 0, 10).ad(Op::SetGlobal, 0, 1).ret();
    Program run(a);
    EXPECT_EQ(run.main(), "");
    EXPECT_EQ(global(run).integer, sense == 1 ? 10 : 20);
  }
}

TEST(Vm, ForLoopAtTheEdgeOfTheRange) {
  Assembler a("main");
  int near_max = a.constant(INT64_MAX - 1);
  int max = a.constant(INT64_MAX);
  a.ad(Op::LoadK, 0, near_max).ad(Op::LoadK, 1, max).as(Op::LoadInt, 2, 1);
  a.as(Op::LoadInt, 4, 0).ad(Op::SetGlobal, 4, 1).as(Op::LoadInt, 4, 1);
  a.as(Op::ForPrep, 0, 2)
      .abc(Op::UpdateGlobal, 1, 4, op(UpdateOp::Add))
      .as(Op::ForLoop, 0, -2)
      .ret();
  Program run(a);
  EXPECT_EQ(run.main(), "");
  EXPECT_EQ(global(run).integer, 2);
}

TEST(Vm, ForLoopDownwardsFromMinIsOneRound) {
  Assembler a("main");
  int min = a.constant(INT64_MIN);
  a.ad(Op::LoadK, 0, min).ad(Op::LoadK, 1, min).ad(Op::LoadK, 2, min);
  a.as(Op::LoadInt, 4, 0).ad(Op::SetGlobal, 4, 1).as(Op::LoadInt, 4, 1);
  a.as(Op::ForPrep, 0, 2)
      .abc(Op::UpdateGlobal, 1, 4, op(UpdateOp::Add))
      .as(Op::ForLoop, 0, -2)
      .ret();
  Program run(a);
  EXPECT_EQ(run.main(), "");
  EXPECT_EQ(global(run).integer, 1);
}

TEST(Vm, EmptyAndBadForLoops) {
  auto loop = [](Value first, Value last, Value step) {
    Assembler a("main");
    int n = 0;
    for (Value v : {first, last, step}) {
      bytecode::Constant constant = v.is_nil() ? bytecode::Constant()
                                    : v.type == runtime::Type::Float
                                        ? bytecode::Constant(v.number)
                                        : bytecode::Constant(v.integer);
      a.ad(Op::LoadK, n++, a.constant(constant));
    }
    a.as(Op::LoadInt, 4, 0).ad(Op::SetGlobal, 4, 1).as(Op::LoadInt, 4, 1);
    a.as(Op::ForPrep, 0, 2)
        .abc(Op::UpdateGlobal, 1, 4, op(UpdateOp::Add))
        .as(Op::ForLoop, 0, -2)
        .ret();
    Program run(a);
    std::string error = run.main();
    return error.empty() ? std::to_string(global(run).integer) : error;
  };
  EXPECT_EQ(loop(i(1), i(0), i(1)), "0");
  EXPECT_EQ(loop(i(0), i(1), i(-1)), "0");
  EXPECT_EQ(loop(i(INT64_MIN), i(INT64_MAX), i(INT64_MAX)), "3");
  EXPECT_EQ(loop(Value::of(0.0), i(1), Value::of(0.25)), "5");
  EXPECT_EQ(loop(i(INT64_MAX - 1), Value::of(0x1p63), i(1)), "2");
  EXPECT_EQ(loop(i(INT64_MIN + 1), Value::of(-0x1.8p63), i(-1)), "2");
  EXPECT_EQ(loop(i(INT64_MIN), Value::of(-INFINITY), i(1)), "0");
  EXPECT_EQ(loop(i(INT64_MAX), Value::of(INFINITY), i(-1)), "0");
  EXPECT_EQ(loop(i(INT64_MIN), Value::of(-0x1p63), i(-1)), "1");
  EXPECT_EQ(loop(i(0), Value::of(-2.5), i(-1)), "3");
  EXPECT_EQ(loop(i(0), Value::of(std::nan("")), i(1)), "0");
  EXPECT_EQ(loop(i(1), i(3), i(0)), "the step of a for is 0");
  EXPECT_EQ(loop(i(1), i(3), Value::of(0.0)), "the step of a for is 0");
  EXPECT_EQ(loop(i(1), Value::nil(), i(1)), "the last value of a for is nil, not a number");
}

TEST(Vm, ClosuresShareTheirVariable) {
  // main: var n (R0); add = function () { n += 1; return n }; g = add
  Assembler add("add");
  add.upvalue(true, 0);
  add.as(Op::LoadInt, 0, 1)
      .abc(Op::UpdateUpval, 0, 0, op(UpdateOp::Add))
      .abc(Op::GetUpval, 0, 0)
      .ret(0, 1);
  Assembler a("main");
  int child = a.child(add);
  a.as(Op::LoadInt, 0, 5).ad(Op::Closure, 1, child).ad(Op::SetGlobal, 1, 1);
  a.abc(Op::Move, 2, 1)
      .call(2, 0, 1)
      .builtin(3, Builtin::Print)
      .abc(Op::Move, 4, 0)
      .call(3, 1, 0)
      .ret();
  Program run(a);
  EXPECT_EQ(run.main(), "");
  EXPECT_EQ(run.host.output(), "6\n");  // open: main sees the change in its register
  EXPECT_EQ(run.call(global(run)), "");
  EXPECT_EQ(run.result.integer, 7);  // closed: the cell lives on
  EXPECT_EQ(run.call(global(run)), "");
  EXPECT_EQ(run.result.integer, 8);
}

TEST(Vm, CloseGivesEachRoundItsOwnVariable) {
  Assembler get("");
  get.upvalue(true, 3);
  get.abc(Op::GetUpval, 0, 0).ret(0, 1);
  Assembler a("main");
  int child = a.child(get);
  a.abc(Op::NewTable, 4).as(Op::LoadInt, 0, 1).as(Op::LoadInt, 1, 3).as(Op::LoadInt, 2, 1);
  a.as(Op::ForPrep, 0, 4).ad(Op::Closure, 5, child).abc(Op::SetIndex, 4, 3, 5).abc(Op::Close, 3);
  a.as(Op::ForLoop, 0, -4).ad(Op::SetGlobal, 4, 1).ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  for (int64_t n = 1; n <= 3; ++n) {
    EXPECT_EQ(run.call(global(run).table()->get(i(n))), "");
    EXPECT_EQ(run.result.integer, n);
  }
}

TEST(Vm, ResultsAreFilledAndCut) {
  Assembler three("three");
  three.as(Op::LoadInt, 0, 1).as(Op::LoadInt, 1, 2).as(Op::LoadInt, 2, 3).ret(0, 3);
  Assembler a("main");
  int child = a.child(three);
  a.builtin(0, Builtin::Print).ad(Op::Closure, 1, child).call(1, 0, 5).call(0, 5, 0);
  a.builtin(0, Builtin::Print).ad(Op::Closure, 1, child).call(1, 0, 1).call(0, 1, 0);
  a.builtin(0, Builtin::Print)
      .ad(Op::Closure, 1, child)
      .abc(Op::Call, 1, 1, 0)
      .abc(Op::Call, 0, 0, 1);
  a.abc(Op::NewTable, 0).ad(Op::Closure, 1, child).abc(Op::Call, 1, 1, 0).abc(Op::SetList, 0, 0, 1);
  a.ad(Op::SetGlobal, 0, 1).ret();
  Program run(a);
  EXPECT_EQ(run.main(), "");
  EXPECT_EQ(run.host.output(), "1\t2\t3\tnil\tnil\n1\n1\t2\t3\n");
  EXPECT_EQ(runtime::to_text(global(run)), "51: 1\n52: 2\n53: 3");
}

TEST(Vm, MissingArgumentsAreNilAndExtraOnesDropped) {
  Assembler f("f", 8, 2);
  f.builtin(2, Builtin::Print).abc(Op::Move, 3, 0).abc(Op::Move, 4, 1).call(2, 2, 0).ret();
  Assembler a("main");
  int child = a.child(f);
  a.ad(Op::Closure, 0, child).as(Op::LoadInt, 1, 1).call(0, 1, 0);
  a.ad(Op::Closure, 0, child)
      .as(Op::LoadInt, 1, 1)
      .as(Op::LoadInt, 2, 2)
      .as(Op::LoadInt, 3, 3)
      .call(0, 3, 1);
  a.builtin(1, Builtin::Print).abc(Op::Move, 2, 0).call(1, 1, 0).ret();
  Program run(a);
  EXPECT_EQ(run.main(), "");
  EXPECT_EQ(run.host.output(), "1\tnil\n1\t2\nnil\n");
}

/// f(n): n == 0 ? "done" : f(n - 1), as a tail call or as a call with something behind it.
void build_countdown(Assembler& f, bool tail) {
  int one = f.constant(int64_t{1});
  int zero = f.constant(int64_t{0});
  f.abc(Op::TestEqK, 0, zero, 1).jump(tail ? 3 : 4);
  f.ad(Op::GetGlobal, 1, 1).abc(Op::SubK, 2, 0, one);
  if (tail) {
    f.abc(Op::TailCall, 1, 2);
  } else {
    f.call(1, 1, 1).ret(1, 1);
  }
  f.as(Op::LoadInt, 0, 99).ret(0, 1);
}

TEST(Vm, TailCallsTakeNoDepth) {
  Assembler f("f", 8, 1);
  build_countdown(f, true);
  Assembler a("main");
  a.ad(Op::Closure, 0, a.child(f)).ad(Op::SetGlobal, 0, 1).ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  EXPECT_EQ(run.call(global(run), {i(1000000)}), "");
  EXPECT_EQ(run.result.integer, 99);
  Budget budget;
  budget.iterations = 1000;
  EXPECT_EQ(run.call(global(run), {i(1000)}, budget), "");
  EXPECT_EQ(run.call(global(run), {i(1001)}, budget),
            "more than 1000 loop iterations in one run (a tail call counts as one)");
}

TEST(Vm, CallDepthAtItsEdge) {
  Assembler f("f", 8, 1);
  build_countdown(f, false);
  Assembler a("main");
  a.ad(Op::Closure, 0, a.child(f)).ad(Op::SetGlobal, 0, 1).ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  Budget budget;
  budget.call_depth = 200;
  EXPECT_EQ(run.call(global(run), {i(199)}, budget), "");
  EXPECT_EQ(run.call(global(run), {i(200)}, budget), "call depth over 200");
  EXPECT_EQ(run.call(global(run), {i(199999)}), "");
  EXPECT_EQ(run.result.integer, 99);
  EXPECT_EQ(run.call(global(run), {i(200000)}), "call depth over 200000");
  ASSERT_EQ(run.error->trace.size(), 200000u);
  EXPECT_EQ(run.error->trace[0].function, "f");
}

TEST(Vm, IterationsAtTheirEdge) {
  // f(n): for (i = 1, n) { }
  Assembler f("f", 8, 1);
  f.as(Op::LoadInt, 1, 1).abc(Op::Move, 2, 0).as(Op::LoadInt, 3, 1);
  f.as(Op::ForPrep, 1, 1).as(Op::ForLoop, 1, -1).ret();
  // h(n): while (n > 0) { n-- }
  Assembler h("h", 8, 1);
  int one = h.constant(int64_t{1});
  h.as(Op::LoadInt, 1, 0).abc(Op::TestLt, 1, 0, 1).jump(1).ret().abc(Op::SubK, 0, 0, one).jump(-5);
  Assembler a("main");
  a.ad(Op::Closure, 0, a.child(f))
      .ad(Op::SetGlobal, 0, 1)
      .ad(Op::Closure, 0, a.child(h))
      .ad(Op::SetGlobal, 0, 2);
  a.ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  Budget budget;
  budget.iterations = 100000;
  for (size_t slot : {1, 2}) {
    EXPECT_EQ(run.call(global(run, slot), {i(100000)}, budget), "") << slot;
    EXPECT_EQ(run.call(global(run, slot), {i(100001)}, budget),
              "more than 100000 loop iterations in one run")
        << slot;
    EXPECT_EQ(run.call(global(run, slot), {i(100001)}), "") << slot;
  }
}

TEST(Vm, InterruptEndsALoop) {
  Assembler f("f");
  f.jump(-1);
  Assembler a("main");
  a.ad(Op::Closure, 0, a.child(f)).ad(Op::SetGlobal, 0, 1).ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  run.vm->interrupt();
  EXPECT_EQ(run.call(global(run)), "interrupted");
}

TEST(Vm, ErrorsHavePlaceAndTrace) {
  Assembler inner("inner");
  inner.abc(Op::LoadNil, 0).abc(Op::Add, 0, 0, 0).ret();
  Assembler outer("");
  outer.ad(Op::GetGlobal, 0, 1).call(0, 0, 0).ret();
  Assembler a("main");
  a.ad(Op::Closure, 0, a.child(inner))
      .ad(Op::SetGlobal, 0, 1)
      .ad(Op::Closure, 0, a.child(outer))
      .call(0, 0, 0)
      .ret();
  Program run(a);
  EXPECT_EQ(run.main(), "'+' takes numbers, got nil and nil");
  EXPECT_EQ(run.error->place.line, 2u);
  ASSERT_EQ(run.error->trace.size(), 3u);
  EXPECT_EQ(run.error->trace[0].function, "inner");
  EXPECT_EQ(run.error->trace[0].place.line, 2u);
  EXPECT_EQ(run.error->trace[1].function, "");
  EXPECT_EQ(run.error->trace[1].place.line, 2u);
  EXPECT_EQ(run.error->trace[2].function, "main");
  EXPECT_EQ(run.error->trace[2].place.line, 4u);
  EXPECT_EQ(run.call(global(run)),
            "'+' takes numbers, got nil and nil");  // and the machine still works
}

TEST(Vm, ExitUnwinds) {
  Assembler f("f");
  f.builtin(0, Builtin::Exit).as(Op::LoadInt, 1, 3).call(0, 1, 0).ret();
  Assembler a("main");
  a.ad(Op::Closure, 0, a.child(f))
      .ad(Op::SetGlobal, 0, 1)
      .call(0, 0, 0)
      .builtin(0, Builtin::Print)
      .call(0, 0, 0)
      .ret();
  Program run(a);
  EXPECT_EQ(run.main(), "");
  EXPECT_TRUE(run.vm->exited());
  EXPECT_EQ(run.host.exit_status, "3");
  EXPECT_EQ(run.host.output(), "");
  Value print = Value::of_builtin(static_cast<uint16_t>(Builtin::Print));
  EXPECT_EQ(run.call(print, {i(1)}), "");  // a trace_end after exit()
  EXPECT_EQ(run.host.output(), "1\n");
}

TEST(Vm, TablesAndTuples) {
  Assembler a("main");
  int name = a.constant(std::string("name"));
  a.abc(Op::NewTable, 0, 2, 2)
      .ad(Op::LoadK, 1, name)
      .as(Op::LoadInt, 2, 5)
      .abc(Op::SetField, 0, name, 2);
  a.abc(Op::GetIndex, 3, 0, 1).abc(Op::GetField, 4, 0, name).abc(Op::Tuple, 5, 1, 2);
  a.as(Op::LoadInt, 6, 1)
      .abc(Op::UpdateIndex, 0, 5, op(UpdateOp::Add))
      .abc(Op::UpdateIndex, 0, 5, op(UpdateOp::Sub));
  a.abc(Op::UpdateIndex, 0, 5, op(UpdateOp::Add))
      .abc(Op::GetIndex, 7, 0, 5)
      .abc(Op::GetIndex, 8, 5, 6);
  a.builtin(2, Builtin::Print).call(2, 6, 0).ret();
  Program run(a);
  EXPECT_EQ(run.main(), "");
  EXPECT_EQ(run.host.output(), "5\t5\tname, 5\t1\t1\tname\n");
}

TEST(Vm, UpdateOfAnAbsentCell) {
  auto update = [](UpdateOp update_op) {
    Assembler a("main");
    a.abc(Op::NewTable, 0)
        .as(Op::LoadInt, 1, 7)
        .as(Op::LoadInt, 2, 3)
        .abc(Op::UpdateIndex, 0, 1, op(update_op));
    a.abc(Op::GetIndex, 3, 0, 1).ad(Op::SetGlobal, 3, 1).ret();
    Program run(a);
    std::string error = run.main();
    return error.empty() ? runtime::to_text(global(run)) : "error";
  };
  EXPECT_EQ(update(UpdateOp::Add), "3");
  EXPECT_EQ(update(UpdateOp::Sub), "-3");
  EXPECT_EQ(update(UpdateOp::BitOr), "3");
  EXPECT_EQ(update(UpdateOp::BitXor), "3");
  for (UpdateOp other : {UpdateOp::BitAnd, UpdateOp::Mul, UpdateOp::Div, UpdateOp::Mod,
                         UpdateOp::Shl, UpdateOp::Shr, UpdateOp::Concat}) {
    EXPECT_EQ(update(other), "error") << op(other);
  }
}

TEST(Vm, BadKeysAndObjects) {
  auto run_with = [](const std::function<void(Assembler&)>& build) {
    Assembler a("main");
    build(a);
    a.ret();
    Program run(a);
    return run.main();
  };
  EXPECT_EQ(run_with([](Assembler& a) {
              a.abc(Op::NewTable, 0).abc(Op::LoadNil, 1, 1).abc(Op::SetIndex, 0, 1, 2);
            }),
            "nil cannot be a key");
  EXPECT_EQ(
      run_with([](Assembler& a) {
        a.abc(Op::NewTable, 0).as(Op::LoadInt, 1, 1).abc(Op::NewTable, 2).abc(Op::Tuple, 1, 1, 2);
        a.as(Op::LoadInt, 2, 1).abc(Op::UpdateIndex, 0, 1, op(UpdateOp::Add));
      }),
      "a table cannot be a part of a key");
  EXPECT_EQ(run_with([](Assembler& a) {
              a.as(Op::LoadInt, 0, 1)
                  .as(Op::LoadInt, 1, 1)
                  .abc(Op::Tuple, 0, 0, 2)
                  .abc(Op::Tuple, 0, 0, 2);
            }),
            "a multi-key cannot be a part of another one");
  EXPECT_EQ(run_with([](Assembler& a) { a.as(Op::LoadInt, 0, 1).abc(Op::GetIndex, 0, 0, 0); }),
            "cannot index an integer");
  EXPECT_EQ(run_with([](Assembler& a) { a.abc(Op::LoadNil, 0).call(0, 0, 0); }), "cannot call nil");
  EXPECT_EQ(run_with([](Assembler& a) { a.abc(Op::LoadNil, 0).abc(Op::IterPrep, 0, 0); }),
            "pairs takes a table, got nil");
  EXPECT_EQ(run_with([](Assembler& a) { a.builtin(0, Builtin::Len).call(0, 0, 1); }),
            "'len' takes 1 argument, got 0");
}

TEST(Vm, GlobalSharedWithTheKernel) {
  int64_t word = 40;
  Assembler f("f");
  f.as(Op::LoadInt, 0, 2).abc(Op::UpdateGlobal, 1, 0, op(UpdateOp::Add));
  f.abc(Op::UpdateGlobal, 1, 0, op(UpdateOp::Mul)).ad(Op::GetGlobal, 1, 1).ret(1, 1);
  Assembler g("g");
  int half = g.constant(0.5);
  g.ad(Op::LoadK, 0, half).ad(Op::SetGlobal, 0, 1).ret();
  Assembler a("main");
  a.ad(Op::Closure, 0, a.child(f))
      .ad(Op::SetGlobal, 0, 2)
      .ad(Op::Closure, 0, a.child(g))
      .ad(Op::SetGlobal, 0, 1)
      .ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  Value store_float = global(run, 1);
  run.vm->add_roots([store_float](runtime::Heap& heap) { heap.mark(store_float); });
  run.vm->globals()[1] = Value::of_shared(&word);
  EXPECT_EQ(run.call(global(run, 2)), "");
  EXPECT_EQ(run.result.integer, 84);
  EXPECT_EQ(word, 84);
  EXPECT_EQ(run.call(store_float),
            "a variable that handlers in the kernel share holds integers, got a float");
  EXPECT_EQ(word, 84);
}

using ChangedBy = runtime::SharedWord::ChangedBy;

TEST(Vm, AssigningASumKeepsWhatWasAddedSinceItWasRead) {
  int64_t word = 40;
  uint64_t handler_run = 1;
  runtime::SharedWord sum(&word, ChangedBy::Sum, [&] { return handler_run; });
  EXPECT_EQ(sum.load().integer, 40);
  word += 2;
  EXPECT_TRUE(sum.store(Value::of(int64_t{0})));
  EXPECT_EQ(word, 2);
  word += 5;
  EXPECT_TRUE(sum.store(Value::of(int64_t{100})));  // it has seen 0
  EXPECT_EQ(word, 107);
  EXPECT_FALSE(sum.store(Value::of(1.5)));
  ++handler_run;
  EXPECT_TRUE(sum.store(Value::of(int64_t{3})));  // not read in this run
  EXPECT_EQ(word, 3);
}

TEST(Vm, AssigningKeepsTheBitsThatHaveChangedSinceTheyWereRead) {
  int64_t word = 6;
  const auto run = [] { return uint64_t{1}; };
  runtime::SharedWord mask(&word, ChangedBy::Mask, run);
  EXPECT_EQ(mask.load().integer, 6);
  word = (word | 1) & ~4;
  EXPECT_TRUE(mask.store(Value::of(int64_t{8})));
  EXPECT_EQ(word, 9);
  runtime::SharedWord toggle(&word, ChangedBy::Toggle, run);
  EXPECT_EQ(toggle.load().integer, 9);
  word ^= 3;
  EXPECT_TRUE(toggle.store(Value::of(int64_t{0})));
  EXPECT_EQ(word, 3);
}

TEST(Vm, CapturedVariableSharedWithTheKernel) {
  int64_t word = 1;
  Assembler f("f");
  f.upvalue(true, 0);
  f.as(Op::LoadInt, 0, 4).abc(Op::UpdateUpval, 0, 0, op(UpdateOp::BitOr)).abc(Op::GetUpval, 1, 0);
  f.as(Op::LoadInt, 0, 9).abc(Op::SetUpval, 0, 0).ret(1, 1);
  Assembler a("main");
  a.abc(Op::LoadNil, 0).ad(Op::Closure, 1, a.child(f)).ad(Op::SetGlobal, 1, 1).ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  *global(run).closure()->upvalues[0]->slot = Value::of_shared(&word);
  EXPECT_EQ(run.call(global(run)), "");
  EXPECT_EQ(run.result.integer, 5);
  EXPECT_EQ(word, 9);
}

/// Notes every call.
struct FakeBacking : runtime::TableBacking {
  void before_read(Table& table) override {
    log += 'r';
    table.set(Value::of(int64_t{7}), Value::of(int64_t{70}));
  }
  void on_clear(Table& table) override { log += "c" + std::to_string(table.size()); }
  Result<void> on_set(Table& table, Value key, Value value) override {
    log += "s" + runtime::to_text(key) + "=" + runtime::to_text(value) + "(" +
           runtime::to_text(table.get(key)) + ")";
    return {};
  }
  std::string log;
};

TEST(Vm, TableBacking) {
  Assembler f("f");
  f.ad(Op::GetGlobal, 0, 2).as(Op::LoadInt, 1, 7).abc(Op::GetIndex, 3, 0, 1);  // r
  f.as(Op::LoadInt, 2, 5).abc(Op::UpdateIndex, 0, 1, op(UpdateOp::Add));       // r s7=75(70)
  f.builtin(4, Builtin::Delete).abc(Op::Move, 5, 0).abc(Op::Move, 6, 1).call(4, 2, 0);  // r s7=nil
  f.builtin(4, Builtin::Len).abc(Op::Move, 5, 0).call(4, 1, 1);                         // r
  f.builtin(5, Builtin::Delete).abc(Op::Move, 6, 0).call(5, 1, 0);                      // r c1
  f.ret(3, 2);
  Assembler a("main");
  a.ad(Op::Closure, 0, a.child(f))
      .ad(Op::SetGlobal, 0, 1)
      .abc(Op::NewTable, 0)
      .ad(Op::SetGlobal, 0, 2)
      .ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  FakeBacking backing;
  global(run, 2).table()->backing = &backing;
  EXPECT_EQ(run.call(global(run)), "");
  EXPECT_EQ(run.result.integer, 70);
  EXPECT_EQ(backing.log, "rrs7=75(70)rs7=nil(70)rrc1");
  backing.log.clear();
  std::string text;
  EXPECT_EQ(run.vm->format_output(Builtin::Print, {global(run, 2)}, &text), std::nullopt);
  EXPECT_EQ(text, "7: 70\n");
  EXPECT_EQ(backing.log, "r");
  text.clear();
  EXPECT_EQ(run.vm->format_output(Builtin::PrintHist, {global(run, 2)}, &text), std::nullopt);
  EXPECT_EQ(backing.log, "rr");
}

TEST(Vm, Events) {
  Assembler f("f", 16, 1);
  int name = f.constant(std::string("name"));
  int fd = f.constant(std::string("fd"));
  int tostring = f.constant(std::string("tostring"));
  int bash = f.constant(std::string("bash"));
  f.builtin(1, Builtin::Print).ad(Op::EventVar, 2, static_cast<int>(schema::BuiltinVar::Pid));
  f.abc(Op::GetField, 3, 0, name).ad(Op::EventField, 4, name).abc(Op::GetField, 5, 0, fd);
  f.ad(Op::EventWord, 6, fd)
      .ad(Op::EventWord, 7, bash)
      .abc(Op::Move, 8, 0)
      .abc(Op::GetField, 9, 0, tostring);
  f.call(9, 0, 1).call(1, 8, 0).ret();
  Assembler missing("missing", 4, 1);
  int nothing = missing.constant(std::string("nothing"));
  missing.abc(Op::GetField, 0, 0, nothing).ret();
  Assembler a("main");
  a.ad(Op::Closure, 0, a.child(f))
      .ad(Op::SetGlobal, 0, 1)
      .ad(Op::Closure, 0, a.child(missing))
      .ad(Op::SetGlobal, 0, 2);
  a.ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  EXPECT_EQ(run.call(global(run), {Value::event()}),
            "'pid' has a value in handlers of events only");
  FakeEvent event(run.vm->heap());
  run.host.current_event = &event;
  EXPECT_EQ(run.call(global(run), {Value::event()}), "");
  EXPECT_EQ(run.host.output(),
            "42\tsys_enter_read\tthe field\t3\t3\tbash\tsys_read(fd: 3)\tsys_read(fd: 3)\n\n");
  EXPECT_EQ(run.call(global(run, 2), {Value::event()}), "the event has no field 'nothing'");
}

TEST(Vm, RegisterHandlers) {
  Assembler f("f");
  f.ret();
  Assembler a("main");
  int text = a.constant(std::string("sched:sched_switch"));
  a.ad(Op::LoadK, 0, text).abc(Op::LoadNil, 1).ad(Op::Closure, 2, a.child(f));
  a.abc(Op::Register, 0, static_cast<int>(bytecode::HandlerKind::Event)).ad(Op::Closure, 0, 0);
  a.abc(Op::Register, 0, static_cast<int>(bytecode::HandlerKind::Event)).ret();
  Program run(a);
  EXPECT_EQ(run.main(), "an event text is a string, got a function");
  ASSERT_EQ(run.host.handlers.size(), 1u);
  EXPECT_EQ(run.host.handlers[0].text, "sched:sched_switch");
  EXPECT_TRUE(run.host.handlers[0].filter.is_nil());
  EXPECT_EQ(run.host.last_place.line, 4u);
}

TEST(Vm, RefusedRegistrationIsARunTimeError) {
  Assembler a("main");
  int text = a.constant(std::string("tick-1s"));
  a.ad(Op::LoadK, 0, text).abc(Op::LoadNil, 1).builtin(2, Builtin::Print);
  a.abc(Op::Register, 0, static_cast<int>(bytecode::HandlerKind::Tick)).ret();
  Program run(a);
  run.host.refusal = "cannot register a handler inside a handler";
  EXPECT_EQ(run.main(), "cannot register a handler inside a handler");
}

TEST(Vm, AFilterIsAFunction) {
  Assembler a("main");
  int text = a.constant(std::string("sched:sched_switch"));
  a.ad(Op::LoadK, 0, text).as(Op::LoadInt, 1, 7).builtin(2, Builtin::Print);
  a.abc(Op::Register, 0, static_cast<int>(bytecode::HandlerKind::Event)).ret();
  Program run(a);
  EXPECT_EQ(run.main(), "a filter is a function, got an integer");
  EXPECT_TRUE(run.host.handlers.empty());
}

TEST(Vm, MakeClosureOfALaterFunction) {
  Assembler a("main");
  a.as(Op::LoadInt, 0, 5).ad(Op::SetGlobal, 0, 1).ret();
  Program run(a);
  ASSERT_EQ(run.main(), "");
  Assembler filter("");
  filter.ad(Op::GetGlobal, 0, 1).abc(Op::TestEqK, 0, filter.constant(int64_t{5}), 1).jump(2);
  filter.abc(Op::LoadBool, 0, 0).jump(1).abc(Op::LoadBool, 0, 1).ret(0, 1);
  auto function = filter.take();
  Value closure = run.vm->make_closure(*function);
  EXPECT_EQ(run.call(closure), "");
  EXPECT_TRUE(run.result.truthy());
}

TEST(Vm, RootsOfTheHostSurvive) {
  Assembler a("main");
  a.as(Op::LoadInt, 0, 1).as(Op::LoadInt, 1, 2000).as(Op::LoadInt, 2, 1);
  a.as(Op::ForPrep, 0, 2).abc(Op::NewTable, 4, 100, 100).as(Op::ForLoop, 0, -2).ret();
  Program run(a);
  Value kept = run.vm->heap().string("kept by the host");
  run.vm->add_roots([&kept](runtime::Heap& heap) { heap.mark(kept); });
  size_t before = run.vm->heap().object_count();
  EXPECT_EQ(run.main(), "");
  EXPECT_EQ(kept.string()->view(), "kept by the host");
  EXPECT_LT(run.vm->heap().object_count(), before + 1500);  // the loop's tables went
}

TEST(Vm, FormatOutputReportsMistakes) {
  Assembler a("main");
  a.ret();
  Program run(a);
  std::string text;
  EXPECT_EQ(run.vm->format_output(Builtin::Printf, {run.vm->heap().string("%d\n"), i(3)}, &text),
            std::nullopt);
  EXPECT_EQ(text, "3\n");
  auto error = run.vm->format_output(
      Builtin::Printf, {run.vm->heap().string("%d\n"), run.vm->heap().string("x")}, &text);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(*error, "'%d' takes an integer, argument 1 is a string");
}

}  // namespace
}  // namespace ktap::vm
