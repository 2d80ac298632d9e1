// Markers: operands of each assembler, notes of a program that is compiled here, broken notes.
#include "symbol/usdt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "symbol/test_files.h"

namespace ktap::symbol {
namespace {

using Kind = UsdtArgument::Kind;

/// "-4 rdi", "4 $5", "8 [rbp+rcx*8-16]", "? why".
std::string describe(const UsdtArgument& argument) {
  std::string text = (argument.is_signed ? "-" : "") + std::to_string(argument.size_bytes) + " ";
  std::string base(argument.base.name);
  if (argument.base.shift_bits != 0) base += ">>" + std::to_string(argument.base.shift_bits);
  switch (argument.kind) {
    case Kind::Unknown:
      return "? " + argument.problem;
    case Kind::Register:
      return text + base;
    case Kind::Constant:
      return text + "$" + std::to_string(argument.value);
    case Kind::Memory:
      text += "[" + base;
      if (argument.index.has_value()) {
        text += "+" + std::string(argument.index->name) + "*" + std::to_string(argument.scale);
      }
      return text + (argument.value < 0 ? "" : "+") + std::to_string(argument.value) + "]";
  }
  return {};
}

std::vector<std::string> parsed(Machine machine, std::string_view text) {
  std::vector<std::string> all;
  for (const UsdtArgument& argument : parse_usdt_arguments(machine, text)) {
    all.push_back(describe(argument));
  }
  return all;
}

using testing::ElementsAre;

TEST(UsdtArguments, X86) {
  EXPECT_THAT(parsed(Machine::X86_64, "8@%rdi -4@%esi 1@%ah 2@%r9w -1@%r10b"),
              ElementsAre("8 rdi", "-4 rsi", "1 rax>>8", "2 r9", "-1 r10"));
  EXPECT_THAT(parsed(Machine::X86_64, "  4@$5 -4@$-7 1@$-1 -1@$255 8@$0x10 8@$-1 "),
              ElementsAre("4 $5", "-4 $-7", "1 $255", "-1 $-1", "8 $16", "8 $-1"));
  EXPECT_THAT(parsed(Machine::X86_64, "-4@-20(%rbp) 8@(%rsp) 8@8(%rax,%rcx,4) 4@(%rax, %rbx)"),
              ElementsAre("-4 [rbp-20]", "8 [rsp+0]", "8 [rax+rcx*4+8]", "4 [rax+rbx*1+0]"));
  EXPECT_THAT(parsed(Machine::X86_64, "%rax"), ElementsAre("8 rax"));
  EXPECT_THAT(parsed(Machine::X86, "-4@%eax 4@8(%ebp)"), ElementsAre("-4 rax", "4 [rbp+8]"));
  EXPECT_TRUE(parsed(Machine::X86_64, "").empty());
}

TEST(UsdtArguments, WhatCannotBeReadIsNamed) {
  EXPECT_THAT(
      parsed(Machine::X86_64,
             "8f@%xmm0 -4f@-8(%rbp) 8@%xmm1 8@%cr3 8@(%cr3) 4@x(%rip) 4@$sym 8@%fs:8"),
      ElementsAre("? double in %xmm0", "? float at -8(%rbp)", "? floating-point register %xmm1",
                  "? register %cr3", "? memory at register %cr3",
                  "? memory at a symbol (4@x(%rip))", "? constant that is a symbol (4@$sym)",
                  "? memory of a segment (8@%fs:8)"));
  EXPECT_THAT(parsed(Machine::X86_64, "4@sym+4(%rax) 3@%rax 8@"),
              ElementsAre("? memory at a symbol (4@sym+4(%rax))",
                          "? value of another size than 1, 2, 4 or 8 (3@%rax)",
                          "? operand of no known form (8@)"));
  EXPECT_THAT(parsed(Machine::Arm64, "8@d0 8@x31 8@[d0]"),
              ElementsAre("? floating-point register d0", "? register x31",
                          "? memory at floating-point register d0"));
  EXPECT_THAT(parsed(Machine::RiscV, "8@fa0"), ElementsAre("? floating-point register fa0"));
  for (const char* text : {"3@%rax", "@", "8@", "8@(", "8@)", "8@()", "8@(,)", "8@(%rax,%rbx,3)",
                           "8@(%rax,4)", "8@4", "99999999999999999999@%rax", "8@$", "\n", "8@%",
                           "-9223372036854775808@%rax", "8@(%rax,%rbx,4,5)"}) {
    const std::vector<std::string> one = parsed(Machine::X86_64, text);
    ASSERT_EQ(one.size(), 1U) << text;
    EXPECT_EQ(one[0][0], '?') << text;
  }
}

TEST(UsdtArguments, OtherMachines) {
  EXPECT_THAT(parsed(Machine::Arm64,
                     "8@x0 -4@w1 8@[sp] 8@[sp, 16] -4@[x1, -8] 4@5 8@[x1, x2] "
                     "8@[x1, x2, lsl 3] 8@xzr"),
              ElementsAre("8 x0", "-4 x1", "8 [sp+0]", "8 [sp+16]", "-4 [x1-8]", "4 $5",
                          "8 [x1+x2*1+0]", "8 [x1+x2*8+0]", "8 $0"));
  EXPECT_THAT(parsed(Machine::Arm, "4@r0 -4@[r3, #8] 4@#5 4@[fp, #-12]"),
              ElementsAre("4 r0", "-4 [r3+8]", "4 $5", "4 [fp-12]"));
  EXPECT_THAT(parsed(Machine::RiscV, "8@a0 -4@s1 8@-24(s0) 4@5"),
              ElementsAre("8 a0", "-4 s1", "8 [s0-24]", "4 $5"));
  for (const char* text : {"8@[", "8@[]", "8@[x1, w2, sxtw 3]", "8@x31", "8@[x1, 8, 9]", "8@d0",
                           "8@[x1, x2, lsl 4]", "8@[x1, x2, x3, x4]"}) {
    EXPECT_EQ(parsed(Machine::Arm64, text).at(0)[0], '?') << text;
  }
}

TEST(Registers, WhereTheKernelSavesThem) {
  EXPECT_EQ(find_register(Machine::X86_64, "di")->size_bytes, 2);
  EXPECT_EQ(find_register(Machine::X86_64, "di", true)->size_bytes, 8);
  EXPECT_EQ(find_register(Machine::X86_64, "rdi")->offset_bytes, 112);
  EXPECT_EQ(find_register(Machine::X86_64, "eax")->size_bytes, 4);
  EXPECT_EQ(find_register(Machine::Arm64, "lr")->offset_bytes, 240);
  EXPECT_EQ(find_register(Machine::Arm64, "sp")->offset_bytes, 248);
  EXPECT_EQ(find_register(Machine::Arm, "r13")->name, "sp");
  EXPECT_EQ(find_register(Machine::RiscV, "x10")->name, "a0");
  for (const char* none : {"", "zmm0", "x0", "r16"}) {
    EXPECT_FALSE(find_register(Machine::X86_64, none).has_value()) << none;
  }
  EXPECT_FALSE(find_register(Machine::RiscV, "x0").has_value());
}

// What sys/sdt.h writes, without it: two markers of one name, one with a semaphore.
constexpr const char* kProgram = R"(
#define NOTE(semaphore, name, args)                                                \
  asm volatile("990: nop\n.pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n"  \
      ".4byte 992f-991f,994f-993f,3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"    \
      "993: .8byte 990b,_.stapsdt.base," semaphore "\n"                            \
      ".asciz \"prov\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n994: .balign 4\n" \
      ".popsection\n")
asm(".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
    ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"
    ".size _.stapsdt.base,1\n.popsection\n");
unsigned short sema __attribute__((section(".probes"), used)) = 0x5aa5;
int main() {
  NOTE("sema", "first", "-4@5");
  NOTE("0", "second", "");
  NOTE("sema", "first", "");
  return 0;
}
)";

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Bytes as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// The notes of kProgram, compiled: offsets are looked up in the file's own bytes.
void expect_probes(const std::string& file, uint8_t nop) {
  const Result<ElfImage> image = ElfImage::parse(as_bytes(file));
  ASSERT_TRUE(image.ok());
  const UsdtProbes usdt = read_usdt(image.value());
  EXPECT_TRUE(usdt.problems.empty());
  ASSERT_EQ(usdt.probes.size(), 3U);
  EXPECT_EQ(usdt.probes[0].provider, "prov");
  EXPECT_EQ(usdt.probes[0].name, "first");
  EXPECT_EQ(usdt.probes[1].name, "second");
  EXPECT_EQ(usdt.probes[1].semaphore_offset, 0U);
  EXPECT_EQ(usdt.probes[0].semaphore_offset, usdt.probes[2].semaphore_offset);
  EXPECT_EQ(file.substr(usdt.probes[0].semaphore_offset, 2), "\xa5\x5a");
  for (const UsdtProbe& probe : usdt.probes) {
    EXPECT_EQ(static_cast<uint8_t>(file[probe.file_offset]), nop);
  }
  EXPECT_EQ(usdt.probes[0].arguments.size(), 1U);
  EXPECT_TRUE(usdt.probes[1].arguments.empty());
}

TEST(Usdt, OfAProgram) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "the program is for x86-64";
#endif
  if (!has_command("g++")) GTEST_SKIP() << "g++ is not installed";
  const TempFolder folder;
  folder.write("p.cc", kProgram);
  ASSERT_TRUE(folder.run("g++ -O1 -fno-pie -no-pie p.cc -o p"));
  std::string file = bytes_of(folder / "p");
  expect_probes(file, 0x90);
  // Moved after it was linked, as prelink does: all addresses of the notes are too low.
  const Result<ElfImage> image = ElfImage::parse(as_bytes(file));
  ASSERT_TRUE(image.ok());
  for (const ElfNote& note : image.value().notes()) {
    if (note.owner != "stapsdt") continue;
    const auto at = static_cast<size_t>(note.contents.data() - as_bytes(file).data());
    for (const size_t field : {at, at + 8, at + 16}) {
      uint64_t value = read_number(as_bytes(file), field, 8);
      if (value != 0) value -= 0x10000;
      std::memcpy(&file[field], &value, sizeof value);
    }
  }
  expect_probes(file, 0x90);
}

TEST(Usdt, OfAnArm64Program) {
  if (!has_command("aarch64-linux-gnu-g++")) GTEST_SKIP() << "no cross compiler for arm64";
  const TempFolder folder;
  folder.write("p.cc", kProgram);
  ASSERT_TRUE(folder.run("aarch64-linux-gnu-g++ -O1 -no-pie -fno-pie p.cc -o p"));
  expect_probes(bytes_of(folder / "p"), 0x1f);
}

TEST(Usdt, BrokenNotesAreNamed) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "the program is for x86-64";
#endif
  if (!has_command("g++")) GTEST_SKIP() << "g++ is not installed";
  const TempFolder folder;
  folder.write("p.cc", kProgram);
  ASSERT_TRUE(folder.run("g++ -O1 -fno-pie -no-pie p.cc -o p"));
  std::string file = bytes_of(folder / "p");
  const size_t second = file.find(std::string("prov\0second", 11));
  ASSERT_NE(second, std::string::npos);
  file[second - 1] = '\x7f';   // its semaphore is nowhere
  file[second - 17] = '\x7f';  // nor is it
  const Result<ElfImage> image = ElfImage::parse(as_bytes(file));
  ASSERT_TRUE(image.ok());
  const UsdtProbes usdt = read_usdt(image.value());
  EXPECT_EQ(usdt.probes.size(), 2U);
  ASSERT_EQ(usdt.problems.size(), 1U);
  EXPECT_THAT(usdt.problems[0], testing::StartsWith("prov:second: its address 0x7f"));
}

}  // namespace
}  // namespace ktap::symbol
