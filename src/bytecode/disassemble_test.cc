// The printed form: names instead of numbers, jump targets instead of offsets, source lines
// between.
#include <gtest/gtest.h>

#include <iterator>
#include <memory>
#include <string>

#include "bytecode/chunk.h"
#include "diag/source.h"

namespace ktap::bytecode {
namespace {

Chunk small_chunk() {
  Chunk chunk;
  chunk.globals = {"arg", "x"};
  chunk.main = std::make_unique<Function>();
  Function& main = *chunk.main;
  main.name = "main";
  main.register_count = 4;
  main.constants = {std::string("a\n\"b\""), 2.0, true, {}};
  main.code = {Insn::ad(Op::LoadK, 0, 0), Insn::abc(Op::MulK, 1, 0, 1),
               Insn::abc(Op::TestEqK, 1, 3, 0), Insn::jump(Op::Jmp, -4),
               Insn::abc(Op::Return, 0, 1, 0)};
  for (const uint32_t line : {1, 1, 2, 2, 0}) main.places.push_back({{}, line});
  return chunk;
}

TEST(Disassemble, SourceLinesStandBetween) {
  const diag::Source source("x.kp", "first\nsecond\n");
  EXPECT_EQ(disassemble(small_chunk(), &source),
            "function #0 main (): 4 registers\n"
            "   1 | first\n"
            "      0  LoadK        r0 = \"a\\n\\\"b\\\"\"\n"
            "      1  MulK         r1 = r0 * 2.0000000000000\n"
            "   2 | second\n"
            "      2  TestEqK      r1 == nil is false\n"
            "      3  Jmp          -> 0\n"
            "      4  Return\n");
}

TEST(Disassemble, WithoutSource) {
  const std::string text = disassemble(small_chunk(), nullptr);
  EXPECT_EQ(text.find("first"), std::string::npos);
  EXPECT_NE(text.find("      3  Jmp          -> 0\n"), std::string::npos);
}

TEST(Disassemble, ChildrenFollowTheirParent) {
  Chunk chunk = small_chunk();
  auto child = std::make_unique<Function>();
  child->name = "f";
  child->param_count = 1;
  child->param_names = {"p"};
  child->register_count = 1;
  child->upvalues = {{true, 2, "v"}};
  child->code = {Insn::abc(Op::UpdateUpval, 0, 0, static_cast<uint8_t>(UpdateOp::Shl)),
                 Insn::ad(Op::EventVar, 0, 6), Insn::abc(Op::Return, 0, 2, 0)};
  chunk.main->children.push_back(std::move(child));
  EXPECT_NE(disassemble(chunk, nullptr)
                .find("\nfunction #1 f (p): 1 registers\n"
                      "  upvalue 0: v = r2 of the parent\n"
                      "      0  UpdateUpval  upvalue v <<= r0\n"
                      "      1  EventVar     r0 = execname\n"
                      "      2  Return       r0\n"),
            std::string::npos);
}

TEST(Names, TablesAreWhole) {
  EXPECT_EQ(op_name(Op::LoadNil), "LoadNil");
  EXPECT_EQ(op_name(Op::AggAddVar), "AggAddVar");
  EXPECT_EQ(op_format(Op::Jmp), Format::J);
  EXPECT_EQ(op_format(Op::ForLoop), Format::AS);
  EXPECT_EQ(builtin_info(Builtin::TableNew).prefix, "table");
  EXPECT_EQ(full_name(builtin_info(Builtin::TableNew)), "table.new");
  EXPECT_EQ(full_name(builtin_info(Builtin::Printf)), "printf");
  EXPECT_EQ(builtin_info(Builtin::Printf).min_args, 1);
  EXPECT_LT(static_cast<size_t>(Builtin::TimerProfile), builtin_count());
}

TEST(Insn, FieldsComeBackAsTheyWentIn) {
  const Insn abc = Insn::abc(Op::Add, 1, 2, 255);
  EXPECT_EQ(abc.op(), Op::Add);
  EXPECT_EQ(abc.a(), 1);
  EXPECT_EQ(abc.b(), 2);
  EXPECT_EQ(abc.c(), 255);
  EXPECT_EQ(Insn::as(Op::LoadInt, 3, -32768).s(), -32768);
  EXPECT_EQ(Insn::ad(Op::LoadK, 3, 65535).d(), 65535);
  EXPECT_EQ(Insn::jump(Op::Jmp, -8388608).j(), -8388608);
  EXPECT_EQ(Insn::jump(Op::Jmp, 8388607).j(), 8388607);
}

}  // namespace
}  // namespace ktap::bytecode
