// Unit test of runtime/heap.h: what is reachable stays, what is not goes, cycles and depth
// included.
#include "runtime/heap.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/closure.h"
#include "runtime/iterator.h"
#include "runtime/string.h"
#include "runtime/table.h"

namespace ktap::runtime {
namespace {

class HeapTest : public ::testing::Test {
 protected:
  HeapTest() {
    heap_.set_roots([this](Heap& heap) {
      for (Value root : roots_) heap.mark(root);
    });
  }
  static Value value(Table* table) { return Value::of_object(Type::Table, table); }
  Heap heap_;
  std::vector<Value> roots_;
};

TEST_F(HeapTest, UnreachableGoes) {
  roots_.push_back(heap_.string("kept"));
  heap_.string("gone");
  heap_.string(std::string(100, 'x'));
  heap_.table();
  EXPECT_EQ(heap_.object_count(), 4u);
  heap_.collect();
  EXPECT_EQ(heap_.object_count(), 1u);
  EXPECT_EQ(roots_[0].string()->view(), "kept");
  EXPECT_EQ(heap_.string("kept").object, roots_[0].object);
  EXPECT_EQ(heap_.string("gone").string()->view(), "gone");
}

TEST_F(HeapTest, ReachedThroughEveryKindOfObject) {
  Table* table = heap_.table();
  roots_.push_back(value(table));
  Value parts[] = {heap_.string("part one"), heap_.string("part two")};
  table->set(heap_.tuple(parts, 2), heap_.string("behind a tuple"));
  Closure* closure = heap_.closure(1);
  Cell* cell = heap_.cell();
  *cell->slot = heap_.string("captured");
  closure->upvalues.push_back(cell);
  table->set(Value::of(int64_t{1}), Value::of_object(Type::Function, closure));
  Table* walked = heap_.table();
  walked->set(heap_.string("walked"), Value::of(true));
  Iterator* iterator = heap_.sorted_iterator(walked, {heap_.string("sorted")});
  table->set(Value::of(int64_t{2}), Value::of_object(Type::Iterator, iterator));
  size_t all = heap_.object_count();
  heap_.collect();
  heap_.collect();
  EXPECT_EQ(heap_.object_count(), all);
  EXPECT_EQ(cell->closed.string()->view(), "captured");
  EXPECT_EQ(table->get(heap_.tuple(parts, 2)).string()->view(), "behind a tuple");
}

TEST_F(HeapTest, KeysOfRemovedEntriesStayComparable) {
  Table* table = heap_.table();
  roots_.push_back(value(table));
  std::string text(100, 'k');
  table->set(heap_.string(text), Value::of(true));
  table->set(heap_.string(text), Value::nil());
  heap_.collect();
  EXPECT_TRUE(table->get(heap_.string(text)).is_nil());
  table->set(heap_.string(text), Value::of(int64_t{1}));
  EXPECT_EQ(table->size(), 1u);
}

TEST_F(HeapTest, CyclesGo) {
  Table* a = heap_.table();
  Table* b = heap_.table();
  a->set(Value::of(int64_t{1}), value(b));
  b->set(Value::of(int64_t{1}), value(a));
  heap_.collect();
  EXPECT_EQ(heap_.object_count(), 0u);
  EXPECT_EQ(heap_.live_bytes(), 0u);
}

TEST_F(HeapTest, DepthCostsNoStack) {
  Table* outer = heap_.table();
  roots_.push_back(value(outer));
  for (int n = 0; n < 300000; ++n) {
    Table* inner = heap_.table();
    outer->set(Value::of(int64_t{1}), value(inner));
    outer = inner;
  }
  heap_.collect();
  EXPECT_EQ(heap_.object_count(), 300001u);
  roots_.clear();
  heap_.collect();
  EXPECT_EQ(heap_.object_count(), 0u);
  EXPECT_EQ(heap_.live_bytes(), 0u);
}

#ifndef KTAP_HOSTILE
TEST_F(HeapTest, AsksForACollectionByBytes) {
  EXPECT_FALSE(heap_.wants_collection());
  Table* table = heap_.table();
  roots_.push_back(value(table));
  for (int64_t n = 1; n < 200000; ++n) table->set(Value::of(n), Value::of(n));
  EXPECT_TRUE(heap_.wants_collection());
  heap_.collect();
  EXPECT_FALSE(heap_.wants_collection());
  EXPECT_GT(heap_.live_bytes(), 200000u * sizeof(Value));
}
#endif

// ---- cycles in slices

/// Makes garbage that pays for many slices and calls `between` after each.
template <class Between>
void run_slices(Heap& heap, int count, Between between) {
  for (int slice = 0; slice < count; ++slice) {
    heap.string(std::string(20000, 'g'));
    if (heap.wants_collection()) heap.step();
    between(slice);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

std::string long_text(int64_t n) { return "text " + std::to_string(n) + std::string(60, '.'); }

TEST_F(HeapTest, WhatMovesWhileMarkingStays) {
  // Strings wander through tables, each emptied behind them: what the collector has looked at
  // already must not hide them.
  std::vector<Table*> tables;
  for (int n = 0; n < 200; ++n) {
    tables.push_back(heap_.table());
    roots_.push_back(value(tables.back()));
    for (int64_t i = 1; i <= 100; ++i) {
      tables.back()->set(Value::of(i * 1000), heap_.string(std::string(90, 'f')));
    }
  }
  for (int64_t i = 1; i <= 10; ++i) tables[0]->set(Value::of(i), heap_.string(long_text(i)));
  run_slices(heap_, 3000, [&](int slice) {
    Table* from = tables[static_cast<size_t>(slice) * 7 % tables.size()];
    Table* to = tables[static_cast<size_t>(slice + 1) * 7 % tables.size()];
    for (int64_t i = 1; i <= 10; ++i) {
      Value string = from->get(Value::of(i));
      ASSERT_EQ(string.string()->view(), long_text(i)) << slice;
      to->set(Value::of(i), string);
      from->set(Value::of(i), Value::nil());
    }
  });
}

TEST_F(HeapTest, ATableThatIsRebuiltWhileMarkedHidesNothing) {
  Table* table = heap_.table();
  roots_.push_back(value(table));
#ifdef KTAP_HOSTILE
  constexpr int64_t kEntries = 500;
#else
  constexpr int64_t kEntries = 30000;
#endif
  int64_t first = 1000000;
  int64_t end = first;
  for (; end < first + kEntries; ++end) table->set(Value::of(end), heap_.string(long_text(end)));
  run_slices(heap_, 2000, [&](int slice) {
    for (int n = 0; n < 20; ++n) {  // a queue: dead entries at its front, compactions now and then
      ASSERT_EQ(table->get(Value::of(first)).string()->view(), long_text(first)) << slice;
      table->set(Value::of(first++), Value::nil());
      table->set(Value::of(end), heap_.string(long_text(end)));
      ++end;
    }
  });
  EXPECT_EQ(table->size(), static_cast<size_t>(kEntries));
  Value key;
  Value item;
  for (Table::Cursor cursor; table->next(cursor, key, item);) {
    ASSERT_EQ(item.string()->view(), long_text(key.integer));
  }
}

TEST_F(HeapTest, AShortStringFoundAgainBeforeItIsSweptLivesOn) {
  Value kept;
  run_slices(heap_, 500, [&](int slice) {
    // Unreachable in every second slice, and looked for in the others.
    if (slice % 2 == 0) {
      roots_.clear();
    } else {
      roots_.push_back(heap_.string("on and off"));
      ASSERT_EQ(roots_[0].string()->view(), "on and off");
    }
  });
}

#ifndef KTAP_HOSTILE
TEST_F(HeapTest, ASliceIsShort) {
  for (int n = 0; n < 200000; ++n) heap_.table();
  ASSERT_TRUE(heap_.wants_collection());
  size_t before = heap_.object_count();
  heap_.step();
  EXPECT_GT(heap_.object_count(), before - 10000);
  run_slices(heap_, 3000, [](int) {});
  EXPECT_LT(heap_.object_count(), 1000u);
}
#endif

TEST_F(HeapTest, TheLimitIsNoticedWhenNothingCanBeFreed) {
  heap_.set_limit_bytes(3 << 20);
  roots_.push_back(value(heap_.table()));
  for (int n = 0; n < 100; ++n) {  // 100 MB of garbage in all
    heap_.string(std::string(1 << 20, 'g'));
    ASSERT_TRUE(!heap_.wants_collection() || heap_.step());
  }
  Table* table = roots_[0].table();
  for (int64_t n = 1; n <= 3; ++n)
    table->set(Value::of(n), heap_.string(std::string(1 << 20, 'x')));
  ASSERT_TRUE(heap_.wants_collection());
  EXPECT_FALSE(heap_.step());
  table->clear();
  EXPECT_TRUE(heap_.step());
  heap_.collect();
  EXPECT_LT(heap_.live_bytes(), size_t{1} << 20);
}

TEST_F(HeapTest, ManyInternedStrings) {
  for (int n = 0; n < 10000; ++n) {
    Value string = heap_.string("s" + std::to_string(n));
    if (n % 10 == 0) roots_.push_back(string);
  }
  heap_.collect();
  EXPECT_EQ(heap_.object_count(), 1000u);
  for (int n = 0; n < 10000; n += 10) {
    EXPECT_EQ(heap_.string("s" + std::to_string(n)).object,
              roots_[static_cast<size_t>(n / 10)].object);
  }
}

}  // namespace
}  // namespace ktap::runtime
