// Maps, programs and tracefs on this kernel; skipped without the privilege.
#include "sys/bpf.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bpf/insn.h"
#include "sys/attach.h"
#include "sys/errors.h"
#include "sys/text_file.h"
#include "sys/tracefs.h"

namespace ktap::sys {
namespace {

bpf::MapSpec spec(bpf::MapKind kind, uint32_t max_entries) {
  bpf::MapSpec out;
  out.name = "ktap_test";
  out.kind = kind;
  out.max_entries = max_entries;
  return out;
}

class Bpf : public testing::Test {
 protected:
  void SetUp() override {
    if (!Map::create(spec(bpf::MapKind::RingBuffer, 4096)).ok()) {
      GTEST_SKIP() << "bpf(2) is not permitted here";
    }
  }
};

TEST_F(Bpf, PossibleCpusIsWhatSysfsSays) {
  Result<uint32_t> cpus = possible_cpus();
  ASSERT_TRUE(cpus.ok());
  EXPECT_GE(cpus.value(), static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN)));
}

TEST(CpuList, RangesAndSingleOnes) {
  EXPECT_EQ(parse_cpu_list("0-2,8-9,11\n"), (std::vector<int>{0, 1, 2, 8, 9, 11}));
  EXPECT_EQ(parse_cpu_list("0\n"), std::vector<int>{0});
  EXPECT_TRUE(parse_cpu_list("\n").empty());
}

TEST(ReadText, AllOfAFileOrWhyNot) {
  Result<std::string> text = read_text("/proc/self/maps", 1 << 20);
  ASSERT_TRUE(text.ok());
  EXPECT_NE(text.value().find("[stack]"), std::string::npos);
  EXPECT_EQ(read_text("/proc/self/maps", 10).error().sys_errno, EFBIG);
  EXPECT_EQ(read_text("/none/such", 10).error().sys_errno, ENOENT);
}

TEST_F(Bpf, HashKeepsAndGivesBack) {
  Result<Map> created = Map::create(spec(bpf::MapKind::Hash, 8));
  ASSERT_TRUE(created.ok());
  Map& map = created.value();
  const uint32_t key = 7;
  uint64_t value = 41;
  EXPECT_FALSE(map.lookup(&key, &value));
  value = 42;
  ASSERT_TRUE(map.update(&key, &value).ok());
  Result<void> again = map.update(&key, &value, /*only_new=*/true);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().sys_errno, EEXIST);
  value = 0;
  EXPECT_TRUE(map.take(&key, &value));
  EXPECT_EQ(value, 42U);
  EXPECT_FALSE(map.take(&key, &value));
  EXPECT_FALSE(map.remove(&key));
}

TEST_F(Bpf, ReadAllOfManyEntries) {
  constexpr uint32_t kEntries = 10000;
  Result<Map> created = Map::create(spec(bpf::MapKind::PercpuHash, kEntries));
  ASSERT_TRUE(created.ok());
  Map& map = created.value();
  const size_t stride = map.value_stride_bytes();
  std::vector<uint64_t> value(stride / 8, 1);
  for (uint32_t key = 0; key < kEntries; ++key) {
    value[0] = key;
    ASSERT_TRUE(map.update(&key, value.data()).ok());
  }
  for (const bool take : {false, true}) {
    std::vector<uint8_t> keys;
    std::vector<uint8_t> values;
    Result<size_t> count = map.read_all(take, &keys, &values);
    ASSERT_TRUE(count.ok());
    ASSERT_EQ(count.value(), kEntries);
    std::vector<bool> seen(kEntries);
    for (size_t i = 0; i < kEntries; ++i) {
      uint32_t key = 0;
      uint64_t first = 0;
      std::memcpy(&key, keys.data() + 4 * i, 4);
      std::memcpy(&first, values.data() + stride * i, 8);
      ASSERT_LT(key, kEntries);
      EXPECT_EQ(first, key);
      seen[key] = true;
    }
    EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](bool b) { return b; }));
  }
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  EXPECT_EQ(map.read_all(true, &keys, &values).value(), 0U);
}

TEST_F(Bpf, MappedArrayIsTheMapsMemory) {
  bpf::MapSpec wanted = spec(bpf::MapKind::Array, 1);
  wanted.value_size_bytes = 24;
  wanted.mmapable = true;
  Result<Map> map = Map::create(wanted);
  ASSERT_TRUE(map.ok());
  Result<MappedArray> memory = MappedArray::map(map.value());
  ASSERT_TRUE(memory.ok());
  memory.value().data()[16] = 9;
  uint8_t value[24] = {};
  const uint32_t zero = 0;
  ASSERT_TRUE(map.value().lookup(&zero, value));
  EXPECT_EQ(value[16], 9);
}

TEST_F(Bpf, ReadOnlyMapIsFrozenWithItsContent) {
  bpf::MapSpec wanted = spec(bpf::MapKind::Array, 1);
  wanted.read_only = true;
  wanted.content = {1, 2, 3};
  Result<Map> map = Map::create(wanted);
  ASSERT_TRUE(map.ok());
  uint8_t value[8] = {};
  const uint32_t zero = 0;
  ASSERT_TRUE(map.value().lookup(&zero, value));
  EXPECT_EQ(value[1], 2);
  EXPECT_FALSE(map.value().update(&zero, value).ok());
}

TEST_F(Bpf, RefusedProgramComesWithTheLog) {
  LoadFailure failure;
  // R0 is never set.
  EXPECT_FALSE(
      load_program("ktap_test", bpf::ProgramKind::RawTracepoint, {bpf::exit_insn()}, &failure)
          .has_value());
  EXPECT_NE(failure.verifier_log.find("R0 !read_ok"), std::string::npos) << failure.verifier_log;
  EXPECT_EQ(failure.error.sys_errno, EACCES);
}

// Each of the branches doubles what the verifier has to look at: a byte of the stack differs.
TEST_F(Bpf, AProgramOfTooManyWaysIsToldAsSuch) {
  using bpf::Reg;
  std::vector<bpf::Insn> code = {bpf::mov64(Reg::R6, 0)};
  for (int32_t i = 0; i < 30; ++i)
    code.push_back(bpf::store(bpf::Size::DW, Reg::R10, static_cast<int16_t>(-8 * i - 8), 0));
  for (int32_t i = 0; i < 30; ++i) {
    code.push_back(bpf::call(7));  // get_prandom_u32
    code.push_back(bpf::jump_if(bpf::JumpOp::Eq, Reg::R0, 0, 1));
    code.push_back(bpf::store(bpf::Size::DW, Reg::R10, static_cast<int16_t>(-8 * i - 8), 1));
  }
  for (int32_t i = 0; i < 30; ++i) {  // all of them count
    code.push_back(bpf::load(bpf::Size::DW, Reg::R1, Reg::R10, static_cast<int16_t>(-8 * i - 8)));
    code.push_back(bpf::alu64(bpf::AluOp::Add, Reg::R6, Reg::R1));
  }
  code.push_back(bpf::jump_if(bpf::JumpOp::Ne, Reg::R6, 99, 1));
  code.push_back(bpf::make_insn(0x79, Reg::R0, Reg::R6, 0, 0));  // never run
  code.push_back(bpf::mov64(Reg::R0, 0));
  code.push_back(bpf::exit_insn());
  LoadFailure failure;
  EXPECT_FALSE(
      load_program("ktap_test", bpf::ProgramKind::RawTracepoint, code, &failure).has_value());
  EXPECT_TRUE(failure.took_too_long || failure.is_too_large) << failure.error.message;
}

TEST_F(Bpf, UnknownRawTracepointIsNoEntry) {
  LoadFailure failure;
  std::optional<UniqueFd> program =
      load_program("ktap_test", bpf::ProgramKind::RawTracepoint,
                   {bpf::mov64(bpf::Reg::R0, 0), bpf::exit_insn()}, &failure);
  ASSERT_TRUE(program.has_value()) << failure.error.message;
  Result<UniqueFd> link = attach_raw_tracepoint(program->get(), "no_such_event");
  ASSERT_FALSE(link.ok());
  EXPECT_EQ(link.error().sys_errno, ENOENT);
  EXPECT_EQ(recursion_misses(program->get()), 0U);
  EXPECT_LE(verified_instructions(program->get()), 2U);
}

TEST_F(Bpf, WaitForProgramsReturns) { wait_for_programs(); }

TEST(Errors, SayWhatIsMissing) {
  EXPECT_EQ(system_error("opening x", ENOENT).message, "opening x: no such file or directory");
  EXPECT_EQ(errno_text(524), "not supported by this kernel");
  EXPECT_NE(tracing_error("loading", EPERM).message.find("CAP_BPF"), std::string::npos);
}

TEST(Tracefs, LeavesNothingMounted) {
  Result<Tracefs> tracefs = Tracefs::open();
  if (!tracefs.ok()) GTEST_SKIP() << tracefs.error().message;
  Result<std::string> names = tracefs.value().read("available_events");
  ASSERT_TRUE(names.ok());
  EXPECT_NE(names.value().find("sched:sched_switch\n"), std::string::npos);
  Result<std::string> missing = tracefs.value().read("events/no/such/format");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().sys_errno, ENOENT);
}

}  // namespace
}  // namespace ktap::sys
