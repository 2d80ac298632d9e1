// Ends of verifier logs as several kernels write them.
#include "engine/verifier_log.h"

#include <gtest/gtest.h>

namespace ktap::engine {
namespace {

TEST(VerifierLog, LastInstructionAndReason) {
  const VerifierVerdict verdict = read_verifier_log(
      "0: R1=ctx() R10=fp0\n"
      "0: (b7) r0 = 0                        ; R0_w=0\n"
      "1: (79) r2 = *(u64 *)(r0 +0)\n"
      "R0 invalid mem access 'scalar'\n"
      "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0\n");
  EXPECT_EQ(verdict.insn, 1);
  EXPECT_EQ(verdict.reason, "R0 invalid mem access 'scalar'");
}

TEST(VerifierLog, StateLinesAreNoReason) {
  const VerifierVerdict verdict = read_verifier_log(
      "func#0 @0\n"
      "3: (85) call bpf_map_lookup_elem#1\n"
      "R2 min value is negative, either use unsigned or 'var &= const'\n"
      "from 3 to 9: R0=0 R10=fp0\n"
      "9: R0=0\n"
      "\n");
  EXPECT_EQ(verdict.insn, 3);
  EXPECT_EQ(verdict.reason, "R2 min value is negative, either use unsigned or 'var &= const'");
}

TEST(VerifierLog, InstructionNamedInWordsAlone) {
  const VerifierVerdict verdict = read_verifier_log("unreachable insn 17\nprocessed 0 insns\n");
  EXPECT_EQ(verdict.insn, 17);
  EXPECT_EQ(verdict.reason, "unreachable insn 17");
}

TEST(VerifierLog, NothingToRead) {
  const VerifierVerdict verdict = read_verifier_log("");
  EXPECT_EQ(verdict.insn, -1);
  EXPECT_EQ(verdict.reason, "the verifier gave no reason");
}

TEST(VerifierLog, TooMuchIsNoOneInstructionsFault) {
  EXPECT_TRUE(read_verifier_log("BPF program is too large. Processed 1000001 insn\n"
                                "processed 1000001 insns (limit 1000000)\n")
                  .is_size);
  EXPECT_TRUE(read_verifier_log("12: (b7) r0 = 0\n"
                                "The sequence of 8193 jumps is too complex.\n")
                  .is_size);
  EXPECT_FALSE(read_verifier_log("0: (95) exit\nR0 !read_ok\n").is_size);
}

TEST(VerifierLog, TheReportOfLinux7IsNotTheVerdict) {
  const VerifierVerdict verdict = read_verifier_log(
      "6: (bf) r1 = r6                       ; R1=ctx() R6=ctx()\n"
      "7: (85) call bpf_override_return#58\n"
      "program of this type cannot use helper bpf_override_return#58\n"
      "\n"
      "Verification failed: Policy: Operation is not allowed\n"
      "\n"
      "Reason:\n"
      "  The helper bpf_override_return#58 is not allowed.\n"
      "\n"
      "At:\n"
      "  insn 7\n"
      "  >>> 7 | (85) call bpf_override_return#58\n"
      "\n"
      "Suggestion:\n"
      "  Use a helper allowed for this program type.\n"
      "\n"
      "processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0\n");
  EXPECT_EQ(verdict.reason, "program of this type cannot use helper bpf_override_return#58");
  EXPECT_EQ(verdict.insn, 7);
  EXPECT_FALSE(verdict.is_size);
}

}  // namespace
}  // namespace ktap::engine
