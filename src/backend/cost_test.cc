// The estimate by hand-made programs: prices of calls, weights of branches, cold code, the stack.
#include "backend/cost.h"

#include <gtest/gtest.h>

#include "bpf/assembler.h"
#include "bpf/helpers.h"

namespace ktap::backend {
namespace {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Reg;
using bpf::Size;

constexpr uint32_t kInsn = 250;

std::vector<bpf::MapSpec> maps() {
  std::vector<bpf::MapSpec> out(3);
  out[0].kind = bpf::MapKind::Hash;
  out[1].kind = bpf::MapKind::PercpuHash;
  out[2].kind = bpf::MapKind::PercpuArray;
  return out;
}

bpf::Program finished(bpf::Assembler& code) {
  bpf::Program program;
  EXPECT_TRUE(code.finish(program).ok());
  return program;
}

uint32_t cost_of_line(const bpf::Program& program, uint32_t line) {
  for (const LineCost& cost : line_costs(program, maps())) {
    if (cost.line == line) return cost.picoseconds;
  }
  return UINT32_MAX;
}

TEST(Cost, LinesAreCountedApart) {
  bpf::Assembler code;
  code.emit(bpf::mov64(Reg::R6, Reg::R1));
  code.set_line(3);
  code.emit(bpf::mov64(Reg::R1, 7));
  code.emit(bpf::alu64(AluOp::Div, Reg::R1, 3));
  code.set_line(4);
  code.load_map(Reg::R1, 1);
  code.emit(bpf::mov64(Reg::R0, 0));
  code.emit(bpf::exit_insn());
  const std::vector<LineCost> costs = line_costs(finished(code), maps());
  ASSERT_EQ(costs.size(), 3U);
  EXPECT_EQ(costs[0].line, 0U);
  EXPECT_EQ(costs[0].picoseconds, kInsn);
  EXPECT_EQ(costs[1].instructions, 2U);
  EXPECT_EQ(costs[1].picoseconds, kInsn + 1200);
  EXPECT_EQ(costs[2].instructions, 4U);        // the load of a map takes two
  EXPECT_EQ(costs[2].picoseconds, 3 * kInsn);  // and counts as one
}

TEST(Cost, ACallOnAMapCostsByItsKind) {
  bpf::Assembler code;
  const uint32_t lines = 3;
  for (uint32_t map = 0; map < lines; ++map) {
    code.set_line(map + 1);
    code.load_map(Reg::R1, map);
    code.call_helper(Helper::MapLookupElem);
  }
  code.set_line(4);
  code.load_map(Reg::R1, 1);
  code.call_helper(Helper::MapUpdateElem);
  code.emit(bpf::exit_insn());
  const bpf::Program program = finished(code);
  EXPECT_EQ(cost_of_line(program, 1), kInsn + 28500);
  EXPECT_EQ(cost_of_line(program, 2), kInsn + 28500);
  EXPECT_EQ(cost_of_line(program, 3), kInsn + 500);
  EXPECT_EQ(cost_of_line(program, 4), 2 * kInsn + 75000);
}

TEST(Cost, ABranchWithinALineHalvesWhatIsBehindIt) {
  bpf::Assembler code;
  bpf::Label other = code.make_label(), join = code.make_label();
  code.set_line(5);
  code.jump_to_if(JumpOp::Eq, Reg::R1, 0, other);
  code.load_map(Reg::R2, 0);
  code.jump_to(join);
  code.bind(other);
  code.emit(bpf::mov64(Reg::R2, 2));
  code.bind(join);
  code.emit(bpf::mov64(Reg::R0, Reg::R2));
  code.set_line(6);
  code.emit(bpf::exit_insn());
  // The branch, half of two, half of one, the join.
  EXPECT_EQ(cost_of_line(finished(code), 5), kInsn + kInsn + kInsn / 2 + kInsn);
}

TEST(Cost, ABranchToAnotherLineLeavesBothWhole) {
  bpf::Assembler code;
  bpf::Label other = code.make_label(), out = code.make_label();
  code.set_line(1);
  code.jump_to_if(JumpOp::Eq, Reg::R1, 0, other);
  code.set_line(2);
  code.emit(bpf::mov64(Reg::R2, 1));
  code.jump_to(out);
  code.set_line(3);
  code.bind(other);
  code.emit(bpf::mov64(Reg::R2, 2));
  code.bind(out);
  code.set_line(0);
  code.emit(bpf::mov64(Reg::R0, 0));
  code.emit(bpf::exit_insn());
  const bpf::Program program = finished(code);
  EXPECT_EQ(cost_of_line(program, 1), kInsn);
  EXPECT_EQ(cost_of_line(program, 2), 2 * kInsn);
  EXPECT_EQ(cost_of_line(program, 3), kInsn);
}

TEST(Cost, AFunctionThatTheKernelPutsInIsAMove) {
  bpf::Assembler code;
  code.call_kernel(7);
  code.call_kernel(8);
  code.emit(bpf::exit_insn());
  bpf::Program program = finished(code);
  const uint32_t called = cost_of_line(program, 0);
  program.free_call = 7;
  EXPECT_LT(cost_of_line(program, 0), called - 5000);
  EXPECT_GT(cost_of_line(program, 0), 5000U);
}

TEST(Cost, RarePathsCostNothing) {
  bpf::Assembler code;
  bpf::Label rare = code.make_label(), back = code.make_label(), out = code.make_label();
  code.set_line(2);
  code.jump_to_if(JumpOp::Eq, Reg::R1, 0, rare);
  code.jump_to_if(JumpOp::Eq, Reg::R1, 1, out);
  code.bind(back);
  code.call_helper(Helper::GetCurrentPidTgid);
  code.set_line(0);
  code.bind(out);
  code.emit(bpf::mov64(Reg::R0, 0));
  code.emit(bpf::exit_insn());
  code.set_line(2);
  code.bind(rare);
  code.call_helper(Helper::KtimeGetNs);
  code.jump_to(back);
  const bpf::Program program = finished(code);
  EXPECT_EQ(cost_of_line(program, 2), 2 * kInsn + 8000);
  EXPECT_EQ(line_costs(program, maps()).back().instructions, 5U);
}

TEST(Cost, LookUpsMostlyFind) {
  bpf::Assembler code;
  bpf::Label missing = code.make_label(), join = code.make_label();
  code.set_line(1);
  code.load_map(Reg::R1, 0);
  code.call_helper(Helper::MapLookupElem);
  code.jump_to_if(JumpOp::Eq, Reg::R0, 0, missing);
  code.jump_to(join);
  code.bind(missing);
  code.call_helper(Helper::KtimeGetNs);
  code.bind(join);
  code.set_line(0);
  code.emit(bpf::exit_insn());
  const uint32_t found = kInsn * 7 / 8, missed = 31000 / 8;
  EXPECT_NEAR(cost_of_line(finished(code), 1), 2 * kInsn + 28500 + found + missed, 1);
}

TEST(Cost, ALoopGoesRoundOnce) {
  bpf::Assembler code;
  bpf::Label head = code.make_label(), body = code.make_label();
  code.set_line(1);
  code.emit(bpf::mov64(Reg::R1, 10));
  code.jump_to(head);
  code.set_line(2);
  code.bind(body);
  code.emit(bpf::alu64(AluOp::Sub, Reg::R1, 1));
  code.set_line(1);
  code.bind(head);
  code.jump_to_if(JumpOp::Ne, Reg::R1, 0, body);
  code.set_line(0);
  code.emit(bpf::exit_insn());
  const bpf::Program program = finished(code);
  EXPECT_EQ(cost_of_line(program, 1), 3 * kInsn);
  EXPECT_EQ(cost_of_line(program, 2), kInsn);
}

TEST(Cost, EveryHelperHasAPrice) {
  constexpr uint32_t kUnlisted = 10500;
  for (const Helper helper : {
#define KTAP_BPF_HELPER(enumerator, number, name) Helper::enumerator,
#include "bpf/helpers.def"
#undef KTAP_BPF_HELPER
       }) {
    bpf::Assembler code;
    code.set_line(1);
    code.call_helper(helper);
    code.set_line(0);
    code.emit(bpf::exit_insn());
    const uint32_t cost = cost_of_line(finished(code), 1);
    EXPECT_GT(cost, 0U) << static_cast<int32_t>(helper);
    EXPECT_NE(cost, kUnlisted) << static_cast<int32_t>(helper);
  }
}

TEST(Cost, TheStackIsWhatIsReachedByStoresAndAddresses) {
  bpf::Assembler code;
  code.emit(bpf::mov64(Reg::R0, 0));
  code.emit(bpf::exit_insn());
  EXPECT_EQ(stack_bytes(finished(code)), 0U);
  bpf::Assembler deep;
  deep.emit(bpf::store(Size::DW, Reg::R10, -16, 0));
  deep.emit(bpf::mov64(Reg::R2, Reg::R10));
  deep.emit(bpf::alu64(AluOp::Add, Reg::R2, -72));
  deep.emit(bpf::exit_insn());
  EXPECT_EQ(stack_bytes(finished(deep)), 72U);
  bpf::Assembler calling;  // the two stacks are there at once
  const bpf::Label function = calling.make_label();
  calling.emit(bpf::store(Size::DW, Reg::R10, -16, 0));
  calling.load_function(Reg::R2, function);
  calling.emit(bpf::exit_insn());
  calling.begin_callback(function);
  calling.emit(bpf::store(Size::DW, Reg::R10, -40, 0));
  calling.emit(bpf::exit_insn());
  EXPECT_EQ(stack_bytes(finished(calling)), 56U);
}

}  // namespace
}  // namespace ktap::backend
