// Attaching where nothing can be attached to: what is said, and what callers tell by.
#include "sys/attach.h"

#include <gtest/gtest.h>
#include <linux/perf_event.h>

#include <cerrno>

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

TEST(Attach, NoLinkMissesNothing) { EXPECT_EQ(missed_by_link(-1), std::nullopt); }

}  // namespace
}  // namespace ktap::sys
