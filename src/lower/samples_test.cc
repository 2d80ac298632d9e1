// What is kept of samples: inferred from the script's readers, and as SSA. The buckets of SSA are
// the runtime's.
#include "lower/samples.h"

#include <gtest/gtest.h>

#include <random>

#include "lower/test_world.h"
#include "runtime/buckets.h"
#include "ssa/buckets.h"

namespace ktap::lower {
namespace {

using runtime::SampleWord;

TEST(SampleBuckets, AreTheRuntimesOwn) {
  std::vector<int64_t> samples{0, INT64_MIN, INT64_MIN + 1, INT64_MAX};
  for (int bit = 0; bit < 63; ++bit) {
    for (int64_t near : {-1, 0, 1}) {
      samples.push_back((int64_t{1} << bit) + near);
      samples.push_back(-samples.back());
    }
  }
  std::mt19937_64 random(3);
  for (int i = 0; i < 100000; ++i) {
    samples.push_back(static_cast<int64_t>(random()) >> (random() % 64));
  }
  const runtime::LinearShape shapes[] = {
      {0, 2000, 500}, {-5, 6, 3}, {INT64_MIN, INT64_MAX, INT64_MAX / 3}, {-1, 0, 1}};
  for (int64_t n : samples) {
    ASSERT_EQ(ssa::log2_bucket(n) - ssa::kLog2Zero, runtime::pow2_bucket(n)) << n;
    ASSERT_EQ(ssa::log_linear_bucket(n) - ssa::kLogLinearZero, runtime::log_linear_bucket(n)) << n;
    for (const auto& [lo, hi, step] : shapes) {
      const ssa::LinearBounds bounds{lo, hi, step};
      ASSERT_EQ(ssa::linear_bucket(bounds, n) - ssa::kLinearFirst,
                runtime::linear_bucket({lo, hi, step}, n))
          << n;
      ASSERT_EQ(ssa::linear_bucket_count(bounds),
                static_cast<uint32_t>(runtime::linear_buckets({lo, hi, step})) + 2);
    }
  }
}

bytecode::ReaderUses uses_of(const std::string& handler_text) {
  return TestWorld("var x = aggr()\nvar t = {}\nvar n = 0\n" + handler_text).readers;
}

TEST(ReaderUses, OfReaders) {
  const bytecode::ReaderUses none = uses_of("trace_end { print(count(x), \"a\", n + 1) }");
  EXPECT_FALSE(none.sum || none.whole_sum || none.squares || none.least || none.greatest);
  EXPECT_FALSE(none.log2 || none.log_linear || none.linear.computed);
  EXPECT_TRUE(uses_of("trace_end { printf(\"%d\", sum(x)) }").sum);
  EXPECT_FALSE(uses_of("trace_end { printf(\"%d\", sum(x)) }").whole_sum);
  EXPECT_TRUE(uses_of("trace_end { n = avg(x) }").whole_sum);
  EXPECT_TRUE(uses_of("trace_end { var f = stddev n = f(x) }").squares);
  const bytecode::ReaderUses quantile = uses_of("trace_end { print(quantile(x, 0.9)) }");
  EXPECT_TRUE(quantile.log_linear && quantile.least && quantile.greatest);
  EXPECT_FALSE(quantile.whole_sum);
}

TEST(ReaderUses, OfHistograms) {
  EXPECT_TRUE(uses_of("trace_end { print_hist(t) }").log2);
  EXPECT_FALSE(uses_of("trace_end { print_hist(t) }").least);
  EXPECT_TRUE(uses_of("trace_end { print(hist(x)) }").log2);
  EXPECT_TRUE(uses_of("trace_end { print(hist(x, \"log-linear\")) }").log_linear);
  EXPECT_FALSE(uses_of("trace_end { print(hist(x, \"log-linear\")) }").log2);
  EXPECT_EQ(uses_of("trace_end { print(hist(x, 0, 9, 3)) }").linear.constant.size(), 1u);
  EXPECT_TRUE(uses_of("trace_end { print(hist(x, 0, n, 3)) }").linear.computed);
}

TEST(ReaderUses, WhatIsPrintedMayBeAnAggregate) {
  for (const char* text :
       {"print(x)", "print(t)", "print(t.a)", "print(\"a\", x)", "n = tostring(x)", "print(n && x)",
        "for (k, v in pairs(t)) { print(v) }", "var p = print p(x)"}) {
    const bytecode::ReaderUses uses = uses_of(std::string("trace_end { ") + text + " }");
    EXPECT_TRUE(uses.whole_sum && uses.least && uses.greatest) << text;
    EXPECT_FALSE(uses.log2 || uses.squares) << text;
  }
  for (const char* text :
       {"print(\"a\", 1, nil, true)", "print(n + 1, -n, !n)", "print(count(x) > 3 && \"a\" || 2)",
        "for (k, v in pairs(t)) { print(k, sum(v)) }", "for (i = 1, 3) { print(i) }",
        "for (a, b, v in pairs(t)) { print(a .. b) }", "print(hist(x))"}) {
    EXPECT_FALSE(uses_of(std::string("trace_end { ") + text + " }").least) << text;
  }
}

TEST(Samples, WordsAndHistograms) {
  bytecode::ReaderUses uses;
  EXPECT_EQ(words_for(uses), std::vector{SampleWord::Count});
  uses.sum = true;
  EXPECT_EQ(words_for(uses), (std::vector{SampleWord::Count, SampleWord::Sum}));
  uses.whole_sum = uses.log2 = true;
  EXPECT_EQ(words_for(uses),
            (std::vector{SampleWord::Count, SampleWord::SumLow, SampleWord::SumHigh}));
  uses = {};
  uses.log2 = true;
  EXPECT_TRUE(words_for(uses).empty());
  ASSERT_EQ(histograms_for(uses).size(), 1u);
  EXPECT_EQ(histograms_for(uses)[0].kind, runtime::Distribution::Kind::Pow2);
  uses.log_linear = true;  // gives the powers of two as well
  uses.linear.constant = {{0, 9, 3}, {0, 9, 3}, {9, 0, 1}};
  ASSERT_EQ(histograms_for(uses).size(), 2u);
  EXPECT_EQ(histograms_for(uses)[0].kind, runtime::Distribution::Kind::LogLinear);
  EXPECT_EQ(histograms_for(uses)[1].shape, (runtime::LinearShape{0, 9, 3}));
}

TEST(LowerSamples, AHistogramOfAVariable) {
  TestWorld w(
      "var x = aggr()\n"
      "trace syscalls:sys_enter_read { x <<< args.fd }\n"
      "trace_end { print_hist(x) }\n");
  EXPECT_EQ(w.lower({syscall_enter("read", 0, {int_field("fd")})}),
            "function handler 0 (syscalls:sys_enter_read)\n"
            "b0:\n"
            "  v0 = EventField #1 : int\n"
            "  v1 = Log2Bucket v0 : int\n"
            "  v2 = ConstInt 1 : int\n"
            "  TableAdd 0:x v1, v2\n"
            "  Return\n");
  EXPECT_EQ(w.linkage.module.tables[0].bucket_count, 128u);
  EXPECT_EQ(w.linkage.tables[0], nullptr);
  ASSERT_EQ(w.linkage.samples.size(), 1u);
  EXPECT_FALSE(w.linkage.samples[0].stats.has_value());
}

TEST(LowerSamples, WordsOfACell) {
  TestWorld w(
      "var t = {}\n"
      "trace syscalls:sys_enter_read { t[probename, cpu] <<< args.fd }\n"
      "trace_end { for (k, v in pairs(t)) { print(k, sum(v), min(v), hist(v, 0, 9, 3)) } }\n");
  EXPECT_EQ(w.lower({syscall_enter("read", 0, {int_field("fd")})}),
            "function handler 0 (syscalls:sys_enter_read)\n"
            "b0:\n"
            "  v0 = EventVar cpu : int\n"
            "  v1 = EventField #1 : int\n"
            "  v2 = LinearBucket 0, 9, 3 v1 : int\n"
            "  v3 = ConstStr \"sys_enter_read\" : str id\n"
            "  v4 = ConstInt 1 : int\n"
            "  v5 = ConstStr \"sys_enter_read\" : str id\n"
            "  v6 = ConstInt 1 : int\n"
            "  TableAdd 0:t v3, v0, v2, v4\n"
            "  TableMerge 1:t v5, v0, v6, v1, v1\n"
            "  Return\n");
  using ssa::MergeOp;
  EXPECT_EQ(w.linkage.module.tables[1].words,
            (std::vector{MergeOp::Add, MergeOp::Add, MergeOp::Min}));
  EXPECT_EQ(w.linkage.module.tables[0].sample_of, 1u);
  EXPECT_EQ(w.linkage.module.tables[1].sample_of, 1u);
}

std::string lowered(const std::string& script) {
  return TestWorld(script).lower({syscall_enter("read", 0, {int_field("fd")})});
}

TEST(LowerSamples, WhatIsNoIntegerFails) {
  const std::string head = "var t = {}\nvar n = {}\ntrace syscalls:sys_exit_read { n[1] = 2 }\n";
  const auto text = [&](const std::string& sample) {
    return TestWorld(head + "trace syscalls:sys_enter_read { t.a <<< " + sample + " }\n")
        .lower({syscall_enter("read", 0, {int_field("fd")})}, 1);
  };
  EXPECT_NE(text("nil").find("Fail \"a sample is an integer, got nil\""), std::string::npos);
  EXPECT_NE(text("n[args.fd]").find("Fail \"a sample is an integer, got nil\""), std::string::npos);
  EXPECT_NE(text("execname").find("Fail \"a sample is an integer, got a string\""),
            std::string::npos);
  EXPECT_NE(text("args.fd > 1").find("Fail \"a sample is an integer, got a boolean\""),
            std::string::npos);
  EXPECT_EQ(text("1.0"), "refused 4: a float is a sample");
}

TEST(LowerSamples, Refusals) {
  const std::string handler = "trace syscalls:sys_enter_read { t.a <<< 1 }\n";
  EXPECT_EQ(lowered("var t = {b = 1}\n" + handler), "refused 2: table t holds an integer");
  EXPECT_EQ(lowered("var t = {}\n" + handler + "tick-1s { t.b = 1 }\n"),
            "refused 2: table t may get something else than samples");
  EXPECT_EQ(
      lowered("var t = {}\ntrace syscalls:sys_enter_read { if (stddev(t.a) > 3) { exit() } }\n"
              "tick-1s { t.a <<< 1 }\n"),
      "refused 2: an aggregate is read here");
  EXPECT_EQ(
      lowered("var t = {}\nvar n = 3\n" + handler + "trace_end { print(hist(t.a, 0, n, 1)) }\n"),
      "refused 3: hist() may ask for bounds that are not known yet");
  EXPECT_EQ(lowered("var t = 1\ntrace syscalls:sys_enter_read { t <<< 1 }\n"),
            "refused 2: '<<<' on an integer");
  // Removal and samples of others are none.
  EXPECT_EQ(lowered("var t = {}\n" + handler + "tick-1s { delete(t) t.b <<< 2 t.c = nil }\n")
                .find("refused"),
            std::string::npos);
}

TEST(LowerSamples, ARefusedHandlerLeavesNothing) {
  TestWorld w(
      "var t = {}\n"
      "trace syscalls:sys_enter_read { t.a <<< args.fd  t.b <<< 1.5 }\n"
      "trace_end { print(hist(t.a, 0, 9, 3)) }\n");
  EXPECT_EQ(w.lower({syscall_enter("read", 0, {int_field("fd")})}),
            "refused 2: a float is a sample");
  EXPECT_TRUE(w.linkage.samples.empty());
  EXPECT_TRUE(w.linkage.module.tables.empty());
  EXPECT_TRUE(w.linkage.module.linear.empty());
}

TEST(LowerSamples, TablesAreAsLargeAsTheScriptSays) {
  TestWorld w(
      "var t = table.new(0, 10) var s = table.new(0, 7) "
      "trace syscalls:* { t[1] = 2 s[args.fd] <<< 1 }");
  w.lower({syscall_enter("read", 0, {int_field("fd")})});
  ASSERT_EQ(w.linkage.module.tables.size(), 2u);
  EXPECT_EQ(w.linkage.module.tables[0].max_entries, 10u);
  EXPECT_EQ(w.linkage.module.tables[1].max_entries, 7u);
}

}  // namespace
}  // namespace ktap::lower
