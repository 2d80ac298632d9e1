// Handlers from source text to SSA: the whole text where its shape matters, the telling line
// elsewhere; and what is refused, with the reason.
#include "lower/lower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lower/test_world.h"
#include "runtime/string.h"

namespace ktap::lower {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<schema::Field> read_args() {
  return {int_field("fd", 4, true), int_field("buf"), int_field("count")};
}
schema::EventPtr read_event() { return syscall_enter("read", 0, read_args()); }
schema::EventPtr write_event() { return syscall_enter("write", 1, read_args()); }

/// Of a script's first handler, on one system call, without the line that names the function.
std::string lowered(const std::string& source) {
  const std::string text = TestWorld(source).lower({read_event()});
  return text.compare(0, 9, "function ") == 0 ? text.substr(text.find('\n') + 1) : text;
}
/// The same on two, so that probename is not known.
std::string lowered_on_two(const std::string& source) {
  return TestWorld(source).lower({read_event(), write_event()});
}

// ---- the world -------------------------------------------------------------------------------

TEST(Lower, CountsByName) {
  EXPECT_EQ(lowered_on_two("var h = {} trace syscalls:* { h[probename] += 1 }"),
            "function handler 0 (syscalls:sys_enter_read and 1 more)\n"
            "b0:\n"
            "  v0 = EventVar probename : str id\n"
            "  v1 = ConstInt 1 : int\n"
            "  TableAdd 0:h v0, v1\n"
            "  Return\n");
}

TEST(Lower, NameOfASingleEventIsKnown) {
  EXPECT_EQ(lowered("var h = {} trace syscalls:* { h[probename] += 1 }"),
            "b0:\n"
            "  v0 = ConstStr \"sys_enter_read\" : str id\n"
            "  v1 = ConstInt 1 : int\n"
            "  TableAdd 0:h v0, v1\n"
            "  Return\n");
}

TEST(Lower, UnassignedVariablesAreConstants) {
  EXPECT_THAT(lowered("var x = 40 y = 2 trace syscalls:* { print(pid + (x + y)) }"),
              HasSubstr("ConstInt 42"));
  TestWorld with_arg("trace syscalls:* /pid == arg[1]/ { print(1) }", {"script", "77"});
  EXPECT_THAT(with_arg.lower({read_event()}), HasSubstr("ConstInt 77"));
}

TEST(Lower, DeadBranchesVanish) {
  const std::string text = lowered(
      "var verbose = false trace syscalls:* { if (verbose) { print(pid) } else { print(tid) } }");
  EXPECT_THAT(text, HasSubstr("EventVar tid"));
  EXPECT_THAT(text, Not(HasSubstr("EventVar pid")));
}

TEST(Lower, TablesOfTablesResolve) {
  EXPECT_THAT(lowered("var s = {read = {}} trace syscalls:* { s.read[pid] += 1 }"),
              HasSubstr("TableAdd 0:s.read v0, v1"));
}

TEST(Lower, ATableThatAnotherHandlerRebuildsDoesNotResolve) {
  EXPECT_THAT(
      lowered("var s = {read = {}} trace syscalls:* { s.read[pid] += 1 } tick-1s { s.read = {} }"),
      HasSubstr("refused 1: table s may get something else than integers"));
}

TEST(Lower, AssignedVariablesAreShared) {
  EXPECT_EQ(lowered("var n = 5 trace syscalls:* { n += args.count n = n * 2 n -= 1 }"),
            "b0:\n"
            "  v0 = EventField #3 : int\n"
            "  CellAdd 0:n v0\n"
            "  v1 = CellGet 0:n : int\n"
            "  v2 = ConstInt 2 : int\n"
            "  v3 = Mul v1, v2 : int\n"
            "  CellSet 0:n v3\n"
            "  v4 = ConstInt -1 : int\n"
            "  CellAdd 0:n v4\n"
            "  Return\n");
  EXPECT_THAT(lowered("n = 5 trace syscalls:* { n += 1 }"), HasSubstr("CellAdd 0:n"));
}

TEST(Lower, VariablesThatAreNoPlainIntegersAreTables) {
  EXPECT_THAT(lowered("var n = 'x' trace syscalls:* { n = 1 }"),
              HasSubstr("MakeUnion v1 : union bytes 24"));
  EXPECT_THAT(lowered("var n = 1 trace syscalls:* { n = execname }"),
              HasSubstr("MakeUnion v0 : union bytes 32"));
  EXPECT_EQ(
      lowered("var n = 1 trace syscalls:* { n += 1 } tick-1s { n = n * 1.5 }"),
      "refused 1: variable n may get something else than integers, booleans, strings and stacks");
  EXPECT_THAT(lowered("var n = 1 trace syscalls:* { n += 1 } tick-1s { n = nil }"),
              AllOf(HasSubstr("TableGet 0:n v0 : int?"), HasSubstr("TableAdd 0:n v4, v5")));
  EXPECT_THAT(lowered("var n = 1 trace syscalls:* { n += 1 } trace_end { n = nil }"),
              HasSubstr("CellAdd"));
  EXPECT_THAT(lowered("var n = nil trace syscalls:* { if (n != execname) { n = execname } }"),
              AllOf(HasSubstr("TableGet 0:n v0 : str? bytes 16"), HasSubstr("TableSet 0:n")));
  EXPECT_THAT(lowered("var on = false trace syscalls:* { on = !on }"),
              AllOf(HasSubstr("TableGet 0:on v0 : bool?"), HasSubstr("TableSet 0:on")));
  EXPECT_THAT(lowered("var n = 1 trace syscalls:* { n |= pid n &= 3 n ^= 1 }"),
              AllOf(HasSubstr("CellOr 0:n"), HasSubstr("CellAnd 0:n"), HasSubstr("CellXor 0:n")));
}

TEST(Lower, ValuesOfTables) {
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { if (t[pid] != execname) "
                      "{ t[pid] = execname } }"),
              AllOf(HasSubstr("TableGet 0:t v0 : str? bytes 16"), HasSubstr("TableSet 0:t")));
  EXPECT_THAT(lowered("var t = { a = 'x' } trace syscalls:* { t[execname] = 'y' print(t['a']) }"),
              HasSubstr(": str? id"));
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { t[pid] = pid > 1 print(t[1] == true) }"),
              HasSubstr("TableGet 0:t v7 : bool?"));
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { t[pid] = t[1] t[1] = 2 }"),
              AllOf(HasSubstr("TableSet"), HasSubstr("TableDelete")));
  EXPECT_THAT(lowered("var t = { 'x' } trace syscalls:* { t[1] ..= 'x' }"),
              HasSubstr("refused 1: a string that is put together here, and not only printed, may "
                        "get longer than 512 bytes"));
}

TEST(Lower, LinkageNamesTheObjects) {
  TestWorld w("g = 1 var n = 2 var t = {} trace syscalls:* { g += 1 n += 1 t[1] = 2 }");
  w.lower({read_event()});
  ASSERT_EQ(w.linkage.cells.size(), 2u);
  EXPECT_EQ(w.linkage.cells[0], nullptr);
  EXPECT_EQ(w.chunk->globals[static_cast<size_t>(w.linkage.cell_globals[0])], "g");
  EXPECT_EQ(w.linkage.cells[1]->slot->integer, 2);
  EXPECT_EQ(w.linkage.cell_globals[1], -1);
  ASSERT_EQ(w.linkage.tables.size(), 1u);
  EXPECT_TRUE(w.linkage.module.tables[0].is_set);
  EXPECT_FALSE(w.linkage.module.tables[0].is_read);
  EXPECT_EQ(w.linkage.module.tables[0].max_entries, 0u);
}

// ---- tables ----------------------------------------------------------------------------------

TEST(Lower, KeysOfManyKinds) {
  TestWorld w("var h = {} trace syscalls:* { h[execname, pid, pid > 1, probename] += 1 }");
  w.lower({read_event(), write_event()});
  using K = ssa::KeyPart::Kind;
  const std::vector<ssa::KeyPart> want = {{K::Bytes, 16}, {K::Int, 8}, {K::Bool, 8}, {K::StrId, 8}};
  EXPECT_EQ(w.linkage.module.tables.at(0).key, want);
}

TEST(Lower, ALiteralFitsBothKindsOfStringKeys) {
  TestWorld w("var h = {} trace syscalls:* { h['sh'] += 1 h[execname] += 1 h['ba'] = 2 }");
  EXPECT_THAT(w.lower({read_event()}), HasSubstr("TableSet 0:h"));
  EXPECT_EQ(w.linkage.module.tables.at(0).key.at(0).kind, ssa::KeyPart::Kind::Bytes);
  EXPECT_THAT(lowered_on_two("var h = {} trace syscalls:* { h[probename] += 1 h[execname] += 1 }"),
              HasSubstr("StrBytes v0 : str bytes 15"));
  TestWorld longer("var h = {} trace syscalls:* { h[execname] += 1 h['longer than sixteen'] = 1 }");
  EXPECT_THAT(longer.lower({read_event()}), HasSubstr("TableSet 0:h"));
  EXPECT_EQ(longer.linkage.module.tables.at(0).key.at(0).max_bytes, 64u);
}

TEST(Lower, KeysMustAgree) {
  EXPECT_EQ(lowered("var t = {} trace syscalls:* { t[pid] += 1 t[stack()] += 1 }"),
            "refused 1: table t has keys of different kinds");
  EXPECT_EQ(lowered("var t = {} trace syscalls:* { t[pid] += 1 t[pid, tid] += 1 }"),
            "refused 1: table t has keys of 1 and of 2 parts");
  EXPECT_EQ(lowered("var t = {} trace syscalls:* { t[argstr] += 1 }"),
            "refused 1: argstr as a table key");
}

TEST(Lower, PresentEntriesMustAgree) {
  EXPECT_EQ(lowered("var t = {a = 'x'} trace syscalls:* { t[execname] = stack() }"),
            "refused 1: table t holds strings and stacks");
  EXPECT_EQ(lowered("var t = {a = 1} trace syscalls:* { t[stack()] += 1 }"),
            "refused 1: table t holds keys of another kind");
  EXPECT_THAT(lowered("var t = {a = 1} trace syscalls:* { t[execname] += 1 }"),
              HasSubstr("TableAdd"));
}

TEST(Lower, ConstantTablesFold) {
  EXPECT_THAT(lowered("var t = {a = 7} trace syscalls:* { print(pid + t.a) }"),
              HasSubstr("ConstInt 7"));
  const std::string text =
      lowered("var t = {a = 7} trace syscalls:* { if (t.b == nil) { print(pid) } }");
  EXPECT_THAT(text, Not(HasSubstr("TableGet")));
  EXPECT_THAT(text, HasSubstr("EventVar pid"));
}

TEST(Lower, ReadingNilIsAnError) {
  EXPECT_EQ(lowered("var t = {} trace syscalls:* { print(ns - t[tid]) t[tid] = 1 }"),
            "b0:\n"
            "  v0 = EventVar ns : int\n"
            "  v1 = EventVar tid : int\n"
            "  v2 = TableGet 0:t v1 : int?\n"
            "  v3 = IsNil v2 : bool\n"
            "  Branch v3 -> b1, b2\n"
            "b1:  ; from b0\n"
            "  Fail \"'-' takes numbers, got nil\"\n"
            "b2:  ; from b0\n"
            "  v4 = Unwrap v2 : int\n"
            "  v5 = Sub v0, v4 : int\n"
            "  Emit site 0 v5\n"
            "  v6 = EventVar tid : int\n"
            "  v7 = ConstInt 1 : int\n"
            "  TableSet 0:t v6, v7\n"
            "  Return\n");
}

TEST(Lower, ANilTestMakesTheValueSure) {
  const std::string text = lowered(
      "var t = {} trace syscalls:* { var s = t[tid] if (s != nil) { print(ns - s) } t[tid] = ns }");
  EXPECT_THAT(text, HasSubstr("IsNil"));
  EXPECT_THAT(text, Not(HasSubstr("Fail")));
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { print(1 + (t[tid] || 0)) t[tid] = 1 }"),
              Not(HasSubstr("Fail")));
}

TEST(Lower, SettingNilDeletes) {
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { t[tid] = nil }"),
              HasSubstr("TableDelete 0:t v0"));
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { delete(t, tid) }"),
              HasSubstr("TableDelete 0:t v0"));
  EXPECT_EQ(lowered("var t = {} trace syscalls:* { delete(t) }"),
            "b0:\n  TableClear 0:t\n  Return\n");
}

TEST(Lower, DeletingUnderNilIsNoError) {
  const std::string text =
      lowered("var t = {} trace syscalls:* { delete(t, t[5]) t[1] = 2 delete(t, nil) }");
  EXPECT_THAT(text, HasSubstr("TableDelete 0:t v3"));
  EXPECT_THAT(text, Not(HasSubstr("Fail")));
}

TEST(Lower, AMultiKeyWithAPartThatMayBeNil) {
  EXPECT_EQ(lowered("var t = {} var u = {} trace syscalls:* { print(t[pid, u[1]]) t[1, 2] = 3 "
                    "u[1] = 2 }"),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = ConstInt 1 : int\n"
            "  v2 = TableGet 0:u v1 : int?\n"
            "  v3 = IsNil v2 : bool\n"
            "  Branch v3 -> b1, b2\n"
            "b1:  ; from b0\n"
            "  v4 = ConstNil : int?\n"
            "  Jump -> b3\n"
            "b2:  ; from b0\n"
            "  v5 = Unwrap v2 : int\n"
            "  v6 = TableGet 1:t v0, v5 : int?\n"
            "  Jump -> b3\n"
            "b3:  ; from b1, b2\n"
            "  v7 = Phi v4, v6 : int?\n"
            "  Emit site 0 v7\n"
            "  v8 = ConstInt 1 : int\n"
            "  v9 = ConstInt 2 : int\n"
            "  v10 = ConstInt 3 : int\n"
            "  TableSet 1:t v8, v9, v10\n"
            "  v11 = ConstInt 1 : int\n"
            "  v12 = ConstInt 2 : int\n"
            "  TableSet 0:u v11, v12\n"
            "  Return\n");
  EXPECT_THAT(
      lowered("var t = {} var u = {} trace syscalls:* { delete(t, pid, u[1]) u[1] = 2 }"),
      AllOf(HasSubstr("IsNil v2"), HasSubstr("TableDelete 1:t v0, v4"), Not(HasSubstr("Fail"))));
}

TEST(Lower, BooleansThatMayBeNil) {
  const std::string text = lowered(
      "trace syscalls:* { var b if (pid > 1) { b = tid > 2 } if (b) { print(1) } print(b) }");
  EXPECT_THAT(text, HasSubstr("Phi v6, v9, v12 : bool?"));
  EXPECT_THAT(text, HasSubstr("IsTrue v14"));
  EXPECT_THAT(lowered("trace syscalls:* { var b if (pid > 1) { b = tid > 2 } print(b == nil) }"),
              HasSubstr("IsNil"));
  EXPECT_THAT(
      lowered("trace syscalls:* { var b if (pid > 1) { b = tid > 2 } print(b == false, !b) }"),
      AllOf(HasSubstr("Unwrap v14 : bool"), HasSubstr("IsTrue v14")));
}

TEST(Lower, TwoThatMayBeNilAreCompared) {
  const std::string text = lowered("var t = {} trace syscalls:* { print(t[1] == t[2]) t[1] = 2 }");
  EXPECT_THAT(text, HasSubstr("Eq v"));
  EXPECT_THAT(text, Not(HasSubstr("refused")));
  // An integer or nil, and a string or nil: equal when both are nil.
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { print(t[1] == user_string(t[2])) t[1] = 2 }"),
              Not(AnyOf(HasSubstr("StrEq"), HasSubstr("refused"))));
}

TEST(Lower, MultiKeysOfTheMainChunkAreCompared) {
  const std::string text = lowered(
      "var t = {} t[1, 2] = 3 var k for (key, v in pairs(t)) { k = key } "
      "trace syscalls:* { if (k == k) { print(pid) } if (k == 1) { print(tid) } }");
  EXPECT_THAT(text, HasSubstr("EventVar pid"));
  EXPECT_THAT(text, Not(HasSubstr("EventVar tid")));
}

TEST(Lower, TypeOfWhatMayBeNil) {
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { print(type(t[1])) t[1] = 2 }"),
              AllOf(HasSubstr("ConstStr \"nil\""), HasSubstr("ConstStr \"integer\""),
                    HasSubstr("Phi v3, v5 : str id")));
}

TEST(Lower, Asserts) {
  EXPECT_THAT(lowered("trace syscalls:* { assert(pid > 1, 'low') print(1) }"),
              HasSubstr("Fail \"low\""));
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { print(assert(t[1]) + 1) t[1] = 1 }"),
              HasSubstr("Fail \"assertion failed\""));
}

TEST(Lower, OlderWaysToCount) {
  for (const char* call :
       {"count(t, pid)", "inplace_inc(t, pid)", "table_count(t, pid, 1)", "t[pid]++"}) {
    EXPECT_THAT(lowered(std::string("var t = {} trace syscalls:* { ") + call + " }"),
                HasSubstr("TableAdd 0:t v0, v1"))
        << call;
  }
}

TEST(Lower, OtherUpdatesReadThenWrite) {
  const std::string text = lowered("var t = {} trace syscalls:* { t[1] *= pid }");
  EXPECT_THAT(text, HasSubstr("Fail \"'*' takes numbers, got nil\""));
  EXPECT_THAT(text, HasSubstr("TableSet"));
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { t[1] |= pid }"),
              HasSubstr("TableOr 0:t v1, v0"));
}

TEST(Lower, AStringThatMayBeNilAsKey) {
  const std::string text = lowered("var t = {} trace syscalls:* { t[user_string(args.buf)] += 1 }");
  EXPECT_THAT(text, HasSubstr("UserString max 256 v0 : str? bytes 256"));
  EXPECT_THAT(text, HasSubstr("Fail \"nil cannot be a key\""));
}

// ---- arithmetic, comparison, flow ------------------------------------------------------------

TEST(Lower, DivisionIsChecked) {
  EXPECT_THAT(lowered("trace syscalls:* { print(10 / pid) }"),
              HasSubstr("Fail \"division by zero\""));
  EXPECT_THAT(lowered("trace syscalls:* { print(pid % 7) }"), Not(HasSubstr("Fail")));
  EXPECT_EQ(lowered("var zero = 0 trace syscalls:* { print(pid) print(pid / zero) print(tid) }"),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  Emit site 0 v0\n"
            "  v1 = EventVar pid : int\n"
            "  Fail \"division by zero\"\n");
}

TEST(Lower, ComparesAcrossTypes) {
  EXPECT_THAT(lowered("trace syscalls:* { if (pid == 'x') { print(1) } }"), Not(HasSubstr("Emit")));
  EXPECT_THAT(lowered("trace syscalls:* { if (pid != nil) { print(1) } }"), HasSubstr("Emit"));
  EXPECT_THAT(lowered("trace syscalls:* { if (execname == 'sh') { print(1) } }"),
              HasSubstr("StrEq"));
  EXPECT_THAT(
      lowered("trace syscalls:* { if (execname == 'a name too long for it') { print(1) } }"),
      Not(HasSubstr("Emit")));
  EXPECT_THAT(lowered("trace syscalls:* { if (execname < 'sh') { print(1) } }"),
              HasSubstr("StrLess v0, v1"));
  EXPECT_THAT(lowered("trace syscalls:* { if (execname <= pid) { print(1) } }"),
              HasSubstr("Fail \"only two numbers or two strings can be ordered, got an integer and "
                        "a string\""));
  EXPECT_THAT(lowered("trace syscalls:* { if (pid) { print(1) } if (execname) { print(2) } }"),
              Not(HasSubstr("Branch")));
}

TEST(Lower, Globs) {
  EXPECT_THAT(lowered("trace syscalls:* /execname ~ 'ba*'/ { print(1) }"),
              HasSubstr("StrGlob \"ba*\""));
  EXPECT_THAT(lowered("trace syscalls:* /execname ~ '*a*'/ { print(1) }"),
              HasSubstr("StrGlob \"*a*\""));
  EXPECT_THAT(lowered("trace syscalls:* /execname ~ '**sh'/ { print(1) }"),
              HasSubstr("StrGlob \"*sh\""));
  EXPECT_THAT(lowered("trace syscalls:* /execname ~ 'bash'/ { print(1) }"), HasSubstr("StrEq"));
  EXPECT_THAT(lowered("trace syscalls:* /execname ~ '*'/ { print(1) }"), Not(HasSubstr("Branch")));
  EXPECT_THAT(lowered("trace syscalls:* /execname ~ 'b?sh'/ { print(1) }"),
              HasSubstr("StrGlob \"b?sh\""));
  EXPECT_THAT(lowered("trace syscalls:* /execname ~ '\\\\***'/ { print(1) }"),
              HasSubstr("StrGlob \"\\\\**\""));
  EXPECT_EQ(lowered("trace syscalls:* /execname ~ '?" + std::string(64, 'x') + "'/ { print(1) }"),
            "refused 1: a glob of more than 64 parts");
  EXPECT_THAT(lowered("trace syscalls:* /probename ~ '*_{read,write}'/ { print(1) }"),
              HasSubstr("Emit"));
  EXPECT_THAT(lowered_on_two("trace syscalls:* /probename ~ '*_{read,write}'/ { print(1) }"),
              Not(HasSubstr("Branch")));
  EXPECT_THAT(lowered_on_two("trace syscalls:* /probename ~ '*_read'/ { print(1) }"),
              HasSubstr("IdGlob \"*_read\" v0"));
}

TEST(Lower, CallsAreInlined) {
  EXPECT_EQ(lowered("function most(a, b) { if (a > b) { return a } return b } trace syscalls:* { "
                    "print(most(pid, 9)) }"),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = ConstInt 9 : int\n"
            "  v2 = Lt v1, v0 : bool\n"
            "  Branch v2 -> b1, b2\n"
            "b1:  ; from b0\n"
            "  Jump -> b3\n"
            "b2:  ; from b0\n"
            "  v3 = ConstInt 9 : int\n"
            "  Jump -> b3\n"
            "b3:  ; from b1, b2\n"
            "  v4 = Phi v0, v3 : int\n"
            "  Emit site 0 v4\n"
            "  Return\n");
  EXPECT_THAT(
      lowered("function inc(t, k) { t[k] += 1 } var c = {} trace syscalls:* { inc(c, pid) }"),
      HasSubstr("TableAdd 0:c"));
  EXPECT_THAT(lowered("var put = print trace syscalls:* { put(pid) }"), HasSubstr("Emit"));
  EXPECT_THAT(lowered("trace syscalls:* { var f = function (x) { return x + 1 } print(f(pid)) }"),
              HasSubstr("Add"));
}

TEST(Lower, ResultsMeetNil) {
  EXPECT_THAT(lowered("function g(a) { if (a > 3) { return 1 } return nil } trace syscalls:* { "
                      "print(g(pid)) }"),
              HasSubstr(": int?"));
}

TEST(Lower, RefusesWithReasons) {
  const struct {
    const char* body;
    const char* reason;
  } cases[] = {
      {"var x = pid * 1.5", "arithmetic on a float"},
      {"for (i = 1.5, 3) { print(i) }", "a for on a float"},
      {"for (k, v in pairs(3)) { print(k) }", "a loop with pairs() on an integer"},
      {"for (k, v in sort_pairs(t)) { print(k) }", "sort_pairs() has no kernel form"},
      {"for (k, v in sort_keys(t)) { print(k) }", "sort_keys() has no kernel form"},
      {"var f = nil for (i = 1, 9) { var z = i f = function () { return z } }",
       "a function that outlives the round of a loop in which it is made"},
      {"var v = 1 while (v != 'x') { v = t print(v) }",
       "a comparison with a variable whose type changes in a loop"},
      {"var x = {}", "a table is built here"},
      {"if (signal_name(pid)) { print(1) }", "a condition on the result of signal_name()"},
      {"print(format('%s', t))", "format() on a table"},
      {"t[pid] = t", "table t may get something else than integers, booleans, strings and stacks"},
      {"if (argstr == 'x') { print(1) }", "a comparison with argstr"},
      {"print(strftime('%999s', ns))", "strftime() has no kernel form"},
      {"var v = pid print(function () { v = 1 })", "a function is printed"},
      {"t[2]()", "a call on an integer that may be nil"},
      {"printf(execname)", "a printf format on a string"},
      {"print(user_string(pid, 600))",
       "user_string() with a limit of 600: in the kernel it is a number from 1 to 512"},
      {"print(user_string(pid, tid))", "user_string() with a limit that is not known beforehand"},
  };
  for (const auto& c : cases) {
    const std::string source = std::string("var t = {}\nvar fmt = '%d'\n\n") +
                               "trace syscalls:* {\n" + c.body + "\nt[1] += 1 }";
    EXPECT_EQ(lowered(source).substr(0, 11), "refused 5: ") << c.body;
    EXPECT_THAT(lowered(source), HasSubstr(c.reason)) << c.body;
  }
}

TEST(Lower, TextThatIsPrintedIsMadeInUserSpace) {
  TestWorld w(
      "trace syscalls:* { print('fd ' .. args.fd .. ':' .. execname, format('%04x', pid), "
      "errno_name(args.count), 'a' .. 1 .. 2) }");
  EXPECT_EQ(w.lower({read_event()}).substr(w.function->name.size() + 10),
            "b0:\n"
            "  v0 = EventField #1 : int\n"
            "  v1 = EventVar execname : str bytes 16\n"
            "  v2 = EventVar pid : int\n"
            "  v3 = EventField #3 : int\n"
            "  Emit site 0 v0, v1, v2, v3\n"
            "  Return\n");
  const std::vector<OutputArg>& args = w.linkage.outputs.at(0).args;
  ASSERT_EQ(args.size(), 4u);
  using K = OutputArg::Kind;
  EXPECT_EQ(args[0].kind, K::Call);
  ASSERT_EQ(args[0].args.size(), 5u);
  EXPECT_EQ(args[0].args[0].value.string()->view(), "%s%s%s%s");
  EXPECT_EQ(args[0].args[1].value.string()->view(), "fd ");
  EXPECT_EQ(args[0].args[2].index, 0u);
  EXPECT_EQ(args[0].args[4].index, 1u);
  EXPECT_EQ(args[2].kind, K::Call);
  EXPECT_EQ(args[2].args[0].index, 3u);
  EXPECT_EQ(args[3].kind, K::Constant);
  EXPECT_EQ(args[3].value.string()->view(), "a12");
}

TEST(Lower, TextThatIsUsedIsMadeInTheKernel) {
  EXPECT_EQ(lowered("var t = {} trace syscalls:* { t[execname .. ':' .. args.fd] += 1 }"),
            "b0:\n"
            "  v0 = EventVar execname : str bytes 16\n"
            "  v1 = EventField #1 : int\n"
            "  v2 = StrText v1 : str bytes 20\n"
            "  v3 = ConstStr \":\" : str id\n"
            "  v4 = StrJoin v0, v3, v2 : str bytes 37\n"
            "  v5 = ConstInt 1 : int\n"
            "  TableAdd 0:t v4, v5\n"
            "  Return\n");
  EXPECT_THAT(
      lowered("trace syscalls:* { if (format('%s-%d', execname, pid) == 'a-1') { exit() } }"),
      AllOf(HasSubstr("StrJoin"), HasSubstr("StrEq")));
  EXPECT_THAT(lowered_on_two("trace syscalls:* { if (probename == execname) { exit() } }"),
              HasSubstr("StrBytes v0 : str bytes 15"));
  const auto key = [](const std::string& format) {
    return lowered("var t = {} trace syscalls:* { t[format('" + format + "', pid)] += 1 }");
  };
  EXPECT_THAT(key("%x"), HasSubstr("v1 = StrText unsigned base 16 v0 : str bytes 20\n"));
  EXPECT_THAT(key("%X"), HasSubstr("StrCase upper"));
  EXPECT_THAT(key("%5u"), AllOf(HasSubstr("unsigned base 10"), HasSubstr("ConstStr \"     \"")));
  EXPECT_THAT(key("%03d"), AllOf(HasSubstr("ConstStr \"-\""), HasSubstr("ConstStr \"000\"")));
  EXPECT_THAT(key("%.2s"), HasSubstr("StrSlice at 0"));
  EXPECT_THAT(key("%c"), HasSubstr("refused 1: what '%c' makes is more than printed here"));
  EXPECT_THAT(key("%+d"), HasSubstr("refused 1: what '%+d' makes is more than printed here"));
  EXPECT_THAT(key("%200d"), HasSubstr("refused 1: what '%200d' makes is more than printed here"));
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { t['k\\0' .. pid] += 1 }"),
              HasSubstr("a zero byte"));
}

TEST(Lower, StringFunctions) {
  const auto key = [](const std::string& text) {
    return lowered("var t = {} trace syscalls:* { t[" + text + "] += 1 }");
  };
  EXPECT_THAT(key("string.sub(execname, 2, 5)"), HasSubstr("StrSlice at 1 v0 : str bytes 4"));
  EXPECT_THAT(key("string.sub(execname, 2)"), HasSubstr("StrSlice at 1 v0 : str bytes 15"));
  EXPECT_THAT(key("string.sub(execname, 20)"), HasSubstr("ConstStr \"\""));
  EXPECT_THAT(key("string.sub(execname, -3)"), HasSubstr("StrSub v0"));
  EXPECT_THAT(key("string.upper(execname)"), HasSubstr("StrCase upper v0"));
  EXPECT_THAT(key("string.len(execname)"), HasSubstr("StrLen v0"));
  EXPECT_THAT(key("len(execname)"), HasSubstr("StrLen v0"));
  EXPECT_THAT(key("math.max(pid, tid, 3)"), HasSubstr("Max v2, v3"));
  EXPECT_THAT(lowered("trace syscalls:* /string.starts(execname, 'a*')/ { exit() }"),
              HasSubstr("StrGlob \"a\\\\**\" v0"));
  EXPECT_THAT(lowered("trace syscalls:* { print(string.find(execname, 'b')) }"),
              HasSubstr("Phi v4, v7 : int?"));
  EXPECT_THAT(lowered("trace syscalls:* { print(string.byte(execname, 2)) }"),
              HasSubstr("StrByte at 1 v0"));
  EXPECT_THAT(lowered("trace syscalls:* { print(string.upper(execname)) }"),
              Not(HasSubstr("StrCase")));
}

TEST(Lower, StringsOfTwoKindsMeet) {
  EXPECT_THAT(lowered("trace syscalls:* { var n = user_string(args.buf, 20) || 'none' print(n) }"),
              AllOf(HasSubstr("str bytes 20"), HasSubstr("ConstStr \"none\"")));
  EXPECT_THAT(lowered("trace syscalls:* { var n = 'none' if (pid > 1) { n = execname .. pid } "
                      "print(n) }"),
              HasSubstr("StrJoin"));
}

TEST(Lower, JoiningNilFails) {
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { print('a' .. t[1]) t[1] = 2 }"),
              HasSubstr("Fail \"'..' joins strings and numbers, got nil\""));
  EXPECT_THAT(lowered("trace syscalls:* { print('a' .. nil) }"),
              HasSubstr("Fail \"'..' joins strings and numbers, got nil\""));
  EXPECT_THAT(lowered("var t = {} trace syscalls:* { print(signal_name(t[1])) t[1] = 2 }"),
              HasSubstr("Fail \"argument 1 of 'signal_name' is to be an integer, got nil\""));
}

TEST(Lower, CallsThatMultiplyAreTooMuchCode) {
  std::string source = "function f0() { }\n";
  for (int i = 1; i < 15; ++i) {
    source += "function f" + std::to_string(i) + "() {";
    for (int k = 0; k < 10; ++k) source += " f" + std::to_string(i - 1) + "()";
    source += " }\n";
  }
  EXPECT_THAT(lowered(source + "trace syscalls:* { f14() }"),
              HasSubstr(": too much code for one handler"));
}

TEST(Lower, RecursionIsRefusedWhereItIs) {
  EXPECT_EQ(lowered("function rec(n) {\n return rec(n - 1) + 1 }\ntrace syscalls:* { rec(3) }"),
            "refused 2: a function that calls itself");
}

TEST(Lower, ARefusalLeavesNothingBehind) {
  TestWorld w(
      "var t = {} var n = 0 trace syscalls:* { t[pid] += 1 n += 1 print(pid) print(1.5 * pid) }");
  const size_t names = 1;
  EXPECT_THAT(w.lower({read_event()}), HasSubstr("refused"));
  EXPECT_TRUE(w.linkage.tables.empty());
  EXPECT_TRUE(w.linkage.cells.empty());
  EXPECT_TRUE(w.linkage.outputs.empty());
  EXPECT_TRUE(w.linkage.module.tables.empty());
  EXPECT_TRUE(w.linkage.module.sites.empty());
  EXPECT_TRUE(w.linkage.module.failures.empty());
  EXPECT_EQ(w.linkage.module.strings.size(), names);
}

// ---- events ----------------------------------------------------------------------------------

TEST(Lower, MembersOfTheEvent) {
  const std::string body =
      "if (e.sc_is_enter) { print(e.sc_nr, e.sc_arg1, arg2, arg9, e.name) } else { print(e.retval, "
      "retval, arg1) }";
  EXPECT_EQ(lowered("trace syscalls:* { " + body + " }"),
            "b0:\n"
            "  v0 = EventField #0 : int\n"
            "  v1 = EventField #1 : int\n"
            "  v2 = EventField #2 : int\n"
            "  Emit site 0 v0, v1, v2\n"
            "  Return\n");
  const std::string on_exit = TestWorld("trace 'syscalls:*' function (e) { " + body + " }")
                                  .lower({syscall_exit("read", 0)});
  EXPECT_THAT(on_exit, HasSubstr("v0 = EventField #1 : int\n"));
}

TEST(Lower, FieldsOfTracepoints) {
  const std::string text =
      TestWorld("trace sched:* /prev_comm == bash/ { print(args.prev_pid, arg3, args.next_comm) }")
          .lower({sched_switch()});
  EXPECT_THAT(text, HasSubstr("EventField #0 : str bytes 16"));
  EXPECT_THAT(text, HasSubstr("ConstStr \"bash\""));
  EXPECT_THAT(text, HasSubstr("EventField #1 : int"));
  EXPECT_THAT(text, HasSubstr("EventField #3 : int"));
}

TEST(Lower, NamesThatTheEventDoesNotHave) {
  EXPECT_EQ(lowered("trace syscalls:* { print(args.foo) }"),
            "mistake 1: sys_enter_read has no field 'foo'");
  EXPECT_EQ(lowered("trace syscalls:* { print(e.foo) }"),
            "mistake 1: sys_enter_read has no field 'foo'");
  EXPECT_EQ(lowered("trace syscalls:* { print(retval) }"),
            "mistake 1: sys_enter_read gives no 'retval'");
  EXPECT_EQ(lowered("trace syscalls:* /comm == bash/ { print(1) }"),
            "mistake 1: sys_enter_read has no field 'comm'");
  EXPECT_EQ(TestWorld("trace sched:* { print(args.set) }").lower({sched_switch()}),
            "mistake 1: field 'set' of sched_switch is 'struct set', which a script cannot read");
}

TEST(Names, AreCheckedInAllCodeWhereverItRuns) {
  const auto mistakes = [](const std::string& source) {
    return TestWorld(source).mistakes({read_event()});
  };
  EXPECT_EQ(mistakes("var f = 1.5 trace syscalls:* { if (f == 2.5) { print(args.foo) } }"),
            "mistake 1: sys_enter_read has no field 'foo'");
  EXPECT_EQ(mistakes("trace syscalls:* { print(args.foo, e.bar, e.fd, retval) }"),
            "mistake 1: sys_enter_read has no field 'foo'\n"
            "mistake 1: sys_enter_read has no field 'bar'\n"
            "mistake 1: sys_enter_read gives no 'retval'");
  EXPECT_EQ(mistakes("function g(a, x) { return x.foo } trace 'a:b' function (e) { g(1, e) }"),
            "mistake 1: sys_enter_read has no field 'foo'");
  // Not sure to be the event.
  EXPECT_EQ(mistakes("trace 'a:b' function (e) { if (pid == 1) { e = {} } print(e.foo) }"), "");
  EXPECT_EQ(mistakes("trace 'a:b' function (e) { print(e.retval, e.sc_arg1, e.sc_nr) }"), "");
  EXPECT_EQ(TestWorld("trace a:b { print(e.sc_nr, e.sc_is_enter, e.sc_arg1, e.retval) }")
                .lower({sched_switch()}),
            "function handler 0 (sched:sched_switch)\nb0:\n  Emit site 0\n  Return\n");
}

TEST(Names, OfSomeEventsAreForCodeThatTellsThemApart) {
  const std::vector<schema::EventPtr> events = {read_event(), syscall_exit("read", 0)};
  const auto mistakes = [&](const std::string& source) {
    return TestWorld(source).mistakes(events);
  };
  EXPECT_EQ(mistakes("trace a:b { print(args.fd) }"), "mistake 1: sys_exit_read has no field 'fd'");
  EXPECT_EQ(mistakes("trace a:b { if (e.sc_is_enter) { print(args.fd) } else { print(retval) } }"),
            "");
  EXPECT_EQ(mistakes("trace a:b { if (e.sc_is_enter) { print(args.df) } }"),
            "mistake 1: sys_enter_read has no field 'df'");
  EXPECT_EQ(mistakes("trace a:b /fd == 1/ { print(probename) }"),
            "mistake 1: sys_exit_read has no field 'fd'")
      << "the filter comes before";
  EXPECT_EQ(mistakes("trace a:b /e.sc_is_enter && fd == 1/ { print(args.fd) }"), "");
  // The other events' run ends there, in the VM's words.
  EXPECT_THAT(lowered("trace a:b { print(arg0, retval) }"),
              HasSubstr("Fail \"the event gives no 'retval'\""));
}

TEST(Names, AWordStandsOnlyBesideText) {
  const auto mistakes = [](const std::string& filter) {
    return TestWorld("var t = {} trace sched:* /" + filter + "/ { print(1) }")
        .mistakes({sched_switch()});
  };
  EXPECT_EQ(mistakes("t[prev_pid] == seen"), "mistake 1: sched_switch has no field 'seen'");
  EXPECT_EQ(mistakes("prev_pid == seen"), "mistake 1: sched_switch has no field 'seen'");
  EXPECT_EQ(mistakes("seen && pid == 1"), "mistake 1: sched_switch has no field 'seen'");
  EXPECT_EQ(mistakes("comm == bash"), "mistake 1: sched_switch has no field 'comm'");
  EXPECT_EQ(mistakes("prev_comm == bash || bash != execname || args.next_comm ~ bash"), "");
}

TEST(Lower, BooleanFields) {
  auto event = std::make_shared<schema::Event>(*sched_switch());
  event->fields.push_back(int_field("on", 1));
  event->fields.back().kind = schema::FieldKind::Bool;
  EXPECT_THAT(TestWorld("trace a:b { if (args.on) { print(args.on) } }").lower({event}),
              HasSubstr("EventField #5 : bool"));
}

/// f(bool on) where `place` leads.
schema::EventPtr probe_of_truth(const schema::Fetch& place, bool is_return) {
  auto event = std::make_shared<schema::Event>();
  event->system = "probe:./app";
  event->name = "f";
  event->kind = is_return ? schema::EventKind::ProbeReturn : schema::EventKind::Probe;
  event->point.path = "./app";
  event->fields = {int_field("__probe_ip"), int_field(is_return ? "retval" : "on", 1)};
  event->fields[0].fetch.base = schema::Fetch::Base::Address;
  event->fields[1].kind = schema::FieldKind::Bool;
  event->fields[1].fetch = place;
  return event;
}

TEST(Lower, BooleanArgumentsAreNumbersByPlaceAndBooleansByName) {
  schema::Fetch in_register, result, on_stack;
  in_register.base = schema::Fetch::Base::Register;
  result.base = schema::Fetch::Base::Result;
  on_stack.base = schema::Fetch::Base::Register;
  on_stack.steps.push_back({8, true, 8});
  const auto lowered_on = [](const std::string& script, const schema::EventPtr& event) {
    return TestWorld("var h = {} trace a:b " + script).lower({event});
  };
  const schema::EventPtr argument = probe_of_truth(in_register, false);
  EXPECT_THAT(lowered_on("{ h[arg1] += 1 }", argument), HasSubstr("EventField #1 : int"));
  EXPECT_THAT(lowered_on("{ h[args.on] += 1 }", argument), HasSubstr("EventField #1 : bool"));
  EXPECT_THAT(lowered_on("/arg1 == 0/ { h[pid] += 1 }", argument), HasSubstr("TableAdd"));
  const schema::EventPtr gives = probe_of_truth(result, true);
  EXPECT_THAT(lowered_on("{ h[retval] += 1 }", gives), HasSubstr("EventField #1 : int"));
  EXPECT_THAT(lowered_on("{ h[args.retval] += 1 }", gives), HasSubstr("EventField #1 : bool"));
  const schema::EventPtr followed = probe_of_truth(on_stack, false);
  EXPECT_THAT(lowered_on("{ if (arg1 == nil) { exit() } }", followed), HasSubstr(": int?"));
  EXPECT_THAT(lowered_on("{ if (args.on == nil) { exit() } }", followed), HasSubstr(": bool?"));
}

// ---- output ----------------------------------------------------------------------------------

TEST(Lower, OutputArguments) {
  TestWorld w(
      "var t = {} trace syscalls:* { print(cpu, 'x', execname, argstr, t, e.tostring(), t[1]) t[1] "
      "= 1 }");
  EXPECT_THAT(w.lower({read_event()}), HasSubstr("Emit site 0 v0, v1, v3"));
  const ssa::Site& site = w.linkage.module.sites.at(0);
  EXPECT_EQ(site.kind, ssa::SiteKind::Print);
  EXPECT_EQ(site.raw, ssa::RawEvent::Record);
  EXPECT_EQ(site.args.size(), 3u);
  const OutputSite& out = w.linkage.outputs.at(site.user_index);
  using K = OutputArg::Kind;
  const std::vector<K> want = {K::Record, K::Constant,      K::Record, K::EventText,
                               K::Table,  K::EventTextLine, K::Record};
  ASSERT_EQ(out.args.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(out.args[i].kind, want[i]) << i;
  EXPECT_EQ(out.args[1].value.string()->view(), "x");
  EXPECT_EQ(out.args[2].index, 1u);
  EXPECT_EQ(out.args[6].index, 2u);
}

TEST(Lower, TheMachineIsAConstant) {
  TestWorld w(
      "var n = 0 trace syscalls:* { if (num_cpus() == 4 && arch() == 'x' && kernel_v() == '6') { n "
      "+= 1 } }");
  w.options.machine = {4, "x", "6", 0};
  EXPECT_THAT(w.lower({read_event()}),
              HasSubstr("b0:\n  v0 = ConstInt 1 : int\n  CellAdd 0:n v0\n  Return\n"));
}

TEST(Lower, RandomNumbersAndTheTimeOfDay) {
  TestWorld w("var n = 0 trace syscalls:* { n += rand(7) n += gettimeofday_us() }");
  w.options.machine = {1, "x", "6", 5000};
  const std::string text = w.lower({read_event()});
  EXPECT_THAT(text,
              HasSubstr("v0 = Random : int\n  v1 = ConstInt 7 : int\n  v2 = ModS v0, v1 : int"));
  EXPECT_THAT(text, HasSubstr("v3 = EventVar ns : int\n  v4 = ConstInt 5000 : int\n"));
  TestWorld wrong("var n = 0 trace syscalls:* { n += rand(0) }");
  wrong.options.machine = {1, "x", "6", 0};
  EXPECT_THAT(wrong.lower({read_event()}),
              HasSubstr("Fail \"argument 1 of 'rand' is to be 1 or more\""));
}

TEST(Lower, Timestamps) {
  TestWorld w("trace syscalls:* { print(pid) }");
  w.options.timestamps = true;
  EXPECT_THAT(w.lower({read_event()}), HasSubstr("Emit site 0 v1, v0"));
  EXPECT_EQ(w.linkage.outputs.at(0).args.at(0).index, 1u);
}

TEST(Lower, PrintfChecksWhatOnlyNilWouldBreak) {
  const std::string text =
      lowered("var t = {} trace syscalls:* { printf('%d %s', t[1], t[2]) t[1] = 1 }");
  EXPECT_THAT(text, HasSubstr("Fail \"'%d' takes an integer, argument 1 is nil\""));
  EXPECT_THAT(text, HasSubstr("Emit site 0 v5, v3"));
}

TEST(Lower, ExitEndsTheRun) {
  EXPECT_EQ(lowered("trace syscalls:* { exit(3) print(1) }"),
            "b0:\n  v0 = ConstInt 3 : int\n  RequestExit v0\n  Return\n");
}

TEST(Lower, ReadsEvent) {
  const struct {
    const char* source;
    bool reads;
  } cases[] = {{"trace syscalls:* { print(probename, pid) }", false},
               {"trace syscalls:* { print(argstr) }", true},
               {"trace syscalls:* { print(args.fd) }", true},
               {"trace syscalls:* /args.fd == 1/ { print(1) }", true}};
  for (const auto& c : cases) {
    TestWorld w(c.source);
    w.lower({read_event()});
    EXPECT_EQ(reads_event(*w.function, w.linkage.module), c.reads) << c.source;
  }
}

}  // namespace
}  // namespace ktap::lower
