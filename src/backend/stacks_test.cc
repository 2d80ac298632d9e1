// User stacks on the test machine: whose they are, and copies that user space unwinds.
#include <gtest/gtest.h>

#include <set>

#include "backend/test_subjects.h"
#include "base/user_stack.h"
#include "bpf/helpers.h"

namespace ktap::backend::testing_support {
namespace {

constexpr uint64_t kStackStart = 0x7ffd12345670;
constexpr uint64_t kRegisters = 0xffff880000001000;
constexpr uint64_t kStackPointer = 0x7ffd12340a08;

/// A kernel that tells where a process's stack begins.
bpf::KernelFacts facts_with_marks() {
  bpf::KernelFacts facts = modern_facts();
  facts.task.mm = 56;
  facts.task.stack_start = 8;
  return facts;
}

void add_memory(FakeKernel& kernel) {
  Bytes memory(32);
  std::memcpy(&memory[8], &kStackStart, 8);
  const uint64_t at = kernel.machine.add_object(memory);
  Bytes task(64);
  std::memcpy(&task[56], &at, 8);
  kernel.machine.task.task_address = kernel.machine.add_object(task);
}

uint64_t marked_owner() {
  return uint64_t{program_mark(kStackStart)} << kProgramMarkShift | kUserStackBit | 100;
}

void user_stack(Subject& s) {
  s.add_site({{Type::Stack, ssa::StrKind::Bytes, 24}}, ssa::RawEvent::None);
  Builder& b = s.builder;
  b.at(b.block());
  const ValueId stack = b.bytes(Op::UserStack, 24);
  b.function[stack].type = Type::Stack;
  b.op(Op::Emit, {stack}, 0);
  b.ret();
}

TEST(Stacks, CarryTheMarkOfTheProgram) {
  for (const bool has_marks : {true, false}) {
    Subject s;
    s.facts = has_marks ? facts_with_marks() : modern_facts();
    user_stack(s);
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    FakeKernel kernel(result.unit, s.cells);
    add_memory(kernel);
    ASSERT_EQ(kernel.run(context_of({0, 0})), "");
    ASSERT_EQ(kernel.machine.records().size(), 2U);
    const uint64_t owner = has_marks ? marked_owner() : kUserStackBit | 100;
    // First that there is such a process, then the event's own.
    const Bytes& announced = kernel.machine.records()[0].data;
    EXPECT_EQ(as_int(announced, 0), kProcessSite);
    EXPECT_EQ(static_cast<uint64_t>(as_int(announced, 8)), owner);
    EXPECT_GT(as_int(announced, 16), 0);  // when
    const Bytes& record = kernel.machine.records()[1].data;
    EXPECT_EQ(static_cast<uint64_t>(as_int(record, 8)), owner);
    EXPECT_EQ(as_int(record, 16), 0x401010);
    EXPECT_EQ(as_int(record, 24), 0x401020);
  }
}

/// Where a kernel asks for it, nothing of the memory is left as it was.
TEST(Stacks, OfTheKernelAreReadByPerfWhereAProgramHidesThem) {
  for (const bool has_stacks : {true, false}) {
    for (const Op op : {Op::KernelStack, Op::UserStack}) {
      Subject s;
      s.facts.has_raw_tracepoint_stacks = has_stacks;
      s.group.kind = EventKind::Tracepoint;
      s.group.events = {record_event()};
      s.group.name_ids = {s.module.intern("sched_switch")};
      s.add_site({{Type::Stack, ssa::StrKind::Bytes, 24}}, ssa::RawEvent::None);
      Builder& b = s.builder;
      b.at(b.block());
      const ValueId stack = b.bytes(op, 24);
      b.function[stack].type = Type::Stack;
      b.op(Op::Emit, {stack}, 0);
      b.ret();
      const EmitResult result = s.emit_unit();
      ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
      const bool is_raw = has_stacks || op == Op::UserStack;
      EXPECT_EQ(result.unit.programs.at(0).kind,
                is_raw ? bpf::ProgramKind::RawTracepoint : bpf::ProgramKind::Tracepoint);
    }
  }
}

TEST(Stacks, AreClearedForOlderKernels) {
  for (const bool is_old : {false, true}) {
    Subject s;
    s.facts = facts_with_marks();
    s.facts.has_recursion_guard = !is_old;
    user_stack(s);
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    std::set<int16_t> cleared;
    for (const bpf::Insn& insn : result.unit.programs[0].code) {
      if (insn == bpf::call(static_cast<int32_t>(bpf::Helper::GetStack))) break;
      if (insn == bpf::store(bpf::Size::DW, bpf::Reg::R10, insn.off, 0)) cleared.insert(insn.off);
    }
    EXPECT_EQ(cleared.size(), is_old ? 2U : 0U);
  }
}

/// Emits a 7 and a copy of the stack.
void emits_with_stack(Subject& s) {
  s.facts = facts_with_marks();
  s.facts.has_task_registers = true;
  s.add_site({{Type::Int}}, ssa::RawEvent::None);
  s.module.sites[0].copies_stack = true;
  Builder& b = s.builder;
  b.at(b.block());
  b.op(Op::Emit, {b.integer(7)}, 0);
  b.ret();
}

TEST(Stacks, CopiesEndWhereMemoryDoes) {
  for (const size_t mapped : {size_t{0}, size_t{3000}, size_t{100'000}}) {
    Subject s;
    emits_with_stack(s);
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    FakeKernel kernel(result.unit, s.cells);
    add_memory(kernel);
    Bytes registers(168, 3);
    std::memcpy(&registers[152], &kStackPointer, 8);
    kernel.machine.task.registers_address = kRegisters;
    kernel.machine.task.kernel_memory[kRegisters] = registers;
    const uint64_t begin = kStackPointer & ~uint64_t{kStackPieceBytes - 1};
    if (mapped != 0) kernel.machine.task.user_memory[begin] = Bytes(mapped, 9);
    ASSERT_EQ(kernel.run(context_of({0, 0})), "");
    // The record was reserved before the process was announced.
    const auto& records = kernel.machine.records();
    ASSERT_EQ(records.size(), 2U);
    const Bytes& record = as_int(records[0].data, 0) == 0 ? records[0].data : records[1].data;
    const size_t at = result.unit.sites[0].stack_offset_bytes;
    ASSERT_EQ(record.size(), at + kStackCopyHeaderBytes + 168 + kStackCopyBytes +
                                 kReturnProbes * kReturnProbeBytes);
    EXPECT_EQ(as_int(record, 8), 7);
    EXPECT_EQ(static_cast<uint64_t>(as_int(record, at)), marked_owner());
    const size_t whole = mapped / kStackPieceBytes * kStackPieceBytes;
    EXPECT_EQ(static_cast<size_t>(as_int(record, at + 8)),
              std::min<size_t>(whole, kStackCopyBytes));
    EXPECT_EQ(static_cast<uint64_t>(as_int(record, at + 16)), begin);
    EXPECT_GT(as_int(record, at + 24), 0);
    EXPECT_EQ(static_cast<uint64_t>(as_int(record, at + kStackCopyHeaderBytes + 152)),
              kStackPointer);
    EXPECT_EQ(record[at + kStackCopyHeaderBytes + 168], mapped != 0 ? 9 : 0);
    EXPECT_EQ(as_int(record, at + kStackCopyHeaderBytes + 168 + kStackCopyBytes + 8),
              0);  // no return probes
  }
}

/// The return addresses that probes wait at: of none, of two, of more than there is room for.
TEST(Stacks, CopiesTellReturnProbes) {
  for (const size_t waiting : {size_t{0}, size_t{2}, size_t{11}}) {
    Subject s;
    emits_with_stack(s);
    s.facts.task.utask = 40;
    s.facts.task.return_probes = 16;
    s.facts.task.return_stack = 8;
    s.facts.task.return_next = 32;
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    FakeKernel kernel(result.unit, s.cells);
    const auto set = [](Bytes& object, size_t at, uint64_t value) {
      std::memcpy(&object[at], &value, sizeof value);
    };
    uint64_t next = 0;
    for (size_t i = waiting; i-- > 0;) {
      Bytes instance(40);
      set(instance, 8, 0x7ffd00000000 + i);
      set(instance, 16, 0x401000 + i);
      set(instance, 32, next);
      next = kernel.machine.add_object(instance);
    }
    Bytes utask(24);
    set(utask, 16, next);
    Bytes task(64);
    set(task, 40, waiting != 0 ? kernel.machine.add_object(utask) : 0);
    kernel.machine.task.task_address = kernel.machine.add_object(task);
    kernel.machine.task.registers_address = kRegisters;
    kernel.machine.task.kernel_memory[kRegisters] = Bytes(168, 3);
    ASSERT_EQ(kernel.run(context_of({0, 0})), "");
    const auto& records = kernel.machine.records();
    ASSERT_EQ(records.size(), 2U);
    const Bytes& record = as_int(records[0].data, 0) == 0 ? records[0].data : records[1].data;
    size_t at =
        result.unit.sites[0].stack_offset_bytes + kStackCopyHeaderBytes + 168 + kStackCopyBytes;
    for (size_t i = 0; i < kReturnProbes; ++i, at += kReturnProbeBytes) {
      EXPECT_EQ(as_int(record, at + 8), i < waiting ? static_cast<int64_t>(0x401000 + i) : 0);
      if (i == waiting) break;
      EXPECT_EQ(as_int(record, at), static_cast<int64_t>(0x7ffd00000000 + i));
    }
  }
}

}  // namespace
}  // namespace ktap::backend::testing_support
