// Several handlers in one program: who runs on which event, in which order, what one body's end
// means for the next. On the test machine, as an old kernel and as a new one.
#include <gtest/gtest.h>

#include <deque>

#include "backend/test_subjects.h"

namespace ktap::backend::testing_support {
namespace {

/// Handlers that each send their own site with the event's name and fd.
class Fused : public ::testing::TestWithParam<bool> {
 protected:
  Fused() {
    if (GetParam()) facts = modern_facts();
    options.ring_bytes = 4096;
  }

  /// A handler on the given numbers; `end` closes its block.
  template <typename End>
  void handler(const std::vector<int64_t>& numbers, EventKind kind, End end) {
    ssa::EventGroup group;
    group.kind = kind;
    for (const int64_t nr : numbers) {
      const std::string name = "call_" + std::to_string(nr);
      group.events.push_back(syscall_event(kind, name, nr));
      group.name_ids.push_back(module.intern(name));
    }
    groups.push_back(group);
    ssa::Site site;
    site.kind = ssa::SiteKind::Printf;
    site.args = {{Type::Int}, id_arg(), {Type::Int}};
    module.sites.push_back(site);
    Builder& b = builders.emplace_back();
    b.at(b.block());
    const auto number = static_cast<int64_t>(module.sites.size() - 1);
    const std::vector<ValueId> args = {variable(b, BuiltinVar::Pid), probename(b), field(b, 1)};
    b.op(Op::Emit, args, number);
    end(b);
  }
  void handler(const std::vector<int64_t>& numbers, EventKind kind = EventKind::SyscallEnter) {
    handler(numbers, kind, [](Builder& b) { b.ret(); });
  }

  EmitResult emit_all() {
    jobs.clear();
    for (uint32_t i = 0; i < builders.size(); ++i) {
      EXPECT_EQ(ssa::verify(builders[i].function, module), "");
      jobs.push_back(Job{&builders[i].function, &groups[i], i, 0});
    }
    return emit(jobs, module, facts, options);
  }

  /// "site:name:fd …" of the records of one event.
  std::string run(FakeKernel& kernel, int64_t nr, size_t program = 0) {
    Bytes regs(168);
    const int64_t fd = 1000 + nr;
    std::memcpy(&regs[112], &fd, 8);
    std::memcpy(&regs[120], &nr, 8);
    const uint64_t at = kernel.machine.add_object(regs);
    const bool is_exit = groups[jobs[program].handler].kind == EventKind::SyscallExit;
    const uint64_t second = static_cast<uint64_t>(is_exit ? fd : nr);
    kernel.machine.clear_records();
    EXPECT_EQ(kernel.run(context_of({at, second}), program), "");
    std::string text;
    for (const bpf::FakeRecord& record : kernel.machine.records()) {
      EXPECT_EQ(as_int(record.data, 8), 100);
      const auto name = static_cast<size_t>(as_int(record.data, 16));
      text += std::to_string(as_int(record.data) & 0xffffffff) + ":" + module.strings[name] + ":" +
              std::to_string(as_int(record.data, 24)) + " ";
    }
    return text;
  }

  bpf::KernelFacts facts;
  Options options;
  ssa::Module module;
  std::deque<Builder> builders;
  std::deque<ssa::EventGroup> groups;
  std::vector<Job> jobs;
};

INSTANTIATE_TEST_SUITE_P(Kernels, Fused, ::testing::Bool(),
                         [](const auto& kernel) { return kernel.param ? "New" : "Old"; });

TEST_P(Fused, FewNumbersAreToldApartOneByOne) {
  handler({0});
  handler({1});
  handler({0});
  auto result = emit_all();
  ASSERT_EQ(result.unit.programs.size(), 1u);
  const bpf::Program& program = result.unit.programs[0];
  EXPECT_EQ(program.handlers(), (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(program.name, "sys_enter");
  EXPECT_EQ(program.kind,
            GetParam() ? bpf::ProgramKind::TypedRawTracepoint : bpf::ProgramKind::RawTracepoint);
  size_t all = program.instructions_of(bpf::kNoHandler);
  for (uint32_t i = 0; i < 3; ++i) all += program.instructions_of(i);
  EXPECT_EQ(all, program.code.size());
  FakeKernel kernel(result.unit, {});
  EXPECT_EQ(run(kernel, 0), "0:call_0:1000 2:call_0:1000 ");
  EXPECT_EQ(run(kernel, 1), "1:call_1:1001 ");
  EXPECT_EQ(run(kernel, 2), "");
  EXPECT_EQ(run(kernel, -1), "");
}

TEST_P(Fused, ManyNumbersByATable) {
  for (EventKind kind : {EventKind::SyscallEnter, EventKind::SyscallExit}) {
    builders.clear();
    groups.clear();
    module = ssa::Module();
    handler({3, 4, 200}, kind);
    for (int64_t i = 0; i < 10; ++i) handler({i}, kind);
    handler({4, 5}, kind);
    auto result = emit_all();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    ASSERT_EQ(result.unit.programs.size(), 1u);
    FakeKernel kernel(result.unit, {});
    EXPECT_EQ(run(kernel, 4), "0:call_4:1004 5:call_4:1004 11:call_4:1004 ");
    EXPECT_EQ(run(kernel, 200), "0:call_200:1200 ");
    EXPECT_EQ(run(kernel, 9), "10:call_9:1009 ");
    EXPECT_EQ(run(kernel, 5), "6:call_5:1005 11:call_5:1005 ");
    for (const int64_t nr : {10, 201, 5000, -1}) EXPECT_EQ(run(kernel, nr), "");
  }
}

TEST_P(Fused, MoreThanABitEachTakeASecondProgram) {
  for (int64_t i = 0; i < 40; ++i) handler({i, 40});
  auto result = emit_all();
  ASSERT_EQ(result.unit.programs.size(), 2u);
  FakeKernel kernel(result.unit, {});
  EXPECT_EQ(run(kernel, 30, 0), "30:call_30:1030 ");
  EXPECT_EQ(run(kernel, 30, 1), "");
  EXPECT_EQ(run(kernel, 31, 1), "31:call_31:1031 ");
}

TEST_P(Fused, AnErrorEndsItsOwnBody) {
  module.failures.push_back({"wrong", {}, 1});
  handler({0}, EventKind::SyscallEnter, [](Builder& b) { b.op(Op::Fail, {}, 0); });
  handler({0});
  for (const bool strict : {false, true}) {
    options.strict = strict;
    auto result = emit_all();
    FakeKernel kernel(result.unit, {});
    EXPECT_EQ(run(kernel, 0), strict ? "0:call_0:1000 " : "0:call_0:1000 1:call_0:1000 ");
    EXPECT_EQ(kernel.control(Control::kArmed), strict ? Control::kFailed : Control::kRunning);
    EXPECT_EQ(kernel.outcome(0).counters["failure 0"], 1u);
  }
}

TEST_P(Fused, AfterExitNoLaterBodyStarts) {
  handler({0}, EventKind::SyscallEnter, [](Builder& b) {
    b.op(Op::RequestExit, {b.integer(3)});
    b.ret();
  });
  handler({0, 1});
  auto result = emit_all();
  FakeKernel kernel(result.unit, {});
  EXPECT_EQ(run(kernel, 1), "1:call_1:1001 ");
  EXPECT_EQ(run(kernel, 0), "0:call_0:1000 ");
  EXPECT_EQ(kernel.control(Control::kArmed), Control::kExited);
  EXPECT_EQ(kernel.control(Control::kExitStatus), 3);
  EXPECT_EQ(run(kernel, 1), "");
}

TEST_P(Fused, EachInItsOwnProgramWhenAsked) {
  handler({0});
  handler({0});
  options.fuse = false;
  auto result = emit_all();
  ASSERT_EQ(result.unit.programs.size(), 2u);
  EXPECT_EQ(result.unit.programs[1].handlers(), (std::vector<uint32_t>{1}));
  EXPECT_EQ(result.unit.programs[1].name, "h1_0");
}

TEST_P(Fused, TheGateOfOneProgramServesAll) {
  options.wait_for_exec = true;
  options.target_tgid = 100;
  handler({0}, EventKind::SyscallExit);
  auto result = emit_all();
  ASSERT_EQ(result.unit.programs.size(), 2u);
  EXPECT_EQ(result.unit.gate_program, 1u);
  EXPECT_EQ(result.unit.programs[1].handlers(), std::vector<uint32_t>());
  handler({0});
  result = emit_all();
  ASSERT_EQ(result.unit.programs.size(), 2u);
  EXPECT_EQ(result.unit.gate_program, UINT32_MAX);
  FakeKernel kernel(result.unit, {});
  kernel.set_control(Control::kArmed, Control::kWaiting);
  EXPECT_EQ(run(kernel, 0, 0), "");
  EXPECT_EQ(run(kernel, 59, 1), "");
  EXPECT_EQ(run(kernel, 0, 0), "0:call_0:1000 ");
  EXPECT_EQ(run(kernel, 0, 1), "1:call_0:1000 ");
}

TEST_P(Fused, TheGateReadsARecordByTheWordsOfItsMachine) {
  facts.has_steady_raw_tracepoints = false;
  facts.raw_syscalls_id[0] = 1;
  facts.raw_syscalls_id[1] = 2;
  options.wait_for_exec = true;
  options.target_tgid = 100;
  handler({0}, EventKind::SyscallExit);
  const auto opens = [&](int32_t word_bytes) {
    facts.call_regs.word_bytes = word_bytes;
    const EmitResult result = emit_all();
    FakeKernel kernel(result.unit, {});
    kernel.set_control(Control::kArmed, Control::kWaiting);
    Bytes record(64);
    record[8] = 59;
    record[12] = 7;  // of a narrow machine the first argument
    EXPECT_EQ(kernel.run(record, result.unit.gate_program), "");
    return kernel.control(Control::kArmed) == Control::kRunning;
  };
  EXPECT_TRUE(opens(4));
  EXPECT_FALSE(opens(8));
}

// The stack and scratch memory of one body are those of the next.
TEST_P(Fused, LongStringsInEveryBody) {
  for (int i = 0; i < 3; ++i) {
    groups.push_back({});
    groups.back().events = {syscall_event(EventKind::SyscallEnter, "call_0", 0)};
    groups.back().kind = EventKind::SyscallEnter;
    groups.back().name_ids = {module.intern("call_0")};
    ssa::Site site;
    const uint32_t bytes = i == 1 ? 16 : 256;
    site.args = {{Type::MaybeStr, ssa::StrKind::Bytes, bytes}};
    module.sites.push_back(site);
    Builder& b = builders.emplace_back();
    b.at(b.block());
    const ValueId text = b.bytes(Op::UserString, bytes, bytes, {field(b, 2)}, Type::MaybeStr);
    b.op(Op::Emit, {text}, i);
    b.ret();
  }
  auto result = emit_all();
  ASSERT_TRUE(result.failures.empty());
  FakeKernel kernel(result.unit, {});
  kernel.machine.task.user_memory[0x7000] = padded("a text", 7);
  Bytes regs(168);
  const uint64_t buf = 0x7000;
  std::memcpy(&regs[104], &buf, 8);
  ASSERT_EQ(kernel.run(context_of({kernel.machine.add_object(regs), 0})), "");
  ASSERT_EQ(kernel.machine.records().size(), 3u);
  for (const bpf::FakeRecord& record : kernel.machine.records()) {
    EXPECT_EQ(as_int(record.data, 8), 1);
    EXPECT_EQ(Bytes(record.data.begin() + 16, record.data.begin() + 24), padded("a text", 8));
  }
}

}  // namespace
}  // namespace ktap::backend::testing_support
