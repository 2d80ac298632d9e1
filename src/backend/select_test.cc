// Single features on the test machine: what events give, strings, records byte by byte, filters,
// limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/test_subjects.h"
#include "bpf/disassembler.h"
#include "bpf/helpers.h"

namespace ktap::backend::testing_support {
namespace {

constexpr uint64_t kRegs = 0xffff880000001000;  // of the fake task, in kernel memory

/// struct pt_regs of x86-64 with the number and recognisable arguments.
Bytes fake_registers(int64_t nr) {
  Bytes regs(168);
  auto put = [&](size_t at, int64_t value) { std::memcpy(&regs[at], &value, 8); };
  put(112, int64_t{0x1234567800000000} | 0xffffff9c);  // di: AT_FDCWD, with rubbish above
  put(104, 0x7fff0000);                                // si
  put(96, 0x5555555500000003);                         // dx
  put(56, 4);
  put(72, 5);
  put(64, 6);
  put(120, nr);
  return regs;
}

std::vector<int64_t> words(const Bytes& record, size_t from, size_t count) {
  std::vector<int64_t> out;
  for (size_t i = 0; i < count; ++i) out.push_back(as_int(record, from + 8 * i));
  return out;
}

TEST(Select, TheTaskAndTypedArguments) {
  Subject s;
  s.facts = modern_facts();
  syscall_enter(s);
  s.module.sites[0].args.push_back({Type::Int});
  s.module.sites[0].args.push_back(bytes_arg(16));
  // Before the return: the parent, the name.
  ssa::Function& f = s.builder.function;
  std::vector<ValueId>& insts = f.blocks[0].insts;
  const ValueId emit = insts[insts.size() - 2], ret = insts.back();
  insts.resize(insts.size() - 2);
  const ValueId parent = variable(s.builder, BuiltinVar::Ppid), name = execname(s.builder);
  f[emit].operands.push_back(parent);
  f[emit].operands.push_back(name);
  insts.push_back(emit);
  insts.push_back(ret);
  auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
  const bpf::Program& program = result.unit.programs[0];
  EXPECT_EQ(program.kind, bpf::ProgramKind::TypedRawTracepoint);
  EXPECT_EQ(program.btf_id, 1u);
  const auto calls = [&program](bpf::Helper helper) {
    const bpf::Insn call = bpf::call(static_cast<int32_t>(helper));
    return std::count(program.code.begin(), program.code.end(), call);
  };
  EXPECT_EQ(calls(bpf::Helper::GetCurrentTaskBtf), 1);
  EXPECT_EQ(calls(bpf::Helper::ProbeReadKernel), 0);
  FakeKernel kernel(result.unit, s.cells);
  const uint64_t regs = kernel.machine.add_object(fake_registers(17));
  ASSERT_EQ(kernel.run(context_of({regs, 17})), "");
  ASSERT_EQ(kernel.machine.records().size(), 1u);
  const Bytes& record = kernel.machine.records()[0].data;
  EXPECT_EQ(words(record, 8, 12), (std::vector<int64_t>{100, 101, 1000, 2000, 0, 123456789, 42, 17,
                                                        -100, 0x7fff0000, 3, 201}));
  EXPECT_EQ(as_int(record, result.unit.sites[0].arg_offset_bytes[13]), 7);
  const auto at = record.begin() + result.unit.sites[0].arg_offset_bytes[14];
  EXPECT_EQ(Bytes(at, at + 16), padded(kComm, 16));
}

/// On a machine of three CPUs, whose places in the table of four the masking of the number leaves.
TEST(Select, TheTaskByLoadsAlone) {
  Subject s;
  s.facts = facts_with_current_tasks(3);
  s.add_site({{Type::Int}, {Type::Int}, {Type::Int}, bytes_arg(16)});
  Builder& b = s.builder;
  b.at(b.block());
  const ValueId tid = variable(b, BuiltinVar::Tid), parent = variable(b, BuiltinVar::Ppid);
  const ValueId uid = variable(b, BuiltinVar::Uid), name = execname(b);
  b.op(Op::Emit, {tid, parent, uid, name}, 0);
  b.ret();
  auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
  const bpf::Program& program = result.unit.programs[0];
  const auto calls = [&program](const bpf::Insn& call) {
    return std::count(program.code.begin(), program.code.end(), call);
  };
  EXPECT_EQ(calls(bpf::call(static_cast<int32_t>(bpf::Helper::GetCurrentTaskBtf))), 0);
  EXPECT_EQ(calls(bpf::call_kernel(kFakeCast)), 2);
  EXPECT_EQ(program.free_call, kFakeCast);
  FakeKernel kernel(result.unit, s.cells, 3);
  kernel.machine.task.cpu = 2;
  kernel.make_task();
  const uint64_t regs = kernel.machine.add_object(fake_registers(0));
  ASSERT_EQ(kernel.run(context_of({regs, 0})), "");
  ASSERT_EQ(kernel.machine.records().size(), 1u);
  const Bytes& record = kernel.machine.records()[0].data;
  EXPECT_EQ(words(record, 8, 3), (std::vector<int64_t>{101, 7, 1000}));
  const auto at = record.begin() + result.unit.sites[0].arg_offset_bytes[3];
  EXPECT_EQ(Bytes(at, at + 16), padded(kComm, 16));
}

/// Following the task's pointer to its user is cheap, but not for the verifier where many ways
/// meet.
TEST(Select, WhatTheVerifierMeetsOftenIsAskedOfAHelper) {
  for (const bool behind_table : {false, true}) {
    Subject s;
    s.facts = modern_facts();
    s.add_table({{ssa::KeyPart::Kind::Int, 8}}, false);
    s.add_site({{Type::Int}, {Type::Int}});
    Builder& b = s.builder;
    b.at(b.block());
    const ValueId one = b.integer(1);
    if (behind_table) b.op(Op::TableAdd, {field(b, 1), one}, 0);
    const ValueId uid = variable(b, BuiltinVar::Uid), parent = variable(b, BuiltinVar::Ppid);
    b.op(Op::Emit, {uid, parent}, 0);
    b.ret();
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    const bpf::Program& program = result.unit.programs[0];
    const auto calls = [&program](bpf::Helper helper) {
      return std::count(program.code.begin(), program.code.end(),
                        bpf::call(static_cast<int32_t>(helper)));
    };
    EXPECT_EQ(calls(bpf::Helper::GetCurrentTaskBtf), behind_table ? 0 : 1);
    EXPECT_EQ(calls(bpf::Helper::GetCurrentUidGid), behind_table ? 1 : 0);
    EXPECT_EQ(calls(bpf::Helper::ProbeReadKernel), behind_table ? 2 : 0);
  }
}

TEST(Select, TypedSyscallExit) {
  for (uint32_t nr_size : {8u, 4u}) {
    Subject s;
    s.facts = modern_facts();
    s.facts.syscall_regs.nr_size_bytes = nr_size;
    syscall_exit(s);
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty());
    FakeKernel kernel(result.unit, s.cells);
    for (int64_t nr : {17, 1, -1}) {
      const uint64_t regs = kernel.machine.add_object(fake_registers(nr));
      ASSERT_EQ(kernel.run(context_of({regs, static_cast<uint64_t>(-9)})), "");
    }
    ASSERT_EQ(kernel.machine.records().size(), 1u);
    int64_t name = s.module.intern("sys_exit_pread64");
    EXPECT_EQ(words(kernel.machine.records()[0].data, 8, 5),
              (std::vector<int64_t>{17, -9, name, 17, -9}));
  }
}

TEST(Select, RandomBits) {
  Subject s;
  s.group.kind = EventKind::SyscallExit;
  s.group.events = {syscall_event(EventKind::SyscallExit, "sys_exit_read", 0)};
  s.group.name_ids = {s.module.intern("sys_exit_read")};
  s.add_site({{Type::Int}, {Type::Int}}, ssa::RawEvent::None);
  Builder& b = s.builder;
  b.at(b.block());
  const ValueId first = b.op(Op::Random, {});
  b.op(Op::Emit, {first, b.op(Op::Random, {})}, 0);
  b.ret();
  auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  FakeKernel kernel(result.unit, s.cells);
  kernel.machine.task.kernel_memory[kRegs] = fake_registers(0);
  kernel.machine.task.random = 0xfffffffe;
  ASSERT_EQ(kernel.run(context_of({kRegs, 0})), "");
  ASSERT_EQ(kernel.machine.records().size(), 1u);
  EXPECT_EQ(words(kernel.machine.records()[0].data, 8, 2),
            (std::vector<int64_t>{0x7fffffff7fffffff, 0}));
}

TEST(Select, SyscallEntry) {
  Subject s;
  syscall_enter(s);
  auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  ASSERT_EQ(result.unit.programs.size(), 1u);
  const bpf::Program& program = result.unit.programs[0];
  EXPECT_EQ(program.kind, bpf::ProgramKind::RawTracepoint);
  EXPECT_EQ(program.attach_to, "sys_enter");
  EXPECT_EQ(program.name, "h3_1");
  FakeKernel kernel(result.unit, s.cells);
  kernel.machine.task.cpu = 1;
  kernel.machine.task.kernel_memory[kRegs] = fake_registers(17);
  for (uint64_t nr : {17u, 3u, 18u, 5000u}) {
    ASSERT_EQ(kernel.run(context_of({kRegs, nr})), "");
  }
  ASSERT_EQ(kernel.run(context_of({kRegs, UINT64_MAX})), "");
  ASSERT_EQ(kernel.machine.records().size(), 1u) << "only number 17 is one of the group's";
  const Bytes& record = kernel.machine.records()[0].data;
  EXPECT_EQ(kernel.machine.records()[0].flags, 1);  // BPF_RB_NO_WAKEUP
  EXPECT_EQ(record.size(), result.unit.sites[0].size_bytes);
  EXPECT_EQ(as_int(record), int64_t{1} << 32);  // site 0, cpu 1
  int64_t name = s.module.intern("sys_enter_pread64");
  EXPECT_EQ(words(record, 8, 13), (std::vector<int64_t>{100, 101, 1000, 2000, 1, 123456789, 42, 17,
                                                        -100, 0x7fff0000, 3, 201, name}));
  EXPECT_EQ(
      words(record, result.unit.sites[0].raw_offset_bytes, 7),
      (std::vector<int64_t>{17, 0x12345678ffffff9c, 0x7fff0000, 0x5555555500000003, 4, 5, 6}));
}

TEST(Select, SyscallExit) {
  for (uint32_t nr_size : {8u, 4u}) {
    Subject s;
    syscall_exit(s);
    s.facts.syscall_regs.nr_size_bytes = nr_size;
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty());
    EXPECT_EQ(result.unit.programs[0].attach_to, "sys_exit");
    FakeKernel kernel(result.unit, s.cells);
    for (int64_t nr : {17, 1, -1}) {
      kernel.machine.task.kernel_memory[kRegs] = fake_registers(nr);
      ASSERT_EQ(kernel.run(context_of({kRegs, static_cast<uint64_t>(-9)})), "");
    }
    ASSERT_EQ(kernel.run(context_of({1, 0})), "");  // unreadable registers
    ASSERT_EQ(kernel.machine.records().size(), 1u);
    int64_t name = s.module.intern("sys_exit_pread64");
    EXPECT_EQ(words(kernel.machine.records()[0].data, 8, 5),
              (std::vector<int64_t>{17, -9, name, 17, -9}));
  }
}

TEST(Select, FieldsThatTheArgumentsHave) {
  using schema::FieldKind;
  auto event = std::make_shared<schema::Event>();
  event->system = "sched";
  event->name = "sched_switch";
  event->tracefs_id = 321;
  event->fields = {{"prev_comm", "char[16]", FieldKind::CharArray, 8, 16, false},
                   {"prev_pid", "pid_t", FieldKind::Int, 24, 4, true},
                   {"next_prio", "int", FieldKind::Int, 60, 4, true},
                   {"prev_state", "long", FieldKind::Int, 32, 8, true}};
  for (const bool reads_state : {false, true}) {
    Subject s;
    s.facts = modern_facts();
    s.facts.typed_tracepoints.emplace("sched_switch", 3);
    s.facts.task.prio = 56;
    s.group.kind = EventKind::Tracepoint;
    s.group.events = {event};
    s.group.name_ids = {s.module.intern("sched_switch")};
    s.add_site({bytes_arg(16), {Type::Int}, {Type::Int}});
    Builder& b = s.builder;
    b.at(b.block());
    b.op(Op::Emit, {b.bytes(Op::EventField, 16, 0), field(b, 1), field(b, reads_state ? 3 : 2)}, 0);
    b.ret();
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    const bpf::Program& program = result.unit.programs[0];
    EXPECT_EQ(program.attach_to, "sched_switch");
    EXPECT_EQ(program.kind,
              reads_state ? bpf::ProgramKind::Tracepoint : bpf::ProgramKind::TypedRawTracepoint);
    if (reads_state) continue;
    EXPECT_EQ(program.btf_id, 3u);
    FakeKernel kernel(result.unit, s.cells);
    Bytes prev(64), next(64);
    const int32_t pid = -5, prio = 120;
    std::memcpy(&prev[16], &pid, 4);
    std::memcpy(&prev[24], "fifteen letters", 15);
    std::memcpy(&next[56], &prio, 4);
    const uint64_t at_prev = kernel.machine.add_object(prev);
    const uint64_t at_next = kernel.machine.add_object(next);
    ASSERT_EQ(kernel.run(context_of({0, at_prev, at_next, 1})), "");
    ASSERT_EQ(kernel.machine.records().size(), 1u);
    const Bytes& record = kernel.machine.records()[0].data;
    EXPECT_EQ(Bytes(record.begin() + 8, record.begin() + 24), padded("fifteen letters", 16));
    EXPECT_EQ(words(record, 24, 2), (std::vector<int64_t>{-5, 120}));
  }
}

/// Where raw tracepoints are no choice: the records of raw_syscalls hold all.
TEST(Select, SystemCallsByRecords) {
  for (const bool is_exit : {false, true}) {
    Subject s;
    is_exit ? syscall_exit(s) : syscall_enter(s);
    s.facts.has_steady_raw_tracepoints = false;
    s.facts.raw_syscalls_id[0] = 11;
    s.facts.raw_syscalls_id[1] = 12;
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty());
    const bpf::Program& program = result.unit.programs[0];
    EXPECT_EQ(program.kind, bpf::ProgramKind::Tracepoint);
    EXPECT_EQ(program.tracefs_id, is_exit ? 12 : 11);
    FakeKernel kernel(result.unit, s.cells);
    for (const uint64_t nr : {17u, 3u}) {
      const std::vector<uint64_t> entry = {0, nr, 0x1234567800000005, 0x7fff0000, 3, 4, 5, 6};
      const std::vector<uint64_t> end = {0, nr, static_cast<uint64_t>(-9)};
      ASSERT_EQ(kernel.run(context_of(is_exit ? end : entry)), "");
    }
    ASSERT_EQ(kernel.machine.records().size(), 1u);
    const Bytes& record = kernel.machine.records()[0].data;
    if (is_exit) {
      EXPECT_EQ(words(record, 8, 2), (std::vector<int64_t>{17, -9}));
    } else {
      EXPECT_EQ(words(record, 64, 4), (std::vector<int64_t>{17, 5, 0x7fff0000, 3}));
      EXPECT_EQ(words(record, result.unit.sites[0].raw_offset_bytes, 7),
                (std::vector<int64_t>{17, 0x1234567800000005, 0x7fff0000, 3, 4, 5, 6}));
    }
  }
}

TEST(Select, NumbersThatAreArguments) {
  using schema::FieldKind;
  auto event = std::make_shared<schema::Event>();
  event->system = "raw_syscalls";
  event->name = "sys_enter";
  event->tracefs_id = 21;
  event->fields = {{"id", "long", FieldKind::Int, 8, 8, true},
                   {"args", "unsigned long[6]", FieldKind::Opaque, 16, 48, false}};
  for (const bool is_typed : {true, false}) {
    Subject s;
    if (is_typed) s.facts = modern_facts();
    s.group.kind = EventKind::Tracepoint;
    s.group.events = {event};
    s.group.name_ids = {s.module.intern("sys_enter")};
    s.add_site({{Type::Int}});
    Builder& b = s.builder;
    b.at(b.block());
    b.op(Op::Emit, {field(b, 0)}, 0);
    b.ret();
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    EXPECT_EQ(result.unit.programs[0].kind,
              is_typed ? bpf::ProgramKind::TypedRawTracepoint : bpf::ProgramKind::Tracepoint);
    FakeKernel kernel(result.unit, s.cells);
    // (registers, number), or the record: its header, then the number.
    ASSERT_EQ(kernel.run(context_of({0, 110, 0, 0, 0, 0, 0, 0})), "");
    EXPECT_EQ(words(kernel.machine.records()[0].data, 8, 1), (std::vector<int64_t>{110}));
  }
}

Bytes fake_record() {
  Bytes record = context_of(std::vector<uint64_t>(8, 0));
  auto put = [&](size_t at, int64_t value, size_t size) { std::memcpy(&record[at], &value, size); };
  put(0, -1, 8);  // the kernel's pointer
  put(8, -2, 1);
  put(9, -2, 1);
  put(10, -3, 2);
  put(12, -4, 4);
  put(16, -5, 4);
  std::memcpy(&record[20], "sixteen chars!!!", 16);
  put(36, 6 << 16 | 64, 4);
  put(40, -6, 8);
  put(48, 4 << 16 | (70 - 52), 4);
  put(54, -7, 4);
  for (char c : std::string("/proc\0rel\0", 10)) record.push_back(static_cast<uint8_t>(c));
  record.resize(80, 0xaa);
  return record;
}

TEST(Select, TracepointFields) {
  for (const bool is_new : {false, true}) {
    Subject s;
    if (is_new) s.facts = modern_facts();
    tracepoint(s);
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty());
    EXPECT_EQ(result.unit.programs[0].kind, bpf::ProgramKind::Tracepoint);
    EXPECT_EQ(result.unit.programs[0].tracefs_id, 321);
    FakeKernel kernel(result.unit, s.cells);
    ASSERT_EQ(kernel.run(fake_record()), "");
    ASSERT_EQ(kernel.machine.records().size(), 1u);
    const Bytes& record = kernel.machine.records()[0].data;
    const SiteLayout& site = result.unit.sites[0];
    auto arg = [&](size_t i) { return as_int(record, site.arg_offset_bytes[i]); };
    auto text = [&](size_t i, size_t size) {
      auto begin = record.begin() + site.arg_offset_bytes[i];
      return Bytes(begin, begin + static_cast<int64_t>(size));
    };
    EXPECT_EQ(arg(0), -2);
    EXPECT_EQ(arg(1), 254);
    EXPECT_EQ(arg(2), -3);
    EXPECT_EQ(arg(3), 0xfffffffc);
    EXPECT_EQ(arg(4), -5);
    EXPECT_EQ(text(5, 16), padded("sixteen chars!!!", 16));
    EXPECT_EQ(text(6, 64), padded("/proc", 64));
    EXPECT_EQ(arg(7), -6);
    EXPECT_EQ(text(8, 64), padded("rel", 64));
    EXPECT_EQ(arg(9), -7);

    // The raw copy ends with the last dynamic byte; its first 8 are a proper header again.
    uint32_t raw = site.raw_offset_bytes;
    EXPECT_EQ(as_int(record, raw), 74);
    EXPECT_EQ(as_int(record, raw + 8), int64_t{101} << 32 | 321);
    Bytes want = fake_record();
    EXPECT_EQ(Bytes(record.begin() + raw + 16, record.begin() + raw + 8 + 74),
              Bytes(want.begin() + 8, want.begin() + 74));
  }
}

TEST(Select, StringFieldsAreCutAndCounted) {
  constexpr int64_t kComm = 5, kLoc = 6;  // "sixteen chars!!!" of 16 bytes, "/proc"
  struct Case {
    int64_t field;
    uint32_t bound;
    std::string want, counter;
  };
  for (const Case& c : {Case{kComm, 16, "sixteen chars!!!", ""},
                        Case{kComm, 15, "sixteen chars!!", "cut args.comm"},
                        Case{kComm, 8, "sixteen ", "cut args.comm"}, Case{kLoc, 5, "/proc", ""},
                        Case{kLoc, 4, "/pro", "cut args.loc"}}) {
    Subject s;
    s.group.kind = EventKind::Tracepoint;
    s.group.events = {record_event()};
    s.add_site({bytes_arg(c.bound)});
    Builder& b = s.builder;
    b.at(b.block());
    b.op(Op::Emit, {b.bytes(Op::EventField, c.bound, c.field)}, 0);
    b.ret();
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty());
    FakeKernel kernel(result.unit, s.cells);
    ASSERT_EQ(kernel.run(fake_record()), "");
    const Bytes& record = kernel.machine.records()[0].data;
    EXPECT_EQ(Bytes(record.begin() + 8, record.end()), padded(c.want, (c.bound + 7) / 8 * 8));
    std::map<std::string, uint64_t> cut;
    if (!c.counter.empty()) cut[c.counter] = 1;
    EXPECT_EQ(kernel.outcome(0).counters, cut) << c.want;
  }
}

// A dynamic field that points past the readable memory: the fixed part alone.
TEST(Select, RawRecordFallsBackToTheFixedPart) {
  Subject s;
  tracepoint(s);
  auto result = s.emit_unit();
  FakeKernel kernel(result.unit, s.cells);
  Bytes record = fake_record();
  int64_t far = 0xffff << 16 | 64;
  std::memcpy(&record[36], &far, 4);
  ASSERT_EQ(kernel.run(record), "");
  EXPECT_EQ(as_int(kernel.machine.records()[0].data, result.unit.sites[0].raw_offset_bytes), 64);
}

TEST(Select, TracepointOfWhichNothingIsReadIsRaw) {
  Subject s;
  tracepoint_name_only(s);
  auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  const bpf::Program& program = result.unit.programs[0];
  EXPECT_EQ(program.kind, bpf::ProgramKind::RawTracepoint);
  EXPECT_EQ(program.attach_to, "sched_switch");
  EXPECT_EQ(program.tracefs_id, 321);
  FakeKernel kernel(result.unit, s.cells);
  ASSERT_EQ(kernel.run({}), "") << "the context is not looked at";
  EXPECT_EQ(kernel.outcome(0).tables[0].at(word(s.group.name_ids[0]))[0], 1);
}

TEST(Select, DeltaTablesFollowTheGeneration) {
  Subject s;
  tracepoint_name_only(s);
  auto result = s.emit_unit();
  const Table& table = result.unit.tables[0];
  ASSERT_EQ(table.layout, TableLayout::Direct);
  ASSERT_EQ(table.direct_entries(), 1u) << "one event has one name";
  FakeKernel kernel(result.unit, s.cells);
  kernel.machine.task.cpu = 1;
  for (int64_t generation : {0, 1, 1}) {
    kernel.set_control(Control::kGeneration, generation);
    ASSERT_EQ(kernel.run({}), "");
  }
  const ProgramMemory& memory = result.unit.memories[table.places[0].memory];
  ASSERT_TRUE(memory.is_one_value);
  std::vector<int64_t> counts;
  for (uint32_t area = 0; area < 4; ++area) {  // 2 * cpu + generation
    counts.push_back(as_int(kernel.machine.value(memory.map, Bytes{0, 0, 0, 0}),
                            area * memory.area_bytes + table.places[0].offset_bytes));
  }
  EXPECT_EQ(counts, (std::vector<int64_t>{0, 0, 1, 2}));
}

TEST(Select, UserStrings) {
  for (size_t length : {0u, 5u, 255u, 256u, 257u, 258u, 300u}) {
    Subject s;
    user_text(s);
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    FakeKernel kernel(result.unit, s.cells);
    kernel.machine.task.kernel_memory[kRegs] = fake_registers(0);
    std::string text(length, 'x');
    kernel.machine.task.user_memory[0x7fff0000] = padded(text, length + 1);
    ASSERT_EQ(kernel.run(context_of({kRegs, 0})), "");
    const Bytes& record = kernel.machine.records()[0].data;
    EXPECT_EQ(as_int(record, 8), 1);
    EXPECT_EQ(Bytes(record.begin() + 16, record.end()), padded(text, 256)) << length;
    Bytes key = padded(text, 256), five = word(5);
    key.insert(key.end(), five.begin(), five.end());
    const Outcome outcome = kernel.outcome(0);
    EXPECT_EQ(outcome.tables[0].at(key)[0], 2);
    std::map<std::string, uint64_t> cut;
    if (length > 256) cut["cut user_string"] = 1;
    EXPECT_EQ(outcome.counters, cut) << length;
  }
}

TEST(Select, UserStringAtABadAddressIsNil) {
  Subject s;
  user_text(s);
  auto result = s.emit_unit();
  FakeKernel kernel(result.unit, s.cells);
  kernel.machine.task.kernel_memory[kRegs] = fake_registers(0);
  ASSERT_EQ(kernel.run(context_of({kRegs, 0})), "");
  EXPECT_EQ(as_int(kernel.machine.records()[0].data, 8), 0);
  EXPECT_TRUE(kernel.outcome(0).tables[0].empty());
}

TEST(Select, TwoReadStringsMeetInAPhi) {
  for (int64_t cell : {0, 1}) {
    Subject s;
    merged_text(s);
    s.cells[0] = cell;
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    FakeKernel kernel(result.unit, s.cells);
    kernel.machine.task.user_memory[static_cast<uint64_t>(s.cells[1])] = padded(kUserText, 14);
    ASSERT_EQ(kernel.run(context_of({0, 0})), "");
    const Bytes& record = kernel.machine.records()[0].data;
    EXPECT_EQ(Bytes(record.begin() + 8, record.begin() + 24),
              padded(cell != 0 ? kUserText : kComm, 16));
    EXPECT_EQ(words(record, 24, 3), (std::vector<int64_t>{cell == 0, cell == 1, cell == 1}));
  }
}

TEST(Select, FiltersAndTheGate) {
  Subject s;
  filtered(s);
  auto result = s.emit_unit();
  ASSERT_EQ(result.unit.programs.size(), 1u);
  EXPECT_TRUE(result.unit.waits_for_exec);
  FakeKernel kernel(result.unit, s.cells);
  kernel.set_control(Control::kArmed, Control::kWaiting);
  auto hits = [&](uint64_t nr) {
    kernel.machine.clear_records();
    EXPECT_EQ(kernel.run(context_of({kRegs, nr})), "");
    return kernel.machine.records().size();
  };
  EXPECT_EQ(hits(0), 0u) << "before exec";
  kernel.machine.task.tgid = 99;
  EXPECT_EQ(hits(59), 0u);
  EXPECT_EQ(kernel.control(Control::kArmed), Control::kWaiting) << "another process's exec";
  kernel.machine.task.tgid = 100;
  EXPECT_EQ(hits(322), 0u) << "execveat itself is not in this group";
  EXPECT_EQ(kernel.control(Control::kArmed), Control::kRunning);
  EXPECT_EQ(hits(0), 1u);
  EXPECT_EQ(words(kernel.machine.records()[0].data, 8, 2), (std::vector<int64_t>{100, 0}));
  kernel.machine.task.cpu = 1;
  EXPECT_EQ(hits(0), 0u) << "another cpu";
  kernel.machine.task.cpu = 0;
  kernel.machine.task.tgid = 99;
  EXPECT_EQ(hits(0), 0u) << "another process";
  kernel.machine.task.tgid = 100;
  for (int64_t armed : {0, 2}) {
    kernel.set_control(Control::kArmed, armed);
    EXPECT_EQ(hits(0), 0u) << "not armed";
  }
}

TEST(Select, AFullRingIsCounted) {
  Subject s;
  filtered(s);
  s.options = Options();
  auto result = s.emit_unit();
  FakeKernel kernel(result.unit, s.cells);
  kernel.machine.ring_full = true;
  ASSERT_EQ(kernel.run(context_of({kRegs, 0})), "");
  EXPECT_EQ(kernel.outcome(0).counters, (std::map<std::string, uint64_t>{{"ring printf", 1}}));
  ASSERT_EQ(result.unit.counters.size(), 1u);
  EXPECT_EQ(result.unit.counters[0].line, 7u);
}

TEST(Select, TheFirstRecordWakesASleepingReader) {
  Subject s;
  s.add_site({{Type::Int}});
  Builder& b = s.builder;
  b.at(b.block());
  b.op(Op::Emit, {b.integer(5)}, 0);
  b.op(Op::Emit, {b.integer(6)}, 0);
  b.ret();
  auto result = s.emit_unit();
  FakeKernel kernel(result.unit, s.cells);
  kernel.machine.task.cpu = 1;
  kernel.set_control(Control::kSleeping, 1);
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  ASSERT_EQ(kernel.machine.records().size(), 2u);
  EXPECT_EQ(kernel.machine.records()[0].flags, bpf::kRingForceWakeup);
  EXPECT_EQ(kernel.machine.records()[1].flags, bpf::kRingNoWakeup);
  EXPECT_EQ(kernel.control(Control::kSleeping), 0);
  EXPECT_EQ(as_int(kernel.machine.records()[1].data), 0) << "site 0; no raw event, no CPU";
}

TEST(Select, ExitSitesWakeTheReader) {
  Subject s;
  s.add_site({{Type::Int}});
  s.module.sites[0].kind = ssa::SiteKind::Exit;
  Builder& b = s.builder;
  b.at(b.block());
  b.op(Op::Emit, {b.integer(3)}, 0);
  b.op(Op::RequestExit, {b.integer(3)});
  b.ret();
  auto result = s.emit_unit();
  FakeKernel kernel(result.unit, s.cells);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(kernel.run(context_of({kRegs, 0})), "");
  ASSERT_EQ(kernel.machine.records().size(), 1u) << "nothing starts after exit()";
  EXPECT_EQ(kernel.machine.records()[0].flags, 2);
  EXPECT_EQ(kernel.control(Control::kExitStatus), 3);
  EXPECT_EQ(kernel.control(Control::kArmed), 2);
}

TEST(Select, StrictStopsAtTheFirstError) {
  for (bool strict : {false, true}) {
    Subject s;
    s.module.cells = {"n"};
    s.cells = {0};
    s.module.failures = {ssa::Failure{"division by zero", {}, 7}};
    s.options.strict = strict;
    Builder& b = s.builder;
    b.at(b.block());
    b.op(Op::CellAdd, {b.integer(1)}, 0);
    b.op(Op::Fail, {}, 0);
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    FakeKernel kernel(result.unit, s.cells);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(kernel.run(context_of({kRegs, 0})), "");
    EXPECT_EQ(kernel.control(Control::kArmed), strict ? 3 : 1);
    EXPECT_EQ(kernel.control(Control::kCells), strict ? 1 : 3);
    kernel.set_control(Control::kArmed, 2);
    ASSERT_EQ(kernel.run(context_of({kRegs, 0})), "");
    EXPECT_EQ(kernel.control(Control::kArmed), 2);
  }
}

TEST(Select, GlobsOnLongStrings) {
  struct Case {
    std::string text;
    std::vector<int64_t> want;
  };
  for (const Case& c : {Case{"/proc/self.conf", {1, 1, 0}}, Case{"/proc", {0, 0, 0}},
                        Case{"/usr/lib64/x", {0, 0, 1}}, Case{"", {0, 0, 0}},
                        Case{".conf", {0, 1, 0}}, Case{"lib64", {0, 0, 1}},
                        Case{".confx", {0, 0, 0}}, Case{std::string(251, 'x') + ".conf", {0, 1, 0}},
                        Case{std::string(251, 'x') + "lib64", {0, 0, 1}},
                        Case{std::string(252, 'x') + ".conf", {0, 0, 0}}}) {
    Subject s;
    wide_globs(s);
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    FakeKernel kernel(result.unit, s.cells);
    kernel.machine.task.kernel_memory[kRegs] = fake_registers(0);
    kernel.machine.task.user_memory[0x7fff0000] = padded(c.text, c.text.size() + 1);
    ASSERT_EQ(kernel.run(context_of({kRegs, 0})), "");
    EXPECT_EQ(words(kernel.machine.records()[0].data, 8, 3), c.want) << c.text;
  }
}

TEST(Select, PhisOfALoopThatSwap) {
  Subject s;
  swapping_loop(s);
  auto result = s.emit_unit();
  FakeKernel kernel(result.unit, s.cells);
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  EXPECT_EQ(kernel.outcome(1).cells[0], 21);
}

// ---- limits
// -------------------------------------------------------------------------------------------------

TEST(Limits, StackAtItsEdge) {
  // 63 words beside the temporary one, and seven registers; one of the values dies where its sum is
  // born, but not before. What more there is stands in scratch.
  size_t maps_of_what_fits = 0;
  for (const int count : {70, 71, 4000}) {
    Subject s;
    many_alive(s, count);
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    if (count == 70) maps_of_what_fits = result.unit.maps.size();
    EXPECT_EQ(result.unit.maps.size(), maps_of_what_fits + (count == 70 ? 0 : 1)) << count;
    FakeKernel kernel(result.unit, s.cells);
    ASSERT_EQ(kernel.run(context_of({0, 0})), "") << count;
    EXPECT_EQ(kernel.outcome(1).cells[0], count);
  }
  Subject large;
  many_alive(large, 5000);
  EXPECT_EQ(large.refusal().substr(0, 6), "needs ");
}

TEST(Limits, ShortStringsMoveToScratch) {
  Subject s;
  many_texts(s);
  auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
  FakeKernel kernel(result.unit, s.cells);
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  const Bytes& record = kernel.machine.records()[0].data;
  for (size_t i = 0; i < 30; ++i) {
    auto begin = record.begin() + static_cast<int64_t>(8 + 16 * i);
    EXPECT_EQ(Bytes(begin, begin + 16), padded(kComm, 16));
  }
  EXPECT_EQ(kernel.outcome(0).tables[0].at(padded(kComm, 16))[0], 1);
}

TEST(Limits, Refusals) {
  Subject wide;
  wide.add_table({{ssa::KeyPart::Kind::Bytes, 512}, {ssa::KeyPart::Kind::Int, 8}}, false);
  wide.builder.at(wide.builder.block());
  ValueId comm = execname(wide.builder);
  wide.builder.op(Op::TableAdd, {comm, wide.builder.integer(1), wide.builder.integer(1)}, 0);
  wide.builder.ret();
  EXPECT_EQ(wide.refusal(), "a key of 520 bytes in table t0; at most 512 fit");

  Subject ppid;
  ppid.module.cells = {"c"};
  ppid.builder.at(ppid.builder.block());
  ppid.builder.op(Op::CellSet, {variable(ppid.builder, BuiltinVar::Ppid)}, 0);
  ppid.builder.ret();
  EXPECT_EQ(ppid.refusal(), "ppid is not known here: the kernel does not describe its tasks (BTF)");

  Subject glob;
  glob.module.cells = {"c"};
  BlockId entry = glob.builder.block(), yes = glob.builder.block(), no = glob.builder.block();
  glob.builder.at(entry);
  ValueId name = execname(glob.builder);
  ValueId hit =
      glob.builder.op(Op::StrGlob, {name}, glob.module.intern(std::string(64, '?') + "c"));
  glob.builder.branch(hit, yes, no);
  for (BlockId block : {yes, no}) {
    glob.builder.at(block);
    if (block == yes) glob.builder.op(Op::CellSet, {glob.builder.integer(1)}, 0);
    glob.builder.ret();
  }
  EXPECT_EQ(glob.refusal(), "a glob of more than 64 parts");
}

TEST(Emit, NamesTheJobThatFailsAndGoesOn) {
  Subject s;
  many_alive(s, 5000);
  Builder small;
  small.at(small.block());
  small.ret();
  std::vector<Job> jobs{{&s.builder.function, &s.group, 0, 0}, {&small.function, &s.group, 1, 0}};
  auto result = emit(jobs, s.module, s.facts, s.options);
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(result.failures[0].job, 0u);
  ASSERT_EQ(result.unit.programs.size(), 1u);
  EXPECT_EQ(result.unit.programs[0].handlers(), (std::vector<uint32_t>{1}));
}

TEST(Emit, EveryInstructionHasItsLine) {
  Subject s;
  tracepoint_name_only(s);
  s.facts.has_mapped_tables = false;  // so that the table can be full
  for (ssa::Inst& inst : s.builder.function.values) inst.line = 12;
  auto result = s.emit_unit();
  const bpf::Program& program = result.unit.programs[0];
  ASSERT_EQ(program.lines.size(), program.code.size());
  EXPECT_GT(std::count(program.lines.begin(), program.lines.end(), 12u), 20);
  EXPECT_EQ(result.unit.counters[0].line, 12u);
}

}  // namespace
}  // namespace ktap::backend::testing_support
