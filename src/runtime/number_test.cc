// Unit test of runtime/number.h and runtime/arith.h: wrapping, C division, shifts, mixes, and what
// is refused.
#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "runtime/arith.h"
#include "runtime/heap.h"
#include "runtime/number.h"
#include "runtime/text.h"

namespace ktap::runtime {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

Value i(int64_t x) { return Value::of(x); }
Value f(double x) { return Value::of(x); }

std::string result_of(ArithOp op, Value a, Value b) {
  Value result;
  std::string error;
  return arith(op, a, b, &result, &error) ? to_text(result) : "error: " + error;
}

TEST(Number, IntegersWrap) {
  EXPECT_EQ(wrap_add(kMax, 1), kMin);
  EXPECT_EQ(wrap_sub(kMin, 1), kMax);
  EXPECT_EQ(wrap_mul(kMax, 2), -2);
}

TEST(Number, DivisionIsThatOfC) {
  EXPECT_EQ(wrap_div(-7, 2), -3);
  EXPECT_EQ(wrap_mod(-7, 2), -1);
  EXPECT_EQ(wrap_mod(7, -2), 1);
  EXPECT_EQ(wrap_div(kMin, -1), kMin);
  EXPECT_EQ(wrap_mod(kMin, -1), 0);
}

TEST(Number, ShiftsTakeTheCountModulo64) {
  EXPECT_EQ(shift_left(1, 63), kMin);
  EXPECT_EQ(shift_left(1, 64), 1);
  EXPECT_EQ(shift_left(1, -1), kMin);
  EXPECT_EQ(shift_right(-8, 1), -4);
  EXPECT_EQ(shift_right(-8, 65), -4);
  EXPECT_EQ(shift_right(kMin, 63), -1);
}

TEST(Number, Arithmetic) {
  EXPECT_EQ(result_of(ArithOp::Add, i(2), i(3)), "5");
  EXPECT_EQ(result_of(ArithOp::Add, i(2), f(0.5)), "2.5");
  EXPECT_EQ(result_of(ArithOp::Mul, f(2), i(3)), "6.0");
  EXPECT_EQ(result_of(ArithOp::Div, i(7), f(2)), "3.5");
  EXPECT_EQ(result_of(ArithOp::Div, f(1), i(0)), "inf");
  EXPECT_EQ(result_of(ArithOp::Mod, f(-5.5), i(2)), "-1.5");
  EXPECT_EQ(result_of(ArithOp::BitXor, i(6), i(3)), "5");
}

TEST(Number, WhatIsRefused) {
  Heap heap;
  EXPECT_EQ(result_of(ArithOp::Div, i(1), i(0)), "error: division by zero");
  EXPECT_EQ(result_of(ArithOp::Mod, i(1), i(0)), "error: division by zero");
  EXPECT_EQ(result_of(ArithOp::Add, i(1), Value::nil()), "error: '+' takes numbers, got nil");
  EXPECT_EQ(result_of(ArithOp::Add, heap.string("1"), i(1)),
            "error: '+' takes numbers, got a string");
  EXPECT_EQ(result_of(ArithOp::BitAnd, f(1), i(1)), "error: '&' takes integers, got a float");
  EXPECT_EQ(result_of(ArithOp::Shl, Value::of(true), i(1)),
            "error: '<<' takes integers, got a boolean");
}

TEST(Number, Unary) {
  Value result;
  std::string error;
  ASSERT_TRUE(negate(i(kMin), &result, &error));
  EXPECT_EQ(result.integer, kMin);
  ASSERT_TRUE(bit_not(i(0), &result, &error));
  EXPECT_EQ(result.integer, -1);
  EXPECT_FALSE(bit_not(f(1), &result, &error));
  EXPECT_EQ(error, "unary '~' takes an integer, got a float");
  EXPECT_FALSE(negate(Value::nil(), &result, &error));
  EXPECT_EQ(error, "unary '-' takes a number, got nil");
}

TEST(Number, ComparingIntegersWithFloatsIsExact) {
  int64_t big = (int64_t{1} << 53) + 1;
  EXPECT_FALSE(number_equal(i(big), f(0x1p53)));
  EXPECT_TRUE(number_less(f(0x1p53), i(big)));
  EXPECT_TRUE(number_equal(i(1), f(1.0)));
  EXPECT_TRUE(number_less(i(kMax), f(0x1p63)));
  EXPECT_FALSE(number_less(f(0x1p63), i(kMax)));
  EXPECT_TRUE(number_equal(i(kMin), f(-0x1p63)));
  EXPECT_TRUE(number_less(i(-1), f(-0.5)));
  EXPECT_TRUE(number_less(f(-1.5), i(-1)));
  EXPECT_TRUE(number_less_equal(i(3), f(3.0)));
}

TEST(Number, NanIsUnordered) {
  Value nan = f(std::nan(""));
  for (Value other : {i(0), f(0.0), nan}) {
    EXPECT_FALSE(number_equal(nan, other));
    EXPECT_FALSE(number_less(nan, other));
    EXPECT_FALSE(number_less_equal(nan, other));
    EXPECT_FALSE(number_less(other, nan));
    EXPECT_FALSE(number_less_equal(other, nan));
  }
}

TEST(Number, OrderTakesTwoNumbersOrTwoStrings) {
  Heap heap;
  bool holds = false;
  std::string error;
  ASSERT_TRUE(less(heap.string("a"), heap.string("b"), &holds, &error));
  EXPECT_TRUE(holds);
  ASSERT_TRUE(less(heap.string("a"), heap.string("\xff"), &holds, &error));
  EXPECT_TRUE(holds);  // bytes are unsigned
  ASSERT_TRUE(less_equal(heap.string("a"), heap.string("a"), &holds, &error));
  EXPECT_TRUE(holds);
  EXPECT_FALSE(less(heap.string("1"), i(2), &holds, &error));
  EXPECT_EQ(error, "only two numbers or two strings can be ordered, got an integer and a string");
  EXPECT_FALSE(less_equal(Value::nil(), Value::nil(), &holds, &error));
}

}  // namespace
}  // namespace ktap::runtime
