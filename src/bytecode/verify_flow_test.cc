// What registers hold, on every way: each rule of check_flow() broken, and what is like it and
// good.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bytecode/chunk.h"

namespace ktap::bytecode {
namespace {

const Insn kEnd = Insn::abc(Op::Return, 0, 1, 0);

Insn nils(int first, int count) {
  return Insn::abc(Op::LoadNil, static_cast<uint8_t>(first), static_cast<uint8_t>(count - 1), 0);
}
Insn load(int r) { return Insn::as(Op::LoadInt, static_cast<uint8_t>(r), 1); }
Insn use(int r) { return Insn::ad(Op::SetGlobal, static_cast<uint8_t>(r), 1); }
Insn capture() { return Insn::ad(Op::Closure, 7, 0); }  // captures register 2
Insn test(int r) { return Insn::abc(Op::Test, static_cast<uint8_t>(r), 0, 1); }
Insn jump(int offset) { return Insn::jump(Op::Jmp, offset); }
Insn iterator(int r) { return Insn::abc(Op::IterPrep, static_cast<uint8_t>(r), 0, 0); }
Insn next(int r, int count) {
  return Insn::abc(Op::IterNext, static_cast<uint8_t>(r), static_cast<uint8_t>(count), 0);
}

/// What verify() says of main with 8 registers and a child that captures register 2; an end is put
/// behind.
std::string verdict(std::vector<Insn> code) {
  Chunk chunk;
  chunk.globals = {"arg", "x"};
  chunk.main = std::make_unique<Function>();
  chunk.main->name = "main";
  chunk.main->register_count = 8;
  chunk.main->constants = {int64_t{7}, std::string("name")};
  chunk.main->code = std::move(code);
  chunk.main->code.push_back(kEnd);
  chunk.main->places.resize(chunk.main->code.size());
  auto child = std::make_unique<Function>();
  child->register_count = 1;
  child->upvalues = {{true, 2, "v"}};
  child->code = {kEnd};
  child->places.resize(1);
  chunk.main->children.push_back(std::move(child));
  return verify(chunk);
}

void expect_good(std::vector<Insn> code) { EXPECT_EQ(verdict(std::move(code)), ""); }

void expect_refused(std::vector<Insn> code, const std::string& part) {
  const std::string text = verdict(std::move(code));
  EXPECT_NE(text.find(part), std::string::npos) << "got: '" << text << "', expected: " << part;
}

TEST(VerifyFlow, EveryOperandIsWrittenBefore) {
  const std::string part = "holds nothing on some way here";
  const std::vector<Insn> first = {
      Insn::abc(Op::Move, 0, 1, 0),      Insn::abc(Op::GetField, 0, 1, 1),
      Insn::abc(Op::AddK, 0, 1, 0),      Insn::abc(Op::SubK, 0, 1, 0),
      Insn::abc(Op::MulK, 0, 1, 0),      Insn::abc(Op::Neg, 0, 1, 0),
      Insn::abc(Op::Not, 0, 1, 0),       Insn::abc(Op::BitNot, 0, 1, 0),
      Insn::abc(Op::Tuple, 0, 1, 2),     Insn::abc(Op::Concat, 0, 1, 2),
      Insn::ad(Op::SetGlobal, 1, 1),     Insn::abc(Op::UpdateGlobal, 1, 1, 0),
      Insn::abc(Op::SetField, 1, 1, 0),  Insn::abc(Op::UpdateIndex, 0, 1, 0),
      Insn::abc(Op::AggAddVar, 1, 0, 0), Insn::abc(Op::Call, 1, 1, 1),
      Insn::abc(Op::TailCall, 1, 1, 0),  Insn::abc(Op::Return, 1, 2, 0),
      Insn::abc(Op::Register, 1, 0, 0),  Insn::abc(Op::IterPrep, 1, 0, 0),
      Insn::as(Op::ForPrep, 1, 0)};
  for (const Insn insn : first) expect_refused({load(0), insn}, part);
  for (const Op op : {Op::GetIndex, Op::SetIndex, Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Mod,
                      Op::BitAnd, Op::BitOr, Op::BitXor, Op::Shl, Op::Shr, Op::Match, Op::AggAdd}) {
    expect_refused({load(0), Insn::abc(op, 0, 0, 1)}, part);
    expect_refused({load(0), Insn::abc(op, 0, 1, 0)}, part);
    expect_good({nils(0, 2), Insn::abc(op, 0, 1, 1)});
  }
  for (const Op op : {Op::Test, Op::TestEqK})
    expect_refused({Insn::abc(op, 1, 0, 0), jump(0)}, part);
  for (const Op op : {Op::TestEq, Op::TestLt, Op::TestLe}) {
    expect_refused({load(0), Insn::abc(op, 0, 1, 0), jump(0)}, part);
    expect_refused({load(0), Insn::abc(op, 1, 0, 0), jump(0)}, part);
  }
}

TEST(VerifyFlow, WaysThatMeetAgree) {
  expect_good({load(0), test(0), jump(2), load(1), jump(1), load(1), use(1)});
  expect_refused({load(0), test(0), jump(1), load(1), use(1)}, "register 1 holds nothing");
  // Round a loop: what the first round has not yet.
  expect_refused({load(0), use(1), load(1), jump(-3)}, "instruction 1 (SetGlobal): register 1");
  expect_good({nils(0, 2), use(1), load(1), jump(-3)});
  // Code that nothing reaches is not followed.
  expect_good({jump(1), use(5)});
}

TEST(VerifyFlow, ACallTakesItsWindow) {
  expect_good({nils(0, 4), Insn::abc(Op::Call, 1, 2, 3), use(1), use(2)});
  expect_refused({nils(0, 4), Insn::abc(Op::Call, 1, 2, 2), use(2)}, "register 2 holds nothing");
  expect_refused({nils(0, 4), Insn::abc(Op::Call, 1, 2, 1), use(1)}, "register 1 holds nothing");
  expect_good({nils(0, 4), Insn::abc(Op::Call, 1, 2, 1), use(0)});
  // Open lists: from the list's begin to the results.
  const Insn open = Insn::abc(Op::Call, 3, 1, 0);
  expect_good({nils(0, 4), open, Insn::abc(Op::Return, 0, 0, 0)});
  expect_refused({load(0), nils(2, 2), open, Insn::abc(Op::Call, 0, 0, 1)},
                 "register 1 holds nothing");
  expect_refused({nils(1, 3), open, Insn::abc(Op::Call, 0, 0, 1)}, "register 0 holds nothing");
}

TEST(VerifyFlow, OnlyATableBeingBuiltTakesAList) {
  const Insn make = Insn::abc(Op::NewTable, 0, 1, 0);
  expect_good({make, load(1), Insn::abc(Op::SetList, 0, 1, 0), use(0)});
  expect_refused({nils(0, 2), Insn::abc(Op::SetList, 0, 1, 0)}, "is to be the table");
  expect_refused({make, Insn::abc(Op::SetList, 0, 1, 0)}, "register 1 holds nothing");
  expect_refused({make, load(1), load(0), Insn::abc(Op::SetList, 0, 1, 0)}, "is to be the table");
  // A captured variable may be another table, or none, when its turn comes.
  expect_refused({load(2), capture(), Insn::abc(Op::NewTable, 2, 1, 0), load(3),
                  Insn::abc(Op::SetList, 2, 1, 0)},
                 "is to be the table");
  expect_refused(
      {Insn::abc(Op::NewTable, 2, 1, 0), capture(), load(3), Insn::abc(Op::SetList, 2, 1, 0)},
      "is to be the table");
}

TEST(VerifyFlow, IteratorsAreNoValues) {
  expect_good({nils(0, 2), iterator(0), next(0, 2), jump(-2), kEnd});
  expect_refused({nils(0, 2), next(0, 2), jump(-2), kEnd}, "is to be an iterator");
  expect_refused({nils(0, 2), iterator(0), use(0)}, "register 0 holds an iterator");
  expect_refused({nils(0, 2), iterator(0), load(0), next(0, 1), jump(-2), kEnd},
                 "is to be an iterator");
  // Its variables are there in the loop only.
  expect_good({nils(0, 2), iterator(0), next(0, 2), jump(1), kEnd, use(3)});
  expect_refused({nils(0, 2), iterator(0), next(0, 2), jump(1), use(3)},
                 "register 3 holds nothing");
  // A call below it takes it.
  expect_refused(
      {nils(0, 4), iterator(2), Insn::abc(Op::Call, 0, 1, 1), next(2, 1), jump(-3), kEnd},
      "is to be an iterator");
}

TEST(VerifyFlow, CountingLoopsArePrepared) {
  const Insn prep = Insn::as(Op::ForPrep, 0, 2);
  const Insn loop = Insn::as(Op::ForLoop, 0, -2);
  expect_good({nils(0, 3), prep, use(3), loop});
  expect_refused({nils(0, 3), prep, use(3), loop, use(0)}, "register 0 holds nothing");
  expect_refused({nils(0, 4), jump(1), prep, use(3), loop},
                 "is to be the value of a counting loop");
  expect_refused(
      {nils(0, 3), Insn::as(Op::ForPrep, 0, 3), load(1), use(3), Insn::as(Op::ForLoop, 0, -2)},
      "is to be the limit of a counting loop");
  expect_refused(
      {nils(0, 3), Insn::as(Op::ForPrep, 0, 3), load(2), use(3), Insn::as(Op::ForLoop, 0, -2)},
      "is to be the step of a counting loop");
  expect_refused({nils(0, 3), prep, use(1), loop}, "register 1 belongs to a counting loop");
  // Out of an empty loop they are values again: nothing was prepared.
  expect_refused({nils(0, 3), Insn::as(Op::ForPrep, 0, 0), loop},
                 "is to be the value of a counting loop");
}

TEST(VerifyFlow, CapturedRegistersAreValuesUntilTheyAreClosed) {
  const Insn close = Insn::abc(Op::Close, 2, 0, 0);
  expect_refused({capture()}, "register 2 holds nothing");
  expect_good({load(2), capture(), use(2)});
  expect_refused({nils(1, 3), capture(), iterator(2)}, "register 2 is captured");
  expect_good({nils(1, 3), capture(), close, iterator(2)});
  expect_refused({nils(0, 5), capture(), Insn::as(Op::ForPrep, 1, 0)}, "register 2 is captured");
  expect_refused({nils(0, 4), iterator(2), capture()}, "register 2 holds an iterator");
  expect_refused({nils(0, 4), capture(), Insn::abc(Op::Call, 1, 1, 1)},
                 "register 2 is captured, in a call's window");
  expect_good({nils(0, 4), capture(), Insn::abc(Op::Call, 3, 1, 1)});
  expect_good({nils(0, 4), capture(), Insn::abc(Op::TailCall, 1, 1, 0)});
  // On one of two ways is enough.
  expect_refused({nils(0, 4), test(0), jump(1), capture(), iterator(2)}, "register 2 is captured");
  // A function that calls itself captures its own register.
  expect_good({Insn::ad(Op::Closure, 2, 0)});
  expect_refused({Insn::ad(Op::Closure, 2, 0), nils(3, 1), iterator(2)}, "register 2 is captured");
}

TEST(VerifyFlow, WorkIsBounded) {
  // Many jump targets, each with the whole state: too much for any real function.
  std::vector<Insn> code(size_t{1} << 22, jump(0));
  code.pop_back();
  expect_good({nils(0, 8), jump(0)});
  Chunk chunk;
  chunk.globals = {"arg"};
  chunk.main = std::make_unique<Function>();
  chunk.main->register_count = 250;
  chunk.main->code = std::move(code);
  chunk.main->code.push_back(kEnd);
  chunk.main->places.resize(chunk.main->code.size());
  EXPECT_NE(verify(chunk).find("too many jumps to verify"), std::string::npos);
}

}  // namespace
}  // namespace ktap::bytecode
