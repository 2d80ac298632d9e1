// Loops and captured variables from source text to SSA: the whole text where its shape matters.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lower/code_plan.h"
#include "lower/loop_hints.h"
#include "lower/test_world.h"

namespace ktap::lower {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

#define GUARD "  LoopGuard \"more than 100000 loop iterations in one run\"\n"

/// The body of a handler in a script with a table t and a constant table c.
std::string lowered(const std::string& body) {
  const std::string source = "var t = {} var c = {a = 1, b = 2} trace syscalls:* { " + body + " }";
  const std::string text = TestWorld(source).lower(
      {syscall_enter("read", 0, {int_field("fd", 4, true), int_field("count")})});
  return text.compare(0, 9, "function ") == 0 ? text.substr(text.find('\n') + 1) : text;
}

size_t count(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(LowerLoops, AWhileHasPhisForWhatItChangesAlone) {
  EXPECT_EQ(lowered("var k = 7 var s = 0 while (s < args.count) { s += k } print(s)"),
            "b0:\n"
            "  v0 = ConstInt 0 : int\n"
            "  Jump -> b1\n"
            "b1:  ; from b0, b2\n"
            "  v1 = Phi v0, v5 : int\n"
            "  v2 = EventField #2 : int\n"
            "  v3 = Lt v1, v2 : bool\n"
            "  Branch v3 -> b2, b3\n"
            "b2:  ; from b1\n" GUARD
            "  v4 = ConstInt 7 : int\n"
            "  v5 = Add v1, v4 : int\n"
            "  Jump -> b1\n"
            "b3:  ; from b1\n"
            "  Emit site 0 v1\n"
            "  Return\n");
}

TEST(LowerLoops, ARepeatSeesTheVariablesOfItsBody) {
  EXPECT_EQ(lowered("repeat { var q = pid } until (q > 5)"),
            "b0:\n"
            "  Jump -> b1\n"
            "b1:  ; from b0, b3\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = ConstInt 5 : int\n"
            "  v2 = Lt v1, v0 : bool\n"
            "  Branch v2 -> b2, b3\n"
            "b2:  ; from b1\n"
            "  Return\n"
            "b3:  ; from b1\n" GUARD "  Jump -> b1\n");
}

TEST(LowerLoops, ACountingLoopCountsEveryRound) {
  const std::string text = lowered("for (i = 1, args.count) { print(i) }");
  EXPECT_EQ(count(text, "LoopGuard"), 2u) << text;
  EXPECT_THAT(text, HasSubstr("Eq"));  // the last value is met exactly
  EXPECT_THAT(text, Not(HasSubstr("Xor")));
}

TEST(LowerLoops, StepsThatMayMissTheLastValueCompareDistances) {
  EXPECT_THAT(lowered("for (i = args.count, 3, -3) { print(i) }"), HasSubstr("Xor"));
  const std::string text = lowered("for (i = 1, 100, args.count) { print(i) }");
  EXPECT_THAT(text, HasSubstr("Fail \"the step of a for is 0\""));
  EXPECT_THAT(text, HasSubstr("Sar"));
  // Between constants the last value is known.
  EXPECT_THAT(lowered("for (i = 1, 100, 7) { print(i) }"), HasSubstr("ConstInt 99"));
  EXPECT_THAT(lowered("for (i = -9223372036854775808, 9223372036854775807, 9223372036854775807) { "
                      "t[i] = pid }"),
              HasSubstr("ConstInt 9223372036854775806"));
}

TEST(LowerLoops, CountingFailsWhereTheVmFails) {
  EXPECT_THAT(lowered("t[2] = 1 for (i = 1, t[1]) { print(i) }"),
              HasSubstr("Fail \"the last value of a for is nil, not a number\""));
  EXPECT_THAT(lowered("for (i = 1, 2, 0) { print(i) }"),
              HasSubstr("Fail \"the step of a for is 0\""));
}

TEST(LowerLoops, FewRoundsBetweenConstantsAreDoneOneByOne) {
  EXPECT_EQ(lowered("var s = 0 for (i = 1, 3) { s += i } t[s] = 1"),
            "b0:\n"
            "  v0 = ConstInt 6 : int\n"
            "  v1 = ConstInt 1 : int\n"
            "  TableSet 0:t v0, v1\n"
            "  Return\n");
  EXPECT_EQ(count(lowered("for (i = 1, 8) { t[i] = 1 }"), "TableSet"), 8u);
  EXPECT_EQ(count(lowered("for (i = 1, 9) { t[i] = 1 }"), "TableSet"), 1u);
}

TEST(LowerLoops, EmptyLoopsVanish) {
  EXPECT_EQ(lowered("for (i = 2, 1) { print(i) } for (i = 1, 2, -1) { print(i) }"),
            "b0:\n  Return\n");
}

TEST(LowerLoops, EarlyReturnsAndNestedLoops) {
  const std::string text = lowered(
      "for (i = 1, 100) { for (j = i, 100) { if (j > 7) { break } if (j == pid) { return } } }");
  EXPECT_EQ(count(text, "LoopGuard"), 4u) << text;
  EXPECT_EQ(count(text, "Return"), 1u) << text;
}

TEST(LowerLoops, TypesWidenUntilRoundsAgree) {
  const std::string text =
      lowered("var x = nil for (i = 1, args.count) { if (x == nil) { x = 0 } x += i } print(x)");
  EXPECT_THAT(text, HasSubstr(": int?"));
  EXPECT_THAT(text, HasSubstr("IsNil"));
  // A constant that only a later round sees.
  EXPECT_THAT(lowered("var a = 0 var b = 0 while (pid > b) { b = a a = a + 1 } print(b)"),
              HasSubstr("Emit site 0 v"));
  EXPECT_THAT(lowered("var s = 'x' while (pid > 5) { s = 'y' } print(s)"), HasSubstr(": str id"));
  EXPECT_THAT(lowered("var s = nil while (pid > 5) { s = execname } print(s)"),
              HasSubstr(": str? bytes 16"));
}

TEST(LowerLoops, WhatIsDeadAtTheHeadNeedsNoCommonType) {
  EXPECT_THAT(lowered("while (pid > 5) { var a = 1 print(a) var b = 'x' print(b, execname) }"),
              Not(HasSubstr("Phi")));
}

TEST(LowerLoops, LoopsInFunctions) {
  const std::string text = lowered(
      "var f = function (n) { for (i = 1, n) { if (i * i > n) { return i } } return nil } "
      "print(f(pid)) print(f(tid))");
  EXPECT_EQ(count(text, "Mul"), 2u) << text;
}

TEST(LowerLoops, ATailCallIsARoundWhereThereAreLoops) {
  const std::string f = "var g = function (a) { return a } var f = function (a) { return g(a) } ";
  EXPECT_THAT(lowered(f + "print(f(pid))"), Not(HasSubstr("LoopGuard")));
  EXPECT_EQ(count(lowered(f + "print(f(pid)) while (pid) { t[1] = 1 }"), "LoopGuard"), 2u);
}

// ---- tables ----------------------------------------------------------------------------------

TEST(LowerLoops, EntriesOfAConstantTableAreKnown) {
  EXPECT_EQ(lowered("for (k, v in pairs(c)) { t[v] = 1 }"),
            "b0:\n"
            "  v0 = ConstInt 1 : int\n"
            "  v1 = ConstInt 1 : int\n"
            "  TableSet 0:t v0, v1\n"
            "  v2 = ConstInt 2 : int\n"
            "  v3 = ConstInt 1 : int\n"
            "  TableSet 0:t v2, v3\n"
            "  Return\n");
  EXPECT_THAT(lowered("for (a, b, v in pairs(c)) { t[v] = 1 }"),
              HasSubstr("Fail \"a key of 1 part for 2 variables\""));
}

TEST(LowerLoops, OtherTablesAreWalkedSlotBySlot) {
  EXPECT_EQ(lowered("t[pid] = 1 for (k, v in pairs(t)) { print(k, v) }"),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = ConstInt 1 : int\n"
            "  TableSet 0:t v0, v1\n"
            "  v2 = ConstInt 0 : int\n"
            "  v3 = TableWalk 0:t v2 : int\n"
            "  v4 = ConstInt 0 : int\n"
            "  Jump -> b1\n"
            "b1:  ; from b0, b4, b5\n"
            "  v5 = Phi v4, v10, v10 : int\n"
            "  v6 = Lt v5, v3 : bool\n"
            "  Branch v6 -> b3, b2\n"
            "b2:  ; from b1\n"
            "  Return\n"
            "b3:  ; from b1\n"
            "  v7 = ConstInt 0 : int\n"
            "  v8 = TableSlot 0:t v7, v5 : int?\n"
            "  v9 = ConstInt 1 : int\n"
            "  v10 = Add v5, v9 : int\n"
            "  v11 = IsNil v8 : bool\n"
            "  Branch v11 -> b4, b5\n"
            "b4:  ; from b3\n"
            "  LoopTurn \"more than 100000 loop iterations in one run\"\n"
            "  Jump -> b1\n"
            "b5:  ; from b3\n"
            "  v12 = ConstInt 0 : int\n"
            "  v13 = TableSlotKey 0:t v7, v5, v12 : int\n"
            "  v14 = Unwrap v8 : int\n" GUARD
            "  Emit site 0 v13, v14\n"
            "  Jump -> b1\n");
  EXPECT_THAT(lowered("for (k, v in pairs(t)) { print(k, v) }"), HasSubstr("b0:\n  Return\n"));
  EXPECT_THAT(lowered("for (k, v in pairs(t)) { print(k, v) } t[pid] = 1"),
              HasSubstr("TableSlotKey"));
  EXPECT_THAT(lowered("t[pid] = execname for (k, v in pairs(t)) { print(k, v) }"),
              HasSubstr(" : str? bytes 16"));
  // A walk has a number of its own only inside of another.
  EXPECT_EQ(count(lowered("t[pid] = 1 for (k, v in pairs(t)) { } for (k, v in pairs(t)) { }"),
                  "ConstInt 1 "),
            3u);
  EXPECT_THAT(lowered("t[pid] = 7 var f = function () { for (k, v in pairs(t)) { print(k) } } "
                      "for (k, v in pairs(t)) { f() }"),
              HasSubstr("ConstInt 1 : int\n  v16 = TableWalk 0:t v15"));
  EXPECT_THAT(lowered("t[pid, execname] = 1 for (p, e, v in pairs(t)) { print(p, e, v) }"),
              HasSubstr(": str bytes 16"));
}

TEST(LowerLoops, WritesOutASmallTableThatNoHandlerChanges) {
  const auto loop = [](int entries, const std::string& body) {
    TestWorld w(
        fmt::format("var c = {{}} for (i = 1, {}) {{ c[i] = i }} trace syscalls:* {{ "
                    "for (k, v in pairs(c)) {{ {} }} }}",
                    entries, body));
    return w.lower({syscall_enter("read", 0, {int_field("fd", 4, true)})});
  };
  const auto walks = HasSubstr("TableWalk");
  EXPECT_THAT(loop(5, "print(k)"), Not(walks));
  EXPECT_THAT(loop(0, "for (i = 1, 3) { print(k) }"), Not(walks));
  // What would be too much code goes through the table in the kernel.
  EXPECT_THAT(loop(17, "print(k)"), walks);
  EXPECT_THAT(loop(16, "print(k, v, pid, tid, cpu, execname)"), walks);
  EXPECT_THAT(loop(5, "for (i = 1, 3) { print(k) }"), walks);
}

TEST(LowerLoops, StringsOfRoundsHaveOneForm) {
  const auto body = [](const std::string& text) { return lowered(text + " print(s)"); };
  EXPECT_THAT(body("var s = 'none' for (i = 1, pid) { if (i == 3) { s = execname } }"),
              HasSubstr("Phi"));
  EXPECT_THAT(
      body("var s = execname for (i = 1, pid) { if (i == 3) { s = 'longer than that is' } }"),
      HasSubstr("str bytes 19"));
  EXPECT_THAT(body("var s = '' for (i = 1, pid) { s = string.sub(s .. 'x', 1, 16) }"),
              HasSubstr("str bytes 16"));
  EXPECT_THAT(
      body("var s = tostring(pid) for (i = 1, pid) { s = format('%s%d', string.sub(s, 1, 9), i) }"),
      Not(HasSubstr("refused")));
  EXPECT_THAT(body("var s = '' for (i = 1, pid) { s = s .. 'x' }"),
              HasSubstr("a string that a loop makes, of a length that is not known"));
  EXPECT_THAT(body("var s = '' for (i = 1, pid) { if (i == 3) { s = t } }"),
              HasSubstr("a variable whose type changes in a loop"));
}

TEST(LowerLoops, RoundsGiveAVariableValuesOfSeveralTypes) {
  EXPECT_EQ(lowered("var r = 'none' while (r != pid) { r = pid } print(r)"),
            "b0:\n"
            "  v0 = ConstInt 3 : int\n"
            "  v1 = ConstInt 0 : int\n"
            "  v2 = ConstStr \"none\" : str id\n"
            "  Jump -> b1\n"
            "b1:  ; from b0, b6\n"
            "  v3 = Phi v0, v15 : int\n"
            "  v4 = Phi v1, v14 : int\n"
            "  v5 = Phi v2, v16 : str id\n"
            "  v6 = EventVar pid : int\n"
            "  v7 = ConstInt 2 : int\n"
            "  v8 = Eq v3, v7 : bool\n"
            "  Branch v8 -> b2, b3\n"
            "b2:  ; from b1\n"
            "  v9 = Eq v4, v6 : bool\n"
            "  Jump -> b4\n"
            "b3:  ; from b1\n"
            "  v10 = ConstBool false : bool\n"
            "  Jump -> b4\n"
            "b4:  ; from b2, b3\n"
            "  v11 = Phi v9, v10 : bool\n"
            "  Branch v11 -> b5, b6\n"
            "b5:  ; from b4\n"
            "  v12 = ConstInt 2 : int\n"
            "  v13 = Eq v3, v12 : bool\n"
            "  Branch v13 -> b7, b8\n"
            "b6:  ; from b4\n" GUARD
            "  v14 = EventVar pid : int\n"
            "  v15 = ConstInt 2 : int\n"
            "  v16 = ConstStr \"\" : str id\n"
            "  Jump -> b1\n"
            "b7:  ; from b5\n"
            "  Emit site 0 v4\n"
            "  Jump -> b9\n"
            "b8:  ; from b5\n"
            "  Emit site 1 v5\n"
            "  Jump -> b9\n"
            "b9:  ; from b7, b8\n"
            "  Return\n");
  const auto body = [](const std::string& text) {
    return lowered("var r = 'none' for (i = 1, pid) { " + text + " } print(r)");
  };
  EXPECT_THAT(body("if (i == 2) { r = i } if (i == 3) { r = nil } if (i == 4) { r = i > pid }"),
              HasSubstr("Phi"));
  EXPECT_THAT(body("if (i == 2) { r = i } if (i == 3) { r = execname }"),
              HasSubstr("str bytes 16"));
  EXPECT_THAT(body("r = i > 2 && format('%d', i) || i"), HasSubstr("Phi"));
  EXPECT_THAT(body("for (j = 1, i) { r = j r = r == 3 && 'three' || r }"), HasSubstr("Phi"));
  EXPECT_THAT(body("r = i == 3 && 1 || r .. 'x'"),
              HasSubstr("a string that a loop makes, of a length that is not known"));
}

// ---- captured variables ----------------------------------------------------------------------

TEST(LowerLocals, FunctionsShareTheVariablesThatTheyCapture) {
  EXPECT_EQ(lowered("var n = pid var add = function (a) { n += a } add(1) add(2) t[n] = 1"),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = ConstInt 1 : int\n"
            "  v2 = Add v0, v1 : int\n"
            "  v3 = ConstInt 2 : int\n"
            "  v4 = Add v2, v3 : int\n"
            "  v5 = ConstInt 1 : int\n"
            "  TableSet 0:t v4, v5\n"
            "  Return\n");
}

TEST(LowerLocals, EveryCallMakesItsOwn) {
  EXPECT_EQ(lowered("var mk = function () { var n = 0 return function () { n += 1 return n } } "
                    "var a = mk() var b = mk() a() a() t[a()] = b()"),
            "b0:\n"
            "  v0 = ConstInt 3 : int\n"
            "  v1 = ConstInt 1 : int\n"
            "  TableSet 0:t v0, v1\n"
            "  Return\n");
}

TEST(LowerLocals, BranchesAndLoopsMeetInThem) {
  const std::string text = lowered(
      "var n = 0 var up = function () { n += 1 } if (pid > 5) { up() } while (n < tid) { up() } "
      "t[n] = 1");
  EXPECT_EQ(count(text, "Phi"), 4u) << text;  // one is of what nobody uses
}

TEST(LowerLocals, EachRoundHasItsOwn) {
  EXPECT_THAT(lowered("for (i = 1, 100) { var z = i var f = function () { z += 1 return z } "
                      "t[f()] = f() }"),
              HasSubstr("TableSet"));
  // Functions of rounds that are done one by one may outlive them.
  EXPECT_EQ(
      lowered("var a = nil var b = nil for (i = 1, 2) { var z = i * 10 "
              "var f = function () { z += 1 return z } if (a == nil) { a = f } else { b = f } } "
              "a() t[a()] = b()"),
      "b0:\n"
      "  v0 = ConstInt 12 : int\n"
      "  v1 = ConstInt 21 : int\n"
      "  TableSet 0:t v0, v1\n"
      "  Return\n");
}

TEST(LowerLocals, AListOfResultsHasOneLength) {
  const std::string f = "var f = function (a) { if (a > 3) { return 1 } return 2, 3 } ";
  EXPECT_EQ(lowered(f + "print(f(pid))"),
            "refused 1: all results of a function that returns more or fewer of them");
  EXPECT_EQ(lowered(f + "var g = function (a) { return f(a) } print(0, g(pid))"),
            "refused 1: all results of a function that returns more or fewer of them");
  EXPECT_THAT(lowered(f + "var a, b = f(pid) print(a, b)"), HasSubstr(": int?"));
  EXPECT_THAT(lowered(f + "print((f(pid)))"), HasSubstr("Emit site 0 v"));
}

TEST(LowerLocals, FunctionsArePassedAndReturned) {
  EXPECT_EQ(lowered("var twice = function (f, x) { return f(f(x)) } "
                    "var n = 3 t[twice(function (x) { return x * n }, 2)] = 1"),
            "b0:\n"
            "  v0 = ConstInt 18 : int\n"
            "  v1 = ConstInt 1 : int\n"
            "  TableSet 0:t v0, v1\n"
            "  Return\n");
  EXPECT_EQ(lowered("var f = nil f = function (x) { return f(x - 1) } f(3)"),
            "refused 1: a function that calls itself");
}

// ---- shapes ----------------------------------------------------------------------------------

TEST(LoopShapes, WidenToWhatTakesBoth) {
  const LoopShape unknown;
  LoopShape nil;
  nil.kind = LoopShape::Kind::Nil;
  LoopShape integer;
  integer.kind = LoopShape::Kind::Value;
  integer.type = ssa::Type::Int;
  LoopShape maybe = integer;
  maybe.type = ssa::Type::MaybeInt;
  LoopShape text = integer;
  text.type = ssa::Type::Str;
  text.str_kind = ssa::StrKind::Bytes;
  text.max_bytes = 16;
  LoopShape longer = text;
  longer.max_bytes = 64;
  LoopShape name = text;
  name.str_kind = ssa::StrKind::Id;
  name.max_bytes = 0;
  LoopShape unbounded;
  unbounded.kind = LoopShape::Kind::Text;
  LoopShape anything;
  anything.kind = LoopShape::Kind::Anything;
  EXPECT_EQ(widen(unknown, integer), integer);
  EXPECT_EQ(widen(nil, integer), maybe);
  EXPECT_EQ(widen(integer, nil), maybe);
  EXPECT_EQ(widen(maybe, integer), maybe);
  EXPECT_EQ(widen(integer, maybe), maybe);
  LoopShape both;
  both.kind = LoopShape::Kind::Union;
  both.parts = {unknown, unknown, integer, text, unknown};
  EXPECT_EQ(widen(text, integer), both);
  EXPECT_EQ(widen(both, text), both);
  EXPECT_EQ(widen(maybe, both).parts[2], maybe);
  EXPECT_EQ(widen(both, nil).parts[0], nil);
  EXPECT_EQ(widen(both, longer).parts[3], longer);
  EXPECT_TRUE(widen(widen(both, nil), unbounded).is_useless());
  EXPECT_EQ(widen(text, longer), longer);
  EXPECT_EQ(widen(longer, text), longer);
  EXPECT_EQ(widen(name, text), text);
  EXPECT_EQ(widen(text, name), text);
  EXPECT_EQ(widen(unbounded, text), unbounded);
  EXPECT_EQ(widen(nil, unbounded), unbounded);
  EXPECT_TRUE(widen(unbounded, integer).is_useless());
  LoopShape grown = longer;
  grown.max_bytes = 65;
  EXPECT_EQ(widen_again(longer, grown).max_bytes, 128u);
  grown.max_bytes = 512;
  EXPECT_EQ(widen_again(longer, grown).max_bytes, 512u);
  EXPECT_EQ(widen(nil, text).type, ssa::Type::MaybeStr);
  EXPECT_EQ(widen(anything, nil), anything);
}

}  // namespace
}  // namespace ktap::lower
