// What instructions read and write, one of each form.
#include "bytecode/register_use.h"

#include <gtest/gtest.h>

#include <string>

namespace ktap::bytecode {
namespace {

/// "reads 1 2 writes 0" of the last of `code`.
std::string use_of(const std::vector<Insn>& code) {
  Function function;
  function.register_count = 6;
  function.code = code;
  const RegisterUse use = register_use(function, code.size() - 1);
  std::string text = "reads";
  const auto add = [&text](const RegisterRange& range) {
    for (int i = 0; i < range.count; ++i) text += " " + std::to_string(range.first + i);
  };
  for (const RegisterRange& range : use.reads) add(range);
  text += " writes";
  add(use.writes);
  return text;
}

TEST(RegisterUse, Values) {
  EXPECT_EQ(use_of({Insn::abc(Op::LoadNil, 1, 2, 0)}), "reads writes 1 2 3");
  EXPECT_EQ(use_of({Insn::abc(Op::AddK, 0, 4, 1)}), "reads 4 writes 0");
  EXPECT_EQ(use_of({Insn::abc(Op::Add, 0, 4, 1)}), "reads 4 1 writes 0");
  EXPECT_EQ(use_of({Insn::abc(Op::Tuple, 0, 2, 3)}), "reads 2 3 4 writes 0");
  EXPECT_EQ(use_of({Insn::abc(Op::Concat, 0, 2, 3)}), "reads 2 3 writes 0");
}

TEST(RegisterUse, Stores) {
  EXPECT_EQ(use_of({Insn::abc(Op::SetField, 5, 1, 2)}), "reads 5 2 writes");
  EXPECT_EQ(use_of({Insn::abc(Op::UpdateIndex, 5, 1, 0)}), "reads 5 1 2 writes");
  EXPECT_EQ(use_of({Insn::abc(Op::AggAddVar, 5, 1, 0)}), "reads 5 1 writes");
  EXPECT_EQ(use_of({Insn::abc(Op::SetList, 1, 2, 0)}), "reads 1 2 3 writes");
}

TEST(RegisterUse, ListsThatEndAtOpenResults) {
  const Insn open = Insn::abc(Op::Call, 4, 1, 0);
  EXPECT_EQ(use_of({open}), "reads 4 writes 4 5");
  EXPECT_EQ(use_of({open, Insn::abc(Op::Call, 1, 0, 1)}), "reads 1 2 3 writes 1 2 3 4 5");
  EXPECT_EQ(use_of({open, Insn::abc(Op::Return, 2, 0, 0)}), "reads 2 3 writes");
  EXPECT_EQ(use_of({open, Insn::abc(Op::SetList, 2, 0, 0)}), "reads 2 3 writes");
  EXPECT_EQ(use_of({Insn::abc(Op::Return, 2, 1, 0)}), "reads writes");
}

TEST(RegisterUse, Loops) {
  EXPECT_EQ(use_of({Insn::as(Op::ForLoop, 1, -1)}), "reads 1 2 3 writes 4");
  EXPECT_EQ(use_of({Insn::abc(Op::IterNext, 1, 2, 0)}), "reads 1 writes 3 4");
}

}  // namespace
}  // namespace ktap::bytecode
