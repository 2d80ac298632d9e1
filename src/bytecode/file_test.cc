// .ktap files: what goes in comes out, and every kind of damage has its message.
#include "bytecode/file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "bytecode/numbering.h"
#include "bytecode/wire.h"

namespace ktap::bytecode {
namespace {

const Insn kEnd = Insn::abc(Op::Return, 0, 1, 0);
const char kText[] = "first\nvar x = 1\n";

/// Two functions, one captured variable, constants of every kind.
Chunk small_chunk() {
  Chunk chunk;
  chunk.source_name = "dir/x.kp";
  chunk.globals = {"arg", "x"};
  chunk.main = std::make_unique<Function>();
  Function& main = *chunk.main;
  main.name = "main";
  main.register_count = 4;
  main.constants = {{},
                    false,
                    true,
                    int64_t{0},
                    std::numeric_limits<int64_t>::min(),
                    std::numeric_limits<int64_t>::max(),
                    int64_t{-1},
                    1.5,
                    -0.0,
                    std::numeric_limits<double>::infinity(),
                    std::string("a\0\xff\n", 4),
                    std::string()};
  main.code = {Insn::abc(Op::LoadNil, 0, 3, 0), Insn::ad(Op::LoadK, 1, 10),
               Insn::ad(Op::Closure, 2, 0), kEnd};
  main.places = {{{0, 5}, 1}, {{6, 9}, 2}, {{6, 16}, 2}, {{16, 16}, 3}};
  main.place = {{0, 16}, 1};
  auto child = std::make_unique<Function>();
  child->name = "f";
  child->param_count = 1;
  child->param_names = {"a"};
  child->register_count = 2;
  child->upvalues = {{true, 0, "up"}};
  child->code = {Insn::abc(Op::GetUpval, 1, 0, 0), kEnd};
  child->places = {{{10, 11}, 2}, {{11, 11}, 2}};
  main.children.push_back(std::move(child));
  return chunk;
}

std::string saved(const Chunk& chunk, bool strip = false) {
  return save(chunk, diag::Source(chunk.source_name, kText), strip).value();
}

std::string refusal(std::string_view bytes) {
  Result<CompiledScript> loaded = load(bytes);
  return loaded.ok() ? "" : loaded.error().message;
}

/// With a header that fits again.
std::string mended(std::string bytes) {
  mend_header(bytes);
  return bytes;
}

bool same_constant(const Constant& a, const Constant& b) {
  const auto* x = std::get_if<double>(&a);
  const auto* y = std::get_if<double>(&b);
  if (x != nullptr && y != nullptr) return *x == *y && std::signbit(*x) == std::signbit(*y);
  return a == b;
}

void expect_same(const Function& a, const Function& b, bool with_debug) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.param_count, b.param_count);
  EXPECT_EQ(a.register_count, b.register_count);
  ASSERT_EQ(a.code.size(), b.code.size());
  for (size_t i = 0; i < a.code.size(); ++i) EXPECT_EQ(a.code[i].word, b.code[i].word) << i;
  ASSERT_EQ(a.constants.size(), b.constants.size());
  for (size_t i = 0; i < a.constants.size(); ++i)
    EXPECT_TRUE(same_constant(a.constants[i], b.constants[i])) << i;
  ASSERT_EQ(a.upvalues.size(), b.upvalues.size());
  ASSERT_EQ(a.places.size(), b.places.size());
  for (size_t i = 0; i < a.upvalues.size(); ++i) {
    EXPECT_EQ(a.upvalues[i].from_parent_register, b.upvalues[i].from_parent_register);
    EXPECT_EQ(a.upvalues[i].index, b.upvalues[i].index);
    EXPECT_EQ(with_debug ? a.upvalues[i].name : "v0", b.upvalues[i].name);
  }
  for (size_t i = 0; with_debug && i < a.places.size(); ++i) {
    EXPECT_EQ(a.places[i].span.begin, b.places[i].span.begin);
    EXPECT_EQ(a.places[i].span.end, b.places[i].span.end);
    EXPECT_EQ(a.places[i].line, b.places[i].line);
  }
  for (size_t i = 0; !with_debug && i < b.places.size(); ++i) EXPECT_EQ(b.places[i].line, 0u);
  ASSERT_EQ(a.children.size(), b.children.size());
  for (size_t i = 0; i < a.children.size(); ++i)
    expect_same(*a.children[i], *b.children[i], with_debug);
}

TEST(File, ComesBackAsItWas) {
  const Chunk chunk = small_chunk();
  ASSERT_EQ(verify(chunk), "");
  const std::string bytes = saved(chunk);
  EXPECT_TRUE(is_compiled(bytes));
  const CompiledScript script = load(bytes).value();
  EXPECT_FALSE(script.stripped);
  EXPECT_EQ(script.source_text, kText);
  EXPECT_EQ(script.chunk->source_name, "dir/x.kp");
  EXPECT_EQ(script.chunk->globals, chunk.globals);
  EXPECT_EQ(script.chunk->main->children[0]->param_names[0], "a");
  expect_same(*chunk.main, *script.chunk->main, true);
  EXPECT_EQ(saved(*script.chunk), bytes);
}

TEST(File, StrippedHasCodeAlone) {
  const Chunk chunk = small_chunk();
  const std::string bytes = saved(chunk, true);
  EXPECT_LT(bytes.size(), saved(chunk).size());
  EXPECT_EQ(bytes.find("var x"), std::string::npos);
  EXPECT_EQ(bytes.find("x.kp"), std::string::npos);
  const CompiledScript script = load(bytes).value();
  EXPECT_TRUE(script.stripped);
  EXPECT_EQ(script.source_text, "");
  EXPECT_EQ(script.chunk->main->children[0]->param_names[0], "p0");
  expect_same(*chunk.main, *script.chunk->main, false);
}

/// The layout itself, byte by byte: it is the same on every machine and in every later version.
TEST(File, TheBytesAreTheFormat) {
  Chunk chunk;
  chunk.globals = {"arg"};
  chunk.main = std::make_unique<Function>();
  chunk.main->name = "m";
  chunk.main->register_count = 1;
  chunk.main->constants = {1.0, int64_t{-3}};
  chunk.main->code = {Insn::ad(Op::LoadK, 0, 1), kEnd};
  chunk.main->places.resize(2);
  const std::string expected(
      "\x1bktap\r\n\x1a"
      "\x01\0\0\0"
      "\x33\0\0\0"
      "\x51\x34\xb1\x1c"
      "\x02\x05LoadK\x06Return\0\0\0\0\0"
      "\x01\x03"
      "arg"
      "\x01m\0\x01"
      "\x02\x00\x00\x01\x00\x01\x00\x01\x00"
      "\x02\x04\0\0\0\0\0\0\xf0\x3f\x03\x05"
      "\0\0",
      71);
  EXPECT_EQ(saved(chunk, true), expected);
  EXPECT_EQ(refusal(expected), "");
}

TEST(File, Crc32IsThatOfZlib) {
  EXPECT_EQ(crc32("123456789"), 0xcbf43926u);
  EXPECT_EQ(crc32("6789", crc32("12345")), 0xcbf43926u);
  EXPECT_EQ(crc32(""), 0u);
}

/// Any opcode with any operands; only that the numbers come back.
TEST(File, EveryOpcodeAndEveryMemberOfEveryList) {
  Chunk chunk;
  chunk.globals = {"arg"};
  chunk.main = std::make_unique<Function>();
  chunk.main->register_count = 250;
  std::vector<Insn>& code = chunk.main->code;
  code.push_back(Insn::abc(Op::LoadNil, 0, 249, 0));
  chunk.main->constants = {std::string("s")};
  for (size_t i = 0; i < builtin_count(); ++i)
    code.push_back(Insn::ad(Op::LoadBuiltin, 1, static_cast<uint16_t>(i)));
  for (size_t i = 0; i < list_size(List::Var); ++i)
    code.push_back(Insn::ad(Op::EventVar, 1, static_cast<uint16_t>(i)));
  for (size_t i = 0; i < list_size(List::Update); ++i) {
    code.push_back(Insn::abc(Op::UpdateGlobal, 0, 2, static_cast<uint8_t>(i)));
    code.push_back(Insn::abc(Op::UpdateIndex, 1, 2, static_cast<uint8_t>(i)));
  }
  for (size_t i = 0; i < list_size(List::Handler); ++i)
    code.push_back(Insn::abc(Op::Register, 1, static_cast<uint8_t>(i), 9));
  for (size_t i = 0; i < list_size(List::Iterator); ++i)
    code.push_back(
        Insn::abc(Op::IterPrep, static_cast<uint8_t>(10 + 2 * i), static_cast<uint8_t>(i), 0));
  code.push_back(kEnd);
  for (const List list : kLists) {
    for (size_t i = 0; i < list_size(list); ++i) EXPECT_NE(list_name(list, i), "");
  }
  chunk.main->places.resize(code.size());
  ASSERT_EQ(verify(chunk), "");
  const CompiledScript script = load(saved(chunk, true)).value();
  expect_same(*chunk.main, *script.chunk->main, false);
}

/// The name lists stand for the numbers: opcodes in any order of the list mean the same.
TEST(File, ANumberMayChangeItsNameNot) {
  const Chunk chunk = small_chunk();
  std::string bytes = saved(chunk);
  const size_t at = bytes.find("\x07LoadNil\x05LoadK");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 14, "\x05LoadK\x07LoadNil");
  // Opcode bytes 0 and 1 change places with the names.
  const size_t code = bytes.find(std::string("\x04\x00\x00\x03\x00\x01\x01\x0a\x00", 9));
  ASSERT_NE(code, std::string::npos);
  bytes[code + 1] = 1;
  bytes[code + 5] = 0;
  const CompiledScript script = load(mended(bytes)).value();
  expect_same(*chunk.main, *script.chunk->main, true);
}

TEST(File, WhatALaterVersionWrites) {
  std::string bytes = saved(small_chunk());
  std::string newer = bytes;
  newer[8] = 2;
  EXPECT_EQ(refusal(newer),
            "it needs a newer ktap: its format has the version 2, this one reads 1");
  newer = bytes;
  newer[10] = 3;
  EXPECT_EQ(refusal(mended(newer)), "it needs a newer ktap: it has the flags 0x3");
  newer = bytes;
  newer.replace(newer.find("LoadNil"), 7, "LoadAll");
  EXPECT_EQ(refusal(mended(newer)), "it needs a newer ktap: this one has no opcode 'LoadAll'");
  Chunk chunk = small_chunk();
  chunk.main->code[1] = Insn::ad(Op::LoadBuiltin, 1, 0);
  bytes = saved(chunk);
  bytes.replace(bytes.find("print"), 5, "prin\n");
  EXPECT_EQ(refusal(mended(bytes)),
            "it needs a newer ktap: this one has no built-in function 'prin\\n'");
}

TEST(File, OtherBytes) {
  EXPECT_EQ(refusal(""), "no compiled script: it does not begin as one");
  EXPECT_EQ(refusal("print(1)\n"), "no compiled script: it does not begin as one");
  EXPECT_EQ(refusal("\x1bktap\n\x1a and so on"),
            "damaged: its line ends were converted on the way, as if it were text");
  std::string bytes = saved(small_chunk());
  EXPECT_EQ(refusal(bytes + "more"), "damaged: 4 bytes follow its end");
  EXPECT_EQ(refusal(mended(bytes + "more")), "damaged: bytes follow its last part");
  bytes[8] = 0;
  EXPECT_EQ(refusal(bytes), "damaged: its format has the version 0");
}

TEST(File, CutAtEveryLength) {
  const std::string bytes = saved(small_chunk());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string text = refusal(bytes.substr(0, size));
    if (size >= 5 && size < kFileHeaderBytes) {
      EXPECT_EQ(text, "cut short: it has " + std::to_string(size) + " bytes, its header alone 20");
    } else if (size >= kFileHeaderBytes) {
      EXPECT_EQ(text, "cut short: it has " + std::to_string(size) + " bytes of " +
                          std::to_string(bytes.size()));
    } else {
      EXPECT_NE(text, "");
    }
    EXPECT_NE(refusal(mended(bytes.substr(0, size))), "") << size;
  }
}

TEST(File, EveryBitThatFlipsIsSeen) {
  std::string bytes = saved(small_chunk());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(refusal(bytes), "") << bit;
    if (bit / 8 >= kFileHeaderBytes) {
      EXPECT_EQ(refusal(bytes), "damaged: its checksum is not that of its bytes");
    }
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(File, DamageThatAChecksumCannotShow) {
  const Chunk chunk = small_chunk();
  std::string bytes = saved(chunk);
  const size_t code = bytes.find(std::string("\x04\x00\x00\x03\x00\x01\x01\x0a\x00", 9));
  ASSERT_NE(code, std::string::npos);
  std::string bad = bytes;
  bad[code + 1] = 9;
  EXPECT_EQ(refusal(mended(bad)), "damaged: its bytecode names opcode 9 of 5");
  bad = bytes;
  bad[code + 2] = 2;
  EXPECT_EQ(refusal(mended(bad)),
            "it does not hold good bytecode: main, instruction 0 (LoadNil): register 5 of 4");
  bad = bytes.substr(0, kFileHeaderBytes) + '\x7f';
  for (int i = 0; i < 127; ++i) bad += "\x05LoadK";
  EXPECT_EQ(refusal(mended(bad)), "damaged: it has too many names in its list 'opcode'");
  bad = bytes;
  const size_t constants = code + 17;
  ASSERT_EQ(bad[constants], 12);
  bad[constants + 1] = 6;
  EXPECT_EQ(refusal(mended(bad)), "damaged: a constant of kind 6");
  bad[constants] = static_cast<char>(0x7f);
  bad[constants + 1] = 0;
  EXPECT_NE(refusal(mended(bad)), "");
  bad = bytes;
  bad[bad.find("f\x01\x02\x02") + 14] = 2;  // where the captured register comes from
  EXPECT_EQ(refusal(mended(bad)), "damaged: an upvalue from nowhere");
}

TEST(File, PlacesLieInTheSourceText) {
  Chunk chunk = small_chunk();
  chunk.main->places[1].span = {6, 17};
  EXPECT_EQ(refusal(saved(chunk)), "damaged: a place outside of its source text");
  chunk.main->places[1].span = {17, 17};
  EXPECT_EQ(refusal(saved(chunk)), "damaged: a place outside of its source text");
  chunk.main->places[1] = {{6, 9}, 4};
  EXPECT_EQ(refusal(saved(chunk)), "damaged: a place outside of its source text");
  chunk.main->places[1] = {{UINT32_MAX, UINT32_MAX}, UINT32_MAX};
  EXPECT_EQ(refusal(saved(chunk)), "damaged: a place outside of its source text");
}

TEST(File, TheMostBytes) {
  Chunk chunk = small_chunk();
  const size_t rest = saved(chunk, true).size();
  // The text's length takes three bytes more.
  chunk.main->constants[10] = std::string(limits::kMaxCompiledBytes - rest + 1, 'x');
  EXPECT_EQ(refusal(saved(chunk, true)), "");
  chunk.main->constants[10] = std::string(limits::kMaxCompiledBytes - rest + 2, 'x');
  const diag::Source source("x.kp", kText);
  EXPECT_EQ(save(chunk, source, true).error().message,
            "the compiled script has 16777217 bytes, the most is 16777216");
  EXPECT_NE(save(chunk, source, false).error().message.find("; -s leaves the source text out"),
            std::string::npos);
}

TEST(File, TooLargeIsSaidBeforeItIsRead) {
  std::string bytes = saved(small_chunk());
  bytes.resize(limits::kMaxCompiledBytes + 1);
  EXPECT_EQ(refusal(mended(bytes)), "too large: it has 16777217 bytes, the most is 16777216");
  bytes.resize(limits::kMaxCompiledBytes);
  EXPECT_EQ(refusal(mended(bytes)), "damaged: bytes follow its last part");
}

/// A list whose length is a lie costs nothing.
TEST(File, CountsAreHeldToTheBytesThatFollow) {
  const std::string bytes = saved(small_chunk());
  const std::string huge = "\xff\xff\xff\xff\x0f";
  int accepted = 0;
  for (size_t at = kFileHeaderBytes; at < bytes.size(); ++at) {
    if (refusal(mended(bytes.substr(0, at) + huge + bytes.substr(at + 1))).empty()) ++accepted;
  }
  EXPECT_EQ(accepted, 2);  // the two integer constants of one byte: no counts
}

TEST(File, FunctionsNestAsDeepAsSourceMay) {
  const auto nested = [](int depth) {
    Chunk chunk;
    chunk.globals = {"arg"};
    chunk.main = std::make_unique<Function>();
    Function* inner = chunk.main.get();
    for (int i = 0; i <= depth; ++i) {
      inner->code = {kEnd};
      inner->places.resize(1);
      if (i == depth) break;
      inner->children.push_back(std::make_unique<Function>());
      inner = inner->children.back().get();
    }
    return refusal(saved(chunk, true));
  };
  EXPECT_EQ(nested(limits::kMaxNesting), "");
  EXPECT_EQ(nested(limits::kMaxNesting + 1),
            "it does not hold good bytecode: functions nested too deeply");
}

TEST(Wire, NumbersOfAllSizes) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{1} << 63,
                               std::numeric_limits<uint64_t>::max()}) {
    Writer out;
    out.number(value);
    out.signed_number(static_cast<int64_t>(value));
    Reader in(out.bytes());
    EXPECT_EQ(in.number(), value);
    EXPECT_EQ(in.signed_number(), static_cast<int64_t>(value));
    EXPECT_FALSE(in.failed());
    EXPECT_EQ(in.left(), 0u);
  }
}

TEST(Wire, NumbersThatAreNone) {
  for (const std::string& bytes : {std::string(), std::string("\x80"), std::string(10, '\xff'),
                                   std::string(9, '\xff') + "\x02", std::string(11, '\x80')}) {
    Reader in(bytes);
    EXPECT_EQ(in.number(), 0u);
    EXPECT_TRUE(in.failed());
  }
  Reader in(
      "\x05"
      "abc");
  EXPECT_EQ(in.text(), "");
  EXPECT_TRUE(in.failed());
  EXPECT_EQ(in.fixed(4), 0u);
}

}  // namespace
}  // namespace ktap::bytecode
