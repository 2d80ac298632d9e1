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

/// key 1 gets variable 0, as `words` say.
void merge_variable(Subject& s, std::vector<ssa::MergeOp> words) {
  s.module.cells = {"c"};
  s.cells = {0};
  const uint32_t table = s.add_table({{Kind::Int, 8}}, false, 4);
  Builder& b = s.builder;
  b.at(b.block());
  std::vector<ValueId> operands{b.integer(1)};
  operands.push_back(words.back() == ssa::MergeOp::Add ? b.op(Op::CellGet, {}, 0) : b.integer(1));
  operands.resize(1 + words.size(), b.op(Op::CellGet, {}, 0));
  s.module.tables[table].words = std::move(words);
  b.op(Op::TableMerge, operands, table);
  b.ret();
}

/// Two programs of the same function.
EmitResult emit_twice(const Subject& s) {
  const Job job{&s.builder.function, &s.group, 3, 1};
  return emit({job, job}, s.module, s.facts, s.options);
}

TEST(Merge, ProgramsKeepTheirOwnExtremes) {
  Subject subject;
  merge_variable(subject, {ssa::MergeOp::Add, ssa::MergeOp::Max, ssa::MergeOp::Min});
  auto result = emit_twice(subject);
  ASSERT_TRUE(result.failures.empty());
  const Table& table = result.unit.tables[0];
  EXPECT_TRUE(table.by_program);
  EXPECT_FALSE(table.has_rivals);
  EXPECT_EQ(table.key_size_bytes, 16u);
  FakeKernel fake(result.unit, subject.cells);
  for (int64_t value : {5, 3, -1, 7}) {
    fake.set_control(Control::kCells, value);
    ASSERT_EQ(fake.run(context_of({0, 0}), value == 3 ? 0 : 1), "");
  }
  EXPECT_EQ(fake.machine.keys(table.maps[0]).size(), 2u);
  const std::map<Bytes, int64_t> want{
      {with_word(word(1), 0), 4}, {with_word(word(1), 1), 7}, {with_word(word(1), 2), -1}};
  EXPECT_EQ(fake.outcome(1).tables[0], want);
}

TEST(Merge, ProgramsAddAtomicallyToOneEntry) {
  Subject subject;
  merge_variable(subject, {ssa::MergeOp::Add, ssa::MergeOp::Add});
  auto result = emit_twice(subject);
  ASSERT_TRUE(result.failures.empty());
  EXPECT_FALSE(result.unit.tables[0].by_program);
  EXPECT_TRUE(result.unit.tables[0].has_rivals);
  const auto atomics = std::count_if(
      result.unit.programs[0].code.begin(), result.unit.programs[0].code.end(),
      [](const bpf::Insn& i) { return i.code == (bpf::kClassStx | bpf::kModeAtomic | 0x18); });
  // In an entry that is there, and in one that another CPU just made; and the counter of losses.
  EXPECT_EQ(atomics, 2 + 2 + 1);
  FakeKernel fake(result.unit, {6});
  for (size_t program : {0, 1, 1}) ASSERT_EQ(fake.run(context_of({0, 0}), program), "");
  const std::map<Bytes, int64_t> want{{with_word(word(1), 0), 18}, {with_word(word(1), 1), 18}};
  EXPECT_EQ(fake.outcome(1).tables[0], want);
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
  EXPECT_EQ(out.tables[1].at(word(9)), 2);
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
  const auto entries = [&](size_t table) {
    return unit.maps[unit.tables[table].maps[0]].max_entries;
  };
  EXPECT_EQ(entries(0), 128u);
  EXPECT_EQ(entries(1), 1600u);
  EXPECT_EQ(entries(2), 50000u);
  EXPECT_EQ(entries(3), 500u);
}

}  // namespace
}  // namespace ktap::backend::testing_support
