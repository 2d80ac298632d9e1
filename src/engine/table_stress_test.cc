// Every layout of tables under load: two threads on all CPUs, snapshots taken all the while, and in
// the end each key has exactly what was added under it, or the difference is counted as lost.
// Traces this process alone. Skipped without the privilege.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "backend/test_support.h"
#include "engine/bpf_engine.h"
#include "runtime/tuple.h"

namespace ktap::engine {
namespace {

using backend::TableLayout;
using backend::testing_support::Subject;
using runtime::Value;
using ssa::BlockId;
using ssa::Builder;
using ssa::Op;
using ssa::ValueId;

constexpr int kThreads = 2;
constexpr int kCalls = 480000;

/// Handlers on the entry of pwrite64(fd, buf, count), which nobody else calls here: `buf` is what
/// the test gives.
ValueId argument(Builder& b) { return b.op(Op::EventField, {}, 2, ssa::Type::Int); }
ValueId tid(Builder& b) {
  return b.op(Op::EventVar, {}, static_cast<int64_t>(schema::BuiltinVar::Tid), ssa::Type::Int);
}

void run_on_cpu(int number, const std::function<void()>& work) {
  cpu_set_t all, one;
  CPU_ZERO(&one);
  sched_getaffinity(0, sizeof all, &all);
  for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &all) && seen++ % kThreads == number) CPU_SET(cpu, &one);
  }
  if (CPU_COUNT(&one) != 0) sched_setaffinity(0, sizeof one, &one);
  work();
}

class TableStress : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<bpf::KernelFacts> facts = probe_kernel();
    if (!facts.ok()) GTEST_SKIP() << facts.error().message;
    subject_.facts = facts.value();
    subject_.options.target_tgid = getpid();
    subject_.group.events = {backend::testing_support::syscall_event(
        schema::EventKind::SyscallEnter, "sys_enter_pwrite64", SYS_pwrite64)};
  }

  ssa::TableInfo& add_table(size_t parts, bool is_master, uint32_t entries = 4096) {
    subject_.add_table(std::vector<ssa::KeyPart>(parts), is_master, entries);
    return subject_.module.tables.back();
  }

  /// Loads the function, runs the threads with `key_of(thread, i)` as arguments, reads all the
  /// while; then the table's content.
  std::map<int64_t, int64_t> run(TableLayout layout, int64_t (*key_of)(int thread, int i),
                                 uint64_t* lost = nullptr) {
    std::map<int64_t, int64_t> out;
    backend::EmitResult emitted = subject_.emit_unit();
    EXPECT_TRUE(emitted.failures.empty());
    if (!emitted.failures.empty()) return out;
    EXPECT_EQ(static_cast<int>(emitted.unit.tables[0].layout), static_cast<int>(layout));
    std::vector<Rejection> rejections;
    auto loaded = BpfEngine::load(emitted.unit, &rejections);
    EXPECT_TRUE(loaded.ok() && rejections.empty());
    if (!loaded.ok() || !rejections.empty()) return out;
    std::unique_ptr<BpfEngine> engine = std::move(loaded).value();
    EXPECT_TRUE(engine->attach().ok());

    runtime::Heap heap;
    runtime::Table* table = heap.table();
    std::unique_ptr<runtime::TableBacking> backing = engine->back(0, heap, subject_.module);
    engine->arm();
    std::atomic<int> running{kThreads};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        run_on_cpu(t, [&] {
          for (int i = 0; i < kCalls; ++i) syscall(SYS_pwrite64, -1, key_of(t, i), 0);
        });
        --running;
      });
    }
    int snapshots = 0;
    while (running != 0) {
      engine->next_run();
      backing->before_read(*table);
      ++snapshots;
      if (!deletes_) continue;
      add_entries(*table, &out);
      backing->on_clear(*table);
      table->clear();
    }
    for (std::thread& thread : threads) thread.join();
    engine->disarm();
    engine->next_run();
    backing->before_read(*table);
    EXPECT_GT(snapshots, 2);
    add_entries(*table, &out);
    for (uint32_t row = 0; lost != nullptr && row < emitted.unit.counters.size(); ++row) {
      for (uint64_t n : engine->counter(row)) *lost += n;
    }
    return out;
  }

  static void add_entries(const runtime::Table& table, std::map<int64_t, int64_t>* out) {
    for (const auto& [key, value] : table.entries()) {
      const Value part = key.type == runtime::Type::Tuple ? (*key.tuple())[0] : key;
      (*out)[part.integer] += value.integer;
    }
  }

  /// What `key_of` says, counted.
  static std::map<int64_t, int64_t> truth(int64_t (*key_of)(int thread, int i)) {
    std::map<int64_t, int64_t> out;
    for (int t = 0; t < kThreads; ++t) {
      for (int i = 0; i < kCalls; ++i) ++out[key_of(t, i)];
    }
    return out;
  }

  /// `t[key…] += 1`, and with `reads` a value that is looked at, so that it is no delta.
  void count(const std::vector<ValueId>& key, bool reads) {
    Builder& b = subject_.builder;
    std::vector<ValueId> operands = key;
    operands.push_back(b.integer(1));
    b.op(Op::TableAdd, operands, 0);
    if (reads) {
      subject_.module.cells = {"c"};
      const ValueId is_nil = b.op(Op::IsNil, {b.op(Op::TableGet, key, 0)});
      const BlockId bad = b.block(), done = b.block();
      b.branch(is_nil, bad, done);
      b.at(bad);
      b.op(Op::CellAdd, {b.integer(1)}, 0);
      b.jump(done);
      b.at(done);
    }
    b.ret();
  }

  Subject subject_;
  bool deletes_ = false;  ///< each snapshot is added up and deleted
};

int64_t few_keys(int thread, int i) { return (i * 7 + thread) & 63; }
int64_t many_keys(int, int i) { return int64_t{i % 1000} * 7777777 - 3000000000; }
int64_t own_keys(int thread, int i) { return 1 + thread * 1000000 + i % 50; }

TEST_F(TableStress, Direct) {
  add_table(1, false);
  Builder& b = subject_.builder;
  b.at(b.block());
  count({b.op(Op::And, {argument(b), b.integer(63)})}, false);
  EXPECT_EQ(run(TableLayout::Direct, few_keys), truth(few_keys));
}

TEST_F(TableStress, PerCpu) {
  add_table(1, false);
  Builder& b = subject_.builder;
  b.at(b.block());
  count({argument(b)}, false);
  EXPECT_EQ(run(TableLayout::PerCpu, many_keys), truth(many_keys));
}

TEST_F(TableStress, PerCpuWithTwoParts) {
  add_table(2, false);
  Builder& b = subject_.builder;
  b.at(b.block());
  const ValueId key = argument(b);
  count({key, b.op(Op::Xor, {key, b.integer(5)})}, false);
  EXPECT_EQ(run(TableLayout::PerCpu, many_keys), truth(many_keys));
}

TEST_F(TableStress, PerCpuThatIsFullLosesExactlyWhatItSays) {
  add_table(1, false, 32);
  Builder& b = subject_.builder;
  b.at(b.block());
  count({argument(b)}, false);
  uint64_t lost = 0;
  int64_t sum = 0;
  for (const auto& [key, n] : run(TableLayout::PerCpu, many_keys, &lost)) sum += n;
  EXPECT_GT(lost, 0U);
  EXPECT_EQ(sum + static_cast<int64_t>(lost), kThreads * kCalls);
}

TEST_F(TableStress, DeltaHash) {
  subject_.facts.has_mapped_tables = false;
  add_table(1, false);
  Builder& b = subject_.builder;
  b.at(b.block());
  count({argument(b)}, false);
  EXPECT_EQ(run(TableLayout::DeltaHash, many_keys), truth(many_keys));
}

TEST_F(TableStress, Shared) {
  add_table(1, true);
  Builder& b = subject_.builder;
  b.at(b.block());
  count({argument(b)}, true);
  EXPECT_EQ(run(TableLayout::Shared, many_keys), truth(many_keys));
}

TEST_F(TableStress, SharedAndDirect) {
  add_table(1, true);
  Builder& b = subject_.builder;
  b.at(b.block());
  count({b.op(Op::And, {argument(b), b.integer(63)})}, true);
  EXPECT_EQ(run(TableLayout::Shared, few_keys), truth(few_keys));
}

TEST_F(TableStress, SharedWithBarriers) {
  subject_.facts.has_ordered_stores = false;
  add_table(1, true);
  Builder& b = subject_.builder;
  b.at(b.block());
  count({argument(b)}, true);
  EXPECT_EQ(run(TableLayout::Shared, own_keys), truth(own_keys));
}

TEST_F(TableStress, Hash) {
  subject_.facts.has_fetch_atomics = false;
  add_table(1, true);
  Builder& b = subject_.builder;
  b.at(b.block());
  count({argument(b)}, true);
  EXPECT_EQ(run(TableLayout::Hash, many_keys), truth(many_keys));
}

class TakenStress : public TableStress,
                    public ::testing::WithParamInterface<int64_t (*)(int thread, int i)> {};

TEST_P(TakenStress, HashThatIsDeletedMeanwhile) {
  add_table(1, true).is_removed_outside = true;
  Builder& b = subject_.builder;
  b.at(b.block());
  count({argument(b)}, true);
  deletes_ = true;
  EXPECT_EQ(run(TableLayout::Hash, GetParam()), truth(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Keys, TakenStress, ::testing::Values(many_keys, few_keys));

// Each thread counts in its own entry, which goes and comes again every 8 calls; what it has
// reached then is added to cell 0.
void by_thread(Subject& subject) {
  subject.module.cells = {"sum"};
  Builder& b = subject.builder;
  const BlockId entry = b.block(), ends = b.block(), sure = b.block(), done = b.block();
  b.at(entry);
  const ValueId key = tid(b);
  b.op(Op::TableAdd, {key, b.integer(1)}, 0);
  b.branch(b.op(Op::Eq, {b.op(Op::And, {argument(b), b.integer(7)}), b.integer(7)}), ends, done);
  b.at(ends);
  const ValueId reached = b.op(Op::TableGet, {key}, 0);
  b.branch(b.op(Op::IsNil, {reached}), done, sure);
  b.at(sure);
  b.op(Op::CellAdd, {b.op(Op::Unwrap, {reached}, 0, ssa::Type::Int)}, 0);
  b.op(Op::TableDelete, {key}, 0);
  b.jump(done);
  b.at(done);
  b.ret();
}

int64_t in_turn(int, int i) { return i; }

class ByThreadStress : public TableStress, public ::testing::WithParamInterface<bool> {};

TEST_P(ByThreadStress, EveryCallIsCountedOnce) {
  subject_.facts.has_ordered_stores = GetParam();
  // Few slots: threads take each other's. kCalls is a multiple of 8: in the end all are gone.
  add_table(1, true, 1);
  by_thread(subject_);
  backend::EmitResult emitted = subject_.emit_unit();
  ASSERT_TRUE(emitted.failures.empty());
  ASSERT_EQ(emitted.unit.tables[0].layout, TableLayout::ByThread);
  std::vector<Rejection> rejections;
  auto engine = BpfEngine::load(emitted.unit, &rejections);
  ASSERT_TRUE(engine.ok() && rejections.empty());
  ASSERT_TRUE(engine.value()->attach().ok());
  engine.value()->arm();
  runtime::Heap heap;
  runtime::Table* table = heap.table();
  std::unique_ptr<runtime::TableBacking> backing = engine.value()->back(0, heap, subject_.module);
  constexpr int kRounds = 20;  // new threads each, with new numbers
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([t] {
        run_on_cpu(t, [] {
          for (int i = 0; i < kCalls / kRounds / 8 * 8; ++i) {
            syscall(SYS_pwrite64, -1, in_turn(0, i), 0);
          }
        });
      });
    }
    engine.value()->next_run();
    backing->before_read(*table);
    for (const auto& [key, value] : table->entries()) {
      EXPECT_TRUE(value.integer >= 1 && value.integer <= 8) << value.integer;
    }
    for (std::thread& thread : threads) thread.join();
  }
  engine.value()->disarm();
  engine.value()->next_run();
  backing->before_read(*table);
  EXPECT_EQ(table->size(), 0U);
  uint64_t lost = 0;
  for (uint32_t row = 0; row < emitted.unit.counters.size(); ++row) {
    for (uint64_t n : engine.value()->counter(row)) lost += n;
  }
  EXPECT_EQ(lost, 0U);
  EXPECT_EQ(*engine.value()->cell(0), kThreads * (kCalls / kRounds / 8 * 8) * kRounds);
}

INSTANTIATE_TEST_SUITE_P(Stores, ByThreadStress, ::testing::Bool());

}  // namespace
}  // namespace ktap::engine
