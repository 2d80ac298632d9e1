// Each pass alone, on printed SSA: what goes in, what comes out; then the pipeline.
#include "passes/passes.h"

#include <gtest/gtest.h>

#include <string>

#include "passes/pipeline.h"
#include "schema/builtin_vars.h"
#include "ssa/builder.h"
#include "ssa/function.h"

namespace ktap::passes {
namespace {

using ssa::BlockId;
using ssa::Builder;
using ssa::Op;
using ssa::Type;
using ssa::ValueId;

int64_t var(schema::BuiltinVar v) { return static_cast<int64_t>(v); }

class Passes : public ::testing::Test {
 protected:
  Passes() {
    module.cells.push_back("n");
    module.tables.push_back({"t", {{ssa::KeyPart::Kind::Int}}, 10});
    module.failures.push_back({"nil"});
  }

  ValueId pid(Builder& b) {
    return b.op(Op::EventVar, {}, var(schema::BuiltinVar::Pid), Type::Int);
  }
  void use(Builder& b, ValueId value) { b.op(Op::CellSet, {value}, 0); }

  /// Verifies before and after; the text without its first line.
  std::string after(Builder& b, bool (*pass)(ssa::Function&, const ssa::Module&),
                    bool changes = true) {
    EXPECT_EQ(ssa::verify(b.function, module), "") << ssa::print(b.function, module);
    EXPECT_EQ(pass(b.function, module), changes);
    EXPECT_EQ(ssa::verify(b.function, module), "") << ssa::print(b.function, module);
    const std::string text = ssa::print(b.function, module);
    return text.substr(text.find('\n') + 1);
  }

  ssa::Module module;
};

TEST_F(Passes, FoldsArithmeticOnConstants) {
  Builder b;
  b.at(b.block());
  use(b, b.op(Op::Mul, {b.integer(6), b.op(Op::Add, {b.integer(3), b.integer(4)})}));
  b.ret();
  EXPECT_EQ(after(b, fold_constants),
            "b0:\n"
            "  v0 = ConstInt 6 : int\n"
            "  v1 = ConstInt 3 : int\n"
            "  v2 = ConstInt 4 : int\n"
            "  v3 = ConstInt 7 : int\n"
            "  v4 = ConstInt 42 : int\n"
            "  CellSet 0:n v4\n"
            "  Return\n");
}

TEST_F(Passes, KeepsWhatIsNotConstant) {
  Builder b;
  b.at(b.block());
  use(b, b.op(Op::Add, {pid(b), b.integer(4)}));
  b.ret();
  after(b, fold_constants, false);
}

TEST_F(Passes, UsesIdentities) {
  const struct {
    Op op;
    int64_t constant;
    bool left;
    const char* result;  // "x" or a number; "" stays
  } cases[] = {
      {Op::Add, 0, false, "x"},   {Op::Add, 0, true, "x"},  {Op::Sub, 0, false, "x"},
      {Op::Sub, 0, true, ""},     {Op::Mul, 1, false, "x"}, {Op::Mul, 0, true, "0"},
      {Op::DivS, 1, false, "x"},  {Op::DivS, 1, true, ""},  {Op::ModS, 1, false, "0"},
      {Op::ModS, -1, false, "0"}, {Op::And, -1, true, "x"}, {Op::And, 0, false, "0"},
      {Op::Or, 0, false, "x"},    {Op::Xor, 0, true, "x"},  {Op::Shl, 0, false, "x"},
      {Op::Sar, 0, true, ""},
  };
  for (const auto& c : cases) {
    Builder b;
    b.at(b.block());
    const ValueId x = pid(b);
    const ValueId k = b.integer(c.constant);
    const ValueId r = c.left ? b.op(c.op, {k, x}) : b.op(c.op, {x, k});
    use(b, r);
    b.ret();
    const std::string result = c.result;
    const std::string text = after(b, fold_constants, !result.empty());
    const std::string what = std::string(ssa::op_name(c.op)) + " " + std::to_string(c.constant);
    if (result == "x") {
      EXPECT_NE(text.find("CellSet 0:n v0\n"), std::string::npos) << what << "\n" << text;
    } else if (!result.empty()) {
      EXPECT_NE(text.find("v2 = ConstInt " + result), std::string::npos) << what << "\n" << text;
    }
  }
}

TEST_F(Passes, FoldsWhatIsAlike) {
  Builder b;
  b.at(b.block());
  const ValueId x = pid(b);
  use(b, b.op(Op::Sub, {x, x}));
  use(b, b.op(Op::And, {x, x}));
  b.ret();
  EXPECT_EQ(after(b, fold_constants),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = ConstInt 0 : int\n"
            "  CellSet 0:n v1\n"
            "  v2 = And v0, v0 : int\n"
            "  CellSet 0:n v0\n"
            "  Return\n");
}

TEST_F(Passes, TakesWrapsApart) {
  Builder b;
  b.at(b.block());
  const ValueId wrapped = b.op(Op::Wrap, {pid(b)}, 0, Type::MaybeInt);
  use(b, b.op(Op::Unwrap, {wrapped}, 0, Type::Int));
  const BlockId yes = b.block();
  const BlockId no = b.block();
  b.branch(b.op(Op::IsNil, {wrapped}), yes, no);
  b.at(yes).ret();
  b.at(no).ret();
  const std::string text = after(b, fold_constants);
  EXPECT_NE(text.find("CellSet 0:n v0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("ConstBool false"), std::string::npos) << text;
  EXPECT_NE(text.find("Jump -> b2"), std::string::npos) << text;
}

TEST_F(Passes, CutsBranchesOnConstantsWithTheirPhiOperands) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId left = b.block();
  const BlockId join = b.block();
  b.at(entry);
  const ValueId one = b.integer(1);
  b.branch(b.boolean(false), left, join);
  b.at(left);
  const ValueId two = b.integer(2);
  b.jump(join);
  b.at(join);
  use(b, b.op(Op::Phi, {one, two}, 0, Type::Int));
  b.ret();
  after(b, fold_constants);
  EXPECT_EQ(after(b, remove_dead),
            "b0:\n"
            "  v0 = ConstInt 1 : int\n"
            "  Jump -> b2\n"
            "b2:  ; from b0\n"
            "  v1 = Phi v0 : int\n"
            "  CellSet 0:n v1\n"
            "  Return\n");
}

TEST_F(Passes, TurnsANegatedBranchRound) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId yes = b.block();
  const BlockId no = b.block();
  b.at(entry);
  const ValueId x = b.op(Op::Eq, {pid(b), b.integer(1)});
  b.branch(b.op(Op::Not, {x}), yes, no);
  b.at(yes).ret();
  b.at(no).ret();
  EXPECT_NE(after(b, fold_constants).find("Branch v2 -> b2, b1"), std::string::npos);
}

TEST_F(Passes, APhiOfEqualConstantsIsThatConstant) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId left = b.block();
  const BlockId join = b.block();
  b.at(entry);
  const ValueId x = pid(b);
  const ValueId condition = b.op(Op::Eq, {x, b.integer(1)});
  const ValueId five = b.integer(5);
  b.branch(condition, left, join);
  b.at(left);
  const ValueId also_five = b.integer(5);
  b.jump(join);
  b.at(join);
  const ValueId constant = b.op(Op::Phi, {five, also_five}, 0, Type::Int);
  const ValueId other = b.op(Op::Phi, {five, x}, 0, Type::Int);
  use(b, constant);
  use(b, other);
  b.ret();
  const std::string text = after(b, fold_constants);
  EXPECT_NE(text.find("b2:  ; from b0, b1\n  v5 = Phi v3, v0 : int\n  v6 = ConstInt 5 : int\n"),
            std::string::npos)
      << text;
}

TEST_F(Passes, KnowsWhatABranchHasDecided) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId failed = b.block();
  const BlockId good = b.block();
  const BlockId again = b.block();
  const BlockId last = b.block();
  b.at(entry);
  const ValueId got = b.op(Op::TableGet, {pid(b)}, 0);
  const ValueId is_nil = b.op(Op::IsNil, {got});
  b.branch(is_nil, failed, good);
  b.at(failed).op(Op::Fail, {}, 0);
  b.at(good).branch(is_nil, again, last);
  b.at(again).op(Op::Fail, {}, 0);
  b.at(last).ret();
  EXPECT_EQ(after(b, use_known_conditions),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = TableGet 0:t v0 : int?\n"
            "  v2 = IsNil v1 : bool\n"
            "  Branch v2 -> b1, b2\n"
            "b1:  ; from b0\n"
            "  Fail \"nil\"\n"
            "b2:  ; from b0\n"
            "  v3 = ConstBool false : bool\n"
            "  Branch v3 -> b3, b4\n"
            "b3:  ; from b2\n"
            "  Fail \"nil\"\n"
            "b4:  ; from b2\n"
            "  Return\n");
  after(b, use_known_conditions, false);
}

TEST_F(Passes, AConditionIsNotKnownBehindAJoin) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId left = b.block();
  const BlockId join = b.block();
  const BlockId x = b.block();
  const BlockId y = b.block();
  b.at(entry);
  const ValueId condition = b.op(Op::Eq, {pid(b), b.integer(1)});
  b.branch(condition, left, join);
  b.at(left).jump(join);
  b.at(join).branch(condition, x, y);
  b.at(x).ret();
  b.at(y).ret();
  after(b, use_known_conditions, false);
}

TEST_F(Passes, SharesPureValuesAndReadsOfTheEvent) {
  Builder b;
  b.at(b.block());
  const ValueId x = pid(b);
  const ValueId y = pid(b);
  use(b, b.op(Op::Add, {x, b.integer(1)}));
  use(b, b.op(Op::Add, {b.integer(1), y}));
  b.ret();
  EXPECT_EQ(after(b, share_common),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = ConstInt 1 : int\n"
            "  v2 = Add v0, v1 : int\n"
            "  CellSet 0:n v2\n"
            "  CellSet 0:n v2\n"
            "  Return\n");
}

TEST_F(Passes, DoesNotShareReadsOfWhatMayChange) {
  Builder b;
  b.at(b.block());
  const ValueId key = pid(b);
  b.op(Op::TableGet, {key}, 0);
  b.op(Op::TableGet, {key}, 0);
  b.op(Op::CellGet, {}, 0);
  b.op(Op::CellGet, {}, 0);
  b.ret();
  after(b, share_common, false);
}

TEST_F(Passes, SharesOnlyWhatDominates) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId left = b.block();
  const BlockId right = b.block();
  b.at(entry).branch(b.op(Op::Eq, {pid(b), b.integer(1)}), left, right);
  b.at(left);
  use(b, b.op(Op::EventVar, {}, var(schema::BuiltinVar::Tid), Type::Int));
  b.ret();
  b.at(right);
  use(b, b.op(Op::EventVar, {}, var(schema::BuiltinVar::Tid), Type::Int));
  b.ret();
  after(b, share_common, false);
}

TEST_F(Passes, RemovesUnusedValuesAndKeepsWrites) {
  Builder b;
  b.at(b.block());
  const ValueId x = pid(b);
  b.op(Op::TableGet, {x}, 0);
  b.op(Op::Add, {x, x});
  b.op(Op::TableAdd, {x, x}, 0);
  b.ret();
  EXPECT_EQ(after(b, remove_dead),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  TableAdd 0:t v0, v0\n"
            "  Return\n");
  after(b, remove_dead, false);
}

TEST_F(Passes, RemovesUnreachableBlocks) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId lost = b.block();
  const BlockId also_lost = b.block();
  const BlockId end = b.block();
  b.at(entry).jump(end);
  b.at(lost).jump(also_lost);
  b.at(also_lost).jump(end);
  b.at(end).ret();
  EXPECT_EQ(after(b, remove_dead), "b0:\n  Jump -> b3\nb3:  ; from b0\n  Return\n");
}

TEST_F(Passes, MergesStraightRuns) {
  Builder b;
  const BlockId first = b.block();
  const BlockId second = b.block();
  const BlockId third = b.block();
  b.at(first);
  use(b, b.integer(1));
  b.jump(second);
  b.at(second);
  use(b, b.integer(2));
  b.jump(third);
  b.at(third).ret();
  EXPECT_EQ(after(b, merge_blocks),
            "b0:\n"
            "  v0 = ConstInt 1 : int\n"
            "  CellSet 0:n v0\n"
            "  v1 = ConstInt 2 : int\n"
            "  CellSet 0:n v1\n"
            "  Return\n");
}

TEST_F(Passes, JumpsOverEmptyBlocksAndDropsNeedlessBranches) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId left = b.block();
  const BlockId right = b.block();
  const BlockId end = b.block();
  b.at(entry).branch(b.op(Op::Eq, {pid(b), b.integer(1)}), left, right);
  b.at(left).jump(end);
  b.at(right).jump(end);
  b.at(end).ret();
  after(b, merge_blocks);
  merge_blocks(b.function, module);
  EXPECT_EQ(after(b, remove_dead), "b0:\n  Return\n");
}

TEST_F(Passes, KeepsEmptyBlocksThatTellWaysApart) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId left = b.block();
  const BlockId join = b.block();
  b.at(entry);
  const ValueId x = pid(b);
  const ValueId one = b.integer(1);
  b.branch(b.op(Op::Eq, {x, one}), left, join);
  b.at(left).jump(join);
  b.at(join);
  use(b, b.op(Op::Phi, {x, one}, 0, Type::Int));
  b.ret();
  after(b, merge_blocks, false);
}

/// if (pid == 1 && tid == 2) n = 5, as lowering makes it: a phi of the two conditions, and a branch
/// on it.
Builder short_circuit() {
  Builder b;
  const BlockId entry = b.block();
  const BlockId second = b.block();
  const BlockId join = b.block();
  const BlockId yes = b.block();
  const BlockId no = b.block();
  b.at(entry);
  const ValueId one = b.integer(1);
  const ValueId left =
      b.op(Op::Eq, {b.op(Op::EventVar, {}, var(schema::BuiltinVar::Pid), Type::Int), one});
  const ValueId no_value = b.boolean(false);
  b.branch(left, second, join);
  b.at(second);
  const ValueId right =
      b.op(Op::Eq, {b.op(Op::EventVar, {}, var(schema::BuiltinVar::Tid), Type::Int), one});
  b.jump(join);
  b.at(join);
  b.branch(b.op(Op::Phi, {no_value, right}, 0, Type::Bool), yes, no);
  b.at(yes).op(Op::CellSet, {one}, 0);
  b.ret();
  b.at(no).ret();
  return b;
}

TEST_F(Passes, ThreadsJumpsThroughPhisOfConditions) {
  Builder b = short_circuit();
  after(b, thread_jumps);
  EXPECT_EQ(after(b, remove_dead),
            "b0:\n"
            "  v0 = ConstInt 1 : int\n"
            "  v1 = EventVar pid : int\n"
            "  v2 = Eq v1, v0 : bool\n"
            "  Branch v2 -> b1, b4\n"
            "b1:  ; from b0\n"
            "  v3 = EventVar tid : int\n"
            "  v4 = Eq v3, v0 : bool\n"
            "  Branch v4 -> b3, b4\n"
            "b3:  ; from b1\n"
            "  CellSet 0:n v0\n"
            "  Return\n"
            "b4:  ; from b0, b1\n"
            "  Return\n");
}

TEST_F(Passes, DoesNotThreadAPhiThatIsReadElsewhere) {
  Builder b = short_circuit();
  const ValueId phi = b.function.blocks[2].insts[0];
  const ValueId eq =
      b.function.append(BlockId(4), {Op::Not, Type::Bool, ssa::StrKind::None, 0, 0, {phi}});
  auto& insts = b.function.blocks[4].insts;
  std::swap(insts[0], insts[1]);
  EXPECT_EQ(insts[0], eq);
  after(b, thread_jumps, false);
}

TEST_F(Passes, ThreadingCarriesPhisOfTheTargets) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId second = b.block();
  const BlockId join = b.block();
  const BlockId end = b.block();
  const BlockId yes = b.block();
  b.at(entry);
  const ValueId x = pid(b);
  const ValueId one = b.integer(1);
  const ValueId off = b.boolean(false);
  b.branch(b.op(Op::Eq, {x, one}), second, join);
  b.at(second);
  const ValueId right = b.op(Op::Lt, {one, x});
  b.jump(join);
  b.at(join).branch(b.op(Op::Phi, {off, right}, 0, Type::Bool), yes, end);
  b.at(yes).jump(end);
  b.at(end);
  use(b, b.op(Op::Phi, {x, one}, 0, Type::Int));
  b.ret();
  std::swap(b.function.blocks[3].preds[0], b.function.blocks[3].preds[1]);
  std::swap(b.function[b.function.blocks[3].insts[0]].operands[0],
            b.function[b.function.blocks[3].insts[0]].operands[1]);
  EXPECT_NE(after(b, thread_jumps).find("Phi v1, v0, v0, v0 : int"), std::string::npos)
      << ssa::print(b.function, module);
  EXPECT_NE(after(b, remove_dead).find("Phi v1, v0, v0 : int"), std::string::npos)
      << ssa::print(b.function, module);
}

TEST_F(Passes, PipelineDissolvesADoubleCheck) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId failed = b.block();
  const BlockId good = b.block();
  const BlockId failed_again = b.block();
  const BlockId end = b.block();
  b.at(entry);
  const ValueId got = b.op(Op::TableGet, {pid(b)}, 0);
  b.branch(b.op(Op::IsNil, {got}), failed, good);
  b.at(failed).op(Op::Fail, {}, 0);
  b.at(good);
  use(b, b.op(Op::Unwrap, {got}, 0, Type::Int));
  b.branch(b.op(Op::IsNil, {got}), failed_again, end);
  b.at(failed_again).op(Op::Fail, {}, 0);
  b.at(end);
  use(b, b.op(Op::Unwrap, {got}, 0, Type::Int));
  b.ret();
  optimize(b.function, module);
  EXPECT_EQ(ssa::verify(b.function, module), "");
  EXPECT_EQ(ssa::print(b.function, module),
            "function test\n"
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = TableGet 0:t v0 : int?\n"
            "  v2 = IsNil v1 : bool\n"
            "  Branch v2 -> b1, b2\n"
            "b1:  ; from b0\n"
            "  Fail \"nil\"\n"
            "b2:  ; from b0\n"
            "  v3 = Unwrap v1 : int\n"
            "  CellSet 0:n v3\n"
            "  CellSet 0:n v3\n"
            "  Return\n");
}

// ---- order_conditions

/// execname == "a" (dear) in the entry, fd == 3 (cheap) behind it; both ways out write.
struct TwoConditions {
  Builder b;
  BlockId entry = b.block(), second = b.block(), out = b.block(), body = b.block();
  ValueId dear, cheap;

  void first(ssa::Module& module) {
    b.at(entry);
    const ValueId name = b.bytes(Op::EventVar, 16, var(schema::BuiltinVar::Execname));
    dear = b.op(Op::StrEq, {name, b.op(Op::ConstStr, {}, module.intern("a"))});
  }
  void then() {
    b.at(second);
    const ValueId fd = b.op(Op::EventField, {}, 1, Type::Int);
    cheap = b.op(Op::Eq, {fd, b.integer(3)});
  }
  void ends() {
    b.at(out);
    b.ret();
    b.at(body);
    b.op(Op::CellSet, {b.integer(1)}, 0);
    b.ret();
  }
};

TEST_F(Passes, TheCheaperConditionComesFirst) {
  TwoConditions t;
  t.first(module);
  t.b.branch(t.dear, t.second, t.out);
  t.then();
  t.b.branch(t.cheap, t.body, t.out);
  t.ends();
  const std::string text = after(t.b, order_conditions);
  EXPECT_EQ(text.substr(0, text.find("b2:")),
            "b0:\n"
            "  v0 = ConstStr \"a\" : str id\n"
            "  v1 = EventField #1 : int\n"
            "  v2 = ConstInt 3 : int\n"
            "  v3 = Eq v1, v2 : bool\n"
            "  Branch v3 -> b1, b2\n"
            "b1:  ; from b0\n"
            "  v4 = EventVar execname : str bytes 16\n"
            "  v5 = StrEq v4, v0 : bool\n"
            "  Branch v5 -> b3, b2\n");
  after(t.b, order_conditions, false);
}

TEST_F(Passes, TheCheaperConditionComesFirstInAnOr) {
  TwoConditions t;
  t.first(module);
  t.b.branch(t.dear, t.body, t.second);
  t.then();
  t.b.branch(t.cheap, t.out, t.body);  // fd != 3
  t.ends();
  const std::string text = after(t.b, order_conditions);
  EXPECT_NE(text.find("  Branch v3 -> b1, b3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  Branch v5 -> b3, b2\n"), std::string::npos) << text;
}

TEST_F(Passes, ConditionsKeepTheirPlaceWhereItShows) {
  for (const int kind : {0, 1, 2}) {
    TwoConditions t;
    t.first(module);
    if (kind == 0) t.b.op(Op::CellAdd, {t.b.integer(1)}, 0);  // the dear one was read before
    t.b.branch(t.dear, t.second, t.out);
    t.then();
    if (kind == 1) {  // the first one may be what keeps a 0 away
      const ValueId fd = t.b.op(Op::EventField, {}, 1, Type::Int);
      t.cheap = t.b.op(Op::Eq, {t.b.op(Op::DivS, {t.b.integer(9), fd}), t.b.integer(3)});
    }
    if (kind == 2) use(t.b, t.b.integer(5));
    t.b.branch(t.cheap, t.body, t.out);
    t.ends();
    after(t.b, order_conditions, false);
  }
}

TEST_F(Passes, WhatTheBodyNeedsOfTheDearConditionComesAlong) {
  TwoConditions t;
  t.b.at(t.entry);
  const ValueId ns = t.b.op(Op::EventVar, {}, var(schema::BuiltinVar::Ns), Type::Int);
  t.dear = t.b.op(Op::Lt, {ns, t.b.integer(7)});
  t.b.branch(t.dear, t.second, t.out);
  t.then();
  t.b.branch(t.cheap, t.body, t.out);
  t.b.at(t.out);
  t.b.ret();
  t.b.at(t.body);
  use(t.b, ns);
  t.b.ret();
  const std::string text = after(t.b, order_conditions);
  EXPECT_GT(text.find("EventVar ns"), text.find("b1:")) << text;
}

// ---- loops -----------------------------------------------------------------------------------

/// b0 → b1 (head, phis) → b2 (round) → b1, b1 → b3.
struct LoopBuilder : Builder {
  BlockId entry = block(), head = block(), round = block(), done = block();
};

TEST_F(Passes, APhiThatRoundsDoNotChangeIsItsFirstValue) {
  LoopBuilder b;
  b.at(b.entry);
  const ValueId first = pid(b);
  b.jump(b.head);
  b.at(b.head);
  const ValueId phi = b.op(Op::Phi, {first}, 0, Type::Int);
  b.branch(b.op(Op::Lt, {phi, b.integer(5)}), b.round, b.done);
  b.at(b.round).op(Op::LoopGuard, {}, 0);
  b.jump(b.head);
  b.function[phi].operands.push_back(phi);
  b.at(b.done);
  use(b, phi);
  b.ret();
  optimize(b.function, module);
  EXPECT_EQ(ssa::verify(b.function, module), "");
  const std::string text = ssa::print(b.function, module);
  EXPECT_EQ(text.find("Phi"), std::string::npos) << text;
  EXPECT_NE(text.find("LoopGuard"), std::string::npos) << text;
}

TEST_F(Passes, EqualPhisOfOneBlockAreOne) {
  LoopBuilder b;
  b.at(b.entry);
  const ValueId zero = b.integer(0);
  b.jump(b.head);
  b.at(b.head);
  const ValueId i = b.op(Op::Phi, {zero}, 0, Type::Int);
  const ValueId j = b.op(Op::Phi, {zero}, 0, Type::Int);
  b.branch(b.op(Op::Lt, {j, pid(b)}), b.round, b.done);
  b.at(b.round).op(Op::LoopGuard, {}, 0);
  const ValueId next = b.op(Op::Add, {i, b.integer(1)});
  b.jump(b.head);
  b.function[i].operands.push_back(next);
  b.function[j].operands.push_back(next);
  b.at(b.done);
  use(b, b.op(Op::Add, {i, j}));
  b.ret();
  const std::string text = after(b, share_common);
  EXPECT_NE(text.find("v1 = Phi v0, v5 : int\n  v2 = EventVar"), std::string::npos) << text;
}

TEST_F(Passes, TheHeadOfALoopIsNotJumpedPast) {
  LoopBuilder b;
  b.at(b.entry);
  const ValueId yes = b.boolean(true);
  b.jump(b.head);
  b.at(b.head);
  const ValueId goes_on = b.op(Op::Phi, {yes}, 0, Type::Bool);
  b.branch(goes_on, b.round, b.done);
  b.at(b.round).op(Op::LoopGuard, {}, 0);
  const ValueId again = b.op(Op::Lt, {pid(b), b.integer(5)});
  b.jump(b.head);
  b.function[goes_on].operands.push_back(again);
  b.at(b.done).ret();
  after(b, thread_jumps, false);
}

TEST_F(Passes, ARoundWithoutUseStaysForItsBudget) {
  LoopBuilder b;
  b.at(b.entry);
  const ValueId zero = b.integer(0);
  b.jump(b.head);
  b.at(b.head);
  const ValueId i = b.op(Op::Phi, {zero}, 0, Type::Int);
  b.branch(b.op(Op::Lt, {i, pid(b)}), b.round, b.done);
  b.at(b.round).op(Op::LoopGuard, {}, 0);
  const ValueId next = b.op(Op::Add, {i, b.integer(1)});
  b.jump(b.head);
  b.function[i].operands.push_back(next);
  b.at(b.done).ret();
  const std::string before = ssa::print(b.function, module);
  optimize(b.function, module);
  EXPECT_EQ(ssa::print(b.function, module), before);
}

}  // namespace
}  // namespace ktap::passes
