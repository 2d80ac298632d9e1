// Whom to trace: the prologue's tests of process, user and cgroup, and the set of processes that
// is kept beside.
#include <gtest/gtest.h>

#include "backend/test_subjects.h"

namespace ktap::backend::testing_support {
namespace {

Bytes number_of(uint32_t process) {
  Bytes bytes(4);
  std::memcpy(bytes.data(), &process, 4);
  return bytes;
}

void one_site(Subject& subject) {
  subject.add_site({{Type::Int}});
  Builder& b = subject.builder;
  b.at(b.block());
  b.op(Op::Emit, {variable(b, BuiltinVar::Pid)}, 0);
  b.ret();
}

TEST(Scope, UserAndCgroup) {
  Subject subject;
  one_site(subject);
  subject.options.uid = 4294967294;
  subject.options.cgroup_path = "/somewhere";
  const EmitResult result = subject.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  FakeKernel kernel(result.unit, {});
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  kernel.machine.task.uid = 4294967294;
  kernel.machine.task.is_under_cgroup = false;
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  EXPECT_EQ(kernel.machine.records().size(), 0u);
  kernel.machine.task.is_under_cgroup = true;
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  EXPECT_EQ(kernel.machine.records().size(), 1u);
}

TEST(Scope, ChildrenAreFollowedUntilTheyAreFreed) {
  Subject subject;
  one_site(subject);
  subject.options.target_tgid = 100;
  subject.options.follow = true;
  subject.facts.task.pid = 16;
  subject.facts.task.tgid = 20;
  const EmitResult result = subject.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  ASSERT_EQ(result.unit.programs.size(), 3u);
  EXPECT_EQ(result.unit.target_tgid, -1) << "no attachment may leave its children out";
  FakeKernel kernel(result.unit, {});
  const uint32_t set = result.unit.followed_map;
  kernel.machine.set_value(set, number_of(100), word(1));
  const auto put_task = [&](uint32_t tid, uint32_t tgid) {
    Bytes task(32);
    std::memcpy(&task[16], &tid, 4);
    std::memcpy(&task[20], &tgid, 4);
    return kernel.machine.add_object(task);
  };
  const auto fork = [&](uint64_t child) { EXPECT_EQ(kernel.run(context_of({0, child}), 1), ""); };
  const auto keys = [&] { return kernel.machine.keys(set).size(); };
  kernel.machine.task.tgid = 200;
  fork(put_task(201, 201));
  EXPECT_EQ(keys(), 1u) << "another process's child";
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  EXPECT_EQ(kernel.machine.records().size(), 0u);
  kernel.machine.task.tgid = 100;
  fork(put_task(102, 100));
  EXPECT_EQ(keys(), 1u) << "a thread";
  const uint64_t child = put_task(201, 201);
  fork(child);
  EXPECT_EQ(kernel.machine.keys(set), (std::vector<Bytes>{number_of(100), number_of(201)}));
  kernel.machine.task.tgid = 201;
  ASSERT_EQ(kernel.run(context_of({0, 0})), "");
  ASSERT_EQ(kernel.machine.records().size(), 1u);
  EXPECT_EQ(as_int(kernel.machine.records()[0].data, 8), 201) << "pid is each process's own";
  kernel.machine.task.tgid = 1;
  ASSERT_EQ(kernel.run(context_of({child}), 2), "");
  EXPECT_EQ(kernel.machine.keys(set), std::vector<Bytes>{number_of(100)});
}

// Where the tasks have no known layout, or a raw tracepoint's program may be skipped.
TEST(Scope, ByTheRecordsOfTheTracepoints) {
  Subject subject;
  one_site(subject);
  subject.options.target_tgid = 100;
  subject.options.follow = true;
  for (schema::EventPtr* at : {&subject.options.forked, &subject.options.freed}) {
    auto event = std::make_shared<schema::Event>();
    schema::Field field;
    field.name = at == &subject.options.forked ? "child_pid" : "pid";
    field.offset_bytes = at == &subject.options.forked ? 20 : 12;
    field.size_bytes = 4;
    event->fields = {field};
    event->tracefs_id = 5;
    *at = event;
  }
  const EmitResult result = subject.emit_unit();
  ASSERT_TRUE(result.failures.empty());
  EXPECT_EQ(result.unit.programs[1].kind, bpf::ProgramKind::Tracepoint);
  EXPECT_EQ(result.unit.programs[1].tracefs_id, 5);
  FakeKernel kernel(result.unit, {});
  const uint32_t set = result.unit.followed_map;
  kernel.machine.set_value(set, number_of(100), word(1));
  ASSERT_EQ(kernel.run(context_of({0, 0, uint64_t{77} << 32}), 1), "");
  EXPECT_EQ(kernel.machine.keys(set), (std::vector<Bytes>{number_of(77), number_of(100)}));
  for (uint32_t i = 0; kernel.machine.keys(set).size() < 16384; ++i)
    kernel.machine.set_value(set, number_of(1000 + i), word(1));
  ASSERT_EQ(kernel.run(context_of({0, 0, uint64_t{78} << 32}), 1), "");
  EXPECT_EQ(kernel.outcome(0).counters["processes"], 1u) << "no room";
  ASSERT_EQ(kernel.run(context_of({0, uint64_t{77} << 32}), 2), "");
  EXPECT_EQ(kernel.machine.value(set, number_of(77)), Bytes());
}

}  // namespace
}  // namespace ktap::backend::testing_support
