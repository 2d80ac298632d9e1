// Which loops are known, what form each gets, and what the code of a form has in it.
#include "backend/loops.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "backend/test_support.h"
#include "bpf/disassembler.h"

namespace ktap::backend::testing_support {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// for (i = first; i TEST limit; i += step) c0 += i, with a guard in each round; the limit is the
/// shared variable c1 when it is not known.
void counting(Subject& s, int64_t first, Op test, std::optional<int64_t> limit, int64_t step,
              Op guard = Op::LoopGuard, int additions = 1) {
  s.module.cells = {"c0", "c1"};
  s.cells = {0, 9};
  s.module.failures.push_back({"too many"});
  Builder& b = s.builder;
  const BlockId entry = b.block(), head = b.block(), body = b.block(), done = b.block();
  b.at(entry);
  const ValueId from = b.integer(first);
  const ValueId to = limit ? b.integer(*limit) : b.op(Op::CellGet, {}, 1);
  b.jump(head);
  b.at(head);
  const ValueId i = b.op(Op::Phi, {from}, 0, Type::Int);
  b.branch(b.op(test, {i, to}), body, done);
  b.at(body);
  b.op(guard, {}, 0);
  for (int k = 0; k < additions; ++k) b.op(Op::CellAdd, {i}, 0);
  const ValueId next = b.op(Op::Add, {i, b.integer(step)});
  b.jump(head);
  b.function[i].operands.push_back(next);
  b.at(done).ret();
}

/// do { c0 += i; i += step; with `inner`, a loop of unknown rounds, which has made the test } while
/// (i > 0), by `Sub` when `step` is below 0.
void counting_down(Subject& s, int64_t first, int64_t step, bool inner) {
  s.module.cells = {"c0", "c1"};
  s.cells = {0, 9};
  s.module.failures.push_back({"too many"});
  Builder& b = s.builder;
  const BlockId entry = b.block(), head = b.block(), done = b.block();
  b.at(entry);
  const ValueId from = b.integer(first);
  const ValueId zero = b.integer(0);
  b.jump(head);
  b.at(head);
  const ValueId i = b.op(Op::Phi, {from}, 0, Type::Int);
  const ValueId next =
      step < 0 ? b.op(Op::Sub, {i, b.integer(-step)}) : b.op(Op::Add, {i, b.integer(step)});
  ValueId ends;
  if (inner) {
    const BlockId around = b.block(), behind = b.block();
    b.jump(around);
    b.at(around);
    b.op(Op::LoopGuard, {}, 0);
    ends = b.op(Op::Le, {next, zero});
    b.branch(b.op(Op::Le, {b.op(Op::CellGet, {}, 1), i}), around, behind);
    b.at(behind);
  } else {
    ends = b.op(Op::Le, {next, zero});
  }
  const BlockId body = b.block();
  b.branch(ends, done, body);
  b.at(body);
  b.op(Op::LoopGuard, {}, 0);
  b.op(Op::CellAdd, {i}, 0);
  b.jump(head);
  b.function[i].operands.push_back(next);
  b.at(done).ret();
}

Loops loops_of(Subject& s) {
  EXPECT_EQ(ssa::verify(s.builder.function, s.module), "");
  return find_loops(s.builder.function, order_blocks(s.builder.function), s.facts);
}

TEST(Loops, TheValueOfTheNextRoundMayBeTested) {
  for (const auto& [first, step, rounds] :
       {std::tuple{4, -1, 4u}, {4, -3, 2u}, {-4, 1, 1u}, {-1, -1, 1u}}) {
    Subject s;
    counting_down(s, first, step, false);
    const Loops loops = loops_of(s);
    ASSERT_EQ(loops.loops.size(), 1u);
    EXPECT_EQ(loops.loops[0].rounds, rounds) << first << " by " << step;
    EXPECT_TRUE(loops.loops[0].is_plain);
  }
}

TEST(Loops, ATestThatAnInnerLoopHidesEndsNoPlainLoop) {
  Subject s;
  counting_down(s, 4, -1, true);
  s.facts.has_may_goto = true;
  const Loops loops = loops_of(s);
  ASSERT_EQ(loops.loops.size(), 2u);
  EXPECT_EQ(loops.loops[0].rounds, 4u);
  EXPECT_FALSE(loops.loops[0].is_plain);
}

TEST(Loops, ManyWaysThroughATableAreNotWalkedRoundByRound) {
  for (const TableLayout layout : {TableLayout::Direct, TableLayout::PerCpu}) {
    for (const bool has_may_goto : {true, false}) {
      Subject s;
      s.facts.has_may_goto = has_may_goto;
      counting(s, 0, Op::Lt, 20, 1);
      s.add_table({{ssa::KeyPart::Kind::Int, 8}}, false);
      ssa::Function& f = s.builder.function;
      for (ssa::Block& block : f.blocks) {  // the sum goes to a table
        for (const ValueId id : block.insts) {
          if (f[id].op != Op::CellAdd) continue;
          const ValueId i = f[id].operands[0];
          f[id].op = Op::TableAdd;
          f[id].operands = {i, i};
        }
      }
      Table table;
      table.layout = layout;
      const std::vector<Table> tables{table};
      EXPECT_EQ(ssa::verify(f, s.module), "");
      const Loops loops = find_loops(f, order_blocks(f), s.facts, &tables);
      EXPECT_EQ(loops.loops[0].is_plain, layout == TableLayout::Direct || !has_may_goto);
    }
  }
}

TEST(Loops, RoundsBetweenConstantsAreCounted) {
  const struct {
    int64_t first;
    Op test;
    int64_t limit, step;
    uint64_t rounds;  // of the head: one more than of the body
  } cases[] = {
      {0, Op::Lt, 5, 1, 6},  {0, Op::Lt, 5, 2, 4},         {5, Op::Lt, 5, 1, 1},
      {0, Op::Le, 5, 1, 7},  {1, Op::Ne, 10, 3, 4},        {1, Op::Ne, 9, 3, 0},
      {0, Op::Lt, 5, -1, 0}, {0, Op::Lt, 70000, 1, 70001},
  };
  for (const auto& c : cases) {
    Subject s;
    counting(s, c.first, c.test, c.limit, c.step);
    const Loops loops = loops_of(s);
    ASSERT_EQ(loops.loops.size(), 1u);
    EXPECT_EQ(loops.loops[0].rounds, c.rounds) << c.first << " " << c.limit << " " << c.step;
  }
}

TEST(Loops, FewRoundsArePlainManyTakeWhatTheKernelHas) {
  Subject s;
  counting(s, 0, Op::Lt, 20, 1);
  s.facts.has_may_goto = true;
  EXPECT_EQ(loops_of(s).form, LoopForm::Plain);
  EXPECT_FALSE(loops_of(s).counts);
  Subject many;
  counting(many, 0, Op::Lt, 1000, 1);
  many.facts.has_may_goto = true;
  EXPECT_EQ(loops_of(many).form, LoopForm::MayGoto);
  EXPECT_FALSE(loops_of(many).runs_long);
  many.facts.has_may_goto = false;
  many.facts.iter_num_new = many.facts.iter_num_next = many.facts.iter_num_destroy = 7;
  EXPECT_EQ(loops_of(many).form, LoopForm::IterNum);
  many.facts.iter_num_new = 0;
  many.facts.has_bpf_loop = true;
  EXPECT_EQ(loops_of(many).form, LoopForm::Callback);
  many.facts.has_bpf_loop = false;
  EXPECT_EQ(loops_of(many).form, LoopForm::Plain);
  EXPECT_EQ(many.refusal(), "");
}

TEST(Loops, ARoundMovesNothing) {
  Subject s;
  counting(s, 0, Op::Lt, 20, 1);
  const auto result = s.emit_unit();
  const std::string code = bpf::disassemble(result.unit.programs[0], result.unit.maps);
  EXPECT_THAT(code, HasSubstr("r5 += 1"));  // in its place
  EXPECT_THAT(code, Not(::testing::ContainsRegex(": r[0-9] = r5")));
}

/// 64 rounds of x = x * 5 + i, and of a sum of what that gives, by two ways.
void arithmetic_rounds(Subject& s) {
  s.module.cells = {"c0", "c1"};
  s.cells = {0, 9};
  s.module.failures.push_back({"too many"});
  Builder& b = s.builder;
  const BlockId entry = b.block(), head = b.block(), even = b.block(), odd = b.block(),
                join = b.block(), next = b.block(), done = b.block();
  b.at(entry);
  const ValueId first = b.op(Op::CellGet, {}, 1), zero = b.integer(0), one = b.integer(1);
  b.jump(head);
  b.at(head);
  const ValueId x = b.op(Op::Phi, {first}, 0, Type::Int);
  const ValueId sum = b.op(Op::Phi, {zero}, 0, Type::Int);
  const ValueId i = b.op(Op::Phi, {one}, 0, Type::Int);
  const ValueId new_x = b.op(Op::Add, {b.op(Op::Mul, {x, b.integer(5)}), i});
  b.branch(b.op(Op::Eq, {b.op(Op::And, {new_x, one}), zero}), even, odd);
  b.at(even);
  const ValueId mixed = b.op(Op::Xor, {sum, b.op(Op::Sar, {new_x, b.integer(3)})});
  b.jump(join);
  b.at(odd);
  const ValueId more = b.op(Op::Add, {sum, b.op(Op::And, {new_x, b.integer(255)})});
  b.jump(join);
  b.at(join);
  const ValueId new_sum = b.op(Op::Phi, {mixed, more}, 0, Type::Int);
  b.branch(b.op(Op::Eq, {i, b.integer(64)}), done, next);
  b.at(next);
  b.op(Op::LoopGuard, {}, 0);
  const ValueId new_i = b.op(Op::Add, {i, one});
  b.jump(head);
  b.function[x].operands.push_back(new_x);
  b.function[sum].operands.push_back(new_sum);
  b.function[i].operands.push_back(new_i);
  b.at(done);
  b.op(Op::CellAdd, {new_sum}, 0);
  b.ret();
}

TEST(Loops, ArithmeticStaysInRegistersAndInItsPlace) {
  Subject s;
  arithmetic_rounds(s);
  s.facts.has_may_goto = true;
  EXPECT_EQ(loops_of(s).form, LoopForm::Plain);
  const auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
  const std::string code = bpf::disassemble(result.unit.programs[0], result.unit.maps);
  EXPECT_THAT(code, Not(HasSubstr("r10"))) << "no words on the stack";
  EXPECT_LE(result.unit.programs[0].code.size(), 36u) << code;
  FakeKernel fake(result.unit, s.cells);
  ASSERT_EQ(fake.run(context_of({0, 0})), "");
  uint64_t x = 9;
  int64_t sum = 0;
  for (uint64_t i = 1; i <= 64; ++i) {
    x = x * 5 + i;
    if ((x & 1) == 0) {
      sum ^= static_cast<int64_t>(x) >> 3;
    } else {
      sum += static_cast<int64_t>(x & 255);
    }
  }
  EXPECT_EQ(fake.outcome(2).cells[0], sum);
}

TEST(Loops, WhatIsNotKnownCountsAndNeedsMore) {
  Subject s;
  counting(s, 0, Op::Lt, std::nullopt, 1);
  EXPECT_THAT(s.refusal(), HasSubstr("for which this kernel has nothing"));
  s.facts.has_may_goto = true;
  EXPECT_TRUE(loops_of(s).counts);
  EXPECT_TRUE(loops_of(s).runs_long);
  const auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  const std::string code = bpf::disassemble(result.unit.programs[0], result.unit.maps);
  EXPECT_THAT(code, HasSubstr("may_goto"));
  EXPECT_THAT(code, HasSubstr("+= 100000"));
  EXPECT_THAT(code, HasSubstr("call tail_call"));  // never done: no private stack
  EXPECT_THAT(code, HasSubstr("r1 ^= 0"));         // tests are done on copies
  s.facts.may_have_private_stacks = false;
  const auto plain = s.emit_unit();
  ASSERT_TRUE(plain.failures.empty());
  EXPECT_THAT(bpf::disassemble(plain.unit.programs[0], plain.unit.maps),
              Not(HasSubstr("tail_call")));
}

/// Then the verifier knows nothing of any value, and nothing has to be hidden from it.
TEST(Loops, MuchInALoopIsKeptInMemory) {
  for (const int additions : {40, 60}) {
    Subject s;
    counting(s, 0, Op::Lt, std::nullopt, 1, Op::LoopGuard, additions);
    s.facts.has_may_goto = true;
    const bool is_much = additions == 60;
    EXPECT_EQ(loops_of(s).in_memory, is_much);
    const auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty());
    const std::string code = bpf::disassemble(result.unit.programs[0], result.unit.maps);
    EXPECT_THAT(code, HasSubstr("may_goto"));
    EXPECT_EQ(code.find("*(u64 *)(r7 + ") != std::string::npos, is_much) << code;
    FakeKernel fake(result.unit, s.cells);
    ASSERT_EQ(fake.run(context_of({0, 0})), "");
    EXPECT_EQ(fake.outcome(2).cells[0], 36 * additions);
  }
}

TEST(Loops, AnIteratorIsMadeAndDestroyed) {
  Subject s;
  counting(s, 0, Op::Lt, std::nullopt, 1);
  s.facts.iter_num_new = kFakeIterNum;
  s.facts.iter_num_next = kFakeIterNum + 1;
  s.facts.iter_num_destroy = kFakeIterNum + 2;
  const auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  const std::string code = bpf::disassemble(result.unit.programs[0], result.unit.maps);
  for (const char* call : {"kernel#101", "kernel#102", "kernel#103"})
    EXPECT_THAT(code, HasSubstr(call));
  EXPECT_THAT(code, Not(HasSubstr("may_goto")));
  EXPECT_THAT(code, Not(HasSubstr("tail_call")));
  FakeKernel fake(result.unit, s.cells);
  ASSERT_EQ(fake.run(context_of({0, 0})), "");
  EXPECT_EQ(fake.outcome(2).cells[0], 36);
}

TEST(Loops, AFunctionIsCalledBack) {
  Subject s;
  counting(s, 0, Op::Lt, std::nullopt, 1);
  s.facts.has_bpf_loop = true;
  const auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
  const bpf::Program& program = result.unit.programs[0];
  ASSERT_EQ(program.callbacks.size(), 1u);
  const std::string code = bpf::disassemble(program, result.unit.maps);
  EXPECT_THAT(code, HasSubstr("call loop"));
  EXPECT_THAT(code, HasSubstr(fmt::format("r2 = function {}", program.callbacks[0])));
  EXPECT_THAT(code, Not(HasSubstr("may_goto")));
  FakeKernel fake(result.unit, s.cells);
  ASSERT_EQ(fake.run(context_of({0, 0})), "");
  EXPECT_EQ(fake.outcome(2).cells[0], 36);
  EXPECT_TRUE(fake.outcome(2).counters.empty());
}

/// What a table walk does not count is a loss where the kernel calls no more.
TEST(Loops, ACallbackThatIsNotCalledToTheEnd) {
  for (const Op guard : {Op::LoopTurn, Op::LoopGuard}) {
    for (const uint64_t most : {10, 9}) {
      Subject s;
      counting(s, 0, Op::Lt, std::nullopt, 1, guard);
      s.facts.has_bpf_loop = true;
      s.options.strict = true;
      const auto result = s.emit_unit();
      FakeKernel fake(result.unit, s.cells);
      fake.machine.loop_rounds = most;
      ASSERT_EQ(fake.run(context_of({0, 0})), "");
      const bool is_told = most == 9 && guard == Op::LoopTurn;
      EXPECT_EQ(fake.outcome(2).counters.count("loops"), is_told ? 1u : 0u);
      EXPECT_EQ(fake.outcome(2).armed, 1);
    }
  }
}

/// Another handler of the event takes nothing of the stack that is left for the function.
TEST(Loops, AFunctionThatIsCalledBackHasAProgramOfItsOwn) {
  Subject s;
  counting(s, 0, Op::Lt, std::nullopt, 1);
  Builder plain;
  plain.at(plain.block()).ret();
  const Job first{&plain.function, &s.group, 0, 0}, second{&s.builder.function, &s.group, 1, 0};
  for (const bool has_bpf_loop : {true, false}) {
    s.facts.has_bpf_loop = has_bpf_loop;
    s.facts.has_may_goto = !has_bpf_loop;
    const auto result = emit({first, second, first}, s.module, s.facts, s.options);
    ASSERT_TRUE(result.failures.empty());
    EXPECT_EQ(result.unit.programs.size(), has_bpf_loop ? 3u : 1u);
  }
}

/// The budget is 100 000 rounds, to the last one.
TEST(Loops, TheBudgetAtItsEdge) {
  for (const int64_t limit : {100000, 100001, -100000, -100001}) {
    Subject s;
    counting(s, 0, Op::Lt, std::nullopt, 1);
    s.cells[1] = std::abs(limit);
    s.facts.has_may_goto = limit > 0;
    s.facts.has_bpf_loop = true;
    const auto result = s.emit_unit();
    FakeKernel fake(result.unit, s.cells);
    ASSERT_EQ(fake.run(context_of({0, 0})), "");
    EXPECT_EQ(fake.outcome(2).counters.count("failure 0"), s.cells[1] == 100000 ? 0u : 1u);
  }
}

}  // namespace
}  // namespace ktap::backend::testing_support
