// Unit test of runtime/value.h: equality across types and the order of keys.
#include "runtime/value.h"

#include <gtest/gtest.h>

#include "runtime/heap.h"
#include "runtime/string.h"

namespace ktap::runtime {
namespace {

Value i(int64_t x) { return Value::of(x); }

class ValueTest : public ::testing::Test {
 protected:
  Value s(std::string_view text) { return heap_.string(text); }
  Value tuple(std::initializer_list<Value> parts) {
    return heap_.tuple(parts.begin(), parts.size());
  }
  Heap heap_;
};

TEST_F(ValueTest, Equality) {
  EXPECT_TRUE(equal(i(1), Value::of(1.0)));
  EXPECT_FALSE(equal(i(1), s("1")));
  EXPECT_FALSE(equal(i(0), Value::of(false)));
  EXPECT_FALSE(equal(Value::nil(), Value::of(false)));
  EXPECT_TRUE(equal(Value::nil(), Value::nil()));
  EXPECT_TRUE(equal(s("abc"), s("abc")));
  std::string text(100, 'x');
  EXPECT_TRUE(equal(s(text), s(text)));
  EXPECT_FALSE(equal(s(text), s(text + "y")));
  EXPECT_TRUE(equal(tuple({i(1), s("a")}), tuple({i(1), s("a")})));
  EXPECT_TRUE(equal(tuple({i(1), s("a")}), tuple({Value::of(1.0), s("a")})));
  EXPECT_FALSE(equal(tuple({i(1), s("a")}), tuple({i(1), s("b")})));
  EXPECT_FALSE(equal(tuple({i(1), i(2)}), tuple({i(1), i(2), i(3)})));
  Value table = Value::of_object(Type::Table, reinterpret_cast<Object*>(heap_.table()));
  EXPECT_TRUE(equal(table, table));
  EXPECT_TRUE(equal(Value::of_builtin(3), Value::of_builtin(3)));
  EXPECT_FALSE(equal(Value::of_builtin(3), Value::of_builtin(4)));
}

TEST_F(ValueTest, ShortStringsAreOneObject) {
  EXPECT_EQ(s("read").object, s("read").object);
  std::string longest(String::kMaxInterned, 'x');
  EXPECT_EQ(s(longest).object, s(longest).object);
  EXPECT_NE(s(longest + "x").object, s(longest + "x").object);
  EXPECT_EQ(s(std::string_view("a\0b", 3)).string()->size(), 3u);
}

TEST_F(ValueTest, Truth) {
  EXPECT_FALSE(Value::nil().truthy());
  EXPECT_FALSE(Value::of(false).truthy());
  EXPECT_TRUE(i(0).truthy());
  EXPECT_TRUE(s("").truthy());
}

TEST_F(ValueTest, OrderOfKeys) {
  Value in_order[] = {i(-1),
                      i(2),
                      i(10),
                      s(""),
                      s("a"),
                      s("b"),
                      s("\xff"),
                      Value::of(false),
                      Value::of(true),
                      tuple({i(1), s("x")}),
                      tuple({i(2), s("a")}),
                      tuple({i(2), s("a"), i(0)}),
                      tuple({s("a"), i(0)})};
  for (size_t a = 0; a < std::size(in_order); ++a) {
    for (size_t b = 0; b < std::size(in_order); ++b) {
      int order = compare_keys(in_order[a], in_order[b]);
      EXPECT_EQ(order < 0, a < b) << a << " " << b;
      EXPECT_EQ(order == 0, a == b) << a << " " << b;
    }
  }
}

TEST_F(ValueTest, TypeNames) {
  EXPECT_EQ(type_name(Type::Nil), "nil");
  EXPECT_EQ(type_name(Type::Integer), "integer");
  EXPECT_EQ(type_name(Type::Builtin), "function");
  EXPECT_EQ(type_phrase(Type::Integer), "an integer");
  EXPECT_EQ(type_phrase(Type::Nil), "nil");
}

}  // namespace
}  // namespace ktap::runtime
