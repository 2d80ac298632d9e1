// Captures, groups of events, and what the freeze finds out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/limits.h"
#include "lower/lower.h"
#include "lower/test_world.h"

namespace ktap::lower {
namespace {

using ::testing::HasSubstr;

std::vector<schema::Field> read_args() {
  return {int_field("fd", 4, true), int_field("buf"), int_field("count")};
}
schema::EventPtr read_event() { return syscall_enter("read", 0, read_args()); }
schema::EventPtr write_event() { return syscall_enter("write", 1, read_args()); }
schema::EventPtr openat_event() {
  return syscall_enter(
      "openat", 257,
      {int_field("dfd", 4, true), int_field("filename"), int_field("flags", 4, true)});
}

TEST(Capture, SendsWhatTheHandlerMayRead) {
  TestWorld w(
      "trace syscalls:* /pid == 7/ { var x = {} print(user_string(args.filename), execname, arg1, "
      "1.5 * pid) }");
  EXPECT_THAT(w.capture({openat_event()}),
              HasSubstr("b4:  ; from b3\n"
                        "  v6 = EventVar pid : int\n"
                        "  v7 = EventVar execname : str bytes 16\n"
                        "  v8 = EventField #1 : int\n"
                        "  v9 = EventField #2 : int\n"
                        "  v10 = UserString max 256 v9 : str? bytes 256\n"
                        "  Emit site 0 v6, v7, v8, v9, v10\n"
                        "  Return\n"
                        "b5:  ; from b3\n"
                        "  Return\n"));
  const CaptureSite& site = w.linkage.captures.at(0);
  EXPECT_TRUE(site.filter_in_kernel);
  ASSERT_EQ(site.args.size(), 5u);
  EXPECT_EQ(site.args[1].var, schema::BuiltinVar::Execname);
  EXPECT_EQ(site.args[2].kind, CaptureArg::Kind::Field);
  EXPECT_EQ(site.args[4].kind, CaptureArg::Kind::UserString);
  EXPECT_EQ(site.args[4].address_arg, 3u);
  EXPECT_EQ(w.linkage.module.sites.at(0).kind, ssa::SiteKind::Capture);
  EXPECT_EQ(w.linkage.module.sites.at(0).raw, ssa::RawEvent::None);
}

TEST(Capture, KernelStringsAreReadApart) {
  TestWorld w(
      "trace syscalls:* { var x = {} print(user_string(args.filename, 8), "
      "kernel_string(args.filename)) }");
  const std::string text = w.capture({openat_event()});
  EXPECT_THAT(text, HasSubstr("= UserString max 8 v"));
  EXPECT_THAT(text, HasSubstr("= KernelString max 256 v"));
}

TEST(Capture, SendsAsMuchOfAStringAsTheCallsAskFor) {
  struct Case {
    const char* calls;
    const char* want;
  };
  for (const Case& c : {Case{"user_string(args.filename, 512)", "UserString max 512"},
                        Case{"user_string(args.filename, 4)", "UserString max 4 "},
                        Case{"user_string(args.filename, pid)", "UserString max 4096"},
                        Case{"user_string(args.filename), user_string(arg2, 4), "
                             "user_string(args.filename, 300)",
                             "UserString max 300"}}) {
    TestWorld w(std::string("trace syscalls:* { var x = {} print(") + c.calls + ") }");
    const std::string text = w.capture({openat_event()});
    EXPECT_THAT(text, HasSubstr(c.want));
    EXPECT_EQ(text.find("UserString"), text.rfind("UserString")) << text;
    for (const ssa::SiteArg& arg : w.linkage.module.sites.at(0).args) {
      EXPECT_TRUE(arg.type != ssa::Type::MaybeStr || arg.max_bytes >= 4);
    }
  }
}

TEST(Capture, ReadsNoStringForABoundThatIsAnError) {
  for (const char* call : {"user_string(args.filename, 0)", "user_string(args.filename, -1)",
                           "user_string(args.filename, 40000)", "kernel_string(arg2, 0)"}) {
    TestWorld w(std::string("trace syscalls:* { var x = {} print(") + call + ") }");
    EXPECT_THAT(w.capture({openat_event()}), testing::Not(HasSubstr("String"))) << call;
  }
}

TEST(Capture, CutsAreCountedWhereTheStringIsRead) {
  TestWorld w("trace syscalls:* {\n  var x = {}\n  print(\n    user_string(args.filename))\n}");
  w.capture({openat_event()});
  ASSERT_NE(w.function, nullptr);
  for (const ssa::Inst& inst : w.function->values) {
    if (inst.op == ssa::Op::UserString) {
      EXPECT_EQ(inst.line, 4u);
    }
    if (inst.op == ssa::Op::Emit) {
      EXPECT_EQ(inst.line, 1u);
    }
  }
}

TEST(Capture, LooksIntoFunctionsAndUnderTheEvent) {
  TestWorld w(
      "function show(x) { print(x .. tid) } trace 'syscalls:*' function (e) { show(e.fd) print(e) "
      "}");
  EXPECT_THAT(w.capture({read_event()}), HasSubstr("EventVar tid"));
  EXPECT_THAT(w.capture({read_event()}), HasSubstr("EventField #1"));
  EXPECT_EQ(w.linkage.module.sites.at(0).raw, ssa::RawEvent::Record);
  TestWorld no_text("trace 'syscalls:*' function (e) { print(e.name .. e.sc_nr) }");
  no_text.capture({read_event()});
  EXPECT_EQ(no_text.linkage.module.sites.at(0).raw, ssa::RawEvent::None);
}

TEST(Capture, LeavesAFilterWithoutKernelFormToTheVm) {
  TestWorld w("trace syscalls:* /execname ~ format('b%s', 'sh') && args.fd == 1/ { print(1) }");
  const std::string text = w.capture({read_event()});
  EXPECT_THAT(text, HasSubstr("EventVar execname"));
  EXPECT_THAT(text, HasSubstr("EventField #1"));
  EXPECT_FALSE(w.linkage.captures.at(0).filter_in_kernel);
}

/// What runs in the kernel of `filter`: the capture program's text.
std::string prefix_of(const std::string& filter) {
  TestWorld w("var n = 0 var seen = {}\ntrace syscalls:* /" + filter +
              "/ { n = n + 1 seen[tid] = n print(1.5) }");
  const std::string text = w.capture({read_event()});
  EXPECT_FALSE(w.linkage.captures.at(0).filter_in_kernel) << filter;
  EXPECT_TRUE(w.linkage.tables.empty()) << "the VM's own: " << filter;
  EXPECT_TRUE(w.linkage.cells.empty()) << filter;
  return text;
}

TEST(Capture, WhatStandsBeforeTheStateStaysInTheKernel) {
  const std::string text = prefix_of("pid == 7 && args.fd > 2 && n < 10");
  EXPECT_THAT(text, HasSubstr("EventVar pid"));
  EXPECT_THAT(text, HasSubstr("ConstInt 7"));
  EXPECT_THAT(text, HasSubstr("Lt"));
  EXPECT_THAT(text, HasSubstr("Branch"));
  EXPECT_EQ(text.find("CellGet"), std::string::npos) << text;
  EXPECT_EQ(text.find("ConstInt 10"), std::string::npos) << text;
}

TEST(Capture, WhatStandsBehindTheStateDoesNot) {
  EXPECT_EQ(prefix_of("n < 10 && pid == 7").find("Branch"), std::string::npos);
  EXPECT_EQ(prefix_of("seen[tid] == nil || pid == 7").find("Branch"), std::string::npos);
  // No kernel form.
  EXPECT_THAT(prefix_of("pid == 7 && math.max(n, 2) == 2"), HasSubstr("ConstInt 7"));
  EXPECT_THAT(prefix_of("(pid == 7 || tid == 8) && seen[tid] == 1"), HasSubstr("ConstInt 8"));
  // The same value decides on both ways.
  const std::string either = prefix_of("pid == 7 && n == 1 || tid == 8");
  EXPECT_THAT(either, HasSubstr("EventVar tid"));
  EXPECT_THAT(either, HasSubstr("ConstInt 8"));
}

TEST(Capture, AFilterThatChangesSomethingRunsOnce) {
  TestWorld w(
      "var n = 0\nfunction next() { n = n + 1 return n }\n"
      "trace syscalls:* /pid == 7 && next() % 2 == 0/ { print(1.5) }");
  const std::string text = w.capture({read_event()});
  EXPECT_THAT(text, HasSubstr("ConstInt 7"));
  EXPECT_EQ(text.find("CellSet"), std::string::npos) << text;
  EXPECT_FALSE(w.linkage.captures.at(0).filter_in_kernel);
}

TEST(Capture, FindsMistakes) {
  EXPECT_EQ(TestWorld("trace syscalls:* { var x = {} print(args.foo) }").capture({read_event()}),
            "mistake 1: sys_enter_read has no field 'foo'");
  EXPECT_EQ(TestWorld("trace syscalls:* /args.foo == 1/ { var x = {} }").capture({read_event()}),
            "mistake 1: sys_enter_read has no field 'foo'");
  // Code for another event of the same handler.
  EXPECT_THAT(TestWorld("trace syscalls:* { var x = {} if (!e.sc_is_enter) { print(retval) } }")
                  .capture({read_event()}),
              HasSubstr("Emit"));
}

TEST(Groups, SystemCallsThatAreSeenAlikeGoTogether) {
  const std::vector<schema::EventPtr> events = {read_event(), openat_event(), write_event(),
                                                syscall_exit("read", 0)};
  TestWorld names("var h = {} trace syscalls:* { h[probename] += 1 }");
  const auto by_kind = names.groups(events);
  ASSERT_EQ(by_kind.size(), 2u);
  EXPECT_EQ(by_kind[0].events.size(), 3u);
  EXPECT_EQ(by_kind[1].kind, schema::EventKind::SyscallExit);
  EXPECT_EQ(names.linkage.module.strings.at(static_cast<size_t>(by_kind[0].name_ids.at(2))),
            "sys_enter_write");

  TestWorld fields("trace syscalls:* { print(args.fd) }");
  EXPECT_EQ(fields.groups({read_event(), write_event()}).size(), 1u);
  EXPECT_EQ(fields.groups({read_event(), openat_event()}).size(), 2u);
  // The same name at the same place, but of another width.
  EXPECT_EQ(fields.groups({read_event(), syscall_enter("x", 9, {int_field("fd", 8, true)})}).size(),
            2u);

  TestWorld tracepoints("trace sched:* { print(pid) }");
  EXPECT_EQ(tracepoints.groups({sched_switch(), sched_switch()}).size(), 1u);
}

TEST(Groups, KernelFunctionsShareNoProgramWhereEachTakesATrampoline) {
  const auto probe = [](const char* function, uint64_t offset_bytes, const char* path) {
    auto event = std::make_shared<schema::Event>();
    event->name = function;
    event->kind = schema::EventKind::Probe;
    event->point.symbol = function;
    event->point.offset_bytes = offset_bytes;
    event->point.path = path;
    return event;
  };
  TestWorld world("var h = {} trace probe:* { h[probename] += 1 }");
  const auto count = [&](const ProbeSharing& sharing, uint64_t offset_bytes, const char* path) {
    return group_events(world.handlers.at(0), world.world,
                        {probe("a", offset_bytes, path), probe("b", offset_bytes, path)}, sharing,
                        world.linkage.module)
        .size();
  };
  EXPECT_EQ(count({}, 0, ""), 1u);
  EXPECT_EQ(count({true, false}, 0, ""), 2u);
  EXPECT_EQ(count({true, false}, 8, ""), 1u);
  EXPECT_EQ(count({true, false}, 0, "/bin/ls"), 1u);
  EXPECT_EQ(count({false, true}, 0, "/bin/ls"), 2u);
}

TEST(Freeze, FindsWhatHandlersChange) {
  TestWorld w(
      "var a = 0 var b = 0 c = 0 d = 0 var t = {} var u = {} var keep = {}\n"
      "function set(x) { x.y = 1 }\n"
      "trace syscalls:* { a = 1 c += 1 set(t) delete(u, 1) print(keep[1], b, d) }\n"
      "trace_end { b = 1 d = 2 keep[1] = 1 }");
  EXPECT_EQ(w.world.assigned_cells.size(), 1u);
  EXPECT_EQ(w.world.assigned_globals.size(), 1u);
  EXPECT_EQ(w.world.written_tables.size(), 2u);
  for (const auto& [table, kinds] : w.world.table_kinds) EXPECT_EQ(kinds & ~(kInteger | kNil), 0);
  EXPECT_EQ(w.world.cell_kinds.begin()->second, kInteger);
  EXPECT_EQ(w.world.global_kinds.begin()->second, kInteger);
}

TEST(Freeze, FollowsTablesThroughTablesAndInnerFunctions) {
  TestWorld w(
      "var all = {one = {}, two = {}}\n"
      "tick-1s { var f = function (k) { all.one[k] = 'text' } f(1) for (k, v in pairs(all.two)) { "
      "v.x = 1 } }");
  ASSERT_EQ(w.world.written_tables.size(), 1u);
  EXPECT_EQ(w.world.table_kinds.begin()->second, kString);
}

TEST(Freeze, AFunctionThatIsStoredAndCalled) {
  TestWorld w(
      "var n = 0 var ops = {}\n"
      "ops.bump = function (by) { n = n + by }\n"
      "tick-1s { ops.bump(2) }");
  EXPECT_EQ(w.world.assigned_cells.size(), 1u);
  EXPECT_EQ(w.world.cell_kinds.begin()->second, kInteger);
  EXPECT_TRUE(w.world.written_tables.empty());
}

/// What the timers of a script store in its only table.
StoredEntries stored_in_table(const std::string& source) {
  TestWorld w(source);
  EXPECT_EQ(w.world.timer_tables.size(), 1u);
  return w.world.timer_tables.begin()->second;
}

TEST(Freeze, WhatTimersStoreInTables) {
  const StoredEntries own = stored_in_table(
      "var t = {} trace syscalls:* { t[pid, execname] += 1 }\n"
      "tick-1s { for (a, b, c in pairs(t)) { t[a, b] = 0 } t[1, 'x'] = nil }");
  EXPECT_FALSE(own.has_keys);
  EXPECT_EQ(own.value.kinds, kInteger | kNil);
  const StoredEntries numbers = stored_in_table(
      "var t = {[1] = 2} tick-1s { for (k, c in pairs(t)) { t[k] += 1 } t[7] = 5 }");
  ASSERT_EQ(numbers.key.size(), 1u);
  EXPECT_EQ(numbers.key[0].kinds, kInteger);
  const StoredEntries texts = stored_in_table(
      "var t = {} function put(x) { x['a'] = 'long' x[execname] = format('%d', 1) }\n"
      "tick-1s { put(t) }");
  EXPECT_EQ(texts.key[0].texts.bytes, 16u);
  EXPECT_TRUE(texts.key[0].texts.known.empty());
  EXPECT_EQ(texts.value.texts.bytes, limits::kMaxMadeBytes);
}

TEST(Freeze, WhatTimersStoreInVariables) {
  TestWorld w(
      "var s = '' var n = 0 only = nil trace syscalls:* { n += 1 s = 'kernel' }\n"
      "tick-1s { s = 'tick' only = true }");
  ASSERT_EQ(w.world.timer_cells.size(), 1u);
  EXPECT_EQ(w.world.timer_cells.begin()->second.texts.known, std::set<std::string>{"tick"});
  ASSERT_EQ(w.world.timer_globals.size(), 1u);
  EXPECT_EQ(w.world.timer_globals.begin()->second.kinds, kBoolean);
}

TEST(Freeze, KeysOfWhichTimersSayTooLittle) {
  EXPECT_TRUE(stored_in_table("var t = {} var u = {} trace syscalls:* { t[args.name] = 1 }\n"
                              "tick-1s { for (k, c in pairs(t)) { u[k] = 1 } }")
                  .key[0]
                  .is_unsure);
  EXPECT_TRUE(stored_in_table("var t = {} tick-1s { t[1] = 1 t[1, 2] = 1 }").keys_differ);
}

}  // namespace
}  // namespace ktap::lower
