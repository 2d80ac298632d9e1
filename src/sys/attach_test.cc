// Attaching where nothing can be attached to: what is said, and what callers tell by. Letting go.
#include "sys/attach.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "bpf/insn.h"
#include "sys/bpf.h"

namespace ktap::sys {
namespace {

std::optional<UniqueFd> sampler() {
  LoadFailure failure;
  return load_program("test", bpf::ProgramKind::PerfEvent,
                      {bpf::mov64(bpf::Reg::R0, 0), bpf::exit_insn()}, &failure);
}

TEST(Attach, ToAThreadThatHasEnded) {
  const std::optional<UniqueFd> program = sampler();
  if (!program) GTEST_SKIP() << "needs root and eBPF";
  schema::PerfSource source;
  source.type = PERF_TYPE_SOFTWARE;
  source.config = PERF_COUNT_SW_PAGE_FAULTS;
  ThreadPlace place;
  place.tid = (1 << 22) + 1;  // above PID_MAX_LIMIT
  const Result<PerfAttachment> attached =
      attach_to_thread(program->get(), source, place, "software:page-faults");
  ASSERT_FALSE(attached.ok());
  EXPECT_EQ(attached.error().sys_errno, ESRCH);
}

TEST(Attach, CountersThatAreNotThere) {
  const std::optional<UniqueFd> program = sampler();
  if (!program) GTEST_SKIP() << "needs root and eBPF";
  if (has_counters()) GTEST_SKIP() << "this machine has performance counters";
  schema::PerfSource source;
  source.type = PERF_TYPE_HARDWARE;
  source.config = PERF_COUNT_HW_CPU_CYCLES;
  source.period = 1000000;
  for (const bool is_frequency : {false, true}) {
    source.is_frequency = is_frequency;
    const Result<PerfAttachment> attached =
        attach_samples(program->get(), source, 0, "hardware:cpu-cycles");
    ASSERT_FALSE(attached.ok());
    EXPECT_NE(attached.error().message.find("opening hardware:cpu-cycles: this machine has no"),
              std::string::npos)
        << attached.error().message;
  }
}

TEST(Attach, FasterThanTheKernelAllows) {
  const std::optional<UniqueFd> program = sampler();
  if (!program) GTEST_SKIP() << "needs root and eBPF";
  schema::PerfSource source;
  source.type = PERF_TYPE_SOFTWARE;
  source.config = PERF_COUNT_SW_CPU_CLOCK;
  source.period = 1000000000;
  source.is_frequency = true;
  const Result<PerfAttachment> attached =
      attach_samples(program->get(), source, 0, "software:cpu-clock");
  ASSERT_FALSE(attached.ok());
  EXPECT_NE(attached.error().message.find("kernel.perf_event_max_sample_rate"), std::string::npos)
      << attached.error().message;
}

extern "C" __attribute__((noinline)) void ktap_never_called() { asm volatile(""); }

/// Where in our file the code at `address` lies.
uint64_t offset_in_file(uintptr_t address) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    uint64_t begin = 0, end = 0, offset = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &begin, &end, &offset) ==
            3 &&
        address >= begin && address < end)
      return address - begin + offset;
  }
  return 0;
}

std::vector<UniqueFd> links_of_functions(size_t count) {
  LoadFailure failure;
  std::vector<UniqueFd> links;
  const std::optional<UniqueFd> program =
      load_program("test", bpf::ProgramKind::UprobeMulti,
                   {bpf::mov64(bpf::Reg::R0, 0), bpf::exit_insn()}, &failure);
  UserPoint point;
  point.offset_bytes = offset_in_file(reinterpret_cast<uintptr_t>(&ktap_never_called));
  while (program && links.size() < count) {
    Result<UniqueFd> link =
        attach_user_points(program->get(), "/proc/self/exe", {point}, false, getpid());
    if (!link.ok()) break;
    links.push_back(std::move(link).value());
  }
  return links;
}

TEST(Attach, ManyLinksAreClosedAtOnce) {
  constexpr size_t kMany = 80;  // more than threads
  std::vector<UniqueFd> links = links_of_functions(kMany);
  if (links.size() < kMany) GTEST_SKIP() << "needs root and Linux 6.6";
  std::vector<int> fds;
  for (const UniqueFd& link : links) fds.push_back(link.get());
  close_links(std::move(links));
  for (const int fd : fds) EXPECT_EQ(fcntl(fd, F_GETFD), -1);
  close_links({});
}

TEST(Attach, NoLinkMissesNothing) { EXPECT_EQ(missed_by_link(-1), std::nullopt); }

}  // namespace
}  // namespace ktap::sys
