// Unit test of table.insert, remove, concat and sort: lists with holes, edges of positions, compare
// functions that lie, and tables of the kernel.
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/string.h"
#include "runtime/table.h"
#include "vm/fake_library.h"

namespace ktap::vm {
namespace {

using bytecode::Builtin;
using runtime::Table;
using runtime::Value;
using testing::f;
using testing::i;

/// Fills the table at the first read, as a snapshot does, and notes what is written back.
class FakeBacking : public runtime::TableBacking {
 public:
  void before_read(Table& table) override {
    if (std::exchange(read_, true)) return;
    for (int64_t n = 1; n <= 3; ++n) table.set(i(n), i(10 - n));
  }
  void on_clear(Table&) override {}
  Result<void> on_set(Table&, Value key, Value value) override {
    writes += std::to_string(key.integer) + "=" + runtime::to_text(value) + " ";
    return {};
  }
  std::string writes;

 private:
  bool read_ = false;
};

class TableLibTest : public ::testing::Test, protected testing::FakeLibrary {
 protected:
  /// Alive as long as the VM's globals are.
  Value list(const std::vector<Value>& items) {
    Value t = table();
    run_.vm->globals()[1] = t;
    for (size_t n = 0; n < items.size(); ++n) {
      t.table()->set(i(static_cast<int64_t>(n) + 1), items[n]);
    }
    return t;
  }
  std::string after(Builtin builtin, const std::vector<Value>& args) {
    std::string result = call(builtin, args);
    return result + " | " + runtime::to_text(args[0]);
  }
};

TEST_F(TableLibTest, Insert) {
  Value t = list({i(1), i(2)});
  EXPECT_EQ(after(Builtin::TableInsert, {t, i(9)}), "nil | 1: 1\n2: 2\n3: 9");
  EXPECT_EQ(after(Builtin::TableInsert, {t, i(1), i(8)}), "nil | 1: 8\n2: 1\n3: 2\n4: 9");
  EXPECT_EQ(after(Builtin::TableInsert, {t, i(5), s("z")}), "nil | 1: 8\n2: 1\n3: 2\n4: 9\n5: z");
  EXPECT_EQ(call(Builtin::TableInsert, {t, i(7), i(0)}),
            "error: argument 2 of 'table.insert' is to be 1 to 6, got 7");
  EXPECT_EQ(call(Builtin::TableInsert, {t, i(0), i(0)}),
            "error: argument 2 of 'table.insert' is to be 1 to 6, got 0");
  EXPECT_EQ(call(Builtin::TableInsert, {table(), i(INT64_MIN), i(0)}),
            "error: argument 2 of 'table.insert' is to be 1, got -9223372036854775808");
  EXPECT_EQ(call(Builtin::TableInsert, {s("x"), i(0)}),
            "error: argument 1 of 'table.insert' is to be a table, got a string");
}

TEST_F(TableLibTest, InsertGoesToTheFirstHole) {
  Value t = list({i(1), Value::nil(), i(3)});
  EXPECT_EQ(after(Builtin::TableInsert, {t, i(2)}), "nil | 1: 1\n2: 2\n3: 3");
  EXPECT_EQ(after(Builtin::TableInsert, {t, i(4)}), "nil | 1: 1\n2: 2\n3: 3\n4: 4");
}

TEST_F(TableLibTest, Remove) {
  Value t = list({i(1), i(2), i(3)});
  EXPECT_EQ(after(Builtin::TableRemove, {t}), "3 | 1: 1\n2: 2");
  EXPECT_EQ(after(Builtin::TableRemove, {t, i(1)}), "1 | 1: 2");
  EXPECT_EQ(after(Builtin::TableRemove, {t, i(2)}), "nil | 1: 2");
  EXPECT_EQ(
      call(Builtin::TableRemove, {t, i(3)}),
      "error: argument 2 of 'table.remove' is to be 1 to 2 (behind the last item there is nil), "
      "got 3");
  EXPECT_EQ(after(Builtin::TableRemove, {t}), "2 | {}");
  EXPECT_EQ(after(Builtin::TableRemove, {t}), "nil | {}");
}

TEST_F(TableLibTest, Concat) {
  Value t = list({s("a"), i(1), f(2)});
  EXPECT_EQ(call(Builtin::TableConcat, {t}), "a12.0");
  EXPECT_EQ(call(Builtin::TableConcat, {t, s(", ")}), "a, 1, 2.0");
  EXPECT_EQ(call(Builtin::TableConcat, {t, s("-"), i(2), i(2)}), "1");
  EXPECT_EQ(call(Builtin::TableConcat, {t, s("-"), i(3), i(2)}), "");
  EXPECT_EQ(call(Builtin::TableConcat, {table(), s("-")}), "");
  EXPECT_EQ(call(Builtin::TableConcat, {t, s("-"), i(2), i(4)}),
            "error: 'table.concat' joins strings and numbers, item 4 is nil");
  t.table()->set(i(INT64_MAX), s("end"));
  EXPECT_EQ(call(Builtin::TableConcat, {t, s("-"), i(INT64_MAX), i(INT64_MAX)}), "end");
}

TEST_F(TableLibTest, SortWithoutACompareFunction) {
  EXPECT_EQ(after(Builtin::TableSort, {list({i(3), f(1.5), i(-2)})}), "nil | 1: -2\n2: 1.5\n3: 3");
  EXPECT_EQ(after(Builtin::TableSort, {list({s("b"), s("B"), s("")})}), "nil | 1: \n2: B\n3: b");
  EXPECT_EQ(after(Builtin::TableSort, {list({})}), "nil | {}");
  EXPECT_EQ(call(Builtin::TableSort, {list({i(1), s("a")})}),
            "error: table.sort cannot order a string and an integer");
  EXPECT_EQ(call(Builtin::TableSort, {list({i(1)}), i(1)}),
            "error: argument 2 of 'table.sort' is to be a function, got an integer");
}

TEST_F(TableLibTest, SortWithABuiltIn) {
  // math.min gives a number, which is true: each is put before the one in front of it.
  Value compare = Value::of_builtin(static_cast<uint16_t>(Builtin::MathMin));
  EXPECT_EQ(after(Builtin::TableSort, {list({i(1), i(2), i(3)}), compare}),
            "nil | 1: 3\n2: 2\n3: 1");
}

TEST_F(TableLibTest, TablesOfTheKernelAreReadAndWritten) {
  FakeBacking backing;
  Value t = list({});
  t.table()->backing = &backing;
  EXPECT_EQ(call(Builtin::TableSort, {t}), "nil");
  EXPECT_EQ(backing.writes, "1=7 2=8 3=9 ");
  backing.writes.clear();
  EXPECT_EQ(call(Builtin::TableRemove, {t, i(2)}), "8");
  EXPECT_EQ(backing.writes, "2=9 3=nil ");
  t.table()->backing = nullptr;
}

}  // namespace
}  // namespace ktap::vm
