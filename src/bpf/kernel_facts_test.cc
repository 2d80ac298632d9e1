// Facts by name: each can be taken away, and none takes another with it that it need not.
#include "bpf/kernel_facts.h"

#include <gtest/gtest.h>

namespace ktap::bpf {
namespace {

KernelFacts everything() {
  KernelFacts facts;
  facts.has_cpu_v4 = facts.has_may_goto = facts.has_bpf_loop = facts.has_task_btf = true;
  facts.has_for_each_map_elem = facts.has_attach_cookies = facts.has_trampolines = true;
  facts.has_module_trampolines = true;
  facts.has_kprobe_multi = facts.has_uprobe_multi = facts.has_task_registers = true;
  facts.iter_num_new = facts.iter_num_next = facts.iter_num_destroy = 7;
  facts.current_tasks.addresses = {8};
  facts.preempt_count.variable = 5;
  facts.typed_tracepoints.emplace("sys_enter", 9);
  facts.task.tgid = facts.task.pid = 4;
  return facts;
}

TEST(KernelFacts, EachCanBeTakenAway) {
  for (const std::string_view name : fact_names()) {
    KernelFacts facts = everything();
    ASSERT_TRUE(has_fact(facts, name)) << name;
    EXPECT_TRUE(remove_fact(facts, name)) << name;
    EXPECT_FALSE(has_fact(facts, name)) << name;
    for (const std::string_view other : fact_names()) {
      const bool goes_along = other == name || (name == "task_layout" && other == "task_btf");
      EXPECT_EQ(has_fact(facts, other), !goes_along) << name << " " << other;
    }
  }
  KernelFacts facts = everything();
  EXPECT_FALSE(remove_fact(facts, "no_such_fact"));
}

TEST(KernelFacts, DescribeNamesBothKinds) {
  KernelFacts facts = everything();
  remove_fact(facts, "cpu_v4");
  EXPECT_EQ(describe(facts),
            "fetch_atomics mapped_tables recursion_guard ordered_stores steady_raw_tracepoints "
            "may_goto bpf_loop for_each_map_elem attach_cookies trampolines module_trampolines "
            "entry_probes kprobe_multi uprobe_multi task_btf "
            "current_tasks preempt_count task_registers task_layout typed_tracepoints; not cpu_v4");
  EXPECT_EQ(facts.typed_tracepoint("sys_enter"), 9U);
  EXPECT_EQ(facts.typed_tracepoint("sys_exit"), 0U);
}

}  // namespace
}  // namespace ktap::bpf
