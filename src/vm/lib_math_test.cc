// Unit test of math and rand: types that are kept, edges of the number range, NaN.
#include <cmath>
#include <limits>
#include <set>

#include <gtest/gtest.h>

#include "vm/fake_library.h"

namespace ktap::vm {
namespace {

using bytecode::Builtin;
using runtime::Value;
using testing::f;
using testing::i;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

class MathTest : public ::testing::Test, protected testing::FakeLibrary {};

TEST_F(MathTest, Abs) {
  EXPECT_EQ(call(Builtin::MathAbs, {i(-5)}), "5");
  EXPECT_EQ(call(Builtin::MathAbs, {i(INT64_MIN)}), "-9223372036854775808");
  EXPECT_EQ(call(Builtin::MathAbs, {f(-0.5)}), "0.5");
  EXPECT_EQ(call(Builtin::MathAbs, {f(-0.0)}), "0.0");
  EXPECT_EQ(call(Builtin::MathAbs, {f(-kInf)}), "inf");
  EXPECT_EQ(call(Builtin::MathAbs, {s("5")}),
            "error: argument 1 of 'math.abs' is to be a number, got a string");
}

TEST_F(MathTest, MinAndMaxKeepTheWinnersType) {
  EXPECT_EQ(call(Builtin::MathMin, {i(3), f(2.0), i(2)}), "2.0");
  EXPECT_EQ(call(Builtin::MathMin, {i(2), f(2.0)}), "2");
  EXPECT_EQ(call(Builtin::MathMax, {i(3), f(2.5)}), "3");
  EXPECT_EQ(call(Builtin::MathMax, {i(-1)}), "-1");
  // Not equal, though the integer as a float is.
  EXPECT_EQ(call(Builtin::MathMax, {f(9007199254740992.0), i(9007199254740993)}),
            "9007199254740993");
  EXPECT_EQ(call(Builtin::MathMin, {i(1), f(kNan), i(0)}), "0");
  EXPECT_EQ(call(Builtin::MathMin, {f(kNan), i(0)}), "nan");
  EXPECT_EQ(call(Builtin::MathMax, {i(1), Value::nil()}),
            "error: argument 2 of 'math.max' is to be a number, got nil");
  EXPECT_EQ(call(Builtin::MathMin), "error: 'math.min' takes at least 1 argument, got 0");
}

TEST_F(MathTest, Log2) {
  EXPECT_EQ(call(Builtin::MathLog2, {i(1)}), "0");
  EXPECT_EQ(call(Builtin::MathLog2, {i(1023)}), "9");
  EXPECT_EQ(call(Builtin::MathLog2, {i(1024)}), "10");
  EXPECT_EQ(call(Builtin::MathLog2, {i(INT64_MAX)}), "62");
  EXPECT_EQ(call(Builtin::MathLog2, {i(0)}), "error: argument 1 of 'math.log2' is to be above 0");
  EXPECT_EQ(call(Builtin::MathLog2, {i(INT64_MIN)}),
            "error: argument 1 of 'math.log2' is to be above 0");
  EXPECT_EQ(call(Builtin::MathLog2, {f(8)}), "3.0");
  EXPECT_EQ(call(Builtin::MathLog2, {f(0)}), "-inf");
  EXPECT_EQ(call(Builtin::MathLog2, {f(-1)}), "nan");
}

TEST_F(MathTest, Floor) {
  EXPECT_EQ(call(Builtin::MathFloor, {f(2.7)}), "2");
  EXPECT_EQ(call(Builtin::MathFloor, {f(-2.1)}), "-3");
  EXPECT_EQ(call(Builtin::MathFloor, {i(INT64_MIN)}), "-9223372036854775808");
  EXPECT_EQ(call(Builtin::MathFloor, {f(-0x1p63)}), "-9223372036854775808");
  EXPECT_EQ(call(Builtin::MathFloor, {f(0x1p63)}),
            "error: argument 1 of 'math.floor' is to be in the range of integers, got "
            "9.2233720368548e+18");
  EXPECT_EQ(call(Builtin::MathFloor, {f(kNan)}),
            "error: argument 1 of 'math.floor' is to be in the range of integers, got nan");
}

TEST_F(MathTest, RandStaysBelowItsBound) {
  std::set<int64_t> seen;
  for (int n = 0; n < 1000; ++n) {
    call(Builtin::Rand, {i(6)});
    ASSERT_TRUE(run_.result.is_integer());
    seen.insert(run_.result.integer);
  }
  EXPECT_EQ(seen, (std::set<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(call(Builtin::Rand, {i(1)}), "0");
  call(Builtin::Rand, {i(INT64_MAX)});
  EXPECT_GE(run_.result.integer, 0);
  EXPECT_EQ(call(Builtin::Rand, {i(0)}), "error: argument 1 of 'rand' is to be 1 or more");
  EXPECT_EQ(call(Builtin::Rand, {f(2)}),
            "error: argument 1 of 'rand' is to be an integer, got a float");
}

TEST_F(MathTest, RandStartsAtTheHostsSeed) {
  run_.host.seed = 1;
  std::string first = call(Builtin::Rand, {i(INT64_MAX)});
  testing::Assembler main("main");
  testing::Program other((main.ret(), main));
  other.host.seed = 2;
  other.call(Value::of_builtin(static_cast<uint16_t>(Builtin::Rand)), {i(INT64_MAX)});
  EXPECT_NE(runtime::to_text(other.result), first);
}

}  // namespace
}  // namespace ktap::vm
