// Unit test of runtime/table.h: parts, keys, removal, growth, and walks while the table changes; at
// the end a long random run against std::map.
#include "runtime/table.h"

#include <map>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "runtime/heap.h"
#include "runtime/string.h"

namespace ktap::runtime {
namespace {

Value i(int64_t x) { return Value::of(x); }

class TableTest : public ::testing::Test {
 protected:
  Value s(std::string_view text) { return heap_.string(text); }
  Value tuple(std::initializer_list<Value> parts) {
    return heap_.tuple(parts.begin(), parts.size());
  }
  Value address(int64_t x) { return heap_.address(x); }
  int64_t at(Value key) { return t_->get(key).is_nil() ? -1 : t_->get(key).integer; }
  std::multiset<int64_t> walk_keys() {
    std::multiset<int64_t> keys;
    for (const auto& [key, value] : t_->entries()) keys.insert(key.integer);
    return keys;
  }

  Heap heap_;
  Table* t_ = heap_.table();
};

TEST_F(TableTest, GetSetRemove) {
  EXPECT_TRUE(t_->get(s("a")).is_nil());
  t_->set(s("a"), i(1));
  t_->set(s("b"), i(2));
  t_->set(s("a"), i(3));
  EXPECT_EQ(at(s("a")), 3);
  EXPECT_EQ(t_->size(), 2u);
  t_->set(s("a"), Value::nil());
  EXPECT_EQ(at(s("a")), -1);
  EXPECT_EQ(t_->size(), 1u);
  t_->set(s("a"), Value::nil());
  EXPECT_EQ(t_->size(), 1u);
  t_->set(s("a"), i(4));
  EXPECT_EQ(at(s("a")), 4);
  EXPECT_EQ(t_->size(), 2u);
}

TEST_F(TableTest, ListLengthEndsAtTheFirstHole) {
  EXPECT_EQ(t_->list_length(), 0);
  for (int64_t n = 1; n <= 40; ++n) t_->set(i(n), i(n));
  EXPECT_EQ(t_->list_length(), 40);
  t_->set(i(20), Value::nil());
  EXPECT_EQ(t_->list_length(), 19);
  t_->set(i(1), Value::nil());
  EXPECT_EQ(t_->list_length(), 0);
  t_->clear();
  for (int64_t n = 5; n >= 1; --n) t_->set(i(n), i(n));
  t_->set(i(0), i(0));
  EXPECT_EQ(t_->list_length(), 5);
}

TEST_F(TableTest, KeysOfAllTypesAreDistinct) {
  t_->set(i(1), i(10));
  t_->set(s("1"), i(11));
  t_->set(Value::of(true), i(12));
  t_->set(tuple({i(1), i(1)}), i(13));
  t_->set(Value::of(false), i(14));
  t_->set(i(0), i(15));
  EXPECT_EQ(at(i(1)), 10);
  EXPECT_EQ(at(s("1")), 11);
  EXPECT_EQ(at(Value::of(true)), 12);
  EXPECT_EQ(at(tuple({i(1), i(1)})), 13);
  EXPECT_EQ(at(Value::of(false)), 14);
  EXPECT_EQ(at(i(0)), 15);
  EXPECT_EQ(t_->size(), 6u);
}

TEST_F(TableTest, ValidKeys) {
  EXPECT_FALSE(Table::valid_key(Value::nil()));
  EXPECT_FALSE(Table::valid_key(Value::of(1.0)));
  EXPECT_FALSE(Table::valid_key(Value::of_object(Type::Table, t_)));
  EXPECT_FALSE(Table::valid_key(Value::of_builtin(1)));
  EXPECT_FALSE(Table::valid_key(tuple({i(1), Value::nil()})));
  EXPECT_FALSE(Table::valid_key(tuple({i(1), Value::of(1.0)})));
  EXPECT_TRUE(Table::valid_key(tuple({i(1), s("a"), Value::of(true), address(1)})));
  t_->set(i(1), i(10));
  EXPECT_TRUE(t_->get(Value::of(1.0)).is_nil());
  EXPECT_TRUE(t_->get(Value::nil()).is_nil());
  EXPECT_TRUE(t_->get(tuple({i(1), Value::nil()})).is_nil());
}

TEST_F(TableTest, AnAddressIsAKeyOfItsOwn) {
  t_->set(address(1), i(1));
  EXPECT_EQ(at(address(1)), 1);
  EXPECT_EQ(at(i(1)), -1);
  t_->set(i(1), i(2));
  t_->set(address(1000), i(3));
  t_->set(address(1000), i(4));
  EXPECT_EQ(at(address(1)), 1);
  EXPECT_EQ(at(i(1)), 2);
  EXPECT_EQ(at(address(1000)), 4);
  EXPECT_EQ(t_->size(), 3u);
  t_->set(tuple({i(5), address(6)}), i(7));
  EXPECT_EQ(at(tuple({i(5), address(6)})), 7);
  EXPECT_EQ(at(tuple({i(5), i(6)})), -1);
  t_->set(address(1), Value::nil());
  EXPECT_EQ(at(address(1)), -1);
  EXPECT_EQ(at(i(1)), 2);
}

TEST_F(TableTest, LongStringsAreKeysByTheirBytes) {
  std::string text(200, 'x');
  t_->set(s(text), i(1));
  EXPECT_EQ(at(s(text)), 1);
  EXPECT_EQ(t_->get_string(s(text).string()).integer, 1);
  EXPECT_EQ(at(s(text + "y")), -1);
}

TEST_F(TableTest, ItemsAtOnce) {
  const Value three[] = {i(1), Value::nil(), i(3)};
  t_->set_items(1, three, 3);
  EXPECT_EQ(t_->size(), 2u);
  EXPECT_EQ(at(i(2)), -1);
  EXPECT_EQ(at(i(3)), 3);
  t_->set_items(51, three, 3);  // behind a gap
  EXPECT_EQ(at(i(51)), 1);
  EXPECT_EQ(at(i(53)), 3);
  EXPECT_EQ(t_->size(), 4u);
  const Value none[] = {Value::nil(), Value::nil()};
  t_->set_items(1, none, 2);
  t_->set_items(3, none, 1);
  EXPECT_EQ(walk_keys(), (std::multiset<int64_t>{51, 53}));
}

TEST_F(TableTest, SetListTakesWhatNeedsNoThought) {
  EXPECT_FALSE(t_->set_list(1, i(1)));  // no room
  t_->reserve(2, 0);
  EXPECT_TRUE(t_->set_list(1, i(1)));
  EXPECT_FALSE(t_->set_list(1, Value::nil()));
  EXPECT_FALSE(t_->set_list(0, i(1)));
  EXPECT_FALSE(t_->set_list(3, i(1)));
  EXPECT_FALSE(t_->set_list(INT64_MIN, i(1)));
  t_->set(i(2000), i(5));
  EXPECT_FALSE(t_->set_list(2, i(2)));  // the hash part might have it
  EXPECT_EQ(t_->size(), 2u);
}

TEST_F(TableTest, ListWithHoles) {
  for (int64_t k = 1; k <= 10; ++k) t_->set(i(k), i(k));
  t_->set(i(5), Value::nil());
  t_->set(i(10), Value::nil());
  t_->set(i(9), Value::nil());
  EXPECT_EQ(t_->size(), 7u);
  EXPECT_EQ(walk_keys(), (std::multiset<int64_t>{1, 2, 3, 4, 6, 7, 8}));
  t_->set(i(10), i(100));  // a hole before it: goes to the hash part
  t_->set(i(9), i(90));
  EXPECT_EQ(at(i(10)), 100);
  EXPECT_EQ(at(i(9)), 90);
  EXPECT_EQ(t_->size(), 9u);
  t_->set(i(10), i(101));
  EXPECT_EQ(at(i(10)), 101);
  EXPECT_EQ(walk_keys().count(10), 1u);
}

TEST_F(TableTest, BackwardsFillAndExtremes) {
  for (int64_t k = 100; k >= -100; --k) t_->set(i(k), i(k));
  t_->set(i(INT64_MIN), i(1));
  t_->set(i(INT64_MAX), i(2));
  EXPECT_EQ(t_->size(), 203u);
  EXPECT_EQ(at(i(INT64_MIN)), 1);
  EXPECT_EQ(at(i(INT64_MAX)), 2);
  EXPECT_EQ(at(i(50)), 50);
}

TEST_F(TableTest, QueueDoesNotGrow) {
  for (int64_t k = 1; k <= 100000; ++k) {
    t_->set(i(k), i(k));
    if (k > 10) t_->set(i(k - 10), Value::nil());
  }
  EXPECT_EQ(t_->size(), 10u);
  EXPECT_EQ(at(i(99995)), 99995);
  EXPECT_LT(t_->memory_bytes(), 10000u);
}

TEST_F(TableTest, ChurnDoesNotGrow) {
  for (int64_t k = 0; k < 100000; ++k) {
    t_->set(i(k * 7919 + 1000000), i(k));
    if (k >= 100) t_->set(i((k - 100) * 7919 + 1000000), Value::nil());
  }
  EXPECT_EQ(t_->size(), 100u);
  EXPECT_LT(t_->memory_bytes(), 20000u);
}

TEST_F(TableTest, Clear) {
  for (int64_t k = 1; k <= 50; ++k) t_->set(i(k), i(k));
  t_->set(s("a"), i(1));
  t_->clear();
  EXPECT_EQ(t_->size(), 0u);
  EXPECT_EQ(at(i(1)), -1);
  EXPECT_EQ(at(s("a")), -1);
  t_->set(s("a"), i(2));
  EXPECT_EQ(at(s("a")), 2);
  EXPECT_EQ(t_->entries().size(), 1u);
}

TEST_F(TableTest, WalkIsListThenAge) {
  t_->set(s("z"), i(0));
  t_->set(i(1), i(0));
  t_->set(s("a"), i(0));
  t_->set(i(2), i(0));
  auto entries = t_->entries();
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[0].first.integer, 1);
  EXPECT_EQ(entries[1].first.integer, 2);
  EXPECT_EQ(entries[2].first.string()->view(), "z");
  EXPECT_EQ(entries[3].first.string()->view(), "a");
}

TEST_F(TableTest, RemovingAndOverwritingWhileWalking) {
  for (int64_t k = 1; k <= 40; ++k) t_->set(i(k), i(k));
  for (int64_t k = 1000; k < 1040; ++k) t_->set(i(k), i(k));
  Table::Cursor cursor;
  Value key;
  Value value;
  size_t seen = 0;
  while (t_->next(cursor, key, value)) {
    ++seen;
    t_->set(key, key.integer % 2 == 0 ? Value::nil() : i(-1));
  }
  EXPECT_EQ(seen, 80u);
  EXPECT_EQ(t_->size(), 40u);
}

TEST_F(TableTest, AddingWhileWalkingLosesNothingAndDoublesNothing) {
  for (int64_t k = 1; k <= 20; ++k) t_->set(i(k), i(0));
  for (int64_t k = 100; k < 120; ++k) t_->set(i(k), i(0));
  std::multiset<int64_t> seen;
  Table::Cursor cursor;
  Value key;
  Value value;
  int64_t fresh = 100000;
  while (t_->next(cursor, key, value)) {
    if (key.integer < 100000) seen.insert(key.integer);
    if (fresh < 101000) {
      for (int n = 0; n < 30; ++n) t_->set(i(fresh++ * 3), i(0));
      t_->set(i((fresh - 20) * 3), Value::nil());
    }
  }
  EXPECT_EQ(seen.size(), 40u);
  for (int64_t k : seen) EXPECT_EQ(seen.count(k), 1u);
}

TEST_F(TableTest, WhatWasRemovedBeforeAWalkAndComesOnTheWayIsNotMet) {
  for (int64_t k = 1; k <= 4; ++k) t_->set(i(k), i(0));
  for (int64_t k = 21; k <= 60; ++k) t_->set(i(k), i(0));
  t_->set(s("a"), i(0));
  t_->set(i(3), Value::nil());
  for (int64_t k = 30; k <= 50; ++k) t_->set(i(k), Value::nil());
  t_->set(s("a"), Value::nil());
  std::multiset<int64_t> seen;
  Value key;
  Value value;
  for (Table::Cursor cursor = t_->begin_walk(); t_->next(cursor, key, value);) {
    ASSERT_TRUE(key.is_integer());
    seen.insert(key.integer);
    t_->set(i(3), i(1));
    t_->set(i(30 + key.integer % 20), i(1));
    t_->set(s("a"), i(1));
    // What was there and comes again before its turn is met: it is the same entry.
    if (key.integer == 21) t_->set(i(60), Value::nil());
    if (key.integer == 22) t_->set(i(60), i(2));
  }
  t_->end_walk();
  EXPECT_EQ(seen.size(), 22U);
  for (int64_t k : seen) EXPECT_TRUE(seen.count(k) == 1 && k != 3 && (k < 30 || k > 50)) << k;
  EXPECT_EQ(seen.count(60), 1U);
  EXPECT_EQ(at(i(3)), 1);
  EXPECT_EQ(at(s("a")), 1);
  EXPECT_EQ(t_->size(), 23U + 20U);
}

TEST_F(TableTest, ListThatMovesWhileWalkingIsSeenOnce) {
  for (int64_t k = 1; k <= 32; ++k) t_->set(i(k), i(0));
  std::multiset<int64_t> seen;
  Table::Cursor cursor;
  Value key;
  Value value;
  int64_t next = 33;
  while (t_->next(cursor, key, value)) {
    seen.insert(key.integer);
    if (key.integer == 20) {
      for (int64_t k = 1; k <= 19; ++k) t_->set(i(k), Value::nil());
      for (; next <= 40; ++next) t_->set(i(next), i(0));
    }
    ASSERT_LE(seen.size(), 40u);
  }
  for (int64_t k = 1; k <= 32; ++k) EXPECT_EQ(seen.count(k), 1u) << k;
}

TEST_F(TableTest, FindValue) {
  t_->set(i(1), i(10));
  t_->set(s("a"), i(20));
  *t_->find_value(i(1)) = i(11);
  *t_->find_value(s("a")) = i(21);
  EXPECT_EQ(at(i(1)), 11);
  EXPECT_EQ(at(s("a")), 21);
  EXPECT_EQ(t_->find_value(s("b")), nullptr);
  EXPECT_EQ(t_->find_value(Value::nil()), nullptr);
  t_->set(s("a"), Value::nil());
  EXPECT_EQ(t_->find_value(s("a")), nullptr);
}

TEST_F(TableTest, RandomAgainstMap) {
  std::mt19937 random(20121230);
  std::map<std::string, int64_t> model;
  auto key_of = [this](uint32_t n) {
    switch (n % 4) {
      case 0:
        return i(n / 4 % 40);
      case 1:
        return s("key" + std::to_string(n / 4 % 60));
      case 2:
        return tuple({i(n / 4 % 10), s(n % 8 < 4 ? "a" : "b")});
      default:
        return i(n);
    }
  };
  for (int round = 0; round < 200000; ++round) {
    uint32_t n = random() % 400;
    Value key = key_of(n);
    std::string name = std::to_string(n % 4 == 0 ? 0 : n % 4) + "/" +
                       (n % 4 == 0   ? std::to_string(n / 4 % 40)
                        : n % 4 == 1 ? std::to_string(n / 4 % 60)
                        : n % 4 == 2 ? std::to_string(n / 4 % 10) + (n % 8 < 4 ? "a" : "b")
                                     : std::to_string(n));
    if (n % 4 == 3 && n < 40) name = "0/" + std::to_string(n);
    switch (random() % 3) {
      case 0:
        t_->set(key, i(round));
        model[name] = round;
        break;
      case 1:
        t_->set(key, Value::nil());
        model.erase(name);
        break;
      default: {
        auto it = model.find(name);
        ASSERT_EQ(at(key), it == model.end() ? -1 : it->second) << name;
      }
    }
    ASSERT_EQ(t_->size(), model.size());
    if (round % 20000 == 0) {
      ASSERT_EQ(t_->entries().size(), model.size());
    }
  }
}

}  // namespace
}  // namespace ktap::runtime
