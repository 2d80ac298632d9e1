// Every rule of verify() broken once, on an otherwise good function.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "bytecode/chunk.h"

namespace ktap::bytecode {
namespace {

const Insn kEnd = Insn::abc(Op::Return, 0, 1, 0);

/// main with four registers, constants 7, "name", true; globals `arg`, `x`; one child of two
/// registers that captures register 0 of main. `code` gets a Return behind it.
Chunk chunk_with(std::vector<Insn> code, bool add_end = true) {
  Chunk chunk;
  chunk.source_name = "test";
  chunk.globals = {"arg", "x"};
  chunk.main = std::make_unique<Function>();
  chunk.main->name = "main";
  chunk.main->register_count = 4;
  chunk.main->constants = {int64_t{7}, std::string("name"), true};
  chunk.main->code = std::move(code);
  if (add_end) chunk.main->code.push_back(kEnd);
  chunk.main->places.resize(chunk.main->code.size());
  auto child = std::make_unique<Function>();
  child->name = "child";
  child->register_count = 2;
  child->upvalues = {{true, 0, "v"}};
  child->code = {Insn::abc(Op::GetUpval, 0, 0, 0), kEnd};
  child->places.resize(2);
  chunk.main->children.push_back(std::move(child));
  return chunk;
}

std::string verdict(std::vector<Insn> code, bool add_end = true) {
  return verify(chunk_with(std::move(code), add_end));
}

void expect_refused(std::vector<Insn> code, const std::string& part, bool add_end = true) {
  const std::string text = verdict(std::move(code), add_end);
  EXPECT_NE(text.find(part), std::string::npos) << "got: '" << text << "', expected: " << part;
}

TEST(Verify, AcceptsWhatIsWellFormed) {
  EXPECT_EQ(verdict({}), "");
  EXPECT_EQ(verdict({Insn::abc(Op::LoadNil, 0, 3, 0)}), "");
  const Insn nils = Insn::abc(Op::LoadNil, 0, 3, 0);
  EXPECT_EQ(verdict({nils, Insn::abc(Op::Test, 3, 0, 1), Insn::jump(Op::Jmp, -2)}), "");
  EXPECT_EQ(verdict({nils, Insn::abc(Op::Call, 1, 1, 0), Insn::abc(Op::Call, 0, 0, 0),
                     Insn::abc(Op::Return, 0, 0, 0)}),
            "");
  EXPECT_EQ(verdict({nils, Insn::ad(Op::Closure, 0, 0), Insn::ad(Op::SetGlobal, 0, 1)}), "");
  EXPECT_EQ(verdict({Insn::jump(Op::Jmp, -1)}, false), "");
}

TEST(Verify, AFunctionMayHaveNoRegisters) {
  Chunk chunk = chunk_with({});
  chunk.main->register_count = 0;
  chunk.main->children.clear();
  EXPECT_EQ(verify(chunk), "");
}

TEST(Verify, EveryRegisterIsBelowTheCount) {
  const std::string part = "register 4 of 4";
  for (const Op op :
       {Op::Move, Op::Add, Op::GetIndex, Op::SetIndex, Op::Match, Op::Neg, Op::TestEq}) {
    std::vector<Insn> first = {Insn::abc(op, 4, 0, 0), Insn::jump(Op::Jmp, 0)};
    std::vector<Insn> second = {Insn::abc(op, 0, 4, 0), Insn::jump(Op::Jmp, 0)};
    expect_refused(first, part);
    expect_refused(second, part);
  }
  for (const Op op : {Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Mod, Op::BitAnd, Op::BitOr,
                      Op::BitXor, Op::Shl, Op::Shr, Op::GetIndex, Op::SetIndex, Op::Match}) {
    expect_refused({Insn::abc(op, 0, 0, 4)}, part);
  }
  expect_refused({Insn::ad(Op::LoadK, 4, 0)}, part);
  expect_refused({Insn::as(Op::LoadInt, 4, 0)}, part);
  expect_refused({Insn::ad(Op::SetGlobal, 4, 0)}, part);
  expect_refused({Insn::abc(Op::UpdateGlobal, 0, 4, 0)}, part);
  expect_refused({Insn::abc(Op::GetField, 0, 4, 1)}, part);
  expect_refused({Insn::abc(Op::SetField, 0, 1, 4)}, part);
  expect_refused({Insn::ad(Op::EventVar, 4, 0)}, part);
  expect_refused({Insn::abc(Op::Close, 4, 0, 0)}, part);
  expect_refused({Insn::abc(Op::Test, 4, 0, 0), Insn::jump(Op::Jmp, 0)}, part);
}

TEST(Verify, RangesOfRegistersAreWhole) {
  expect_refused({Insn::abc(Op::LoadNil, 2, 2, 0)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::Tuple, 0, 3, 2)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::Concat, 0, 2, 4)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::SetList, 2, 2, 0)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::UpdateIndex, 0, 3, 0)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::Call, 2, 3, 1)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::Call, 2, 1, 4)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::TailCall, 2, 3, 0)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::Return, 2, 4, 0)}, "register 4 of 4");
  expect_refused({Insn::as(Op::ForPrep, 1, 0)}, "register 4 of 4");
  expect_refused({Insn::as(Op::ForLoop, 1, -1)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::IterPrep, 3, 0, 0)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::IterNext, 1, 2, 0), Insn::jump(Op::Jmp, 0)}, "register 4 of 4");
  expect_refused({Insn::abc(Op::Register, 2, 0, 0)}, "register 4 of 4");
}

TEST(Verify, ConstantsExistAndAreOfTheirKind) {
  expect_refused({Insn::ad(Op::LoadK, 0, 3)}, "constant 3 of 3");
  expect_refused({Insn::abc(Op::TestEqK, 0, 3, 0), Insn::jump(Op::Jmp, 0)}, "constant 3 of 3");
  expect_refused({Insn::abc(Op::GetField, 0, 0, 0)}, "not a string constant");
  expect_refused({Insn::abc(Op::SetField, 0, 2, 0)}, "not a string constant");
  expect_refused({Insn::ad(Op::EventField, 0, 0)}, "not a string constant");
  expect_refused({Insn::ad(Op::EventWord, 0, 2)}, "not a string constant");
  expect_refused({Insn::abc(Op::AddK, 0, 0, 1)}, "not a number constant");
  expect_refused({Insn::abc(Op::SubK, 0, 0, 2)}, "not a number constant");
  expect_refused({Insn::abc(Op::MulK, 0, 0, 9)}, "constant 9 of 3");
}

TEST(Verify, JumpsStayInside) {
  expect_refused({Insn::jump(Op::Jmp, 1)}, "a jump to 2");
  expect_refused({Insn::jump(Op::Jmp, -2)}, "a jump to -1");
  expect_refused({Insn::as(Op::ForPrep, 0, 1)}, "a jump to 2");
  expect_refused({Insn::as(Op::ForLoop, 0, -2)}, "a jump to -1");
  expect_refused({Insn::as(Op::ForPrep, 0, -1)}, "a jump backwards out of an empty loop");
  expect_refused({Insn::as(Op::ForLoop, 0, 0)}, "a loop that does not jump back");
  expect_refused(
      {Insn::jump(Op::Jmp, 1), Insn::abc(Op::Test, 0, 0, 0), Insn::jump(Op::Jmp, 0), kEnd},
      "a jump to 2, between a test and its jump");
}

TEST(Verify, OpenResultsAreUsedAtOnce) {
  const Insn open = Insn::abc(Op::Call, 1, 1, 0);
  expect_refused({open, Insn::abc(Op::Move, 0, 1, 0)}, "open results that nothing uses");
  expect_refused({Insn::abc(Op::Return, 0, 0, 0)}, "no open results");
  expect_refused({Insn::abc(Op::Move, 0, 1, 0), Insn::abc(Op::Call, 0, 0, 1)}, "no open results");
  expect_refused({Insn::abc(Op::Call, 0, 1, 1), Insn::abc(Op::SetList, 0, 0, 0)},
                 "no open results");
  expect_refused({open, Insn::abc(Op::Call, 1, 0, 1)}, "open results below the list");
  expect_refused({open, Insn::abc(Op::TailCall, 2, 0, 1)}, "open results below the list");
  expect_refused({Insn::jump(Op::Jmp, 1), open, Insn::abc(Op::Return, 0, 0, 0)},
                 "between open results and their use");
}

TEST(Verify, ATestIsFollowedByAJump) {
  for (const Op op : {Op::Test, Op::TestEq, Op::TestLt, Op::TestLe, Op::TestEqK}) {
    expect_refused({Insn::abc(op, 0, 0, 0), Insn::abc(Op::Move, 0, 0, 0)},
                   "not followed by a jump");
  }
  expect_refused({Insn::abc(Op::IterNext, 0, 1, 0), Insn::abc(Op::Move, 0, 0, 0)},
                 "not followed by a jump");
  expect_refused({Insn::abc(Op::Test, 0, 0, 0), Insn::jump(Op::Jmp, -2)}, "a test at the end",
                 false);
}

TEST(Verify, TheEndCannotBeCrossed) {
  expect_refused({Insn::abc(Op::Move, 0, 0, 0)}, "the end can be crossed", false);
  expect_refused({}, "no code", false);
}

TEST(Verify, IndicesExist) {
  expect_refused({Insn::ad(Op::GetGlobal, 0, 2)}, "global 2 of 2");
  expect_refused({Insn::ad(Op::SetGlobal, 0, 2)}, "global 2 of 2");
  expect_refused({Insn::abc(Op::UpdateGlobal, 2, 0, 0)}, "global 2 of 2");
  expect_refused({Insn::abc(Op::UpdateGlobal, 1, 0, 11)}, "update 11 of 11");
  expect_refused({Insn::abc(Op::UpdateIndex, 0, 0, 11)}, "update 11 of 11");
  expect_refused({Insn::abc(Op::GetUpval, 0, 0, 0)}, "upvalue 0 of 0");
  expect_refused({Insn::abc(Op::SetUpval, 0, 0, 0)}, "upvalue 0 of 0");
  expect_refused({Insn::abc(Op::UpdateUpval, 0, 0, 0)}, "upvalue 0 of 0");
  expect_refused({Insn::ad(Op::Closure, 0, 1)}, "child 1 of 1");
  expect_refused({Insn::ad(Op::LoadBuiltin, 0, 60000)}, "built-in function 60000");
  expect_refused({Insn::ad(Op::EventVar, 0, 60000)}, "built-in variable 60000");
  expect_refused({Insn::abc(Op::IterPrep, 0, 3, 0)}, "no such iterator");
  expect_refused({Insn::abc(Op::Register, 0, 4, 0)}, "no such kind of handler");
}

TEST(Verify, SizesThatInstructionsTake) {
  expect_refused({Insn::abc(Op::Tuple, 0, 0, 1)}, "impossible size");
  expect_refused({Insn::abc(Op::Tuple, 0, 0, limits::kMaxKeyParts + 1)}, "impossible size");
  expect_refused({Insn::abc(Op::Concat, 0, 1, 1)}, "fewer than two operands");
  expect_refused({Insn::abc(Op::IterNext, 0, 0, 0), Insn::jump(Op::Jmp, 0)}, "without variables");
  expect_refused({{0xff}}, "no opcode 255");
}

TEST(Verify, HeadsOfFunctions) {
  Chunk chunk = chunk_with({});
  chunk.main->places.clear();
  EXPECT_NE(verify(chunk).find("places do not fit"), std::string::npos);
  chunk = chunk_with({});
  chunk.main->children[0]->param_count = 5;
  EXPECT_NE(verify(chunk).find("more parameters"), std::string::npos);
  chunk = chunk_with({});
  chunk.main->children[0]->param_count = 1;
  EXPECT_NE(verify(chunk).find("parameter names"), std::string::npos);
  chunk = chunk_with({});
  chunk.main->param_count = 1;
  EXPECT_EQ(verify(chunk), "a main function with parameters");
  chunk = chunk_with({});
  chunk.main->register_count = limits::kMaxRegisters + 1;
  EXPECT_NE(verify(chunk).find("too many registers"), std::string::npos);
  chunk = chunk_with({});
  chunk.main->upvalues = {{true, 0, "v"}};
  EXPECT_NE(verify(chunk).find("upvalues without a parent"), std::string::npos);
  chunk = chunk_with({});
  chunk.main->children[0]->upvalues[0].index = 4;
  EXPECT_NE(verify(chunk).find("the parent does not have"), std::string::npos);
  // Before the closure that captures it is looked at.
  chunk.main->code.insert(chunk.main->code.begin(), Insn::ad(Op::Closure, 1, 0));
  chunk.main->places.resize(2);
  for (const int index : {4, 200}) {
    chunk.main->children[0]->upvalues[0].index = static_cast<uint8_t>(index);
    EXPECT_EQ(verify(chunk),
              "child, instruction 0 (GetUpval): an upvalue that the parent does not have");
  }
  chunk.main->children[0]->upvalues[0] = {false, 0, "v"};
  EXPECT_NE(verify(chunk).find("the parent does not have"), std::string::npos);
  chunk = chunk_with({Insn::abc(Op::LoadNil, 0, 3, 0)});
  chunk.main->children[0]->code[0] = Insn::abc(Op::Move, 0, 2, 0);
  EXPECT_NE(verify(chunk).find("child, instruction 0 (Move): register 2 of 2"), std::string::npos);
  chunk.main->children[0].reset();
  EXPECT_NE(verify(chunk).find("a child is missing"), std::string::npos);
  chunk.main.reset();
  EXPECT_EQ(verify(chunk), "no main function");
}

TEST(Verify, RegistersOfSamples) {
  EXPECT_EQ(verdict({Insn::abc(Op::LoadNil, 0, 3, 0), Insn::abc(Op::AggAdd, 3, 3, 3),
                     Insn::abc(Op::AggAddVar, 3, 3, 0)}),
            "");
  expect_refused({Insn::abc(Op::AggAdd, 4, 0, 0)}, "register");
  expect_refused({Insn::abc(Op::AggAdd, 0, 4, 0)}, "register");
  expect_refused({Insn::abc(Op::AggAdd, 0, 0, 4)}, "register");
  expect_refused({Insn::abc(Op::AggAddVar, 4, 0, 0)}, "register");
  expect_refused({Insn::abc(Op::AggAddVar, 0, 4, 0)}, "register");
}

TEST(Verify, Globals) {
  Chunk chunk = chunk_with({});
  chunk.globals[0] = "x";
  EXPECT_EQ(verify(chunk), "global 0 is not 'arg'");
  chunk.globals.clear();
  EXPECT_EQ(verify(chunk), "global 0 is not 'arg'");
  chunk.globals.assign(limits::kMaxGlobals, "arg");
  EXPECT_EQ(verify(chunk), "");
  chunk.globals.emplace_back("one_more");
  EXPECT_EQ(verify(chunk), "too many globals");
  chunk.globals.resize(2);
  chunk.globals[1] = "a\x1b[2J";
  EXPECT_EQ(verify(chunk), "a global's name with control characters");
}

TEST(Verify, WhatMessagesAreMadeOf) {
  Chunk chunk = chunk_with({});
  chunk.main->children[0]->name = "bell\a";
  EXPECT_EQ(verify(chunk), "bell\\x07, instruction 0 (GetUpval): a name with control characters");
  chunk = chunk_with({});
  chunk.main->children[0]->upvalues[0].name = "\n";
  EXPECT_NE(verify(chunk).find("a name with control characters"), std::string::npos);
  chunk = chunk_with({});
  chunk.main->children[0]->param_count = 1;
  chunk.main->children[0]->param_names = {"\t"};
  EXPECT_NE(verify(chunk).find("a name with control characters"), std::string::npos);
  chunk = chunk_with({});
  chunk.main->place.span = {2, 1};
  EXPECT_NE(verify(chunk).find("a place that ends before it begins"), std::string::npos);
  chunk = chunk_with({Insn::abc(Op::LoadNil, 0, 3, 0)});
  chunk.main->places[1].span = {7, 3};
  EXPECT_EQ(verify(chunk), "main, instruction 1 (Return): a place that ends before it begins");
}

TEST(Verify, SizesAndDepth) {
  const auto nested = [](int depth) {
    Chunk chunk = chunk_with({});
    chunk.main->children.clear();
    Function* inner = chunk.main.get();
    for (int i = 0; i < depth; ++i) {
      inner->children.push_back(std::make_unique<Function>());
      inner = inner->children.back().get();
      inner->code = {kEnd};
      inner->places.resize(1);
    }
    return verify(chunk);
  };
  EXPECT_EQ(nested(limits::kMaxNesting), "");
  EXPECT_EQ(nested(limits::kMaxNesting + 1), "functions nested too deeply");
  Chunk chunk = chunk_with({});
  chunk.main->constants.resize(65536);
  EXPECT_EQ(verify(chunk), "");
  chunk.main->constants.resize(65537);
  EXPECT_NE(verify(chunk).find("too many constants"), std::string::npos);
  chunk = chunk_with({});
  chunk.main->code.assign((size_t{1} << 22) + 1, kEnd);
  chunk.main->places.resize(chunk.main->code.size());
  EXPECT_NE(verify(chunk).find("too many instructions"), std::string::npos);
}

}  // namespace
}  // namespace ktap::bytecode
