// Unit test of the library: each built-in through the VM, results and refusals.
#include "vm/library.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/aggregate.h"
#include "runtime/table.h"
#include "runtime/text.h"
#include "vm/fake_library.h"

namespace ktap::vm {
namespace {

using bytecode::Builtin;
using runtime::Value;
using testing::i;

class LibraryTest : public ::testing::Test, protected testing::FakeLibrary {};

TEST_F(LibraryTest, ArgumentCounts) {
  EXPECT_EQ(call(Builtin::Tostring), "error: 'tostring' takes 1 argument, got 0");
  EXPECT_EQ(call(Builtin::Tonumber, {i(1), i(2), i(3)}),
            "error: 'tonumber' takes 1 to 2 arguments, got 3");
  EXPECT_EQ(call(Builtin::Printf), "error: 'printf' takes at least 1 argument, got 0");
  EXPECT_EQ(call(Builtin::AnsiSetColor3, {i(1)}),
            "error: 'ansi.set_color3' takes 3 arguments, got 1");
}

TEST_F(LibraryTest, Output) {
  call(Builtin::Print);
  call(Builtin::Print, {i(1), s("a")});
  call(Builtin::Printf, {s("%s-%d"), s("x"), i(2)});
  EXPECT_EQ(run_.host.writes, (std::vector<std::string>{"\n", "1\ta\n", "x-2"}));
  EXPECT_EQ(call(Builtin::Format, {s("%03d"), i(7)}), "007");
  EXPECT_EQ(call(Builtin::Printf, {s("%d"), s("x")}),
            "error: '%d' takes an integer, argument 1 is a string");
  EXPECT_EQ(call(Builtin::Printf, {i(1)}), "error: a format is a string, got an integer");
  EXPECT_EQ(run_.host.writes.size(), 3u);
}

TEST_F(LibraryTest, PrintHist) {
  Value t = table();
  t.table()->set(s("a"), i(3));
  t.table()->set(s("b"), i(1));
  EXPECT_EQ(call(Builtin::PrintHist, {t, i(1)}), "nil");
  EXPECT_EQ(run_.host.output(),
            "                          value ------------- Distribution ------------- count\n"
            "                               a |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@          3\n"
            "                             ... |\n");
  EXPECT_EQ(call(Builtin::PrintHist, {i(1)}),
            "error: print_hist takes a table, an aggregate or a histogram, got an integer");
  EXPECT_EQ(call(Builtin::Histogram, {t, s("x")}),
            "error: print_hist takes an integer as the number of rows, got a string");
}

TEST_F(LibraryTest, Conversions) {
  EXPECT_EQ(call(Builtin::Tostring, {Value::of(2.0)}), "2.0");
  EXPECT_EQ(call(Builtin::Type, {Value::nil()}), "nil");
  EXPECT_EQ(call(Builtin::Type, {Value::of(1.5)}), "float");
  EXPECT_EQ(call(Builtin::Tonumber, {i(5)}), "5");
  EXPECT_EQ(call(Builtin::Tonumber, {s(" -12 ")}), "-12");
  EXPECT_EQ(call(Builtin::Tonumber, {s("0x10")}), "16");
  EXPECT_EQ(call(Builtin::Tonumber, {s("-0x10")}), "-16");
  EXPECT_EQ(call(Builtin::Tonumber, {s("1.5e1")}), "15.0");
  EXPECT_EQ(call(Builtin::Tonumber, {s("9223372036854775807")}), "9223372036854775807");
  EXPECT_EQ(call(Builtin::Tonumber, {s("-9223372036854775808")}), "-9223372036854775808");
  EXPECT_EQ(call(Builtin::Tonumber, {s("9223372036854775808")}), "9.2233720368548e+18");
  for (const char* text :
       {"", "-", "abc", "1x", "0x", "nan", "inf", "1 2", "--1", "1e", ".", "0x1.8"}) {
    EXPECT_EQ(call(Builtin::Tonumber, {s(text)}), "nil") << text;
  }
  EXPECT_EQ(call(Builtin::Tonumber, {Value::of(true)}), "nil");
  EXPECT_EQ(call(Builtin::Tonumber, {s("ff"), i(16)}), "255");
  EXPECT_EQ(call(Builtin::Tonumber, {s("zz"), i(36)}), "1295");
  EXPECT_EQ(call(Builtin::Tonumber, {s("12"), i(2)}), "nil");
  EXPECT_EQ(call(Builtin::Tonumber, {s("1"), i(37)}),
            "error: argument 2 of 'tonumber' is to be 2 to 36, got 37");
  EXPECT_EQ(call(Builtin::Tonumber, {s("7"), Value::nil()}), "7");
  EXPECT_EQ(call(Builtin::Tonumber, {i(1), i(10)}),
            "error: argument 1 of 'tonumber' is to be a string, got an integer");
}

TEST_F(LibraryTest, Len) {
  EXPECT_EQ(call(Builtin::Len, {s("abc")}), "3");
  Value t = table();
  t.table()->set(s("a"), i(3));
  EXPECT_EQ(call(Builtin::Len, {t}), "1");
  Value parts[] = {i(1), i(2), i(3)};
  EXPECT_EQ(call(Builtin::Len, {run_.vm->heap().tuple(parts, 3)}), "3");
  EXPECT_EQ(call(Builtin::Len, {i(1)}),
            "error: len takes a string, a table, a multi-key or a histogram, got an integer");
}

TEST_F(LibraryTest, Delete) {
  Value t = table();
  run_.vm->globals()[1] = t;
  Value parts[] = {s("a"), i(2)};
  t.table()->set(run_.vm->heap().tuple(parts, 2), i(1));
  t.table()->set(s("a"), i(2));
  t.table()->set(s("b"), i(3));
  call(Builtin::Delete, {t, s("a"), i(2)});
  EXPECT_EQ(runtime::to_text(t), "a: 2\nb: 3");
  call(Builtin::Delete, {t, s("a")});
  EXPECT_EQ(runtime::to_text(t), "b: 3");
  EXPECT_EQ(call(Builtin::Delete, {t, Value::nil()}), "nil");
  call(Builtin::Delete, {t});
  EXPECT_EQ(runtime::to_text(t), "{}");
  EXPECT_EQ(call(Builtin::Delete, {Value::nil()}),
            "error: delete empties a table or an aggregate, got nil");
}

TEST_F(LibraryTest, SeedsSpellingsOfCounting) {
  Value t = table();
  run_.vm->globals()[1] = t;
  call(Builtin::Count, {t, s("a")});
  call(Builtin::InplaceInc, {t, s("a")});
  call(Builtin::TableCount, {t, s("a")});
  call(Builtin::TableCount, {t, s("a"), i(10)});
  EXPECT_EQ(runtime::to_text(t), "a: 13");
  EXPECT_EQ(call(Builtin::Count, {Value::nil()}), "0");
  EXPECT_EQ(call(Builtin::Count, {i(1)}),
            "error: count takes an aggregate, got an integer; `t[k] <<< n` adds a number to the "
            "aggregate "
            "in t[k]");
  EXPECT_EQ(call(Builtin::Count, {s("a")}), "error: count takes an aggregate, got a string");
  EXPECT_EQ(call(Builtin::Count, {i(1), i(1)}), "error: cannot store into an integer");
}

TEST_F(LibraryTest, ReadersOfAggregates) {
  call(Builtin::Aggr);
  const Value a = run_.result;
  run_.vm->globals()[0] = a;
  for (Builtin reader : {Builtin::Count, Builtin::Sum, Builtin::Avg, Builtin::Stddev}) {
    EXPECT_EQ(call(reader, {Value::nil()}), "0");
    EXPECT_EQ(call(reader, {a}), "0");
    EXPECT_NE(call(reader, {i(1)}).find("takes an aggregate, got an integer"), std::string::npos);
  }
  for (Builtin reader : {Builtin::Min, Builtin::Max}) {
    EXPECT_EQ(call(reader, {Value::nil()}), "nil");
    EXPECT_EQ(call(reader, {a}), "nil");
  }
  EXPECT_EQ(call(Builtin::Quantile, {a, Value::of(0.5)}), "nil");
  a.aggregate()->add(10, {});
  a.aggregate()->add(20, {});
  EXPECT_EQ(call(Builtin::Count, {a}), "2");
  EXPECT_EQ(call(Builtin::Sum, {a}), "30");
  EXPECT_EQ(call(Builtin::Min, {a}), "10");
  EXPECT_EQ(call(Builtin::Max, {a}), "20");
  EXPECT_EQ(call(Builtin::Avg, {a}), "15");
  EXPECT_EQ(call(Builtin::Stddev, {a}), "5");
  EXPECT_EQ(call(Builtin::Quantile, {a, i(1)}), "20");
  EXPECT_EQ(call(Builtin::Quantile, {a, Value::of(-0.1)}),
            "error: quantile takes a number from 0 to 1, got -0.1");
  EXPECT_EQ(call(Builtin::Quantile, {a, Value::of(std::nan(""))}),
            "error: quantile takes a number from 0 to 1, got nan");
  EXPECT_EQ(call(Builtin::Type, {a}), "aggregate");
  EXPECT_EQ(call(Builtin::Len, {a}),
            "error: len takes a string, a table, a multi-key or a histogram, got an aggregate");
  call(Builtin::Hist, {a});
  EXPECT_EQ(call(Builtin::Type, {run_.result}), "histogram");
  call(Builtin::Delete, {a});
  EXPECT_EQ(call(Builtin::Count, {a}), "0");
}

TEST_F(LibraryTest, NewTables) {
  EXPECT_EQ(call(Builtin::TableNew, {i(0), i(500)}), "{}");
  EXPECT_EQ(run_.result.table()->capacity_hint, 500u);
  EXPECT_EQ(call(Builtin::Ptable), "{}");
  EXPECT_EQ(run_.result.table()->capacity_hint, 0u);
  EXPECT_EQ(call(Builtin::TableNew, {i(-1)}),
            "error: argument 1 of 'table.new' is to be 0 to 16777216, got -1");
  EXPECT_EQ(call(Builtin::TableNew, {i(16777216), i(16777216)}), "{}");
}

TEST_F(LibraryTest, KernelString) {
  EXPECT_EQ(call(Builtin::KernelString, {i(1)}),
            "error: 'kernel_string' works in handlers of events only");
  EXPECT_EQ(call(Builtin::KernelString, {s("x")}),
            "error: argument 1 of 'kernel_string' is to be an integer, got a string");
  EXPECT_EQ(call(Builtin::KernelString, {i(1), i(4097)}),
            "error: argument 2 of 'kernel_string' is to be 1 to 4096, got 4097");
}

TEST_F(LibraryTest, TraceClock) {
  call(Builtin::PrintTraceClock);
  EXPECT_EQ(run_.host.output(), "0.000000\n");
}

TEST_F(LibraryTest, Errors) {
  EXPECT_EQ(call(Builtin::Error, {s("boom")}), "error: boom");
  EXPECT_EQ(call(Builtin::Assert, {i(7)}), "7");
  EXPECT_EQ(call(Builtin::Assert, {Value::of(false)}), "error: assertion failed");
  EXPECT_EQ(call(Builtin::Assert, {Value::nil(), s("why")}), "error: why");
}

TEST_F(LibraryTest, Exit) {
  EXPECT_EQ(call(Builtin::Exit, {s("x")}),
            "error: argument 1 of 'exit' is to be an integer, got a string");
  EXPECT_EQ(run_.host.exit_status, "not called");
  EXPECT_EQ(call(Builtin::Exit), "nil");
  EXPECT_EQ(run_.host.exit_status, "none");
  EXPECT_EQ(call(Builtin::Exit, {i(300)}), "nil");
  EXPECT_EQ(run_.host.exit_status, "300");
  EXPECT_TRUE(run_.vm->exited());
}

TEST_F(LibraryTest, UserString) {
  EXPECT_EQ(call(Builtin::UserString, {i(4096)}),
            "error: 'user_string' works in handlers of events only");
  testing::FakeEvent event(run_.vm->heap());
  run_.host.current_event = &event;
  EXPECT_EQ(call(Builtin::UserString, {i(4096)}), "/etc/passwd");
  EXPECT_EQ(call(Builtin::UserString, {i(4096), i(4)}), "/etc");
  EXPECT_EQ(call(Builtin::UserString, {i(1)}), "nil");
  EXPECT_EQ(call(Builtin::Buf, {i(4096), i(2)}), std::string(2, '\0'));
  EXPECT_EQ(call(Builtin::Buf, {i(4096), i(-1)}), "nil");
  EXPECT_EQ(call(Builtin::UserString, {i(4096), i(0)}),
            "error: argument 2 of 'user_string' is to be 1 to 4096, got 0");
  EXPECT_EQ(call(Builtin::EventTostring), "sys_read(fd: 3)\n");
  EXPECT_EQ(call(Builtin::Stringof, {Value::event()}), "sys_read(fd: 3)");
  EXPECT_EQ(call(Builtin::Format, {s("[%s]"), Value::event()}), "[sys_read(fd: 3)]");
}

TEST_F(LibraryTest, Names) {
  EXPECT_EQ(call(Builtin::ErrnoName, {i(2)}), "ENOENT");
  EXPECT_EQ(call(Builtin::ErrnoName, {i(-11)}), "EAGAIN");
  EXPECT_EQ(call(Builtin::ErrnoName, {i(-512)}), "ERESTARTSYS");
  EXPECT_EQ(call(Builtin::ErrnoName, {i(0)}), "nil");
  EXPECT_EQ(call(Builtin::ErrnoName, {i(INT64_MIN)}), "nil");
  EXPECT_EQ(call(Builtin::SignalName, {i(9)}), "SIGKILL");
  EXPECT_EQ(call(Builtin::SignalName, {i(31)}), "SIGSYS");
  EXPECT_EQ(call(Builtin::SignalName, {i(34)}), "SIGRTMIN");
  EXPECT_EQ(call(Builtin::SignalName, {i(40)}), "SIGRTMIN+6");
  EXPECT_EQ(call(Builtin::SignalName, {i(64)}), "SIGRTMAX");
  EXPECT_EQ(call(Builtin::SignalName, {i(65)}), "nil");
  EXPECT_EQ(call(Builtin::SyscallName, {i(0)}), "read");
  EXPECT_EQ(call(Builtin::SyscallName, {i(-1)}), "nil");
  EXPECT_EQ(call(Builtin::Arch), "x86_64");
  EXPECT_EQ(call(Builtin::KernelV), "6.1.0");
  EXPECT_EQ(call(Builtin::NumCpus), "2");
}

TEST_F(LibraryTest, Time) {
  EXPECT_EQ(call(Builtin::GettimeofdayNs), "1356922800123456789");
  EXPECT_EQ(call(Builtin::GettimeofdayUs), "1356922800123456");
  EXPECT_EQ(call(Builtin::GettimeofdayMs), "1356922800123");
  EXPECT_EQ(call(Builtin::GettimeofdayS), "1356922800");
  EXPECT_EQ(call(Builtin::Strftime, {s("%H"), i(5)}), "local %H 5");
}

TEST_F(LibraryTest, StrftimeInUtc) {
  auto utc = [this](std::string_view format, int64_t seconds) {
    return call(Builtin::Strftime, {s("!" + std::string(format)), i(seconds * 1000000000)});
  };
  EXPECT_EQ(utc("%Y-%m-%d %H:%M:%S %a %j %Z %z", 0), "1970-01-01 00:00:00 Thu 001 UTC +0000");
  EXPECT_EQ(utc("%F %T", 1356922800), "2012-12-31 03:00:00");
  EXPECT_EQ(utc("%F %j", 951782400), "2000-02-29 060");
  EXPECT_EQ(utc("%F %j", 951868800), "2000-03-01 061");
  EXPECT_EQ(utc("%F %T %a", -1), "1969-12-31 23:59:59 Wed");
  EXPECT_EQ(utc("%F", -2208988800), "1900-01-01");
  EXPECT_EQ(utc("%s %%s", 77), "77 %s");
  EXPECT_EQ(utc("", 0), "");
  EXPECT_EQ(utc("%", 0).size() <= 1, true);
  EXPECT_EQ(call(Builtin::Strftime, {s("!%T"), i(-1)}), "23:59:59");
}

TEST_F(LibraryTest, Ansi) {
  call(Builtin::AnsiClearScreen);
  call(Builtin::AnsiSetColor, {i(31)});
  call(Builtin::AnsiSetColor2, {i(31), i(42)});
  call(Builtin::AnsiSetColor3, {i(31), i(42), i(1)});
  call(Builtin::AnsiResetColor);
  call(Builtin::AnsiNewLine);
  EXPECT_EQ(run_.host.output(), "\033[H\033[J\033[31m\033[31;42m\033[31;42;1m\033[0;0m\n");
}

TEST_F(LibraryTest, SeedsSpellingsOfTracing) {
  Value f = Value::of_builtin(static_cast<uint16_t>(Builtin::Print));
  call(Builtin::KdebugProbe, {s("tp:syscalls"), f});
  call(Builtin::KdebugProbe, {s("tp:sched:sched_switch"), f});
  call(Builtin::KdebugProbe, {s("tp:"), f});
  call(Builtin::KdebugProbe, {s("kprobe:vfs_read"), f});
  call(Builtin::KdebugProbe, {s("kprobe:vfs_read! ret=$retval"), f});
  call(Builtin::KdebugProbe, {s("syscalls:sys_enter_*"), f});
  call(Builtin::KdebugKprobe, {s("vfs_read"), f});
  call(Builtin::KdebugTracepoint, {s("sched:sched_switch"), f});
  call(Builtin::TimerTick, {s("1s"), f});
  call(Builtin::TimerProfile, {s("1ms"), f});
  call(Builtin::KdebugProbeEnd, {f});
  using bytecode::HandlerKind;
  const std::vector<std::pair<HandlerKind, std::string>> expected = {
      {HandlerKind::Event, "syscalls:*"},
      {HandlerKind::Event, "sched:sched_switch"},
      {HandlerKind::Event, ""},
      {HandlerKind::Event, "probe:vfs_read"},
      {HandlerKind::Event, "probe:vfs_read%return ret=$retval"},
      {HandlerKind::Event, "syscalls:sys_enter_*"},
      {HandlerKind::Event, "probe:vfs_read"},
      {HandlerKind::Event, "sched:sched_switch"},
      {HandlerKind::Tick, "tick-1s"},
      {HandlerKind::Profile, "profile-1ms"},
      {HandlerKind::End, ""},
  };
  ASSERT_EQ(run_.host.handlers.size(), expected.size());
  for (size_t n = 0; n < expected.size(); ++n) {
    EXPECT_EQ(run_.host.handlers[n].kind, expected[n].first) << n;
    EXPECT_EQ(run_.host.handlers[n].text, expected[n].second) << n;
  }
  EXPECT_EQ(call(Builtin::KdebugProbe, {s("tp:x"), i(1)}),
            "error: a handler is a function, got an integer");
  EXPECT_EQ(call(Builtin::TimerTick, {i(1), f}),
            "error: argument 1 of 'timer.tick' is to be a string, got an integer");
}

}  // namespace
}  // namespace ktap::vm
