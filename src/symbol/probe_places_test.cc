// Small programs with several names of one place, with instructions that probes break, with a
// function that is chosen when the program is linked.
#include "symbol/probe_places.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "symbol/test_files.h"

namespace ktap::symbol {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Places : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_command("g++")) GTEST_SKIP() << "g++ is not installed";
  }

  ElfFile compiled(const std::string& name, const std::string& text, const std::string& options) {
    folder_.write(name, text);
    EXPECT_TRUE(folder_.run("g++ -O1 " + options + " " + name + " -o program"))
        << output_of("cat " + (folder_ / "output"));
    Result<ElfFile> file = ElfFile::open(folder_ / "program");
    EXPECT_TRUE(file.ok());
    return std::move(file).value();
  }

  TempFolder folder_;
};

TEST_F(Places, OfSeveralNamesTheOneThatPeopleKnow) {
  const ElfFile file = compiled("p.cc", R"(
extern "C" __attribute__((noinline)) int opened(int x) { asm volatile(""); return x + 7; }
extern "C" int __opened(int) __attribute__((alias("opened")));
extern "C" int opened_again(int) __attribute__((alias("opened")));
struct Kept { int x; __attribute__((noinline)) Kept(int y) : x(y) { asm volatile(""); } };
int main(int argc, char**) { return opened(argc) + Kept(argc).x; }
)",
                                "");
  const std::vector<FunctionSymbol> all = file.glob("*opened*");
  EXPECT_EQ(all.size(), 3U);
  const std::vector<FunctionSymbol> one = one_name_each(all);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].name, "opened");
  EXPECT_EQ(one_name_each(file.find("__opened")).at(0).name, "__opened");
  // A constructor is made twice, for the whole object and for what it is a part of: at one place.
  EXPECT_EQ(one_name_each(file.find("Kept::Kept")).size(), 1U);
}

constexpr const char* kAssembly = R"(
  .text
  .globl steps, vectors, locks, main
  .type steps, @function
  .type vectors, @function
  .type locks, @function
  .type main, @function
steps:
  mov %rdi, %rax
  add $0x12345678, %rax
  ret
  .size steps, . - steps
vectors:
  vpbroadcastb %esi, %ymm16
  ret
  .size vectors, . - vectors
locks:
  lock incl (%rdi)
  ret
  .size locks, . - locks
main:
  xor %eax, %eax
  ret
  .size main, . - main
  .section .note.GNU-stack, "", @progbits
)";

TEST_F(Places, ProbesStandAtTheBeginningOfInstructions) {
  if (kNativeMachine != Machine::X86_64) GTEST_SKIP() << "instructions of x86-64";
  const ElfFile file = compiled("p.s", kAssembly, "");
  const FunctionSymbol steps = file.find("steps").at(0);
  for (const uint64_t good : {0, 3, 9}) EXPECT_EQ(why_no_probe_at(file, steps, good), "") << good;
  EXPECT_EQ(why_no_probe_at(file, steps, 5),
            "no instruction begins there, and a probe would break the program; the nearest begin "
            "at +0x3 and +0x9");
  EXPECT_THAT(why_no_probe_at(file, steps, 1), HasSubstr("at +0x0 and +0x3"));
  EXPECT_THAT(why_no_probe_at(file, file.find("vectors").at(0), 0),
              StartsWith("the instruction there is a vector instruction"));
  EXPECT_THAT(why_no_probe_at(file, file.find("locks").at(0), 0), HasSubstr("a prefix (lock"));
  EXPECT_EQ(why_no_probe_at(file, file.find("main").at(0), 0), "");
}

TEST_F(Places, ProbesStandBehindWhatFillsVectorRegisters) {
  if (kNativeMachine != Machine::X86_64) GTEST_SKIP() << "instructions of x86-64";
  const ElfFile file = compiled("p.s", std::string(kAssembly) + R"(
  .text
  .type again, @function
  .type writes, @function
again:
  vpxor %xmm0, %xmm0, %xmm0
1: dec %rdi
  jnz 1b
  ret
  .size again, . - again
writes:
  vmovd %xmm0, %eax
  ret
  .size writes, . - writes
)",
                                "");
  EXPECT_EQ(entry_offset(file, file.find("steps").at(0)), 0U);
  EXPECT_EQ(entry_offset(file, file.find("vectors").at(0)), 6U);
  EXPECT_EQ(entry_offset(file, file.find("locks").at(0)), 0U);
  EXPECT_EQ(entry_offset(file, file.find("again").at(0)), 0U);
  EXPECT_EQ(entry_offset(file, file.find("writes").at(0)), 0U);
}

TEST_F(Places, TablesForUnwindingTellWhereStrippedCodeBegins) {
  if (kNativeMachine != Machine::X86_64) GTEST_SKIP() << "instructions of x86-64";
  const std::string text = R"(
  .text
  .globl main
  .type main, @function
  .type told, @function
  .type bare, @function
main:
  .cfi_startproc
  xor %eax, %eax
  ret
  .cfi_endproc
  .size main, . - main
told:
  .cfi_startproc
  mov %rdi, %rax
  push %rbx
  .cfi_adjust_cfa_offset 8
  movabs $0x1122334455, %rax
  ret
  .cfi_endproc
  .size told, . - told
bare:
  movabs $0x1122334455, %rax
  ret
  .size bare, . - bare
  .section .note.GNU-stack, "", @progbits
)";
  const ElfFile named = compiled("p.s", text, "");
  const uint64_t told = named.find("told").at(0).address;
  const uint64_t bare = named.find("bare").at(0).address;
  ASSERT_TRUE(folder_.run("strip -o stripped program"));
  Result<ElfFile> opened = ElfFile::open(folder_ / "stripped");
  ASSERT_TRUE(opened.ok());
  const ElfFile& file = opened.value();
  CallFrames frames(file);
  const auto why = [&](uint64_t address) {
    const std::optional<FunctionPlace> place = code_around(file, frames, address);
    return place ? why_no_probe_at(file, place->function, place->offset) : "not known";
  };
  for (const uint64_t good : {0, 3, 4, 14}) EXPECT_EQ(why(told + good), "") << good;
  EXPECT_EQ(why(told + 5), fmt::format("no instruction begins there, and a probe would break the "
                                       "program; the nearest begin at {:#x} and {:#x}",
                                       told + 4, told + 14));
  EXPECT_THAT(why(told + 1), HasSubstr("no instruction begins there"));
  EXPECT_EQ(why(bare + 1), "not known");
  CallFrames named_frames(named);
  EXPECT_EQ(code_around(named, named_frames, told + 5)->function.name, "told");
}

TEST_F(Places, WhatAnIfuncMayChoose) {
  if (kNativeMachine != Machine::X86_64 && kNativeMachine != Machine::Arm64)
    GTEST_SKIP() << "not for this machine";
  const ElfFile file = compiled("p.cc", R"(
extern "C" {
static int plain(int x) { return x + 1; }
static int quick(int x) { return x + 2; }
static char text[] = "no code";
char* volatile kept;
using Function = int(int);
Function* choose(void) { kept = text; return __builtin_return_address(0) ? plain : quick; }
int chosen(int) __attribute__((ifunc("choose")));
}
int main(int argc, char**) { return chosen(argc); }
)",
                                "-fno-inline");
  const std::vector<FunctionSymbol> chosen = file.find("chosen");
  ASSERT_EQ(chosen.size(), 1U);
  ASSERT_TRUE(chosen[0].is_ifunc);
  const std::vector<FunctionSymbol> choices = choices_of(file, chosen[0]);
  std::vector<std::string> names;
  for (const FunctionSymbol& choice : choices) {
    names.emplace_back(choice.name);
    EXPECT_EQ(choice.file_offset, file.find(choice.name).at(0).file_offset);
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("plain", "quick"));
}

}  // namespace
}  // namespace ktap::symbol
