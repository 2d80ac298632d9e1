// Which layout a table gets: one function a case, with the facts and options that decide.
#include "backend/table_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/table_size.h"
#include "backend/test_subjects.h"
#include "base/limits.h"

namespace ktap::backend::testing_support {
namespace {

using Kind = ssa::KeyPart::Kind;

ssa::KeyPart part(Kind kind = Kind::Int, uint32_t max_bytes = 8) { return {kind, max_bytes}; }

/// The layout of table 0.
TableLayout layout(Subject& s) {
  auto result = s.emit_unit();
  EXPECT_TRUE(result.failures.empty()) << result.failures[0].text;
  return result.unit.tables[0].layout;
}

/// A function that adds `addend` under `key`, or with `op` something else.
struct OneTable : Subject {
  explicit OneTable(Kind kind = Kind::Int, bool is_master = false, uint32_t entries = 64) {
    add_table({part(kind, 16)}, is_master, entries);
    builder.at(builder.block());
  }
  ValueId mask(int64_t bits) {
    return builder.op(Op::And, {field(builder, 2), builder.integer(bits)});
  }
  OneTable& add(ValueId key, int64_t addend = 1) {
    builder.op(Op::TableAdd, {key, builder.integer(addend)}, 0);
    return *this;
  }
  OneTable& end() {
    builder.ret();
    return *this;
  }
};

TEST(TableLayout, FewKeysAreDirect) {
  OneTable s;
  EXPECT_EQ(layout(s.add(s.mask(1023)).end()), TableLayout::Direct);
  OneTable wide;
  EXPECT_EQ(layout(wide.add(wide.mask(kMaxDirectEntries - 1)).end()), TableLayout::Direct);
  OneTable too_wide;
  EXPECT_EQ(layout(too_wide.add(too_wide.mask(2 * kMaxDirectEntries - 1)).end()),
            TableLayout::PerCpu);
}

TEST(TableLayout, UnionOfAllKeysCounts) {
  OneTable s;
  s.add(s.mask(7)).add(s.builder.integer(100)).end();
  auto result = s.emit_unit();
  EXPECT_EQ(result.unit.tables[0].layout, TableLayout::Direct);
  EXPECT_EQ(result.unit.tables[0].ranges, (std::vector<ssa::Range>{{0, 100}}));
}

TEST(TableLayout, SumsThatMayBeZeroHaveAPresenceWord) {
  for (int64_t addend : {1, 0, -1}) {
    OneTable s;
    s.add(s.mask(7), addend).end();
    EXPECT_EQ(s.emit_unit().unit.tables[0].has_presence, addend != 1);
  }
}

TEST(TableLayout, ReadBackIsShared) {
  OneTable s(Kind::Int, true);
  ValueId key = field(s.builder, 2);
  s.add(key).builder.op(Op::TableSet, {key, s.builder.integer(2)}, 0);
  s.end();
  EXPECT_EQ(layout(s), TableLayout::Shared);
  s.facts.has_fetch_atomics = false;
  EXPECT_EQ(layout(s), TableLayout::Hash);
  s.facts.has_fetch_atomics = true;
  s.module.tables[0].is_removed_outside = true;
  EXPECT_EQ(layout(s), TableLayout::Hash);
}

TEST(TableLayout, WhatTimersStoreIsAddedTo) {
  OneTable s(Kind::Int, true);
  const ValueId key = field(s.builder, 2);
  s.add(key).builder.op(Op::TableGet, {key}, 0, Type::MaybeInt);
  s.end();
  s.module.tables[0].is_stored_outside = true;
  const Table table = s.emit_unit().unit.tables[0];
  EXPECT_EQ(table.layout, TableLayout::Hash);
  EXPECT_TRUE(table.is_taken);
  EXPECT_THAT(table.reason, ::testing::HasSubstr("a timer stores entries meanwhile"));
}

TEST(TableLayout, WhatTimersStoreBesideSumsStaysPerCpu) {
  OneTable s(Kind::Int, true);
  s.add(field(s.builder, 2)).end();
  s.module.tables[0].is_stored_outside = true;
  EXPECT_EQ(layout(s), TableLayout::PerCpu);
}

TEST(TableLayout, WhatHandlersRemoveFromIsAHashMap) {
  OneTable s(Kind::Int, true);
  ValueId key = field(s.builder, 2);
  s.builder.op(Op::TableSet, {key, s.builder.integer(2)}, 0);
  s.builder.op(Op::TableDelete, {key}, 0);
  EXPECT_EQ(layout(s.end()), TableLayout::Hash);
}

TEST(TableLayout, TextThatIsReadBackIsAHashMap) {
  OneTable s(Kind::Bytes, true);
  s.builder.op(Op::TableSet, {execname(s.builder), s.builder.integer(2)}, 0);
  EXPECT_EQ(layout(s.end()), TableLayout::Hash);
}

TEST(TableLayout, CombinedBitsAreInAHashMap) {
  OneTable s(Kind::Int, true);
  s.builder.op(Op::TableOr, {s.mask(7), s.builder.integer(2)}, 0);
  s.end();
  EXPECT_EQ(layout(s), TableLayout::Hash);
  EXPECT_EQ(s.emit_unit().unit.tables[0].reason, "handlers combine bits in it");
}

TEST(TableLayout, OtherValuesThanIntegersAreInAHashMap) {
  OneTable s(Kind::Int, true);
  s.module.tables[0].value = part(Kind::Bytes, 16);
  s.builder.op(Op::TableSet, {s.mask(7), execname(s.builder)}, 0);
  s.end();
  EXPECT_EQ(layout(s), TableLayout::Hash);
  const Table table = s.emit_unit().unit.tables[0];
  EXPECT_EQ(table.reason, "handlers set it, and its values are strings");
  EXPECT_EQ(table.value_size_bytes, 24U);
}

TEST(TableLayout, ValuesOfSeveralKindsAreInAHashMap) {
  OneTable s(Kind::Int, true);
  s.module.tables[0].value = part(Kind::Union, 32);
  s.builder.op(Op::TableAdd, {s.mask(7), s.builder.integer(1)}, 0);
  s.end();
  EXPECT_EQ(layout(s), TableLayout::Hash);
  EXPECT_EQ(s.emit_unit().unit.tables[0].value_size_bytes, 40U);
  ssa::TableInfo& info = s.module.tables[0];
  info.is_set = info.is_deleted = false;
  info.is_removed_outside = true;
  EXPECT_EQ(s.refusal(),
            "a timer changes table t0, which handlers only add to, and which holds more than "
            "integers");
}

TEST(TableLayout, AVariableIsInAHashMap) {
  OneTable s;
  s.module.tables[0].is_variable = true;
  EXPECT_EQ(layout(s.add(s.builder.integer(1)).end()), TableLayout::Hash);
}

TEST(TableLayout, TheRunningThreadsKey) {
  OneTable s(Kind::Int, true);
  ValueId tid = variable(s.builder, BuiltinVar::Tid);
  s.builder.op(Op::TableSet, {tid, s.builder.integer(2)}, 0);
  s.builder.op(Op::TableDelete, {tid}, 0);
  s.end();
  EXPECT_EQ(layout(s), TableLayout::ByThread);
  s.group.kind = EventKind::Tracepoint;
  s.group.events = {record_event()};
  EXPECT_EQ(layout(s), TableLayout::Hash) << "may stand in an interrupt of the thread";
}

TEST(TableLayout, MemoryIsBounded) {
  OneTable s(Kind::Int, false, 10240);
  s.add(field(s.builder, 2)).end();
  EXPECT_EQ(layout(s), TableLayout::PerCpu);
  s.options.max_table_bytes = 1 << 20;
  EXPECT_EQ(layout(s), TableLayout::DeltaHash);
  s.options.max_table_bytes = 256 << 20;
  s.module.tables[0].max_entries = 1 << 20;
  EXPECT_EQ(layout(s), TableLayout::DeltaHash) << "the value of an array has 4 MB at most";
}

TEST(TableLayout, TheScriptsOwnSizeComesFirst) {
  ssa::TableInfo info;
  info.key = {{Kind::Int, 8}};
  Options options;
  EXPECT_EQ(table_entries(info, options), limits::kDefaultTableSize);
  options.table_size = 5;
  EXPECT_EQ(table_entries(info, options), 5u);
  info.max_entries = 10;
  EXPECT_EQ(table_entries(info, options), 10u);
  options.table_size = 50;
  EXPECT_EQ(table_entries(info, options), 10u);
}

TEST(TableLayout, OlderKernels) {
  OneTable s;
  s.add(s.mask(7)).end();
  s.facts.has_mapped_tables = false;
  EXPECT_EQ(layout(s), TableLayout::DeltaHash);
  s.facts = bpf::KernelFacts();
  s.facts.has_recursion_guard = false;
  s.group.kind = EventKind::Tracepoint;
  s.group.events = {record_event()};
  s.group.name_ids = {s.module.intern("sched_switch")};
  Builder& b = s.builder;
  b = Builder();
  b.at(b.block());
  b.op(Op::TableAdd, {b.integer(1), b.integer(1)}, 0);
  b.ret();
  auto result = s.emit_unit();
  EXPECT_EQ(result.unit.tables[0].layout, TableLayout::Direct);
  EXPECT_EQ(result.unit.programs[0].kind, bpf::ProgramKind::Tracepoint)
      << "a raw one could interrupt itself";
}

TEST(TableLayout, EachWriterHasItsOwnArea) {
  OneTable s;
  s.options.fuse = false;
  s.add(field(s.builder, 2)).end();
  std::vector<Job> jobs;
  for (uint32_t i = 0; i < kMaxAreaPrograms + 1; ++i) {
    jobs.push_back({&s.builder.function, &s.group, i, 0});
  }
  auto many = emit(jobs, s.module, s.facts, s.options);
  EXPECT_EQ(many.unit.tables[0].layout, TableLayout::DeltaHash);
  EXPECT_EQ(many.unit.tables[0].reason, "9 programs write it");
  jobs.pop_back();
  auto some = emit(jobs, s.module, s.facts, s.options);
  EXPECT_EQ(some.unit.tables[0].layout, TableLayout::PerCpu);
  EXPECT_EQ(some.unit.memories.size(), kMaxAreaPrograms);
  EXPECT_EQ(some.unit.tables[0].places.size(), kMaxAreaPrograms);
}

TEST(TableLayout, TablesThatAreMeasuredAreCounted) {
  OneTable s;
  s.module.cells = {"c"};
  s.cells = {0};
  s.add(field(s.builder, 2));
  s.builder.op(Op::CellSet, {s.builder.op(Op::TableLength, {}, 0)}, 0);
  s.end();
  const Table counted = s.emit_unit().unit.tables[0];
  EXPECT_EQ(counted.layout, TableLayout::Shared);
  EXPECT_TRUE(counted.is_counted);
  EXPECT_FALSE(counted.is_direct);
  OneTable other;
  EXPECT_FALSE(other.add(field(other.builder, 2)).end().emit_unit().unit.tables[0].is_counted);
}

TEST(TableLayout, TablesThatAreEmptiedAreHashMaps) {
  OneTable s;
  s.add(s.mask(7));
  s.builder.op(Op::TableClear, {}, 0);
  s.end();
  EXPECT_EQ(s.refusal(), "this kernel empties no tables from programs");
  s.facts.has_for_each_map_elem = true;
  const auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  EXPECT_EQ(result.unit.tables[0].layout, TableLayout::Hash);
  EXPECT_EQ(result.unit.tables[0].count_offset_bytes, Control::kCells);
  EXPECT_EQ(result.unit.programs[0].callbacks.size(), 1U);
}

/// A loop over table 0, in which execname stands, as far as its first slot.
void walk_names(OneTable& s) {
  Builder& b = s.builder;
  const ValueId walk = b.integer(0);
  b.op(Op::TableSet, {execname(b), b.integer(2)}, 0);
  s.module.cells = {"slots", "found"};
  s.cells = {0, 0};
  b.op(Op::CellSet, {b.op(Op::TableWalk, {walk}, 0)}, 0);
  const ValueId found = b.op(Op::TableSlot, {walk, b.integer(0)}, 0, Type::MaybeInt);
  b.op(Op::CellSet, {b.op(Op::Unwrap, {found}, 0, Type::Int)}, 1);
  s.end();
}

TEST(TableLayout, KeysOfAHashMapAreListedForALoop) {
  OneTable s(Kind::Bytes, true);
  s.facts.has_for_each_map_elem = true;
  s.facts.cpu_count = 3;
  walk_names(s);
  const auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
  const Table& table = result.unit.tables[0];
  EXPECT_EQ(table.layout, TableLayout::Hash);
  EXPECT_TRUE(table.is_counted) << "an empty one is not gone through";
  EXPECT_EQ(result.unit.programs[0].callbacks.size(), 1U);
  const bpf::MapSpec& lists = result.unit.maps.back();
  EXPECT_EQ(lists.name, "keys");
  EXPECT_EQ(lists.max_entries, 3U);
  EXPECT_EQ(lists.value_size_bytes, 8 + table.max_entries * table.key_size_bytes);
}

TEST(TableLayout, ALoopOverAHashMapNeedsAKernelThatGoesThroughIt) {
  OneTable s(Kind::Bytes, true);
  s.facts.has_for_each_map_elem = false;
  walk_names(s);
  EXPECT_EQ(s.refusal(),
            "a loop over table t0: this kernel lets no program go through its hash maps, where the "
            "table lies (handlers set it and go through it)");
}

TEST(TableLayout, ListsOfKeysAreBounded) {
  OneTable s(Kind::Bytes, true);
  s.facts.has_for_each_map_elem = true;
  s.module.tables[0].max_entries = 1 << 20;
  walk_names(s);
  EXPECT_EQ(s.refusal(), "a loop over table t0: its keys may take 16 MB, 4 are there");
  OneTable many(Kind::Bytes, true);
  many.facts.has_for_each_map_elem = true;
  many.facts.cpu_count = 1024;
  many.module.tables[0].max_entries = 1 << 15;
  walk_names(many);
  EXPECT_EQ(many.refusal(),
            "loops over tables whose keys take too much memory: 512 KB on each CPU");
}

}  // namespace
}  // namespace ktap::backend::testing_support
