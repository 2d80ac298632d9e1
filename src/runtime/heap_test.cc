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
  Closure* closure = heap_.closure();
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
