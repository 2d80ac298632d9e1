// The engine against this kernel, with programs put together by hand: they count and record the
// getppid() calls of this process alone. Skipped without the privilege.
#include <bpf/bpf.h>
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <thread>

#include "bpf/assembler.h"
#include "engine/bpf_engine.h"
#include "event/provider.h"
#include "sys/bpf.h"
#include "sys/clock.h"

namespace ktap::engine {
namespace {

using backend::Control;
using bpf::AluOp;
using bpf::Assembler;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Label;
using bpf::Reg;
using bpf::Size;
using runtime::Value;

constexpr uint32_t kControl = 0, kRing = 1, kCounters = 2, kDelta0 = 3, kDelta1 = 4, kShared = 5;
constexpr uint32_t kSite = 7;

bpf::MapSpec map_spec(const char* name, bpf::MapKind kind, uint32_t key, uint32_t value,
                      uint32_t n) {
  bpf::MapSpec spec;
  spec.name = name;
  spec.kind = kind;
  spec.key_size_bytes = key;
  spec.value_size_bytes = value;
  spec.max_entries = n;
  return spec;
}

backend::Unit empty_unit(uint32_t ring_bytes = 1 << 16) {
  backend::Unit unit;
  unit.maps = {map_spec("control", bpf::MapKind::Array, 4, Control::kCells + 16, 1),
               map_spec("ring", bpf::MapKind::RingBuffer, 0, 0, ring_bytes),
               map_spec("counters", bpf::MapKind::PercpuArray, 4, 8, 2),
               map_spec("delta0", bpf::MapKind::PercpuHash, 8, 8, 64),
               map_spec("delta1", bpf::MapKind::PercpuHash, 8, 8, 64),
               map_spec("shared", bpf::MapKind::Hash, 8, 8, 64)};
  unit.maps[kControl].mmapable = true;
  unit.control_map = kControl;
  unit.ring_map = kRing;
  unit.counter_map = kCounters;
  backend::Table delta;
  delta.layout = backend::TableLayout::DeltaHash;
  delta.key = {ssa::KeyPart{}};
  delta.part_offset_bytes = {0};
  delta.maps = {kDelta0, kDelta1};
  delta.max_entries = 64;
  backend::Table shared = delta;
  shared.layout = backend::TableLayout::Hash;
  shared.maps = {kShared};
  unit.tables = {delta, shared};
  return unit;
}

/// R7 = control page; leaves unless armed and this process is current.
void begin(Assembler& a, Label out) {
  a.emit(bpf::mov64(Reg::R6, Reg::R1));
  a.load_map_value(Reg::R7, kControl, 0);
  a.emit(bpf::load(Size::DW, Reg::R1, Reg::R7, Control::kArmed));
  a.jump_to_if(JumpOp::Ne, Reg::R1, 1, out);
  a.call_helper(Helper::GetCurrentPidTgid);
  a.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 32));
  a.jump_to_if(JumpOp::Ne, Reg::R0, static_cast<int32_t>(getpid()), out);
}

/// Leaves unless the raw sys_enter is getppid; its number is R8.
void only_getppid(Assembler& a, Label out) {
  a.emit(bpf::load(Size::DW, Reg::R8, Reg::R6, 8));
  a.jump_to_if(JumpOp::Ne, Reg::R8, SYS_getppid, out);
}

void finish(Assembler& a, Label out, bpf::Program* program) {
  a.bind(out);
  a.emit(bpf::mov64(Reg::R0, 0));
  a.emit(bpf::exit_insn());
  ASSERT_TRUE(a.finish(*program).ok());
}

/// map[R8] += 1; R1 is the map already, the key is at fp-8.
void add_one(Assembler& a, uint32_t map) {
  const Label there = a.make_label();
  const Label done = a.make_label();
  a.load_map(Reg::R1, map);
  a.emit(bpf::mov64(Reg::R2, Reg::R10));
  a.emit(bpf::alu64(AluOp::Add, Reg::R2, -8));
  a.call_helper(Helper::MapLookupElem);
  a.jump_to_if(JumpOp::Ne, Reg::R0, 0, there);
  a.emit(bpf::mov64(Reg::R1, 1));
  a.emit(bpf::store(Size::DW, Reg::R10, -16, Reg::R1));
  a.load_map(Reg::R1, map);
  a.emit(bpf::mov64(Reg::R2, Reg::R10));
  a.emit(bpf::alu64(AluOp::Add, Reg::R2, -8));
  a.emit(bpf::mov64(Reg::R3, Reg::R10));
  a.emit(bpf::alu64(AluOp::Add, Reg::R3, -16));
  a.emit(bpf::mov64(Reg::R4, bpf::kUpdateAny));
  a.call_helper(Helper::MapUpdateElem);
  a.jump_to(done);
  a.bind(there);
  a.emit(bpf::mov64(Reg::R1, 1));
  a.emit(bpf::atomic(bpf::AtomicOp::Add, Size::DW, Reg::R0, 0, Reg::R1));
  a.bind(done);
}

bpf::Program counting_program() {
  Assembler a;
  const Label out = a.make_label();
  const Label second = a.make_label();
  const Label shared = a.make_label();
  begin(a, out);
  only_getppid(a, out);
  a.emit(bpf::store(Size::DW, Reg::R10, -8, Reg::R8));
  a.emit(bpf::load(Size::DW, Reg::R9, Reg::R7, Control::kGeneration));
  a.jump_to_if(JumpOp::Ne, Reg::R9, 0, second);
  add_one(a, kDelta0);
  a.jump_to(shared);
  a.bind(second);
  add_one(a, kDelta1);
  a.bind(shared);
  add_one(a, kShared);
  // cell 1 += 1
  a.emit(bpf::mov64(Reg::R1, 1));
  a.emit(bpf::atomic(bpf::AtomicOp::Add, Size::DW, Reg::R7, Control::kCells + 8, Reg::R1));
  bpf::Program program;
  program.name = "count";
  program.attach_to = "sys_enter";
  finish(a, out, &program);
  return program;
}

/// Sends {site, cpu, number}; counts in row 1 what does not fit. `word` is the third word when it
/// is not the number.
bpf::Program recording_program(const char* attach_to, int32_t flags, int32_t word = -1) {
  Assembler a;
  const Label out = a.make_label();
  const Label full = a.make_label();
  begin(a, out);
  only_getppid(a, out);
  a.load_map(Reg::R1, kRing);
  a.emit(bpf::mov64(Reg::R2, 16));
  a.emit(bpf::mov64(Reg::R3, 0));
  a.call_helper(Helper::RingbufReserve);
  a.jump_to_if(JumpOp::Eq, Reg::R0, 0, full);
  a.emit(bpf::mov64(Reg::R9, Reg::R0));
  a.emit(bpf::store(Size::W, Reg::R9, 0, static_cast<int32_t>(kSite)));
  a.call_helper(Helper::GetSmpProcessorId);
  a.emit(bpf::store(Size::W, Reg::R9, 4, Reg::R0));
  if (word >= 0) a.emit(bpf::mov64(Reg::R8, word));
  a.emit(bpf::store(Size::DW, Reg::R9, 8, Reg::R8));
  a.emit(bpf::mov64(Reg::R1, Reg::R9));
  a.emit(bpf::mov64(Reg::R2, flags));
  a.call_helper(Helper::RingbufSubmit);
  a.jump_to(out);
  a.bind(full);
  a.emit(bpf::mov64(Reg::R1, 1));
  a.emit(bpf::store(Size::W, Reg::R10, -4, Reg::R1));
  a.load_map(Reg::R1, kCounters);
  a.emit(bpf::mov64(Reg::R2, Reg::R10));
  a.emit(bpf::alu64(AluOp::Add, Reg::R2, -4));
  a.call_helper(Helper::MapLookupElem);
  a.jump_to_if(JumpOp::Eq, Reg::R0, 0, out);
  a.emit(bpf::mov64(Reg::R1, 1));
  a.emit(bpf::atomic(bpf::AtomicOp::Add, Size::DW, Reg::R0, 0, Reg::R1));
  bpf::Program program;
  program.name = "record";
  program.attach_to = attach_to;
  finish(a, out, &program);
  return program;
}

/// cell 0 += 1 on any event of this process; for tracepoints whose record is not read. `programs`:
/// an array of programs that it knows.
bpf::Program cell_program(const char* attach_to, int32_t tracefs_id, bpf::ProgramKind kind,
                          uint32_t programs = backend::Unit::kNoMap) {
  Assembler a;
  const Label out = a.make_label();
  begin(a, out);
  if (programs != backend::Unit::kNoMap) a.load_map(Reg::R2, programs);
  a.emit(bpf::mov64(Reg::R1, 1));
  a.emit(bpf::atomic(bpf::AtomicOp::Add, Size::DW, Reg::R7, Control::kCells, Reg::R1));
  bpf::Program program;
  program.name = "cell";
  program.kind = kind;
  program.attach_to = attach_to;
  program.tracefs_id = tracefs_id;
  finish(a, out, &program);
  return program;
}

void call_getppid(int times) {
  for (int i = 0; i < times; ++i) syscall(SYS_getppid);
}

/// Descriptors of BPF objects that this process holds.
size_t own_bpf_objects() {
  size_t count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(directory)) {
    char target[64] = {};
    const std::string path = std::string("/proc/self/fd/") + entry->d_name;
    if (readlink(path.c_str(), target, sizeof target - 1) <= 0) continue;
    if (std::strstr(target, "bpf") != nullptr || std::strstr(target, "perf") != nullptr) ++count;
  }
  closedir(directory);
  return count;
}

/// Kernel-wide ids of programs named `name` that are alive.
std::set<uint32_t> programs_named(const std::string& name) {
  std::set<uint32_t> out;
  uint32_t id = 0;
  while (bpf_prog_get_next_id(id, &id) == 0) {
    const int fd = bpf_prog_get_fd_by_id(id);
    if (fd < 0) continue;
    bpf_prog_info info = {};
    uint32_t bytes = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 && name == info.name) out.insert(id);
    close(fd);
  }
  return out;
}

class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    Result<bpf::KernelFacts> facts = probe_kernel();
    if (!facts.ok()) GTEST_SKIP() << facts.error().message;
    if (!facts.value().has_ring_buffer) GTEST_SKIP() << "no ring buffer here";
  }

  std::unique_ptr<BpfEngine> start(backend::Unit unit) {
    std::vector<Rejection> rejections;
    Result<std::unique_ptr<BpfEngine>> engine = BpfEngine::load(std::move(unit), &rejections);
    if (!engine.ok()) {
      ADD_FAILURE() << engine.error().message;
      return nullptr;
    }
    for (const Rejection& rejection : rejections) ADD_FAILURE() << rejection.reason;
    Result<void> attached = engine.value()->attach();
    if (!attached.ok()) {
      ADD_FAILURE() << attached.error().message;
      return nullptr;
    }
    return std::move(engine).value();
  }

  runtime::Heap heap_;
  ssa::Module module_;
};

TEST_F(EngineTest, ProbesThisKernel) {
  const bpf::KernelFacts facts = probe_kernel().value();
  EXPECT_GE(facts.cpu_count, 1U);
  EXPECT_TRUE(facts.has_fetch_atomics);
  // One of the ways of a loop of any length, 6.4 and later: looked for as far as it is needed.
  const bpf::KernelFacts older = probe_kernel({"may_goto", "typed_tracepoints"}).value();
  EXPECT_FALSE(older.has_may_goto);
  EXPECT_TRUE(older.typed_tracepoints.empty());
  if (facts.has_may_goto) {
    EXPECT_TRUE(older.has_iter_num());
    EXPECT_FALSE(facts.has_iter_num());
  }
  EXPECT_EQ(facts.has_task_btf, older.has_task_btf);
}

/// Found on every machine that has them; that they are right was compared on every CPU before.
TEST_F(EngineTest, FindsTheCurrentTasksOfEachCpu) {
  const bpf::CurrentTasks tasks = probe_kernel().value().current_tasks;
  if (tasks.addresses.empty()) GTEST_SKIP() << "this kernel does not say (x86-64 since 6.15 does)";
  ASSERT_EQ(tasks.addresses.size(), sys::possible_cpus().value());
  std::set<uint64_t> different(tasks.addresses.begin(), tasks.addresses.end());
  EXPECT_EQ(different.size(), tasks.addresses.size());
  EXPECT_EQ(*different.begin() % sizeof(uint64_t), 0U);
  EXPECT_TRUE(tasks.cast != 0 && tasks.pointer != 0 && tasks.task != 0);
  EXPECT_TRUE(probe_kernel({"current_tasks"}).value().current_tasks.addresses.empty());
}

TEST_F(EngineTest, CountsExactlyWhileArmed) {
  backend::Unit unit = empty_unit();
  unit.programs = {counting_program()};
  std::unique_ptr<BpfEngine> engine = start(std::move(unit));
  ASSERT_NE(engine, nullptr);
  runtime::Table* table = heap_.table();
  std::unique_ptr<runtime::TableBacking> backing = engine->back(0, heap_, module_);
  call_getppid(100);  // attached, but not armed
  engine->arm();
  call_getppid(1000);
  std::thread([] { call_getppid(500); }).join();
  engine->disarm();
  call_getppid(100);
  backing->before_read(*table);
  ASSERT_EQ(table->size(), 1U);
  EXPECT_EQ(table->get(Value::of(int64_t{SYS_getppid})).integer, 1500);
  EXPECT_EQ(*engine->cell(1), 1500);
  EXPECT_EQ(engine->missed_runs(), std::vector<uint64_t>{0});
}

TEST_F(EngineTest, DeltaSnapshotsNeitherLoseNorDouble) {
  backend::Unit unit = empty_unit();
  unit.programs = {counting_program()};
  std::unique_ptr<BpfEngine> engine = start(std::move(unit));
  ASSERT_NE(engine, nullptr);
  runtime::Table* table = heap_.table();
  const Value key = Value::of(int64_t{SYS_getppid});
  std::unique_ptr<runtime::TableBacking> backing = engine->back(0, heap_, module_);
  engine->arm();
  constexpr int kCalls = 200000;
  std::thread load([] { call_getppid(kCalls); });
  int64_t total = 0;
  for (int run = 0; run < 10; ++run) {
    engine->next_run();
    backing->before_read(*table);
    const Value first = table->get(key);
    usleep(1000);
    backing->before_read(*table);  // the same run: the same snapshot
    EXPECT_TRUE(runtime::equal(table->get(key), first));
    if (first.is_integer()) total += first.integer;
    backing->on_clear(*table);
    table->clear();
  }
  load.join();
  engine->disarm();
  engine->next_run();
  backing->before_read(*table);
  total += table->get(key).is_nil() ? 0 : table->get(key).integer;
  EXPECT_EQ(total, kCalls);
}

TEST_F(EngineTest, DeltaKeepsWhatUserSpaceSet) {
  backend::Unit unit = empty_unit();
  unit.programs = {counting_program()};
  std::unique_ptr<BpfEngine> engine = start(std::move(unit));
  ASSERT_NE(engine, nullptr);
  runtime::Table* table = heap_.table();
  const Value key = Value::of(int64_t{SYS_getppid});
  table->set(key, Value::of(int64_t{1000}));
  ASSERT_TRUE(engine->preload(0, *table, module_).ok());
  std::unique_ptr<runtime::TableBacking> backing = engine->back(0, heap_, module_);
  engine->arm();
  call_getppid(5);
  engine->next_run();
  backing->before_read(*table);
  EXPECT_EQ(table->get(key).integer, 1005);
  call_getppid(3);
  engine->next_run();
  EXPECT_TRUE(backing->on_set(*table, key, Value::of(int64_t{1}))
                  .ok());  // the 3 go with what is overwritten
  table->set(key, Value::of(int64_t{1}));
  call_getppid(2);
  engine->next_run();
  backing->before_read(*table);
  EXPECT_EQ(table->get(key).integer, 3);
}

TEST_F(EngineTest, SharedTableIsTheKernelMap) {
  backend::Unit unit = empty_unit();
  unit.programs = {counting_program()};
  std::unique_ptr<BpfEngine> engine = start(std::move(unit));
  ASSERT_NE(engine, nullptr);
  runtime::Table* table = heap_.table();
  const Value key = Value::of(int64_t{SYS_getppid});
  const Value other = Value::of(int64_t{1});
  table->set(key, Value::of(int64_t{10}));
  table->set(other, Value::of(int64_t{77}));
  ASSERT_TRUE(engine->preload(1, *table, module_).ok());
  std::unique_ptr<runtime::TableBacking> backing = engine->back(1, heap_, module_);
  engine->arm();
  call_getppid(4);
  engine->next_run();
  backing->before_read(*table);
  EXPECT_EQ(table->get(key).integer, 14);
  EXPECT_EQ(table->get(other).integer, 77);
  call_getppid(1);  // later than the snapshot: delete leaves it
  backing->on_clear(*table);
  table->clear();
  engine->next_run();
  backing->before_read(*table);
  EXPECT_EQ(table->size(), 1U);
  EXPECT_EQ(table->get(key).integer, 15);
  EXPECT_TRUE(backing->on_set(*table, key, Value::nil()).ok());
  table->set(key, Value::nil());
  EXPECT_TRUE(backing->on_set(*table, other, Value::of(int64_t{5})).ok());
  table->set(other, Value::of(int64_t{5}));
  call_getppid(2);
  engine->next_run();
  backing->before_read(*table);
  EXPECT_EQ(table->get(key).integer, 2);
  EXPECT_EQ(table->get(other).integer, 5);
}

TEST_F(EngineTest, PreloadRefusesWhatDoesNotFit) {
  std::unique_ptr<BpfEngine> engine = start(empty_unit());
  ASSERT_NE(engine, nullptr);
  module_.tables.resize(2);
  module_.tables[1].name = "t";
  runtime::Table* words = heap_.table();
  words->set(heap_.string("a"), Value::of(int64_t{1}));
  EXPECT_FALSE(engine->preload(1, *words, module_).ok());
  runtime::Table* many = heap_.table();
  for (int64_t i = 0; i < 65; ++i) many->set(Value::of(i), Value::of(i));
  Result<void> full = engine->preload(1, *many, module_);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().message, "table 't' is full: it holds more than its 64 entries");
}

TEST_F(EngineTest, RecordsArriveInOrderAndLossesAreCounted) {
  backend::Unit unit = empty_unit(4096);
  unit.programs = {recording_program("sys_enter", bpf::kRingNoWakeup)};
  std::unique_ptr<BpfEngine> engine = start(std::move(unit));
  ASSERT_NE(engine, nullptr);
  engine->arm();
  constexpr uint64_t kCalls = 1000;  // 24 bytes each: more than fit into 4096
  call_getppid(kCalls);
  engine->disarm();
  uint64_t records = 0;
  engine->drain([&](const Record& record) {
    EXPECT_EQ(record.site, kSite);
    EXPECT_EQ(record.size_bytes, 16U);
    uint64_t number = 0;
    std::memcpy(&number, record.data + 8, 8);
    EXPECT_EQ(number, static_cast<uint64_t>(SYS_getppid));
    ++records;
  });
  uint64_t lost = 0;
  for (const uint64_t n : engine->counter(1)) lost += n;
  EXPECT_GT(records, 0U);
  EXPECT_GT(lost, 0U);
  EXPECT_EQ(records + lost, kCalls);
  for (const uint64_t n : engine->counter(0)) EXPECT_EQ(n, 0U);
}

TEST_F(EngineTest, RecordsOverTheEndOfTheRingAreWhole) {
  backend::Unit unit = empty_unit(4096);
  unit.programs = {recording_program("sys_enter", bpf::kRingNoWakeup)};
  std::unique_ptr<BpfEngine> engine = start(std::move(unit));
  ASSERT_NE(engine, nullptr);
  engine->arm();
  uint64_t records = 0;
  for (int round = 0; round < 50; ++round) {
    call_getppid(100);  // 24 bytes each: two of three rounds go over the end within a record
    engine->drain([&](const Record& record) {
      EXPECT_EQ(record.site, kSite);
      ASSERT_EQ(record.size_bytes, 16U);
      uint64_t number = 0;
      std::memcpy(&number, record.data + 8, 8);
      EXPECT_EQ(number, static_cast<uint64_t>(SYS_getppid));
      ++records;
    });
  }
  engine->disarm();
  EXPECT_EQ(records, 5000U);
}

TEST_F(EngineTest, WakesOnlyWhenAsked) {
  for (const int32_t flags : {bpf::kRingNoWakeup, bpf::kRingForceWakeup}) {
    backend::Unit unit = empty_unit();
    unit.programs = {recording_program("sys_enter", flags)};
    std::unique_ptr<BpfEngine> engine = start(std::move(unit));
    ASSERT_NE(engine, nullptr);
    engine->arm();
    engine->drain([](const Record&) {});
    call_getppid(1);
    const int fd = engine->wake_fd();
    const bool woken = sys::wait_readable(&fd, 1, 20000000) != 0;
    EXPECT_EQ(woken, flags == bpf::kRingForceWakeup);
    EXPECT_EQ(engine->drain([](const Record&) {}), 1U);
    EXPECT_EQ(sys::wait_readable(&fd, 1, 0), 0U);
  }
}

TEST_F(EngineTest, ProgramsOfOneEventRunInTheUnitsOrder) {
  backend::Unit unit = empty_unit();
  for (int32_t i = 0; i < 5; ++i) {
    unit.programs.push_back(recording_program("sys_enter", bpf::kRingNoWakeup, i));
  }
  std::unique_ptr<BpfEngine> engine = start(std::move(unit));
  ASSERT_NE(engine, nullptr);
  engine->arm();
  call_getppid(3);
  engine->disarm();
  uint64_t expected = 0;
  engine->drain([&](const Record& record) {
    uint64_t word = 0;
    std::memcpy(&word, record.data + 8, 8);
    EXPECT_EQ(word, expected % 5);
    ++expected;
  });
  EXPECT_EQ(expected, 15U);
}

TEST_F(EngineTest, ExitRequestSurvivesDisarming) {
  std::unique_ptr<BpfEngine> engine = start(empty_unit());
  ASSERT_NE(engine, nullptr);
  int64_t status = -1;
  engine->arm();
  EXPECT_FALSE(engine->exit_requested(&status));
  // What a handler's exit(3) stores.
  uint64_t* control = reinterpret_cast<uint64_t*>(engine->cell(0)) - Control::kCells / 8;
  control[Control::kExitStatus / 8] = 3;
  control[Control::kArmed / 8] = 2;
  EXPECT_TRUE(engine->exit_requested(&status));
  engine->disarm();
  status = -1;
  EXPECT_TRUE(engine->exit_requested(&status));
  EXPECT_EQ(status, 3);
}

TEST_F(EngineTest, AStrictStopIsNoExitRequest) {
  std::unique_ptr<BpfEngine> engine = start(empty_unit());
  ASSERT_NE(engine, nullptr);
  int64_t status = -1;
  engine->arm();
  uint64_t* control = reinterpret_cast<uint64_t*>(engine->cell(0)) - Control::kCells / 8;
  control[Control::kArmed / 8] = 3;
  EXPECT_FALSE(engine->exit_requested(&status));
  engine->disarm();
  EXPECT_FALSE(engine->exit_requested(&status));
}

TEST_F(EngineTest, RejectionNamesProgramLineAndReason) {
  backend::Unit unit = empty_unit();
  unit.programs = {counting_program(), {}};
  bpf::Program& bad = unit.programs[1];
  bad.name = "bad";
  bad.attach_to = "sys_enter";
  bad.code = {bpf::mov64(Reg::R0, 0), bpf::load(Size::DW, Reg::R2, Reg::R0, 0), bpf::exit_insn()};
  bad.lines = {11, 12, 13};
  std::vector<Rejection> rejections;
  Result<std::unique_ptr<BpfEngine>> engine = BpfEngine::load(std::move(unit), &rejections);
  ASSERT_TRUE(engine.ok());
  ASSERT_EQ(rejections.size(), 1U);
  EXPECT_EQ(rejections[0].program, 1U);
  EXPECT_EQ(rejections[0].line, 12U);
  EXPECT_NE(rejections[0].reason.find("R0 invalid mem access"), std::string::npos)
      << rejections[0].reason;
}

TEST_F(EngineTest, TracepointAndFallbackFromMissingRawTracepoint) {
  Result<std::unique_ptr<event::Catalog>> catalog = event::Catalog::open();
  if (!catalog.ok()) GTEST_SKIP() << catalog.error().message;
  const event::Matches matches = catalog.value()->match("sched:sched_process_fork");
  ASSERT_EQ(matches.events.size(), 1U);
  const int32_t id = matches.events[0]->tracefs_id;
  for (const bpf::ProgramKind kind :
       {bpf::ProgramKind::Tracepoint, bpf::ProgramKind::RawTracepoint}) {
    backend::Unit unit = empty_unit();
    const auto programs = static_cast<uint32_t>(unit.maps.size());
    unit.maps.push_back(map_spec("programs", bpf::MapKind::Programs, 4, 4, 1));
    unit.programs = {cell_program("no_such_raw_tracepoint", id, kind, programs)};
    std::unique_ptr<BpfEngine> engine = start(std::move(unit));
    ASSERT_NE(engine, nullptr);
    engine->arm();
    std::thread([] {}).join();  // one fork of ours
    engine->disarm();
    EXPECT_EQ(*engine->cell(0), 1);
  }
}

TEST_F(EngineTest, FailedAttachLeavesNothing) {
  const size_t before = own_bpf_objects();
  {
    backend::Unit unit = empty_unit();
    unit.programs = {counting_program(),
                     cell_program("no_such_event", -1, bpf::ProgramKind::RawTracepoint)};
    std::vector<Rejection> rejections;
    Result<std::unique_ptr<BpfEngine>> engine = BpfEngine::load(std::move(unit), &rejections);
    ASSERT_TRUE(engine.ok());
    Result<void> attached = engine.value()->attach();
    ASSERT_FALSE(attached.ok());
    EXPECT_NE(attached.error().message.find("no_such_event"), std::string::npos);
  }
  EXPECT_EQ(own_bpf_objects(), before);
}

TEST_F(EngineTest, NothingIsLeftAfterwards) {
  const size_t before = own_bpf_objects();
  Result<std::unique_ptr<event::Catalog>> catalog = event::Catalog::open();
  if (!catalog.ok()) GTEST_SKIP() << catalog.error().message;
  const event::Matches matches = catalog.value()->match(
      "sched:sched_process_{fork,exit,exec,wait}, sched:sched_wakeup, sched:sched_waking");
  ASSERT_GE(matches.events.size(), 6U);
  {
    backend::Unit unit = empty_unit();
    unit.programs = {counting_program()};
    unit.programs[0].name = "ktap_leak_test";
    for (const schema::EventPtr& event : matches.events) {
      unit.programs.push_back(
          cell_program(event->name.c_str(), event->tracefs_id, bpf::ProgramKind::Tracepoint));
      unit.programs.back().name = "ktap_leak_test";
    }
    std::unique_ptr<BpfEngine> engine = start(std::move(unit));
    ASSERT_NE(engine, nullptr);
    engine->arm();
    EXPECT_EQ(programs_named("ktap_leak_test").size(), 1 + matches.events.size());
    engine->detach();
    engine.reset();
  }
  EXPECT_EQ(own_bpf_objects(), before);
  // The kernel frees programs after a grace period.
  for (int i = 0; i < 200 && !programs_named("ktap_leak_test").empty(); ++i) usleep(10000);
  EXPECT_TRUE(programs_named("ktap_leak_test").empty());
}

}  // namespace
}  // namespace ktap::engine
