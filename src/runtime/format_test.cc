// Unit test of runtime/text.h and runtime/format.h: the text of every type, tables, and every
// conversion.
#include "runtime/format.h"

#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/closure.h"
#include "runtime/heap.h"
#include "runtime/table.h"
#include "runtime/text.h"

namespace ktap::runtime {
namespace {

Value i(int64_t x) { return Value::of(x); }
Value f(double x) { return Value::of(x); }

class FormatTest : public ::testing::Test {
 protected:
  Value s(std::string_view text) { return heap_.string(text); }
  static Value value(Table* table) { return Value::of_object(Type::Table, table); }
  static std::string print(std::string_view format, std::initializer_list<Value> args) {
    std::string out;
    std::string error;
    return render_format(format, args.begin(), args.size(), out, &error) ? out : "error: " + error;
  }
  Heap heap_;
};

TEST_F(FormatTest, NanHasNoSign) {
  EXPECT_EQ(print("%g|%f|%e|%5g", {f(-std::nan("")), f(-std::nan("")), f(-std::nan("")), f(NAN)}),
            "nan|nan|nan|  nan");
}

TEST_F(FormatTest, TextOfScalars) {
  EXPECT_EQ(to_text(Value::nil()), "nil");
  EXPECT_EQ(to_text(Value::of(true)), "true");
  EXPECT_EQ(to_text(i(INT64_MIN)), "-9223372036854775808");
  EXPECT_EQ(to_text(s("a\nb")), "a\nb");
  EXPECT_EQ(to_text(heap_.address(-1)), "0xffffffffffffffff");
  Closure* closure = heap_.closure(0);
  EXPECT_EQ(to_text(Value::of_object(Type::Function, closure)), "function");
  closure->name = "f";
  EXPECT_EQ(to_text(Value::of_object(Type::Function, closure)), "function f");
  Value parts[] = {s("bash"), i(7), Value::nil()};
  EXPECT_EQ(to_text(heap_.tuple(parts, 3)), "bash, 7, nil");
}

TEST_F(FormatTest, TextOfFloats) {
  EXPECT_EQ(float_text(1.0), "1.0");
  EXPECT_EQ(float_text(-0.0), "-0.0");
  EXPECT_EQ(float_text(0.1), "0.1");
  EXPECT_EQ(float_text(1e15), "1e+15");
  EXPECT_EQ(float_text(1e13), "10000000000000.0");
  EXPECT_EQ(float_text(2.0 / 3), "0.66666666666667");
  EXPECT_EQ(float_text(INFINITY), "inf");
  EXPECT_EQ(float_text(-INFINITY), "-inf");
  EXPECT_EQ(float_text(-std::nan("")), "nan");
}

TEST_F(FormatTest, TextOfTables) {
  Table* t = heap_.table();
  EXPECT_EQ(to_text(value(t)), "{}");
  t->set(s("b"), i(2));
  t->set(s("a"), f(1));
  t->set(i(10), s("ten"));
  t->set(i(9), Value::of(true));
  t->set(Value::of(false), i(0));
  EXPECT_EQ(to_text(value(t)), "9: true\n10: ten\na: 1.0\nb: 2\nfalse: 0");
}

TEST_F(FormatTest, TextOfNestedTables) {
  Table* t = heap_.table();
  Table* inner = heap_.table();
  Table* innermost = heap_.table();
  innermost->set(i(1), s("x"));
  inner->set(s("deep"), value(innermost));
  inner->set(s("empty"), value(heap_.table()));
  t->set(s("in"), value(inner));
  t->set(s("z"), i(1));
  EXPECT_EQ(to_text(value(t)), "in:\n  deep:\n    1: x\n  empty: {}\nz: 1");
}

TEST_F(FormatTest, TextOfTablesInThemselves) {
  Table* t = heap_.table();
  t->set(s("self"), value(t));
  EXPECT_EQ(to_text(value(t)), "self: {...}");
  Table* outer = heap_.table();
  Table* at = outer;
  for (int n = 0; n < 100000; ++n) {
    Table* inner = heap_.table();
    at->set(i(1), value(inner));
    at = inner;
  }
  EXPECT_NE(to_text(value(outer)).find("1: {...}"), std::string::npos);
}

TEST_F(FormatTest, Integers) {
  EXPECT_EQ(print("%d|%5d|%-5d|%05d|%+d|% d", {i(7), i(7), i(7), i(7), i(7), i(7)}),
            "7|    7|7    |00007|+7| 7");
  EXPECT_EQ(print("%i %u", {i(-1), i(-1)}), "-1 18446744073709551615");
  EXPECT_EQ(print("%x %X %o %#x %#o", {i(255), i(255), i(8), i(255), i(8)}), "ff FF 10 0xff 010");
  EXPECT_EQ(print("%08x|%.3d|%6.3d", {i(-1), i(5), i(5)}), "ffffffffffffffff|005|   005");
  EXPECT_EQ(print("%c%c|%3c|%-3c|", {i('k'), i('t'), i('x'), i('x')}), "kt|  x|x  |");
  EXPECT_EQ(print("%p %20p", {i(4096), i(-1)}), "0x1000   0xffffffffffffffff");
  std::string out, error;
  const std::vector<Value> values = {i(7), i(8)};
  const auto named = [](int64_t address) { return "f+" + std::to_string(address); };
  std::vector<FormatPiece> pieces = parse_format("%6p|%-6p|", &error);
  ASSERT_TRUE(render_format(pieces, values.data(), values.size(), out, &error, named)) << error;
  EXPECT_EQ(out, "   f+7|f+8   |");
}

TEST_F(FormatTest, IntegersAsSnprintfHasThem) {
  for (const char* flags : {"", "-", "0", "+", " ", "-0", "+0", " 0", "#", "#0", "+-", "+ "}) {
    for (const char* width : {"", "1", "7", "25", ".0", ".3", "9.4"}) {
      for (const char* conversion : {"d", "i", "u", "x", "X", "o"}) {
        for (int64_t number : {int64_t{0}, int64_t{7}, int64_t{-7}, int64_t{123456}, INT64_MIN}) {
          std::string format = std::string("%") + flags + width;
          char wanted[64];
          std::snprintf(wanted, sizeof(wanted), (format + "l" + conversion).c_str(), number);
          EXPECT_EQ(print(format + conversion, {i(number)}), wanted) << format << conversion;
        }
      }
    }
  }
}

TEST_F(FormatTest, Strings) {
  EXPECT_EQ(print("%s|%5s|%-5s|%.2s|%5.1s|", {s("abc"), s("abc"), s("abc"), s("abc"), s("abc")}),
            "abc|  abc|abc  |ab|    a|");
  EXPECT_EQ(print("%s %s %s %s", {i(1), f(2), Value::nil(), Value::of(false)}), "1 2.0 nil false");
  Table* t = heap_.table();
  t->set(i(1), s("one"));
  EXPECT_EQ(print("<%s>", {value(t)}), "<1: one>");
  EXPECT_EQ(print("%s", {s(std::string_view("a\0b", 3))}), std::string("a\0b", 3));
}

TEST_F(FormatTest, StringsWithEscapes) {
  EXPECT_EQ(print("%#s|%-#6s|%#6s|", {s("a\nb\x1b[1m\x7f"), s("\t"), s("\r")}),
            "a\\nb\\x1b[1m\\x7f|\\t    |    \\r|");
  EXPECT_EQ(print("%#.2s %#s %#s", {s("abc"), i(-7), s("\\ \xc3\xa4 \xc2\x9b")}),
            "ab -7 \\\\ \xc3\xa4 \\xc2\\x9b");
}

TEST_F(FormatTest, Floats) {
  EXPECT_EQ(print("%f %.2f %8.1f %g %e", {f(1.5), f(2.345), f(3.14), f(0.0001), f(12345)}),
            "1.500000 2.35      3.1 0.0001 1.234500e+04");
  EXPECT_EQ(print("%.1f", {i(3)}), "3.0");
  EXPECT_EQ(print("%.0f", {f(1e300)}).size(), 301u);
}

TEST_F(FormatTest, Stars) {
  EXPECT_EQ(print("%*d|%-*d|%*d|", {i(4), i(1), i(4), i(2), i(-4), i(3)}), "   1|2   |3   |");
  EXPECT_EQ(print("%.*f|%.*f", {i(1), f(2.25), i(-1), f(2.25)}), "2.2|2.250000");
  EXPECT_EQ(print("%*.*s|", {i(4), i(2), s("abc")}), "  ab|");
  EXPECT_EQ(print("%4096d", {i(1)}).size(), 4096u);
  EXPECT_EQ(print("%600s", {s("x")}).size(), 600u);
}

TEST_F(FormatTest, Percent) { EXPECT_EQ(print("100%%|%d%%", {i(5)}), "100%|5%"); }

TEST_F(FormatTest, WhatDoesNotFit) {
  EXPECT_EQ(print("%d", {s("x")}), "error: '%d' takes an integer, argument 1 is a string");
  EXPECT_EQ(print("%s %x", {s("x"), f(1)}), "error: '%x' takes an integer, argument 2 is a float");
  EXPECT_EQ(print("%d", {Value::nil()}), "error: '%d' takes an integer, argument 1 is nil");
  EXPECT_EQ(print("%f", {s("1")}), "error: '%f' takes a number, argument 1 is a string");
  EXPECT_EQ(print("%d %d", {i(1)}), "error: no argument for conversion '%d'");
  EXPECT_EQ(print("%*d", {i(1)}), "error: no argument for conversion '%d'");
  EXPECT_EQ(print("%*d", {}), "error: no argument for the width of '%d'");
  EXPECT_EQ(print("%*d", {s("x"), i(1)}),
            "error: argument 1, the width of '%d', is to be an integer of at most 4096");
  EXPECT_EQ(print("%.*d", {i(5000), i(1)}),
            "error: argument 1, the precision of '%d', is to be an integer of at most 4096");
  EXPECT_EQ(print("x", {i(1)}), "error: the format takes 0 arguments, got 1");
  EXPECT_EQ(print("%y", {i(1)}), "error: unknown conversion '%y'");
}

}  // namespace
}  // namespace ktap::runtime
