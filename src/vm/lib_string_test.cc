// Unit test of the string library: positions at every edge, globs, bytes, and what is refused.
#include <string>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "vm/fake_library.h"

namespace ktap::vm {
namespace {

using bytecode::Builtin;
using runtime::Value;
using testing::f;
using testing::i;

class StringTest : public ::testing::Test, protected testing::FakeLibrary {};

TEST_F(StringTest, SubCutsAtTheEdges) {
  auto sub = [this](int64_t first, int64_t last) {
    return call(Builtin::StringSub, {s("hello"), i(first), i(last)});
  };
  EXPECT_EQ(sub(1, 3), "hel");
  EXPECT_EQ(sub(-3, -2), "ll");
  EXPECT_EQ(sub(0, 0), "");
  EXPECT_EQ(sub(0, 1), "h");
  EXPECT_EQ(sub(4, 3), "");
  EXPECT_EQ(sub(5, 100), "o");
  EXPECT_EQ(sub(6, 6), "");
  EXPECT_EQ(sub(-100, 2), "he");
  EXPECT_EQ(sub(1, -100), "");
  EXPECT_EQ(sub(INT64_MIN, INT64_MAX), "hello");
  EXPECT_EQ(sub(INT64_MAX, INT64_MIN), "");
  EXPECT_EQ(call(Builtin::StringSub, {s("hello"), i(4)}), "lo");
  EXPECT_EQ(call(Builtin::StringSub, {s(""), i(1)}), "");
  EXPECT_EQ(call(Builtin::StringSub, {Value::nil(), i(1)}),
            "error: argument 1 of 'string.sub' is to be a string, got nil");
  EXPECT_EQ(call(Builtin::StringSub, {i(12345), i(1)}),
            "error: argument 1 of 'string.sub' is to be a string, got an integer");
  EXPECT_EQ(call(Builtin::StringSub, {s("a"), f(1)}),
            "error: argument 2 of 'string.sub' is to be an integer, got a float");
}

TEST_F(StringTest, FindPlainAndGlob) {
  auto find = [this](std::string_view text, std::string_view what, int64_t from) {
    return call(Builtin::StringFind, {s(text), s(what), i(from)});
  };
  EXPECT_EQ(find("abcabc", "c", 1), "3");
  EXPECT_EQ(find("abcabc", "c", 4), "6");
  EXPECT_EQ(find("abcabc", "c", -1), "6");
  EXPECT_EQ(find("abcabc", "x", 1), "nil");
  EXPECT_EQ(find("abc", "", 4), "4");
  EXPECT_EQ(find("abc", "", 5), "nil");
  EXPECT_EQ(find("abc", "a", 0), "1");
  EXPECT_EQ(find("abc", "a", INT64_MIN), "1");
  EXPECT_EQ(find("abc", "a", INT64_MAX), "nil");
  EXPECT_EQ(find("xxabyab", "a?y", 1), "3");
  EXPECT_EQ(find("xxabyab", "[by]*b", 1), "4");
  EXPECT_EQ(find("a{b}", "{b}", 1), "2");  // no glob: it has none of * ? [
  EXPECT_EQ(find("acbd", "{b,c}?", 1), "2");
  EXPECT_EQ(find(std::string_view("a\0b", 3), std::string_view("\0", 1), 1), "2");
  EXPECT_EQ(call(Builtin::StringFind, {s("a"), i(1)}),
            "error: argument 2 of 'string.find' is to be a string, got an integer");
}

TEST_F(StringTest, CaseIsAsciis) {
  EXPECT_EQ(call(Builtin::StringUpper, {s("aZ\xc3\xa4{}")}), "AZ\xc3\xa4{}");
  EXPECT_EQ(call(Builtin::StringLower, {s("aZ@[")}), "az@[");
}

TEST_F(StringTest, RepIsBounded) {
  EXPECT_EQ(call(Builtin::StringRep, {s("ab"), i(3)}), "ababab");
  EXPECT_EQ(call(Builtin::StringRep, {s("ab"), i(3), s("-")}), "ab-ab-ab");
  EXPECT_EQ(call(Builtin::StringRep, {s("ab"), i(0)}), "");
  EXPECT_EQ(call(Builtin::StringRep, {s("ab"), i(INT64_MIN)}), "");
  EXPECT_EQ(call(Builtin::StringRep, {s(""), i(INT64_MAX)}), "");
  EXPECT_EQ(call(Builtin::StringRep, {s("ab"), i(INT64_MAX)}),
            "error: a string of more than 268435456 bytes");
  EXPECT_EQ(call(Builtin::StringRep, {s(""), i(int64_t{1} << 62), s("abcd")}),
            "error: a string of more than 268435456 bytes");
  EXPECT_EQ(call(Builtin::StringRep, {s("a"), i(int64_t{limits::kMaxTextBytes} + 1)}),
            "error: a string of more than 268435456 bytes");
}

TEST_F(StringTest, BytesAndChars) {
  EXPECT_EQ(call(Builtin::StringByte, {s("a\xff")}), "97");
  EXPECT_EQ(call(Builtin::StringByte, {s("a\xff"), i(-1)}), "255");
  EXPECT_EQ(call(Builtin::StringByte, {s("a"), i(0)}), "nil");
  EXPECT_EQ(call(Builtin::StringByte, {s("a"), i(2)}), "nil");
  EXPECT_EQ(call(Builtin::StringByte, {s("a"), i(INT64_MIN)}), "nil");
  EXPECT_EQ(call(Builtin::StringByte, {s("")}), "nil");
  EXPECT_EQ(call(Builtin::StringChar, {i(104), i(105)}), "hi");
  EXPECT_EQ(call(Builtin::StringChar), "");
  EXPECT_EQ(call(Builtin::StringChar, {i(0)}), std::string(1, '\0'));
  EXPECT_EQ(call(Builtin::StringChar, {i(1), i(256)}),
            "error: argument 2 of 'string.char' is to be a byte, 0 to 255");
  EXPECT_EQ(call(Builtin::StringChar, {s("a")}),
            "error: argument 1 of 'string.char' is to be an integer, got a string");
}

TEST_F(StringTest, Split) {
  EXPECT_EQ(call(Builtin::StringSplit, {s("a,b,,c"), s(",")}), "1: a\n2: b\n3: \n4: c");
  EXPECT_EQ(call(Builtin::StringSplit, {s(""), s(",")}), "1: ");
  EXPECT_EQ(call(Builtin::StringSplit, {s(","), s(",")}), "1: \n2: ");
  EXPECT_EQ(call(Builtin::StringSplit, {s("a--b-c"), s("--")}), "1: a\n2: b-c");
  EXPECT_EQ(call(Builtin::StringSplit, {s("a*b"), s("*")}), "1: a\n2: b");
  EXPECT_EQ(call(Builtin::StringSplit, {s("abc"), s("")}),
            "error: argument 2 of 'string.split' is to be a string that is not empty");
}

TEST_F(StringTest, TrimStartsEnds) {
  EXPECT_EQ(call(Builtin::StringTrim, {s(" \t\na b\r\v\f ")}), "a b");
  EXPECT_EQ(call(Builtin::StringTrim, {s("  ")}), "");
  EXPECT_EQ(call(Builtin::StringStarts, {s("abc"), s("ab")}), "true");
  EXPECT_EQ(call(Builtin::StringStarts, {s("abc"), s("")}), "true");
  EXPECT_EQ(call(Builtin::StringStarts, {s("ab"), s("abc")}), "false");
  EXPECT_EQ(call(Builtin::StringEnds, {s("abc"), s("bc")}), "true");
  EXPECT_EQ(call(Builtin::StringEnds, {s("bc"), s("abc")}), "false");
  EXPECT_EQ(call(Builtin::StringEnds, {s("abc"), s("")}), "true");
}

TEST_F(StringTest, LenAndFormat) {
  EXPECT_EQ(call(Builtin::StringLen, {s(std::string_view("a\0b", 3))}), "3");
  EXPECT_EQ(call(Builtin::StringLen, {table()}),
            "error: argument 1 of 'string.len' is to be a string, got a table");
  EXPECT_EQ(call(Builtin::StringFormat, {s("%03d|%s"), i(7), s("x")}), "007|x");
}

}  // namespace
}  // namespace ktap::vm
