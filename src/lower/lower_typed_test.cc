// Kernel memory by its types, on a small kernel's BTF: what is read where, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bpf/btf_types.h"
#include "bpf/test_btf.h"
#include "lower/test_world.h"

namespace ktap::lower {
namespace {

using testing::HasSubstr;
using testing::Not;

class Typed : public testing::Test {
 protected:
  std::string lower(const std::string& body) {
    return world("var t = {} trace a:b { " + body + " }", false);
  }
  std::string capture(const std::string& body) { return world("trace a:b { " + body + " }", true); }
  std::string world(const std::string& source, bool captures) {
    TestWorld world(source);
    world.options.machine.types = [this] { return &types_; };
    world.options.machine.release = release_;
    world.options.machine.symbol = [](const std::string& name) -> Result<int64_t> {
      if (name == "known") return int64_t{-4096};
      return Error{"no symbol"};
    };
    const auto event = syscall_enter("sys_enter_read", 0, {int_field("fd", 4), int_field("buf")});
    std::string text = captures ? world.capture({event}) : world.lower({event});
    for (const EventMistake& mistake : world.linkage.mistakes) text += "mistake " + mistake.text;
    return text;
  }

  std::string release_;

 private:
  const std::vector<uint8_t> bytes_ = bpf::small_task_btf();
  const bpf::BtfTypes types_ = bpf::BtfTypes::open(bytes_.data(), bytes_.size()).value();
};

TEST_F(Typed, MembersOfTheCurrentTaskAreSure) {
  const std::string text =
      lower("print(curtask.pid, curtask.state, curtask.dead, curtask.comm, curtask.inside.b)");
  EXPECT_THAT(text, HasSubstr("v0 = EventVar curtask : int"));
  EXPECT_THAT(text, HasSubstr("= KernelRead +0 s32 v0 : int\n"));
  EXPECT_THAT(text, HasSubstr("= KernelRead +4 bits 5..7 of u8 v2 : int\n"));
  EXPECT_THAT(text, HasSubstr("= KernelRead +8 u8 v4 : bool\n"));
  EXPECT_THAT(text, HasSubstr("= KernelText +24 char[16] v6 : str bytes 16\n"));
  EXPECT_THAT(text, HasSubstr("= KernelRead +92 s32 v8 : int\n"));
}

TEST_F(Typed, BehindAPointerAllMayBeNil) {
  const std::string text = lower("print(curtask.parent.parent.pid, curtask.parent.name)");
  EXPECT_THAT(text, HasSubstr("v1 = KernelRead +16 pointer v0 : int?\n"));
  EXPECT_THAT(text, HasSubstr("v2 = KernelRead +16 pointer v1 : int?\n"));
  EXPECT_THAT(text, HasSubstr("v3 = KernelRead +0 s32 v2 : int?\n"));
  EXPECT_THAT(text, HasSubstr("= KernelText +0"));
  EXPECT_THAT(text, HasSubstr(": str? bytes 256\n"));
}

TEST_F(Typed, ElementsAndCasts) {
  EXPECT_THAT(lower("print(curtask.codes[2])"), HasSubstr("KernelRead +72 s32 v0 : int\n"));
  EXPECT_THAT(lower("print(curtask.codes[cpu])"), HasSubstr("Mul"));
  EXPECT_THAT(lower("print(curtask.raw[1])"), HasSubstr("KernelRead +1 u8"));
  EXPECT_THAT(lower("print(cast(\"int *\", kaddr(\"known\"))[0])"),
              HasSubstr("v0 = ConstInt -4096 : int\n  v1 = KernelRead +0 s32 v0 : int?\n"));
  EXPECT_THAT(lower("print(cast(\"struct pair *\", args.buf).b)"), HasSubstr("KernelRead +4 s32"));
  EXPECT_THAT(lower("print(type(curtask), type(cast(\"int *\", 0)))"), Not(HasSubstr("refused")));
}

TEST_F(Typed, PointersMeetInLoops) {
  const std::string text =
      lower("var p = curtask while (p.pid != 1) { p = p.parent } print(p.pid)");
  EXPECT_THAT(text, HasSubstr("= KernelAddress +0 v0 : int?"));
  EXPECT_THAT(text, Not(HasSubstr("refused")));
}

TEST_F(Typed, PointersAreKept) {
  const std::string text =
      lower("t[curtask.parent] = 1 t[curtask] = 2 for (p in pairs(t)) { print(p.pid) }");
  EXPECT_THAT(text, HasSubstr("Fail \"nil cannot be a key\""));
  EXPECT_THAT(text, Not(HasSubstr("refused")));
  EXPECT_THAT(lower("t[1] = curtask print(t[2].pid)"), Not(HasSubstr("refused")));
  EXPECT_THAT(lower("t[1] = curtask t[2] = 1"),
              HasSubstr("refused 1: table t holds kernel pointers and integers"));
  EXPECT_THAT(lower("t[curtask] = 1 t[cast(\"int *\", 8)] = 1"),
              HasSubstr("refused 1: table t has keys of different kinds"));
}

TEST_F(Typed, BitsOfInterruptsAsTheKernelHasThem) {
  for (const auto& [release, bits] :
       std::vector<std::pair<std::string, std::string>>{{"", "16776960"},
                                                        {"6.1.0-18-amd64", "16776960"},
                                                        {"7.2.13", "16776960"},
                                                        {"7.3.4+deb13-cloud-amd64", "520158976"},
                                                        {"8.0", "520158976"}}) {
    release_ = release;
    EXPECT_THAT(lower("print(in_interrupt())"), HasSubstr("ConstInt " + bits + " : int"))
        << release;
  }
}

TEST_F(Typed, Mistakes) {
  EXPECT_THAT(lower("print(curtask.pidd)"),
              HasSubstr("mistake 'struct task_struct' has no member 'pidd'"));
  EXPECT_THAT(lower("print(cast(\"struct nope *\", 1).a)"),
              HasSubstr("mistake this kernel has no 'struct nope'"));
  EXPECT_THAT(lower("print(cast(\"int\", 1))"),
              HasSubstr("mistake cast() makes pointers, and 'int' is none"));
  EXPECT_THAT(lower("print(cast(\"void *\", 1)[0])"),
              HasSubstr("mistake 'void *' has no elements"));
  EXPECT_THAT(lower("print(kaddr(\"unknown\"))"), HasSubstr("mistake no symbol"));
  EXPECT_THAT(lower("print(curtask + 1)"), HasSubstr("refused 1: arithmetic on a kernel pointer"));
}

TEST_F(Typed, TheTaskAsAnotherTypeIsMemoryAsAnyOther) {
  EXPECT_THAT(lower("print(cast(\"int *\", curtask)[1])"), HasSubstr("KernelAddress +0 v0"));
  EXPECT_THAT(lower("print(cast(\"struct task_struct *\", curtask).pid)"),
              Not(HasSubstr("KernelAddress")));
}

TEST_F(Typed, TheCountOfInterruptsIsTheCpusWhereTheTaskHasNone) {
  for (const std::string& text :
       {lower("print(in_interrupt())"), capture("print(in_interrupt())")}) {
    EXPECT_THAT(text, HasSubstr("EventVar in_interrupt : int"));
    EXPECT_THAT(text, HasSubstr("Ne"));
  }
}

TEST_F(Typed, CapturesStraightChains) {
  const std::string text =
      capture("var p = curtask.parent if (p) { print(p.comm, cast(\"int *\", args.buf)[3]) }");
  EXPECT_THAT(text, HasSubstr("KernelRead +16 pointer"));
  EXPECT_THAT(text, HasSubstr("KernelText +24 char[16]"));
  EXPECT_THAT(text, HasSubstr("KernelRead +12 s32"));
  EXPECT_THAT(capture("print(curtask.parent.pidd)"), HasSubstr("has no member 'pidd'"));
}

}  // namespace
}  // namespace ktap::lower
