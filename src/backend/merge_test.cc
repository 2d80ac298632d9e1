// Buckets and merged words on the test machine: what several programs leave in one table, and what
// a full table loses of a sample.
#include <gtest/gtest.h>

#include "backend/test_samples.h"
#include "backend/test_support.h"

namespace ktap::backend::testing_support {
namespace {

using Kind = ssa::KeyPart::Kind;

TEST(Buckets, AreThoseOfSsa) {
  Subject subject;
  buckets(subject);
  auto result = subject.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  FakeKernel fake(result.unit, subject.cells);
  for (int64_t sample : edge_samples(2000)) {
    fake.set_control(Control::kCells, sample);
    ASSERT_EQ(fake.run(context_of({0, 0})), "");
    ASSERT_EQ(fake.outcome(subject.cells.size()).cells, buckets_of(subject, sample));
  }
}

TEST(Merge, AFullTableLosesTheWholeSampleOnce) {
  Subject s;
  s.module.cells = {"c"};
  s.cells = {0};
  s.add_table({{Kind::Int, 8}, {Kind::Int, 8}}, false, 1);
  s.add_table({{Kind::Int, 8}}, false, 1);
  for (ssa::TableInfo& table : s.module.tables) table.sample_of = 1;
  Builder& b = s.builder;
  b.at(b.block());
  const ValueId sample = b.op(Op::CellGet, {}, 0);
  for (int64_t table : {0, 1}) {
    std::vector<ValueId> operands{b.integer(9)};
    if (table == 0) operands.push_back(sample);
    operands.push_back(b.integer(1));
    const ValueId update = b.op(Op::TableAdd, operands, table);
    b.function[update].span = {5, 9};
  }
  b.ret();
  auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  FakeKernel fake(result.unit, s.cells);
  for (int64_t value : {1, 2, 3, 1}) {
    fake.set_control(Control::kCells, value);
    ASSERT_EQ(fake.run(context_of({0, 0})), "");
  }
  const Outcome out = fake.outcome(1);
  EXPECT_EQ(out.tables[1].at(word(9)), std::vector<int64_t>{2});
  EXPECT_EQ(out.counters, (std::map<std::string, uint64_t>{{"table t0", 2}}));
}

TEST(Merge, HistogramsAreSizedByTheirBuckets) {
  Subject s;
  s.add_table({{Kind::Int, 8}}, false);  // a variable's
  s.add_table({{Kind::Int, 8}, {Kind::Int, 8}}, false, 100);
  s.add_table({{Kind::Int, 8}, {Kind::Int, 8}}, false, 50000);
  s.add_table({{Kind::Int, 8}, {Kind::Int, 8}}, false, 100);
  for (ssa::TableInfo& table : s.module.tables) table.bucket_count = 128;
  s.module.tables[3].bucket_count = 5;
  s.builder.at(s.builder.block());
  s.builder.ret();
  const Unit unit = s.emit_unit().unit;
  const auto entries = [&](size_t table) { return unit.tables[table].max_entries; };
  EXPECT_EQ(entries(0), 128u);
  EXPECT_EQ(entries(1), 1600u);
  EXPECT_EQ(entries(2), 50000u);
  EXPECT_EQ(entries(3), 500u);
}

}  // namespace
}  // namespace ktap::backend::testing_support
