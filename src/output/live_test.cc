// Unit test of output/live.h: rates, sorting by keys, how the lines are shared out, the screen.
#include "output/live.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/aggregate.h"
#include "runtime/heap.h"
#include "runtime/stack.h"

namespace ktap::output {
namespace {

using runtime::Table;
using runtime::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

void keep(Table&) {}

class LiveTest : public ::testing::Test {
 protected:
  void set(const char* key, int64_t n) { table_->set(heap_.string(key), Value::of(n)); }
  LiveView::Input input(const char* name, const Table& table) {
    LiveView::Input made{name, {}};
    std::string error;
    EXPECT_TRUE(read_columns(table, keep, &made.columns, &error)) << error;
    return made;
  }
  void update(double now_s) { view_.update({input("calls", *table_)}, now_s); }
  /// The screen's lines without its escape sequences, and without blanks at their ends.
  std::vector<std::string> lines(LiveView::Size size) {
    std::vector<std::string> made(1);
    const std::string screen = view_.screen(size);
    for (size_t i = 0; i < screen.size(); ++i) {
      if (screen[i] == '\x1b') {
        while (i + 1 < screen.size() && std::isalpha(static_cast<unsigned char>(screen[i])) == 0)
          ++i;
      } else if (screen[i] == '\n') {
        made.emplace_back();
      } else if (screen[i] != '\r') {
        made.back() += screen[i];
      }
    }
    for (std::string& line : made) line.resize(line.find_last_not_of(' ') + 1);
    return made;
  }

  runtime::Heap heap_;
  runtime::ReaderNeeds needs_;
  Table* table_ = heap_.table();
  LiveView view_{"a.kp"};
};

TEST_F(LiveTest, RatesAreChangesInASecond) {
  set("read", 10);
  set("write", 30);
  update(0);
  EXPECT_EQ(view_.plain(),
            "--- 0 s\ncalls: 2 rows\n  key    value ▼  per second\n  write       30\n"
            "  read        10\n");  // of no time at all
  set("read", 50);
  set("open", 7);
  update(2);
  EXPECT_EQ(view_.plain(),
            "--- 2 s\ncalls: 3 rows\n  key    value ▼  per second\n  read        50          20\n"
            "  write       30           0\n  open         7        3.50\n");
}

TEST_F(LiveTest, WhatFellHasNoRate) {
  set("read", 1000);
  update(0);
  set("read", 30);
  update(1);
  EXPECT_THAT(view_.plain(), HasSubstr("  read       30\n"));
  set("read", 70);
  update(2);
  EXPECT_THAT(view_.plain(), HasSubstr("  read       70          40\n"));
}

TEST_F(LiveTest, TheFirstRatesAreOfWhatHasComeSinceTheBeginning) {
  set("fresh", 8);
  set("known", 46);
  LiveView::Input made = input("calls", *table_);
  made.at_first = {{LiveView::key_of("known"), {40}}, {LiveView::key_of("late"), {40}}};
  view_.update({made}, 2);
  EXPECT_THAT(view_.plain(), HasSubstr("  known       46           3\n"));
  EXPECT_THAT(view_.plain(), HasSubstr("  fresh        8           4\n"));
  set("late", 42);
  LiveView::Input later = input("calls", *table_);
  later.at_first = made.at_first;
  view_.update({later}, 3);
  EXPECT_THAT(view_.plain(), HasSubstr("  late        42           2\n"));
  EXPECT_THAT(view_.plain(), HasSubstr("  known       46           0\n"));
}

TEST_F(LiveTest, AggregatesAndTablesInTables) {
  const Value cell = Value::of_object(runtime::Type::Aggregate, heap_.aggregate());
  for (const int64_t sample : {1, 3}) cell.aggregate()->add(sample, needs_);
  table_->set(heap_.string("a"), cell);
  update(1);
  EXPECT_THAT(view_.plain(), HasSubstr("  key  count ▼  count/s  min  avg  max\n"));
  EXPECT_THAT(view_.plain(), HasSubstr("  a          2        2    1    2    3\n"));
}

class StackLiveTest : public LiveTest {
 protected:
  Value stack(uint64_t pid, std::vector<uint64_t> frames) {
    frames.insert(frames.begin(), runtime::Stack::kUserBit | pid);
    return heap_.stack(frames.data(), frames.size());
  }
};

TEST_F(StackLiveTest, StacksThatLookAlikeAreToldApart) {
  table_->set(stack(7, {0x10, 0x20}), Value::of(int64_t{3}));
  update(0);
  EXPECT_THAT(view_.plain(), HasSubstr("  0x10 < 0x20        3\n"));
  table_->set(stack(7, {0x10, 0x20}), Value::of(int64_t{5}));
  table_->set(stack(8, {0x10, 0x20}), Value::of(int64_t{4}));
  update(1);
  // That it is written differently makes no other row of it.
  EXPECT_THAT(view_.plain(), HasSubstr("  0x10 < 0x20 (pid 7)        5           2\n"
                                       "  0x10 < 0x20 (pid 8)        4           4\n"));
}

TEST_F(StackLiveTest, OnANarrowScreenWhatDiffersIsShown) {
  std::vector<uint64_t> many;
  for (uint64_t at = 0x1000; many.size() < 9; ++at) many.push_back(at);
  std::vector<uint64_t> other = many;
  other[7] = 0x2007;
  table_->set(stack(7, many), Value::of(int64_t{3}));
  table_->set(stack(7, other), Value::of(int64_t{2}));
  table_->set(stack(8, other), Value::of(int64_t{1}));
  update(0);
  const std::string whole = lines({24, 200})[3];
  EXPECT_THAT(whole, HasSubstr("0x1006 < 0x1007 < 0x1008"));
  const std::vector<std::string> shown = lines({24, 80});
  EXPECT_EQ(shown[3], "  0x1000 < 0x1001... < 0x1007 < 0x1008        3");
  EXPECT_EQ(shown[4], "  0x1000 < 0x1001... (pid 7)                  2");
  EXPECT_EQ(shown[5], "  0x1000 < 0x1001... (pid 8)                  1");
}

TEST_F(StackLiveTest, WideKeysLeaveRoomForTheNumbers) {
  const std::vector<uint64_t> many(9, 0x7f0000001000);
  for (int64_t pid = 7; pid < 9; ++pid) {
    std::vector<uint64_t> own = many;
    own[0] += static_cast<uint64_t>(pid);
    table_->set(stack(pid, own), Value::of(pid * 1111));
  }
  update(0);
  for (const size_t columns : {60, 40, 32}) {
    const std::string screen = view_.screen({10, columns});
    EXPECT_THAT(screen, HasSubstr("  8888")) << columns;
    EXPECT_THAT(screen, HasSubstr("...")) << columns;
  }
}

TEST_F(LiveTest, KeysSort) {
  set("b", 1);
  set("a", 2);
  update(0);
  EXPECT_TRUE(view_.key(LiveKey::Reverse));
  EXPECT_THAT(view_.plain(), HasSubstr("value ▲  per second\n  b"));
  view_.key(LiveKey::Left);
  EXPECT_THAT(view_.plain(), HasSubstr("key ▲  value  per second\n  a"));
  view_.key(LiveKey::Reverse);
  EXPECT_THAT(view_.plain(), HasSubstr("key ▼  value  per second\n  b"));
  view_.key(LiveKey::Left);
  EXPECT_THAT(view_.plain(), HasSubstr("per second ▼"));
  view_.key(LiveKey::Right);
  EXPECT_THAT(view_.plain(), HasSubstr("key ▲"));
  update(1);
  EXPECT_THAT(view_.plain(), HasSubstr("key ▲"));
  EXPECT_FALSE(view_.key(LiveKey::Quit));
}

TEST_F(LiveTest, HeldNumbersStay) {
  set("a", 1);
  update(1);
  view_.key(LiveKey::Hold);
  set("a", 2);
  update(2);
  EXPECT_THAT(view_.plain(), HasSubstr("--- 1 s\n"));
  EXPECT_THAT(view_.plain(true), HasSubstr("--- 1 s, the last look\n"));
  EXPECT_THAT(lines({10, 40})[0], HasSubstr("held at 1 s"));
  view_.key(LiveKey::Hold);
  update(3);
  EXPECT_THAT(view_.plain(), HasSubstr("--- 3 s\n"));
}

TEST_F(LiveTest, AScreenHasItsLines) {
  set("a", 1);
  update(0);
  EXPECT_THAT(lines({8, 30}), ElementsAre(" ktap top  a.kp           0 s", "  calls: 1 row",
                                          "  key  value ▼  per second", "  a          1", "", "",
                                          "", " q quit   Tab next table   < >"));
}

TEST_F(LiveTest, LinesAreSharedOut) {
  Table* large = heap_.table();
  for (int64_t i = 0; i < 100; ++i) large->set(Value::of(i), Value::of(i));
  Table* none = heap_.table();
  set("a", 1);
  view_.update({input("large", *large), input("calls", *table_), input("none", *none)}, 0);
  const std::vector<std::string> all = lines({20, 60});
  ASSERT_EQ(all.size(), 20u);
  EXPECT_EQ(all[1], "▸ large: 100 rows, 11 shown");
  EXPECT_THAT(all[3], HasSubstr("99"));
  EXPECT_EQ(all[15], "  calls: 1 row, 0 shown");
  EXPECT_EQ(all[17], "  none: empty");
  view_.key(LiveKey::NextTable);
  EXPECT_EQ(lines({20, 60})[13], "▸ calls: 1 row");
  view_.key(LiveKey::NextTable);
  view_.key(LiveKey::NextTable);
  EXPECT_EQ(lines({20, 60})[1], "▸ large: 100 rows, 11 shown");
  for (const size_t rows : {0, 1, 2, 3, 5})
    EXPECT_LE(lines({rows, 5}).size(), std::max<size_t>(rows, 2));
}

TEST_F(LiveTest, TheChosenTableHasRowsOnASmallScreen) {
  std::vector<LiveView::Input> inputs;
  for (const char* name : {"one", "two", "three", "four"}) {
    Table* table = heap_.table();
    for (int64_t i = 0; i < 30; ++i) table->set(Value::of(i), Value::of(i));
    inputs.push_back(input(name, *table));
  }
  view_.update(inputs, 0);
  view_.printed("1\n2\n3\n4\n5\n");
  const std::vector<std::string> all = lines({16, 80});
  ASSERT_EQ(all.size(), 16u);
  EXPECT_EQ(all[1], "▸ one: 30 rows, 3 shown");
  EXPECT_THAT(all[5], HasSubstr("27"));
  for (const size_t rows : {16, 12, 8, 6}) {
    for (size_t chosen = 0; chosen < inputs.size(); ++chosen) {
      const std::vector<std::string> small = lines({rows, 80});
      EXPECT_EQ(small.size(), rows);
      size_t found = 0;
      while (found < rows && small[found].rfind("▸ ", 0) != 0) ++found;
      ASSERT_LT(found + 2, rows);
      EXPECT_THAT(small[found], HasSubstr(inputs[chosen].name + ": 30 rows, "));
      EXPECT_THAT(small[found + 2], HasSubstr("29"));
      view_.key(LiveKey::NextTable);
    }
  }
}

TEST_F(LiveTest, TheChosenTableHasItsRowsFirst) {
  std::vector<LiveView::Input> inputs;
  for (const int64_t count : {2, 30, 4, 30, 1, 3}) {
    Table* table = heap_.table();
    for (int64_t i = 0; i < count; ++i) table->set(Value::of(i), Value::of(i));
    inputs.push_back(input(("t" + std::to_string(inputs.size())).c_str(), *table));
  }
  view_.update(inputs, 0);
  EXPECT_EQ(lines({24, 80})[1], "▸ t0: 2 rows");
  view_.key(LiveKey::NextTable);
  const std::vector<std::string> all = lines({24, 80});
  EXPECT_EQ(all[1], "  t0: 2 rows, 0 shown");
  EXPECT_EQ(all[3], "▸ t1: 30 rows, 9 shown");
  EXPECT_THAT(all[13], HasSubstr("21"));
  EXPECT_EQ(all[21], "  t5: 3 rows, 0 shown");
  view_.key(LiveKey::NextTable);
  EXPECT_THAT(lines({24, 80}), ::testing::Contains("▸ t2: 4 rows"));
  EXPECT_THAT(lines({24, 80}), ::testing::Contains("  t4: 1 row"));  // of what is left
  EXPECT_THAT(lines({24, 80}), ::testing::Contains("  t0: 2 rows, 1 shown"));
}

TEST_F(LiveTest, WhatARowDoesNotHaveHasNoRate) {
  Table* both = heap_.table();
  for (const char* name : {"x", "y"}) both->set(heap_.string(name), Value::of(int64_t{2}));
  Table* one = heap_.table();
  one->set(heap_.string("x"), Value::of(int64_t{3}));
  table_->set(heap_.string("a"), Value::of_object(runtime::Type::Table, both));
  table_->set(heap_.string("b"), Value::of_object(runtime::Type::Table, one));
  update(1);
  EXPECT_THAT(view_.plain(), HasSubstr("  b      3    3\n"));
  EXPECT_THAT(view_.plain(), HasSubstr("  a      2    2  2    2\n"));
}

TEST_F(LiveTest, TabsThatAreShown) {
  set("a", 1);
  update(0);
  view_.printed("a\tb\n\tälter\tc\n12345678\td\n");
  const std::vector<std::string> all = lines({14, 40});
  EXPECT_EQ(all[5], "a       b");
  EXPECT_EQ(all[6], "        älter   c");
  EXPECT_EQ(all[7], "12345678        d");
}

TEST_F(LiveTest, LastPrintedLines) {
  set("a", 1);
  update(0);
  for (int i = 1; i <= 8; ++i) view_.printed("line " + std::to_string(i) + (i < 8 ? "\n" : ""));
  view_.printed("\x1b[31m\n");
  const std::vector<std::string> all = lines({14, 40});
  EXPECT_EQ(all[5], "line 4");
  EXPECT_EQ(all[9], "line 8\\x1b[31m");
}

TEST(LiveKeys, WhatIsTyped) {
  using K = LiveKey;
  EXPECT_THAT(live_keys("q\t<>rR "), ElementsAre(K::Quit, K::NextTable, K::Left, K::Right,
                                                 K::Reverse, K::Reverse, K::Hold));
  EXPECT_THAT(live_keys("\x1b[D\x1bOC"), ElementsAre(K::Left, K::Right));
  EXPECT_TRUE(live_keys("\x1b[A\x1b[5~\x1b[1;5Rx\x1bOq\x1b").empty());
  EXPECT_THAT(live_keys("\x1b[3~q"), ElementsAre(K::Quit));
}

}  // namespace
}  // namespace ktap::output
