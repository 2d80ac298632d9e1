// Unit test of output/columns.h: which columns a table has, their order, print_table's options.
#include "output/columns.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/aggregate.h"
#include "runtime/heap.h"
#include "runtime/stack.h"

namespace ktap::output {
namespace {

using runtime::Heap;
using runtime::Table;
using runtime::Value;

void keep(Table&) {}

class ColumnsTest : public ::testing::Test {
 protected:
  static Value i(int64_t n) { return Value::of(n); }
  Value s(std::string_view text) { return heap_.string(text); }
  Value t(Table* table) { return Value::of_object(runtime::Type::Table, table); }
  Value key(std::vector<Value> parts) { return heap_.tuple(parts.data(), parts.size()); }
  void option(const char* name, Value value) { options_->set(heap_.string(name), value); }
  std::string printed() {
    TableOptions options;
    Columns columns;
    std::string out;
    std::string error;
    const bool done = read_table_options(*options_, &options, &error) &&
                      read_columns(*table_, keep, &columns, &error) &&
                      print_table(std::move(columns), options, out, &error);
    return done ? out : "error: " + error;
  }

  Heap heap_;
  runtime::ReaderNeeds needs_;
  Table* table_ = heap_.table();
  Table* options_ = heap_.table();
};

TEST_F(ColumnsTest, PartsOfKeysAreColumns) {
  table_->set(key({s("dd"), i(1)}), i(5));
  table_->set(key({s("cat"), i(100)}), i(1200));
  table_->set(key({s("awk"), i(3)}), i(5));
  EXPECT_EQ(printed(),
            "key1  key2  value\n"
            "cat    100   1200\n"
            "awk      3      5\n"
            "dd       1      5\n");
}

TEST_F(ColumnsTest, TextStandsToTheLeft) {
  table_->set(i(10), s("b"));
  table_->set(i(9), s("a"));
  EXPECT_EQ(printed(), "key  value\n  9  a\n 10  b\n");
}

TEST_F(ColumnsTest, Aggregates) {
  const Value cell = Value::of_object(runtime::Type::Aggregate, heap_.aggregate());
  for (const int64_t sample : {1, 2, 9}) cell.aggregate()->add(sample, needs_);
  table_->set(s("a"), cell);
  table_->set(s("none"), Value::of_object(runtime::Type::Aggregate, heap_.aggregate()));
  EXPECT_EQ(printed(),
            "key   count  min  avg  max\n"
            "a         3    1    4    9\n"
            "none      0\n");
}

TEST_F(ColumnsTest, TablesInIt) {
  Table* a = heap_.table();
  a->set(s("calls"), i(3));
  a->set(s("name"), s("x"));
  Table* b = heap_.table();
  b->set(s("calls"), i(40));
  table_->set(s("a"), t(a));
  table_->set(s("b"), t(b));
  EXPECT_EQ(printed(),
            "key  calls  name\n"
            "b       40\n"
            "a        3  x\n");
}

TEST_F(ColumnsTest, AllOptions) {
  for (const auto& [name, n] : {std::pair{"a", 1536}, {"b", 12}, {"c", 5000000}})
    table_->set(s(name), i(n));
  Table* heads = heap_.table();
  heads->set(i(1), s("file"));
  heads->set(i(2), s("size"));
  Table* units = heap_.table();
  units->set(s("size"), s("bytes"));
  option("heads", t(heads));
  option("units", t(units));
  EXPECT_EQ(printed(), "file      size\nc     4.77 MiB\na     1.50 KiB\nb         12 B\n");
  option("top", i(1));
  EXPECT_EQ(printed(), "file      size\nc     4.77 MiB\n...\n");
  option("order", s("ascending"));
  EXPECT_EQ(printed(), "file  size\nb     12 B\n...\n");
  option("sort", i(1));
  option("top", i(3));
  EXPECT_EQ(printed(), "file      size\na     1.50 KiB\nb         12 B\nc     4.77 MiB\n");
}

TEST_F(ColumnsTest, MistakesInOptions) {
  table_->set(s("a"), i(1));
  option("srot", i(1));
  EXPECT_EQ(printed(),
            "error: print_table has no option 'srot' (there are: heads, order, sort, top, units)");
  options_->clear();
  option("sort", s("size"));
  EXPECT_EQ(printed(), "error: print_table has no column 'size' (there are: key, value)");
  option("sort", i(3));
  EXPECT_EQ(printed(), "error: print_table has no column '3' (there are: key, value)");
  options_->clear();
  option("top", i(-1));
  EXPECT_EQ(printed(), "error: print_table's option 'top' is to be a number of rows, got -1");
  options_->clear();
  Table* units = heap_.table();
  units->set(s("value"), s("miles"));
  option("units", t(units));
  EXPECT_EQ(printed(),
            "error: print_table knows no unit 'miles' (there are: bytes, count, ms, ns, s, us)");
  options_->clear();
  option("heads", s("a"));
  EXPECT_EQ(printed(),
            "error: print_table's option 'heads' is to be a list of strings, got a string");
  options_->clear();
  option("order", s("up"));
  EXPECT_EQ(printed(),
            "error: print_table's option 'order' is to be \"ascending\" or \"descending\"");
}

TEST_F(ColumnsTest, ValuesOfOneKind) {
  table_->set(s("a"), i(1));
  table_->set(s("b"), t(heap_.table()));
  EXPECT_EQ(printed(),
            "error: print_table takes values of one kind: that of 'a' is an integer, that of 'b' "
            "is a table");
  table_->set(s("b"), Value::event());
  EXPECT_EQ(printed().substr(0, 34), "error: print_table has no column f");
}

TEST_F(ColumnsTest, LongAndOddText) {
  table_->set(s(std::string(60, 'x')), i(1));
  table_->set(s("a\nb"), i(2));
  table_->set(s("é"), i(3));
  EXPECT_EQ(printed(), "key" + std::string(47, ' ') + "value\né" + std::string(53, ' ') +
                           "3\na\\nb" + std::string(50, ' ') + "2\n" + std::string(45, 'x') +
                           "...      1\n");
}

TEST_F(ColumnsTest, StacksAreOneLine) {
  const uint64_t words[] = {0, 0x10, 0x20};
  table_->set(heap_.stack(words, 3), i(1));
  EXPECT_EQ(printed(), "key          value\n0x10 < 0x20      1\n");
}

/// Their addresses are those of functions of 16 bytes each, from 'a' on; from 0x1000 on there is
/// none, and 0x2000 is inlined.
class FakeNames : public runtime::StackNames {
 public:
  std::vector<std::string> lines_of(const runtime::Stack&) override { return {}; }
  std::vector<runtime::StackFrame> frames_of(const runtime::Stack& stack) override {
    std::vector<runtime::StackFrame> frames;
    for (size_t i = 0; i < stack.frame_count(); ++i) {
      const uint64_t at = stack.frame(i);
      const std::string offset = std::to_string(at % 16);
      runtime::StackFrame frame;
      frame.module = stack.is_user() ? "app" : "";
      frame.function =
          at >= 0x1000 ? "0x" + std::to_string(at) : std::string(1, char('a' + at / 16));
      frame.text = frame.function + (at >= 0x1000 ? "" : "+0x" + offset) +
                   (stack.is_user() ? " (app) at a.c:1" : "/0x10");
      if (at == 0x2000) {
        frame.function = "f";
        frame.text = "f [inlined] (app) at a.c:1";
        frame.is_inlined = true;
      }
      frames.push_back(frame);
    }
    return frames;
  }
  runtime::StackFrame kernel_place(uint64_t) override { return {}; }
};

class StackColumnsTest : public ColumnsTest {
 protected:
  StackColumnsTest() { heap_.set_stack_names(&names_); }
  Value stack(uint64_t owner, std::vector<uint64_t> frames) {
    frames.insert(frames.begin(), owner);
    return heap_.stack(frames.data(), frames.size());
  }
  static constexpr uint64_t kUser = runtime::Stack::kUserBit;
  FakeNames names_;
};

TEST_F(StackColumnsTest, FramesHaveOneForm) {
  table_->set(stack(0, {1, 17}), i(4));
  table_->set(stack(kUser | 7, {0x2000, 3, 0x1000}), i(3));
  table_->set(stack(kUser | 7, {}), i(2));
  EXPECT_EQ(printed(),
            "key                               value\n"
            "a+0x1 < b+0x1                         4\n"
            "f [inlined] < a+0x3 < app+0x4096      3\n"
            "[no frames]                           2\n");
}

TEST_F(StackColumnsTest, RowsDifferWhereTheirKeysDo) {
  const std::vector<uint64_t> many = {1, 17, 33, 49, 65, 81, 97, 113};
  std::vector<uint64_t> other = many;
  other.back() = 114;
  table_->set(stack(0, many), i(5));
  table_->set(stack(0, other), i(4));
  table_->set(stack(0, {2, 17, 33, 49, 65, 81, 97, 113}), i(3));
  table_->set(stack(kUser | 7, {1}), i(2));
  table_->set(stack(kUser | 8, {1}), i(1));
  const std::string all = "a+0x1 < b+0x1 < c+0x1 < d+0x1 < e+0x1 < f+0x1 < g+0x1 < h+0x";
  EXPECT_EQ(printed(), "key" + std::string(60, ' ') + "value\n" + all + "1      5\n" + all +
                           "2      4\n" + "a+0x2 < b+0x1 < c+0x1 < d+0x1 < e+0x1 < f+0x1..." +
                           std::string(13, ' ') + "      3\n" + "a+0x1 (pid 7)" +
                           std::string(48, ' ') + "      2\n" + "a+0x1 (pid 8)" +
                           std::string(48, ' ') + "      1\n");
}

TEST_F(ColumnsTest, HeadingsOfAnEmptyTable) {
  EXPECT_EQ(printed(), "key  value\n");
  Table* one = heap_.table();
  one->set(i(1), s("call"));
  option("heads", t(one));
  EXPECT_EQ(printed(), "call  value\n");
  Table* heads = heap_.table();
  for (const char* head : {"call", "fd", "took"}) heads->set(i(heads->list_length() + 1), s(head));
  option("heads", t(heads));
  EXPECT_EQ(printed(), "call  fd  took\n");
}

}  // namespace
}  // namespace ktap::output
