// BTF by hand: names found by kind, members of structs, broken bytes.
#include "bpf/btf.h"

#include <gtest/gtest.h>

#include <string>

#include "bpf/function_btf.h"
#include "bpf/test_btf.h"

namespace ktap::bpf {
namespace {

std::vector<uint8_t> small_kernel() {
  BtfWriter btf;
  const uint32_t pid = btf.name("pid"), tgid = btf.name("tgid"), flag = btf.name("in_execve");
  btf.type("int", 1, 0, {32});              // 1
  btf.type("task_struct", 7, 0, {});        // 2: a forward declaration
  btf.type("numbers", 3, 0, {1, 1, 4});     // 3: array
  btf.type("colours", 6, 2, {1, 2, 3, 4});  // 4: enum
  btf.type("task_struct", 4, 3,             // 5
           {pid, 1, 64, flag, 1, 3U << 24 | 96, tgid, 1, 128}, true);
  btf.type("btf_trace_sys_enter", 8, 0, {});   // 6
  btf.type("sys_enter", 13, 1, {1, 2});        // 7: prototype
  btf.type("btf_trace_sys_enter", 12, 0, {});  // 8: a function of that name
  btf.type("big_colours", 19, 1, {1, 2, 3});   // 9: enum of 64 bits
  btf.type("bpf_iter_num_new", 12, 0, {});     // 10
  return btf.bytes();
}

TEST(Btf, FindsTypesByKindAndName) {
  const std::vector<uint8_t> bytes = small_kernel();
  std::vector<BtfType> types = {{BtfKind::Func, "bpf_iter_num_new"},
                                {BtfKind::Typedef, "btf_trace_sys_enter"},
                                {BtfKind::Func, "btf_trace_sys_enter"},
                                {BtfKind::Struct, "task_struct"},
                                {BtfKind::Func, "bpf_iter_num"}};
  std::vector<BtfMember> members;
  ASSERT_TRUE(find_in_btf(bytes.data(), bytes.size(), types, members));
  EXPECT_EQ(types[0].id, 10U);
  EXPECT_EQ(types[1].id, 6U);
  EXPECT_EQ(types[2].id, 8U);
  EXPECT_EQ(types[3].id, 5U);
  EXPECT_EQ(types[4].id, 0U);
}

TEST(Btf, FindsMembersButNoBitFields) {
  const std::vector<uint8_t> bytes = small_kernel();
  std::vector<BtfType> types;
  std::vector<BtfMember> members = {{"task_struct", "tgid"},
                                    {"task_struct", "pid"},
                                    {"task_struct", "in_execve"},
                                    {"task_struct", "none"},
                                    {"cred", "uid"}};
  ASSERT_TRUE(find_in_btf(bytes.data(), bytes.size(), types, members));
  EXPECT_EQ(members[0].offset_bytes, 16);
  EXPECT_EQ(members[1].offset_bytes, 8);
  EXPECT_EQ(members[2].offset_bytes, -1);
  EXPECT_EQ(members[3].offset_bytes, -1);
  EXPECT_EQ(members[4].offset_bytes, -1);
}

TEST(Btf, FindsVariablesOfEachCpuInTheirSection) {
  BtfWriter btf;
  btf.type("int", 1, 0, {32});                                                  // 1
  btf.type("cpu_number", 12, 0, {});                                            // 2: a function
  btf.type("current_task", 14, 0, {1}, false, 1);                               // 3
  btf.type("cpu_number", 14, 0, {1}, false, 1);                                 // 4
  btf.type("runqueues", 14, 0, {1}, false, 1);                                  // 5
  btf.type("runqueue", 14, 0, {1}, false, 1);                                   // 6: in no section
  btf.type(".data..percpu", 15, 3, {5, 0, 64, 3, 64, 8, 4, 92, 4}, false, 96);  // 7
  const std::vector<uint8_t> bytes = btf.bytes();
  std::vector<BtfType> types;
  std::vector<BtfMember> members;
  std::vector<BtfVariable> variables = {
      {"current_task"}, {"cpu_number"}, {"runqueue"}, {"this_cpu_off"}};
  ASSERT_TRUE(find_in_btf(bytes.data(), bytes.size(), types, members, &variables));
  EXPECT_EQ(variables[0].offset_bytes, 64);
  EXPECT_EQ(variables[1].offset_bytes, 92);
  EXPECT_EQ(variables[2].offset_bytes, -1);
  EXPECT_EQ(variables[3].offset_bytes, -1);
  for (size_t i = 0; i < bytes.size(); ++i) {  // any byte: ASan watches
    std::vector<uint8_t> broken = bytes;
    broken[i] ^= 0x80;
    find_in_btf(broken.data(), broken.size(), types, members, &variables);
  }
}

TEST(Btf, BrokenBytesAreRefusedOrFindLess) {
  const std::vector<uint8_t> good = small_kernel();
  for (size_t size = 0; size <= good.size(); ++size) {
    const std::vector<uint8_t> bytes(good.begin(), good.begin() + static_cast<int64_t>(size));
    std::vector<BtfType> types = {{BtfKind::Func, "bpf_iter_num_new"}};
    std::vector<BtfMember> members = {{"task_struct", "tgid"}};
    EXPECT_EQ(find_in_btf(bytes.data(), bytes.size(), types, members), size == good.size());
  }
  for (size_t i = 0; i < good.size(); ++i) {  // any byte: ASan watches
    std::vector<uint8_t> bytes = good;
    bytes[i] ^= 0x80;
    std::vector<BtfType> types = {{BtfKind::Func, "bpf_iter_num_new"}};
    std::vector<BtfMember> members = {{"task_struct", "tgid"}};
    find_in_btf(bytes.data(), bytes.size(), types, members);
  }
}

TEST(Btf, OfFunctionsThatAreCalledBack) {
  const std::vector<uint8_t> btf = btf_of_functions();
  std::vector<BtfType> types = {{BtfKind::Func, "handlers"}, {BtfKind::Func, "turn"}};
  std::vector<BtfMember> members;
  ASSERT_TRUE(find_in_btf(btf.data(), btf.size(), types, members));
  const std::vector<FunctionInfo> infos = function_infos({7, 30});
  ASSERT_EQ(infos.size(), 3u);
  EXPECT_EQ(infos[0].insn, 0u);
  EXPECT_EQ(infos[0].type, types[0].id);
  EXPECT_EQ(infos[1].insn, 7u);
  EXPECT_EQ(infos[2].insn, 30u);
  EXPECT_EQ(infos[1].type, types[1].id);
  EXPECT_EQ(infos[2].type, types[1].id);
}

}  // namespace
}  // namespace ktap::bpf
