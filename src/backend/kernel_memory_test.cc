// Kernel memory on the test machine: numbers, bits, pointers, text; bad and null addresses; members
// of the current task by direct loads and by safe reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "backend/test_support.h"
#include "bpf/helpers.h"
#include "bpf/insn.h"
#include "ssa/kernel_access.h"

namespace ktap::backend {
namespace {

using namespace testing_support;
using ssa::KernelAccess;
using ssa::StrKind;
using ssa::TextAccess;

constexpr uint64_t kObject = 0xffff888000001000;
constexpr uint64_t kOther = 0xffff888000002000;

/// Reads at the address in cell 0 whatever can be read there.
void read_object(Subject& s) {
  s.cells = {static_cast<int64_t>(kObject)};
  s.module.cells = {"address"};
  s.add_site({{Type::MaybeInt},
              {Type::MaybeInt},
              {Type::MaybeInt},
              {Type::MaybeInt},
              {Type::MaybeBool},
              {Type::MaybeStr, StrKind::Bytes, 4},
              {Type::MaybeStr, StrKind::Bytes, 8}});
  Builder& b = s.builder;
  b.at(b.block());
  const ValueId at = b.op(Op::CellGet, {}, 0);
  const auto number = [&](ValueId base, KernelAccess access, Type type = Type::MaybeInt) {
    return b.op(Op::KernelRead, {base}, access.pack(), type);
  };
  const ValueId half = number(at, {2, 2, true});
  const ValueId bits = number(at, {1, 1, true, false, 3, 3});
  const ValueId pointer = number(at, {8, 8, false, true});
  const ValueId behind = number(b.op(Op::KernelAddress, {pointer}, 4), {-4, 4, false});
  const ValueId truth = number(at, {16, 1, false}, Type::MaybeBool);
  const ValueId array = b.bytes(Op::KernelText, 4, TextAccess{20, 4}.pack(), {at}, Type::MaybeStr);
  const ValueId text = b.bytes(Op::KernelText, 8, TextAccess{24, 0}.pack(), {at}, Type::MaybeStr);
  b.op(Op::Emit, {half, bits, pointer, behind, truth, array, text}, 0);
  b.ret();
}

Bytes object() {
  Bytes bytes(64);
  const int16_t half = -2;
  std::memcpy(&bytes[2], &half, 2);
  bytes[1] = 0x28;  // bits 3 to 5: 101, -3
  std::memcpy(&bytes[8], &kOther, 8);
  bytes[16] = 2;
  std::memcpy(&bytes[20], "abcdefg", 8);
  return bytes;
}

/// The tags and payloads of the record's arguments, a text's first word for all of it.
std::vector<int64_t> arguments(const Unit& unit, const Bytes& record) {
  std::vector<int64_t> out;
  for (const uint32_t at : unit.sites[0].arg_offset_bytes) {
    out.push_back(as_int(record, at));
    out.push_back(as_int(record, at + 8));
  }
  return out;
}

int64_t text(const char* of) { return as_int(padded(of, 8)); }

TEST(KernelMemory, NumbersAndText) {
  Subject s;
  read_object(s);
  auto result = s.emit_unit();
  ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
  FakeKernel kernel(result.unit, s.cells);
  kernel.machine.task.kernel_memory[kObject] = object();
  kernel.machine.task.kernel_memory[kOther] = {0xff, 0xff, 0xff, 0xff};
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  EXPECT_EQ(arguments(result.unit, kernel.machine.records()[0].data),
            (std::vector<int64_t>{1, -2, 1, -3, 1, static_cast<int64_t>(kOther), 1, 0xffffffff, 1,
                                  1, 1, text("abcd"), 1, text("efg")}));
}

TEST(KernelMemory, BadAndNullAddressesAreNil) {
  for (const uint64_t address :
       {uint64_t{0}, uint64_t{4096}, kObject, uint64_t{0xffffffffffffff00}}) {
    Subject s;
    read_object(s);
    s.cells = {static_cast<int64_t>(address)};
    auto result = s.emit_unit();
    FakeKernel kernel(result.unit, s.cells);
    ASSERT_EQ(kernel.run(context_of({0, 0})), "");
    EXPECT_EQ(arguments(result.unit, kernel.machine.records()[0].data), std::vector<int64_t>(14, 0))
        << address;
  }
}

TEST(KernelMemory, ANullPointerIsNilAndNothingIsReadBehindIt) {
  Subject s;
  read_object(s);
  auto result = s.emit_unit();
  FakeKernel kernel(result.unit, s.cells);
  Bytes bytes = object();
  std::fill_n(bytes.begin() + 8, 8, 0);
  kernel.machine.task.kernel_memory[kObject] = bytes;
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  const std::vector<int64_t> got = arguments(result.unit, kernel.machine.records()[0].data);
  EXPECT_EQ(std::vector<int64_t>(got.begin(), got.begin() + 8),
            (std::vector<int64_t>{1, -2, 1, -3, 0, 0, 0, 0}));
}

TEST(KernelMemory, MembersOfTheTask) {
  for (const bool has_task_btf : {true, false}) {
    Subject s;
    if (has_task_btf) s.facts = modern_facts();
    s.facts.cpu_count = 2;
    s.add_site({{Type::Int}, {Type::Str, StrKind::Bytes, 16}});
    Builder& b = s.builder;
    b.at(b.block());
    const ValueId task =
        b.op(Op::EventVar, {}, static_cast<int64_t>(schema::BuiltinVar::Curtask), Type::Int);
    const ValueId tid = b.op(Op::KernelRead, {task}, KernelAccess{16, 4, true}.pack(), Type::Int);
    b.op(Op::Emit, {tid, b.bytes(Op::KernelText, 16, TextAccess{24, 16}.pack(), {task})}, 0);
    b.ret();
    auto result = s.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    FakeKernel kernel(result.unit, s.cells);
    ASSERT_EQ(kernel.run(context_of({0, 0})), "") << has_task_btf;
    const Bytes& record = kernel.machine.records()[0].data;
    EXPECT_EQ(as_int(record, result.unit.sites[0].arg_offset_bytes[0]), 101);
    EXPECT_EQ(as_int(record, result.unit.sites[0].arg_offset_bytes[1]), text("ktap_bac"));
  }
}

/// Of a handler that sends the preemption count.
EmitResult sends_count(Subject& s) {
  s.add_site({{Type::Int}});
  Builder& b = s.builder;
  b.at(b.block());
  const ValueId count =
      b.op(Op::EventVar, {}, static_cast<int64_t>(schema::BuiltinVar::InInterrupt), Type::Int);
  b.op(Op::Emit, {count}, 0);
  b.ret();
  return s.emit_unit();
}

TEST(KernelMemory, ThePreemptionCountLiesBesideTheTask) {
  constexpr int32_t kDistance = 4096;
  Subject s;
  s.facts = facts_with_current_tasks();
  s.facts.current_tasks.to_preempt_count = kDistance;
  auto result = sends_count(s);
  ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
  FakeKernel kernel(result.unit, s.cells, 2);
  kernel.machine.task.cpu = 1;
  kernel.machine.task.kernel_memory[kFakeCurrentTasks + 8 + kDistance] = {1, 0, 1, 0x80,
                                                                          9, 9, 9, 9};
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  EXPECT_EQ(as_int(kernel.machine.records()[0].data, result.unit.sites[0].arg_offset_bytes[0]),
            0x80010001);
}

TEST(KernelMemory, ThePreemptionCountOfAVariable) {
  Subject s;
  s.facts.preempt_count = {77, 8};
  auto result = sends_count(s);
  ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
  const std::vector<bpf::Insn>& code = result.unit.programs[0].code;
  const auto at = std::find(code.begin(), code.end(),
                            bpf::load_imm64_first(bpf::Reg::R1, bpf::kPseudoVariable, 77));
  ASSERT_GE(code.end() - at, 4);
  EXPECT_EQ(at[2], bpf::call(static_cast<int32_t>(bpf::Helper::ThisCpuPtr)));
  EXPECT_EQ(at[3], bpf::load(bpf::Size::W, bpf::Reg::R0, bpf::Reg::R0, 8));
}

TEST(KernelMemory, NoPreemptionCountIsSaid) {
  Subject s;
  auto result = sends_count(s);
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_THAT(result.failures[0].text, testing::HasSubstr("there is no 'in_interrupt'"));
}

}  // namespace
}  // namespace ktap::backend
