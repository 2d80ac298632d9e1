// Unit test of the translator: every instruction has its step at the same index, operands are
// offsets, tests carry their jump, and only the right neighbours are joined.
#include <gtest/gtest.h>

#include "vm/fake_host.h"
#include "vm/step.h"

namespace ktap::vm {
namespace {

using bytecode::Op;
using testing::Assembler;

constexpr int kValueBytes = 16;

std::vector<Step> steps(Assembler& a) { return translate(*a.take()); }

/// The names of the steps, in order.
std::string names(Assembler& a) {
  std::string all;
  for (const Step& step : steps(a)) {
    all += all.empty() ? "" : " ";
    all += step_name(step.op);
  }
  return all;
}

TEST(Translate, EveryOpcodeHasAStepInItsPlace) {
  for (int op = 0; op < bytecode::kOpCount; ++op) {
    auto opcode = static_cast<Op>(op);
    Assembler a("f");
    Assembler child("g");
    child.ret();
    a.child(child);
    a.constant(int64_t{7});
    a.jump(0);
    if (bytecode::op_format(opcode) == bytecode::Format::J) {
      a.jump(0);
    } else {
      a.abc(opcode, 0, 0, 0);
    }
    a.jump(0).ret();
    std::vector<Step> made = steps(a);
    ASSERT_EQ(made.size(), 4u) << bytecode::op_name(opcode);
    // A step has the name of its instruction, or one that says more.
    std::string_view name = bytecode::op_name(opcode);
    if (opcode == Op::AddK || opcode == Op::SubK || opcode == Op::MulK) name.remove_suffix(1);
    if (name.substr(0, 6) == "Update") name = made[1].op == StepOp::AddIndex ? "AddIndex" : "Add";
    if (bytecode::is_test(opcode) && opcode != Op::IterNext) name = "TestNot";
    EXPECT_EQ(step_name(made[1].op).substr(0, name.size()), name) << bytecode::op_name(opcode);
    EXPECT_EQ(made[3].op, StepOp::Return0);
  }
}

TEST(Translate, OperandsAreOffsets) {
  Assembler a("f");
  int text = a.constant(std::string("x"));
  a.constant(int64_t{1} << 40);
  a.abc(Op::Add, 3, 2, 1).abc(Op::GetField, 4, 5, text).ad(Op::LoadK, 1, 1).abc(Op::AddK, 0, 1, 1);
  a.ret();
  std::vector<Step> made = steps(a);
  EXPECT_EQ(made[0].a, 3 * kValueBytes);
  EXPECT_EQ(made[0].b, 2 * kValueBytes);
  EXPECT_EQ(made[0].c, 1 * kValueBytes);
  EXPECT_EQ(made[1].c, 0);
  EXPECT_EQ(made[1].d, UINT16_MAX);  // no entry has been found there
  EXPECT_EQ(made[2].imm, kValueBytes);
  EXPECT_EQ(made[3].op, StepOp::AddK);  // too large to stand in the step
  EXPECT_EQ(made[3].c, kValueBytes);
}

TEST(Translate, ATestCarriesTheJumpBehindIt) {
  for (int jump : {5, 0, -1, -2}) {
    Assembler a("f");
    a.abc(Op::TestLt, 0, 1, 1).jump(jump).abc(Op::TestLe, 0, 1, 0).jump(jump).ret();
    std::vector<Step> made = steps(a);
    EXPECT_EQ(made[0].op, StepOp::TestLt);
    EXPECT_EQ(made[0].imm, (jump + 1) * static_cast<int>(sizeof(Step)));
    EXPECT_EQ(made[1].op, StepOp::Jmp);
    EXPECT_EQ(made[1].imm, made[0].imm);  // both count from the jump's own step
    EXPECT_EQ(made[2].op, StepOp::TestNotLe);
  }
}

TEST(Translate, ConstantsChooseTheStep) {
  Assembler a("f");
  int nil = a.constant({});
  int seven = a.constant(int64_t{7});
  int half = a.constant(0.5);
  a.abc(Op::TestEqK, 0, nil, 1).jump(0).abc(Op::TestEqK, 0, seven, 0).jump(0);
  a.abc(Op::SubK, 0, 0, seven).abc(Op::MulK, 0, 0, half).ret();
  EXPECT_EQ(names(a), "TestNil Jmp TestNotEqK Jmp SubInt MulK Return0");
}

TEST(Translate, SmallIntegersAreJoinedToTheirUse) {
  auto joined = [](int load_to, int value, Op op, int b, int c) {
    Assembler a("f");
    a.as(Op::LoadInt, load_to, value).abc(op, 1, b, c).jump(0).ret();
    return std::string(step_name(steps(a)[0].op));
  };
  EXPECT_EQ(joined(2, 5, Op::TestLt, 2, 1), "IntTestLt");
  EXPECT_EQ(joined(2, 5, Op::TestLt, 2, 0), "IntTestNotLt");
  EXPECT_EQ(joined(1, 5, Op::TestLt, 2, 1), "IntTestGt");
  EXPECT_EQ(joined(1, 5, Op::TestLe, 2, 0), "IntTestNotGe");
  EXPECT_EQ(joined(3, 5, Op::TestLe, 2, 0), "LoadInt");
  EXPECT_EQ(joined(2, 5, Op::Mod, 0, 2), "IntMod");
  EXPECT_EQ(joined(2, 5, Op::Mod, 2, 0), "LoadInt");
  EXPECT_EQ(joined(2, 0, Op::Mod, 0, 2), "LoadInt");   // an error, in its own place
  EXPECT_EQ(joined(2, -1, Op::Div, 0, 2), "LoadInt");  // INT64_MIN / -1 wraps elsewhere
  EXPECT_EQ(joined(2, 63, Op::Shr, 0, 2), "IntShr");
  EXPECT_EQ(joined(3, 1, Op::UpdateIndex, 2, 0), "IntAddIndex");
  EXPECT_EQ(joined(2, 1, Op::UpdateIndex, 2, 0), "LoadInt");
  EXPECT_EQ(joined(3, 1, Op::UpdateIndex, 2, 1), "LoadInt");  // -=
}

TEST(Translate, ReturnsThatCloseNothing) {
  Assembler plain("f");
  plain.ret().ret(3, 1).ret(3, 2);
  EXPECT_EQ(names(plain), "Return0 Return1 Return");
  Assembler capturing("f");
  Assembler child("g");
  child.upvalue(true, 0);
  child.ret();
  capturing.child(child);
  capturing.ret().ret(3, 1);
  EXPECT_EQ(names(capturing), "Return Return");
}

}  // namespace
}  // namespace ktap::vm
