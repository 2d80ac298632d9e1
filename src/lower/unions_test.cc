// Values of several types, and operands of a type that is wrong for sure.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lower/test_world.h"

namespace ktap::lower {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string lowered(const std::string& source) {
  TestWorld w(source);
  const std::string text = w.lower({syscall_enter("sys_enter_close", 3, {int_field("fd", 4)})});
  return w.function ? text.substr(w.function->name.size() + 10) : text;
}

std::string body(const std::string& statements) {
  return lowered("var t = {} trace syscalls:* { " + statements + " }");
}

TEST(Unions, AnAlternativeIsUsedOnAWayOfItsOwn) {
  EXPECT_EQ(lowered("function f(a) { if (a > 3) { return 1 } return 'x' } trace syscalls:* { "
                    "print(f(pid)) }"),
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = ConstInt 3 : int\n"
            "  v2 = Lt v1, v0 : bool\n"
            "  Branch v2 -> b1, b2\n"
            "b1:  ; from b0\n"
            "  v3 = ConstInt 2 : int\n"
            "  Jump -> b3\n"
            "b2:  ; from b0\n"
            "  v4 = ConstInt 3 : int\n"
            "  Jump -> b3\n"
            "b3:  ; from b1, b2\n"
            "  v5 = Phi v3, v4 : int\n"
            "  v6 = ConstInt 2 : int\n"
            "  v7 = Eq v5, v6 : bool\n"
            "  Branch v7 -> b4, b5\n"
            "b4:  ; from b3\n"
            "  Emit site 0\n"
            "  Jump -> b6\n"
            "b5:  ; from b3\n"
            "  Emit site 1\n"
            "  Jump -> b6\n"
            "b6:  ; from b4, b5\n"
            "  Return\n");
}

TEST(Unions, WrongAlternativesFail) {
  EXPECT_THAT(body("var x = pid if (tid > 3) { x = execname } t[1] = x + 1"),
              HasSubstr("Fail \"'+' takes numbers, got a string\""));
}

TEST(Unions, KeysOfSeveralTypesAreUnions) {
  using K = ssa::KeyPart::Kind;
  TestWorld w(
      "var t = {[true] = 1} trace syscalls:* { t[pid] += 1 t[execname] += 1 t['all'] += 1 }");
  const std::string text = w.lower({syscall_enter("read", 0, {})});
  EXPECT_THAT(text, HasSubstr("MakeUnion v0 : union bytes 32"));
  const ssa::KeyPart any{
      K::Union, 32, {}, 1 << ssa::kBoolTag | 1 << ssa::kIntTag | 1 << ssa::kStrTag};
  EXPECT_EQ(w.linkage.module.tables.at(0).key, std::vector<ssa::KeyPart>{any});
  EXPECT_EQ(w.linkage.module.tables.at(0).value, ssa::KeyPart{});
  TestWorld pairs_of("var t = {} trace syscalls:* { t[pid, 'x'] += 1 t['y', 'z'] += 1 }");
  pairs_of.lower({syscall_enter("read", 0, {})});
  const std::vector<ssa::KeyPart> want = {{K::Union, 24, {}, 1 << ssa::kIntTag | 1 << ssa::kStrTag},
                                          {K::StrId, 8}};
  EXPECT_EQ(pairs_of.linkage.module.tables.at(0).key, want);
}

TEST(Unions, ValuesOfSeveralTypesAreReadAsAlternatives) {
  const std::string text = body("t[1] = pid t[2] = 'x' t[3] += 1 print(t[4])");
  EXPECT_THAT(text, HasSubstr(": union bytes 24"));
  EXPECT_THAT(text, HasSubstr("TableAdd 0:t"));
  EXPECT_THAT(text, HasSubstr("Fail \"'+' takes numbers, got a string\""));
  EXPECT_THAT(text, HasSubstr("UnionWord"));
  EXPECT_THAT(text, HasSubstr(": str id"));
  EXPECT_THAT(body("t[1] = pid t[2] = stack()"),
              HasSubstr("refused 1: table t holds integers and stacks"));
}

TEST(Unions, AVariableOfSeveralTypesIsNilWhereItMayBe) {
  const std::string sure = lowered("var n = 1 trace syscalls:* { n = execname print(type(n)) }");
  EXPECT_THAT(sure, HasSubstr("UnionTag"));
  EXPECT_THAT(sure, Not(HasSubstr("ConstStr \"nil\"")));
  EXPECT_THAT(lowered("var n = nil trace syscalls:* { print(type(n)) n = execname n = 1 }"),
              HasSubstr("ConstStr \"nil\""));
}

TEST(Unions, ATestTellsTheTypesThatAreLeft) {
  // What `&&` leaves behind when it is false is false; then `||` gives the other one.
  EXPECT_THAT(body("t[1] = (pid < 3 && tid || uid) + 1"), Not(HasSubstr("Fail")));
  EXPECT_THAT(body("var x = pid < 3 && execname || uid if (x) { t[1] = 1 }"),
              Not(HasSubstr("Fail")));
}

TEST(Unions, NilJoinsAnotherType) {
  EXPECT_THAT(body("var x = nil if (pid > 3) { x = 1 } elseif (pid > 2) { x = 's' } print(x)"),
              HasSubstr("str?"));
}

TEST(Unions, NoCommonFormIsRefused) {
  EXPECT_THAT(body("var f = t if (pid > 3) { f = {} } print(f)"), HasSubstr("refused 1: "));
}

TEST(Names, AreLookedUpWhereTheyAreMoreThanPrinted) {
  TestWorld w(
      "var t = {} trace syscalls:* { t[errno_name(retval)] += 1 print(errno_name(retval)) }");
  const NumberNames names{{"read"}, {"", "EPERM", "ENOENT"}, {"", "SIGHUP"}};
  w.options.machine.names = &names;
  const std::string text = w.lower({syscall_exit("read", 0)});
  EXPECT_THAT(text, HasSubstr("NumberName #0 "));
  EXPECT_THAT(text, HasSubstr(" : str? bytes 6\n"));
  EXPECT_THAT(text, HasSubstr("Fail \"nil cannot be a key\""));
  EXPECT_EQ(w.linkage.module.names.size(), 1u);
}

TEST(CertainErrors, EndTheRunInTheWordsOfTheVm) {
  const struct {
    const char* statement;
    const char* text;
  } cases[] = {
      {"for (i = 1, 'x') { print(i) }", "the last value of a for is a string, not a number"},
      {"print('a' .. t)", "'..' joins strings and numbers, got a table"},
      {"print('a' .. (pid > 1))", "'..' joins strings and numbers, got a boolean"},
      {"print(nil + pid)", "'+' takes numbers, got nil"},
      {"print(-execname)", "unary '-' takes a number, got a string"},
      {"print(~(pid > 1))", "unary '~' takes an integer, got a boolean"},
      {"print(pid << 1.5)", "'<<' takes integers, got a float"},
      {"t.x.y = 1", "cannot store into nil (field 'y')"},
      {"t.x.y = 1", "cannot store into an integer (field 'y')"},
      {"print(pid[1])", "cannot index an integer"},
      {"t[nil] = 1", "nil cannot be a key"},
      {"t[1.5] = 1", "a float cannot be a key"},
      {"t[pid, nil] = 1", "nil cannot be a part of a key"},
      {"t[1] += execname", "'+' takes numbers, got a string"},
      {"print(pid ~ 'x*')", "'~' matches a string with a glob, got an integer and a string"},
      {"var f = '%d' printf(f, execname)", "'%d' takes an integer, argument 1 is a string"},
      {"print(len(pid))",
       "len takes a string, a table, a multi-key or a histogram, got an integer"},
      {"print(string.upper(pid))",
       "argument 1 of 'string.upper' is to be a string, got an integer"},
      {"print(math.max(1, execname))", "argument 2 of 'math.max' is to be a number, got a string"},
      {"print(math.log2(0))", "argument 1 of 'math.log2' is to be above 0"},
      {"print(math.log2(pid))", "argument 1 of 'math.log2' is to be above 0"},
      {"print(string.char(256))", "argument 1 of 'string.char' is to be a byte, 0 to 255"},
      {"exit(execname)", "argument 1 of 'exit' is to be an integer, got a string"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(body(std::string(c.statement) + " t[1] = 2"),
                HasSubstr("Fail \"" + std::string(c.text) + "\""))
        << c.statement;
  }
}

}  // namespace
}  // namespace ktap::lower
