// Instructions, assembler, disassembler: decode(encode) over every maker, text, labels.
#include <gtest/gtest.h>

#include <utility>

#include "bpf/assembler.h"
#include "bpf/decode.h"
#include "bpf/disassembler.h"

namespace ktap::bpf {
namespace {

using R = Reg;

std::vector<Insn> every_maker() {
  std::vector<Insn> all;
  for (int op = 0x00; op <= 0xc0; op += 0x10) {
    auto alu = static_cast<AluOp>(op);
    if (alu == AluOp::Neg) continue;
    all.push_back(alu64(alu, R::R1, R::R9));
    all.push_back(alu64(alu, R::R2, -7));
    all.push_back(alu32(alu, R::R3, R::R4));
    all.push_back(alu32(alu, R::R5, INT32_MIN));
  }
  all.push_back(neg64(R::R6));
  for (AluOp op : {AluOp::Div, AluOp::Mod}) {
    all.push_back(signed64(op, R::R1, R::R9));
    all.push_back(signed64(op, R::R2, -7));
  }
  for (int16_t bits : {8, 16, 32}) all.push_back(mov_signed(R::R1, R::R2, bits));
  for (Size size : {Size::B, Size::H, Size::W})
    all.push_back(load_signed(size, R::R1, R::R10, -512));
  all.push_back(to_big_endian64(R::R7));
  for (Size size : {Size::B, Size::H, Size::W, Size::DW}) {
    all.push_back(load(size, R::R1, R::R10, -512));
    all.push_back(store(size, R::R10, -8, R::R7));
    all.push_back(store(size, R::R10, 32767, 99));
  }
  for (AtomicOp op : {AtomicOp::Add, AtomicOp::Or, AtomicOp::And, AtomicOp::Xor, AtomicOp::FetchAdd,
                      AtomicOp::Xchg, AtomicOp::CmpXchg}) {
    all.push_back(atomic(op, Size::DW, R::R0, 8, R::R1));
    all.push_back(atomic(op, Size::W, R::R0, 4, R::R1));
  }
  for (int op = 0x10; op <= 0xd0; op += 0x10) {
    auto jump_op = static_cast<JumpOp>(op);
    if (jump_op == JumpOp::Call || jump_op == JumpOp::Exit) continue;
    all.push_back(jump_if(jump_op, R::R1, R::R2, 5));
    all.push_back(jump_if(jump_op, R::R1, -1, -5));
    all.push_back(jump32_if(jump_op, R::R1, R::R2, 5));
    all.push_back(jump32_if(jump_op, R::R1, 7, -32768));
  }
  all.push_back(jump(12));
  all.push_back(call(131));
  all.push_back(may_goto(7));
  all.push_back(call_kernel(64234));
  all.push_back(exit_insn());
  all.push_back(load_imm64_first(R::R8, kPseudoMapValue, 0));
  all.push_back(load_imm64_first(R::R8, kPseudoNone, 0xffffffff));
  all.push_back(load_imm64_first(R::R8, kPseudoFunction, 12));
  return all;
}

TEST(Decode, IsTheInverseOfEncodeForEveryMaker) {
  for (const Insn& insn : every_maker()) {
    auto decoded = decode(insn);
    ASSERT_TRUE(decoded.has_value()) << disassemble(insn);
    EXPECT_TRUE(encode(*decoded) == insn) << disassemble(insn);
  }
}

TEST(Decode, RefusesWhatNoMakerMakes) {
  EXPECT_FALSE(decode(make_insn(0, R::R0, R::R0, 0, 0)).has_value());     // second half of a load
  EXPECT_FALSE(decode(make_insn(0x07, R::R1, R::R2, 0, 1)).has_value());  // register in an imm form
  EXPECT_FALSE(decode(make_insn(0x0f, R::R1, R::R2, 0, 1)).has_value());  // imm in a register form
  EXPECT_FALSE(decode(make_insn(0x0f, R::R1, R::R2, 1, 0)).has_value());  // a signed sum
  EXPECT_FALSE(decode(make_insn(0x3f, R::R1, R::R2, 2, 0)).has_value());
  EXPECT_FALSE(decode(make_insn(0xbf, R::R1, R::R2, 7, 0)).has_value());   // 7 bits
  EXPECT_FALSE(decode(make_insn(0x99, R::R1, R::R2, 0, 0)).has_value());   // 64 bits, extended
  EXPECT_FALSE(decode(make_insn(0xd7, R::R1, R::R0, 0, 16)).has_value());  // byte swap
  EXPECT_FALSE(
      decode(make_insn(0xe5, R::R1, R::R0, 3, 0)).has_value());  // may_goto with a register
  EXPECT_FALSE(decode(make_insn(0x85, R::R0, R::R2, 1, 7)).has_value());  // of a module's BTF
  EXPECT_FALSE(decode(make_insn(0x95, R::R1, R::R0, 0, 0)).has_value());  // exit with a register
  EXPECT_FALSE(decode(make_insn(0x61, R::R1, static_cast<R>(11), 0, 0)).has_value());
  EXPECT_FALSE(decode(make_insn(0xd3, R::R1, R::R0, 0, 0)).has_value());  // atomic on a byte
}

// Two kinds of instruction never share a text.
TEST(Disassembler, TellsAllFormsApart) {
  auto all = every_maker();
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = i + 1; j < all.size(); ++j) {
      bool is_load64 = all[i].code == kLoadImm64 && all[j].code == kLoadImm64;
      EXPECT_TRUE(is_load64 || disassemble(all[i]) != disassemble(all[j])) << disassemble(all[i]);
    }
  }
}

TEST(Disassembler, Text) {
  EXPECT_EQ(disassemble(alu64(AluOp::Add, R::R1, 8)), "r1 += 8");
  EXPECT_EQ(disassemble(alu32(AluOp::Arsh, R::R1, R::R2)), "w1 s>>= w2");
  EXPECT_EQ(disassemble(neg64(R::R3)), "r3 = -r3");
  EXPECT_EQ(disassemble(to_big_endian64(R::R3)), "r3 = be64 r3");
  EXPECT_EQ(disassemble(load(Size::W, R::R3, R::R6, 24)), "r3 = *(u32 *)(r6 + 24)");
  EXPECT_EQ(disassemble(store(Size::B, R::R10, -1, 7)), "*(u8 *)(r10 - 1) = 7");
  EXPECT_EQ(disassemble(atomic(AtomicOp::Add, Size::DW, R::R0, 0, R::R1)),
            "lock *(u64 *)(r0 + 0) += r1");
  EXPECT_EQ(disassemble(jump_if(JumpOp::SLt, R::R1, -1, 3)), "if r1 s< -1 goto +3");
  EXPECT_EQ(disassemble(call(1)), "call map_lookup_elem#1");
  EXPECT_EQ(disassemble(call(999)), "call #999");
  EXPECT_EQ(disassemble(make_insn(0, R::R0, R::R0, 0, 0)), "bad code 0x00 dst 0 src 0 off 0 imm 0");
}

TEST(Assembler, PatchesJumpsBothWays) {
  Assembler code;
  Label back = code.make_label(), forward = code.make_label();
  code.set_line(3);
  code.bind(back);
  code.load_const(R::R1, 5);
  code.load_const(R::R2, INT64_MAX);
  code.jump_to_if(JumpOp::Eq, R::R1, R::R2, forward);
  code.set_line(4);
  code.load_map_value(R::R3, 1, 16);
  code.load_map(R::R4, 0);
  code.jump_to(back);
  code.bind(forward);
  code.emit(exit_insn());
  Program program;
  ASSERT_TRUE(code.finish(program).ok());
  MapSpec a, b;
  a.name = "ring";
  b.name = "control";
  EXPECT_EQ(disassemble(program, {a, b}),
            "   0: r1 = 5                                  ; line 3\n"
            "   1: r2 = 0x7fffffffffffffff ll\n"
            "   3: if r1 == r2 goto 9\n"
            "   4: r3 = map control[16]                    ; line 4\n"
            "   6: r4 = map ring\n"
            "   8: goto 0\n"
            "   9: exit\n");
  ASSERT_EQ(program.maps.size(), 2u);
  EXPECT_EQ(program.code[5].imm, 16);
  EXPECT_EQ(program.lines.size(), program.code.size());
}

TEST(Assembler, KnowsWhereCallbacksBegin) {
  Assembler code;
  const Label function = code.make_label();
  code.load_function(R::R2, function);
  code.emit(exit_insn());
  code.begin_callback(function);
  code.emit(exit_insn());
  Program program;
  ASSERT_TRUE(code.finish(program).ok());
  EXPECT_EQ(disassemble(program, {}),
            "   0: r2 = function 3\n"
            "   2: exit\n"
            "   3: exit\n");
  EXPECT_EQ(program.callbacks, std::vector<uint32_t>{3});
}

TEST(Assembler, RefusesAJumpThatIsTooFar) {
  for (int padding : {32767, 32768}) {
    Assembler code;
    Label far = code.make_label();
    code.jump_to(far);
    for (int i = 0; i < padding; ++i) code.emit(mov64(R::R0, 0));
    code.bind(far);
    code.emit(exit_insn());
    Program program;
    EXPECT_EQ(code.finish(program).ok(), padding == 32767);
  }
}

}  // namespace
}  // namespace ktap::bpf
