// Probes and maps of other tracers in ktap's spelling; what cannot be read is left alone.
#include "syntax/foreign.h"

#include <gtest/gtest.h>

namespace ktap::syntax {
namespace {

TEST(Foreign, ProbesOfBpftrace) {
  EXPECT_EQ(ktap_probe("kprobe:vfs_read"), "trace probe:vfs_read");
  EXPECT_EQ(ktap_probe("kfunc:vmlinux:vfs_read"), "trace probe:vfs_read");
  EXPECT_EQ(ktap_probe("kr:vfs_*"), "trace probe:vfs_*%return");
  EXPECT_EQ(ktap_probe("t:sched:sched_switch"), "trace sched:sched_switch");
  EXPECT_EQ(ktap_probe("uretprobe:/bin/bash:readline"), "trace probe:/bin/bash:readline%return");
  EXPECT_EQ(ktap_probe("usdt:/bin/x:p:m"), "trace sdt:/bin/x:p:m");
  EXPECT_EQ(ktap_probe("interval:ms:10"), "tick-10ms");
  EXPECT_EQ(ktap_probe("profile:hz:99"), "profile-99hz");
  EXPECT_EQ(ktap_probe("watchpoint:0x1000:8:w"), "trace mem:0x1000/8:w");
  EXPECT_EQ(ktap_probe("END"), "trace_end");
}

TEST(Foreign, ProbesOfDtrace) {
  EXPECT_EQ(ktap_probe("syscall::read:entry"), "trace syscalls:sys_enter_read");
  EXPECT_EQ(ktap_probe("syscall:::return"), "trace syscalls:sys_exit_*");
  EXPECT_EQ(ktap_probe("fbt::vfs_read:return"), "trace probe:vfs_read%return");
  EXPECT_EQ(ktap_probe("pid123:libc.so:malloc:entry"), "trace probe:libc.so:malloc");
  EXPECT_EQ(ktap_probe("profile:::profile-1001"), "profile-1001hz");
  EXPECT_EQ(ktap_probe("profile:::tick-5sec"), "tick-5sec");
}

TEST(Foreign, ProbesOfSystemtap) {
  EXPECT_EQ(ktap_probe("probe syscall.read"), "trace syscalls:sys_enter_read");
  EXPECT_EQ(ktap_probe("probe syscall.*.return"), "trace syscalls:sys_exit_*");
  EXPECT_EQ(ktap_probe("probe kernel.function(\"f@a/b.c\").return"), "trace probe:f%return");
  EXPECT_EQ(ktap_probe("probe kernel.trace(\"sched:x\")"), "trace sched:x");
  EXPECT_EQ(ktap_probe("probe timer.s(5)"), "tick-5s");
  EXPECT_EQ(ktap_probe("probe end"), "trace_end");
}

TEST(Foreign, WhatIsNoProbeOfTheirsIsLeftAlone) {
  for (const char* text : {"",
                           ":",
                           "::",
                           ":::",
                           "t:len()",
                           "kprobe:",
                           "kprobe",
                           "a:b",
                           "interval:s:x",
                           "interval:s",
                           "probe ",
                           "probe syscall.",
                           "probe syscall.return",
                           "probe vfs.return",
                           "probe timer.",
                           "probe kernel.function(\"",
                           "probe x",
                           "syscalls:sys_enter_read",
                           "uprobe:x",
                           "a:b:c:d",
                           "profile:::profile-"}) {
    EXPECT_EQ(ktap_probe(text), "") << text;
  }
}

/// Nothing is read beyond the end (the sanitizers look).
TEST(Foreign, EveryPartOfAProbe) {
  for (const std::string text :
       {"probe kernel.function(\"f@a/b.c\").return", "probe syscall.read.return",
        "probe timer.s(5)", "probe process(\"/bin/x\").mark(\"m\")", "probe vfs.read.return",
        "watchpoint:0x1000:8:w", "syscall::read:entry", "profile:::profile-97", "interval:s:1",
        "@a[f(b)[c]] = lhist(d, 1)", "$retval"}) {
    for (size_t begin = 0; begin < text.size(); ++begin) {
      for (size_t size = 1; begin + size <= text.size(); ++size) {
        const std::string part = text.substr(begin, size);  // a buffer of its own
        ktap_probe(part);
        map_hint(part);
        dollar_hint(part);
      }
    }
  }
}

TEST(Foreign, Maps) {
  EXPECT_EQ(map_hint("@[comm] = count();"),
            "write `t[execname] += 1`, with `t = {}` in the main chunk");
  EXPECT_EQ(map_hint("@n++"), "write `n += 1`, with `n = 0` in the main chunk");
  EXPECT_EQ(map_hint("@us = lhist(nsecs - 1, 0, 100, 10)"),
            "write `us <<< ns - 1`, with `us = aggr()` in the main chunk");
  EXPECT_EQ(map_hint("@us = hist((nsecs - @start[tid]) / 1000); }"),
            "write `us <<< (ns - start[tid]) / 1000`, with `us = aggr()` in the main chunk");
  EXPECT_EQ(map_hint("@ = hist(args->ret)"),
            "write `t <<< args.ret`, with `t = aggr()` in the main chunk");
  EXPECT_EQ(map_hint("@[args.comm, comm]"),
            "write `t[args.comm, execname]`, with `t = {}` in the main chunk");
  EXPECT_EQ(map_hint("@ = sum("), "write `t <<< n`, with `t = aggr()` in the main chunk");
  EXPECT_EQ(map_hint("@[kstack] = count()"),
            "write `t[stack()] += 1`, with `t = {}` in the main chunk");
  EXPECT_EQ(map_hint("@x[pid]);", "{ delete("),
            "write `delete(x, pid)`, with `x = {}` in the main chunk");
  EXPECT_EQ(map_hint("@").substr(0, 30), "there are no '@' aggregations:");
  EXPECT_EQ(map_hint("@a[1"), "variables have no '@': write `a`");
  EXPECT_EQ(map_hint("@a[f(1)[2]] = 3"), "write `a[f(1)[2]]`, with `a = {}` in the main chunk");
  EXPECT_EQ(map_hint("@a\n[1] = count()"), "variables have no '@': write `a`");
}

TEST(Foreign, Dollars) {
  EXPECT_EQ(dollar_hint("$12"), "an argument of the script is arg[12]");
  EXPECT_EQ(dollar_hint("$"), "variables have no '$' before their name");
  EXPECT_EQ(dollar_hint("$return"), "the result of a call is `retval`");
}

TEST(Foreign, Casts) {
  const std::string number = "numbers are not cast, integers have 64 bits: leave out ";
  EXPECT_EQ(cast_hint("(int)x"), number + "(int)");
  EXPECT_EQ(cast_hint("( unsigned long ) x"), number + "(unsigned long)");
  EXPECT_EQ(cast_hint("(pid_t)x"), number + "(pid_t)");
  EXPECT_EQ(cast_hint("(struct file *)x"),
            "a pointer to kernel memory is cast(\"struct file *\", x)");
  EXPECT_EQ(cast_hint("(char **)x"), "a pointer to kernel memory is cast(\"char **\", x)");
  for (const char* none :
       {"", "(", "(x)y", "()y", "(*)y", "(int", "(struct file)y", "(int + 1)", "int)x"}) {
    EXPECT_EQ(cast_hint(none), "") << none;
  }
}

}  // namespace
}  // namespace ktap::syntax
