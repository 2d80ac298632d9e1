// Unit test of runtime/aggregate.h, distribution.h and histogram.h: edges by hand, and random
// samples against a reference that keeps them all.
#include "runtime/aggregate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "runtime/heap.h"
#include "runtime/histogram.h"
#include "runtime/table.h"
#include "runtime/text.h"

namespace ktap::runtime {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

class AggregateTest : public ::testing::Test {
 protected:
  Aggregate* of(const std::vector<int64_t>& samples) {
    Aggregate* aggregate = heap_.aggregate();
    for (int64_t sample : samples) aggregate->add(sample, needs_);
    return aggregate;
  }
  std::string labels(const Distribution& d) {
    std::string text;
    for (const BucketCount& b : d.counts) {
      text += d.label(b.bucket) + ":" + std::to_string(b.count) + " ";
    }
    return text;
  }

  Heap heap_;
  ReaderNeeds needs_;
};

TEST_F(AggregateTest, Text) {
  EXPECT_EQ(to_text(Value::of_object(Type::Aggregate, of({10, 20, 30}))),
            "count 3, sum 60, min 10, max 30, avg 20");
  EXPECT_EQ(to_text(Value::of_object(Type::Aggregate, of({}))), "count 0");
}

TEST_F(AggregateTest, ScalarsAtTheEdges) {
  Aggregate* edge = of({kMax, kMax});
  EXPECT_EQ(edge->sum(), -2);  // wraps
  EXPECT_EQ(edge->avg(), kMax);
  EXPECT_EQ(edge->stddev(), 0);
  EXPECT_EQ(of({kMin, kMax})->avg(), 0);
  EXPECT_EQ(of({kMin, kMax})->stddev(), kMax);
  EXPECT_EQ(of({kMin, kMin, kMin})->avg(), kMin);
  EXPECT_EQ(of({kMin, kMin, kMin})->stddev(), 0);
  EXPECT_EQ(of({-7, -8})->avg(), -7);  // C's quotient
  EXPECT_EQ(of({1, 2})->stddev(), 0);  // 0.5
  EXPECT_EQ(of({1, 3})->stddev(), 1);
  EXPECT_EQ(of({2, 4, 4, 4, 5, 5, 7, 9})->stddev(), 2);
  EXPECT_EQ(of({-1000000000000, 1000000000000})->stddev(), 1000000000000);
}

/// floor of the standard deviation the plain way: s is right when s² n² ≤ n Σx² - (Σx)².
int64_t slow_stddev(const std::vector<int64_t>& samples) {
  Wide sum = 0;
  Wide squares = 0;
  for (int64_t x : samples) {
    sum += x;
    squares += Wide{x} * x;
  }
  const Wide n = static_cast<Wide>(samples.size());
  const Wide d = n * squares - sum * sum;
  auto s = static_cast<int64_t>(std::sqrt(static_cast<double>(d)) / static_cast<double>(n));
  while (Wide{s} * s * n * n > d) --s;
  while (Wide{s + 1} * (s + 1) * n * n <= d) ++s;
  return s;
}

TEST_F(AggregateTest, RandomSamplesAgainstAllOfThem) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 300; ++round) {
    const int shift = 4 + static_cast<int>(random() % 60);
    std::vector<int64_t> samples(1 + random() % 200);
    for (int64_t& x : samples) {
      x = static_cast<int64_t>(random()) >> shift;
      if (round % 3 == 0) x = std::abs(x);
    }
    const Aggregate* a = of(samples);
    std::vector<int64_t> sorted = samples;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(a->count(), static_cast<int64_t>(samples.size()));
    EXPECT_EQ(a->min(), sorted.front());
    EXPECT_EQ(a->max(), sorted.back());
    if (shift >= 12) {  // the reference has but 128 bits
      EXPECT_EQ(a->stddev(), slow_stddev(samples)) << "round " << round;
    }
    std::map<int, uint64_t> pow2;
    for (int64_t x : samples) ++pow2[pow2_bucket(x)];
    const Distribution hist = a->pow2();
    ASSERT_EQ(hist.counts.size(), pow2.size());
    for (const BucketCount& b : hist.counts) EXPECT_EQ(b.count, pow2[b.bucket]);
    for (double q : {0.0, 0.01, 0.07, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<size_t>(
          std::max(1.0, std::ceil(q * static_cast<double>(samples.size()) - 1e-9)));
      const int64_t truth = sorted[rank - 1];
      const auto error = std::abs(static_cast<double>(a->quantile(q)) - static_cast<double>(truth));
      EXPECT_LE(error * 32, std::abs(static_cast<double>(truth))) << q << " of round " << round;
    }
  }
}

TEST_F(AggregateTest, Quantiles) {
  EXPECT_EQ(of({5})->quantile(0.5), 5);
  EXPECT_EQ(of({kMin, 0, kMax})->quantile(0), kMin);
  EXPECT_EQ(of({kMin, 0, kMax})->quantile(0.5), 0);
  EXPECT_EQ(of({kMin, 0, kMax})->quantile(1), kMax);
  std::vector<int64_t> hundred;
  for (int64_t i = 1; i <= 100; ++i) hundred.push_back(i);
  EXPECT_EQ(of(hundred)->quantile(0.07), 7);  // 7.000000000000001 as floats multiply
  EXPECT_EQ(of(hundred)->quantile(0.29), 29);
}

TEST_F(AggregateTest, LabelsOfPowersOfTwo) {
  EXPECT_EQ(labels(of({0, 1, -1, 5, -5, 1024, 1536, 1 << 20})->pow2()),
            "(-8, -4]:1 (-2, -1]:1 0:1 [1, 2):1 [4, 8):1 [1K, 2K):2 [1M, 2M):1 ");
  EXPECT_EQ(labels(of({kMin, kMin + 1, kMax})->pow2()), "(-16E, -8E]:1 (-8E, -4E]:1 [4E, 8E):1 ");
  EXPECT_EQ(labels(of({512})->pow2()), "[512, 1K):1 ");
}

TEST_F(AggregateTest, LabelsOfLogLinear) {
  EXPECT_EQ(labels(of({0, 3, -3, 33, 1100, 1 << 20})->log_linear()),
            "(-4, -3]:1 0:1 [3, 4):1 [32, 34):1 [1088, 1152):1 [1M, 1088K):1 ");
}

TEST_F(AggregateTest, LowerBoundsAscend) {
  const Distribution d = of({kMin, kMin + 1, -9, -1, 0, 1, 9, kMax})->pow2();
  int64_t before = 0;
  for (const BucketCount& b : d.counts) {
    if (&b != d.counts.data()) {
      EXPECT_LT(before, d.lower(b.bucket));
    }
    before = d.lower(b.bucket);
    EXPECT_EQ(d.count_from(before), b.count);
  }
  EXPECT_EQ(d.lower(d.counts[0].bucket), kMin);
  EXPECT_EQ(d.lower(d.counts[1].bucket), kMin + 1);
  EXPECT_EQ(d.lower(d.counts[2].bucket), -16);
  EXPECT_EQ(d.count_from(3), 0u);
}

TEST_F(AggregateTest, LinearOfKnownBounds) {
  ASSERT_TRUE(needs_.learn({0, 100, 10}));
  const Aggregate* a = of({-1, 0, 9, 10, 99, 100, 1000});
  Distribution d;
  ASSERT_TRUE(a->linear({0, 100, 10}, needs_, &d));
  EXPECT_EQ(labels(d), "< 0:1 [0, 10):2 [10, 20):1 [90, 100):1 >= 100:2 ");
  EXPECT_EQ(d.lower(-1), kMin);
  EXPECT_EQ(d.lower(10), 100);
  EXPECT_FALSE(a->linear({0, 100, 5}, needs_, &d));
  EXPECT_TRUE(of({})->linear({0, 100, 5}, needs_, &d));
  EXPECT_TRUE(d.counts.empty());
}

TEST_F(AggregateTest, ABoundLearntLateIsForTheNextFilling) {
  Aggregate* a = of({5, 15});
  ASSERT_TRUE(needs_.learn({0, 10, 5}));
  Distribution d;
  EXPECT_FALSE(a->linear({0, 10, 5}, needs_, &d));
  a->add(7, needs_);
  EXPECT_FALSE(a->linear({0, 10, 5}, needs_, &d));
  a->clear();
  a->add(7, needs_);
  ASSERT_TRUE(a->linear({0, 10, 5}, needs_, &d));
  EXPECT_EQ(labels(d), "[5, 10):1 ");
}

TEST_F(AggregateTest, LinearFromTheValues) {
  needs_.values = true;
  const Aggregate* a = of({1, 1, 2, -3, 50});
  Distribution d;
  ASSERT_TRUE(a->linear({0, 10, 2}, needs_, &d));
  EXPECT_EQ(labels(d), "< 0:1 [0, 2):2 [2, 4):1 >= 10:1 ");
  Aggregate* many = of({});
  const auto limit = static_cast<int64_t>(limits::kMaxAggregateValues);
  for (int64_t i = 0; i < limit; ++i) many->add(i, needs_);
  EXPECT_TRUE(many->linear({0, 10, 2}, needs_, &d));
  many->add(limit, needs_);
  EXPECT_FALSE(many->linear({0, 10, 2}, needs_, &d));
}

TEST_F(AggregateTest, AScriptHasABoundedNumberOfShapes) {
  for (size_t i = 1; i <= limits::kMaxLinearShapes; ++i) {
    EXPECT_TRUE(needs_.learn({0, static_cast<int64_t>(i), 1}));
  }
  EXPECT_FALSE(needs_.learn({0, 1000, 1}));
  EXPECT_TRUE(needs_.learn({0, 1, 1}));  // known
}

TEST_F(AggregateTest, PictureHasEveryRowFromFirstToLast) {
  ASSERT_TRUE(needs_.learn({0, 100, 10}));
  Distribution d;
  ASSERT_TRUE(of({-1, 15, 45, 45, 200})->linear({0, 100, 10}, needs_, &d));
  std::string out;
  append_distribution(out, d);
  EXPECT_EQ(out,
            "                          value ------------- Distribution ------------- count\n"
            "                             < 0 |@@@@@@@                                1\n"
            "                        [10, 20) |@@@@@@@                                1\n"
            "                        [20, 30) |                                       0\n"
            "                        [30, 40) |                                       0\n"
            "                        [40, 50) |@@@@@@@@@@@@@@@                        2\n"
            "                          >= 100 |@@@@@@@                                1\n");
}

TEST_F(AggregateTest, MemoryIsTheHeapsAndBounded) {
  const size_t before = heap_.live_bytes();
  Aggregate* a = of({});
  std::mt19937_64 random(3);
  for (int i = 0; i < 200000; ++i) {
    a->add(static_cast<int64_t>(random()) >> (random() % 64), needs_);
  }
  EXPECT_GE(heap_.live_bytes(), before + a->memory_bytes());
  EXPECT_LE(a->memory_bytes(), size_t{40} << 10);
  Value root = Value::of_object(Type::Aggregate, a);
  heap_.set_roots([&](Heap& heap) { heap.mark(root); });
  heap_.histogram(a->log_linear());
  heap_.collect();
  EXPECT_EQ(heap_.object_count(), 1u);
  EXPECT_EQ(a->count(), 200000);
  root = Value::nil();
  heap_.collect();
  EXPECT_EQ(heap_.live_bytes(), before);
}

TEST_F(AggregateTest, AreNoKeysAndEqualThemselves) {
  const Value a = Value::of_object(Type::Aggregate, of({1}));
  const Value b = Value::of_object(Type::Aggregate, of({1}));
  EXPECT_FALSE(Table::valid_key(a));
  EXPECT_TRUE(equal(a, a));
  EXPECT_FALSE(equal(a, b));
  EXPECT_EQ(type_name(Type::Aggregate), "aggregate");
  EXPECT_EQ(type_name(Type::Histogram), "histogram");
}

TEST_F(AggregateTest, HistogramInATable) {
  Table* table = heap_.table();
  table->set(heap_.string("h"),
             Value::of_object(Type::Histogram, heap_.histogram(of({1})->pow2())));
  EXPECT_EQ(to_text(Value::of_object(Type::Table, table)),
            "h:\n"
            "                            value ------------- Distribution ------------- count\n"
            "                            [1, 2) |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 1");
}

/// What kernel programs add up of samples, word by word.
std::vector<int64_t> words_of(const std::vector<SampleWord>& words,
                              const std::vector<int64_t>& samples) {
  std::vector<int64_t> values(words.size());
  for (size_t s = 0; s < samples.size(); ++s) {
    const int64_t n = samples[s];
    const auto size = n < 0 ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
    const uint64_t low = size & 0xffffffff;
    const uint64_t high = size >> 32;
    const auto low_half = static_cast<int32_t>(n);
    for (size_t w = 0; w < words.size(); ++w) {
      const auto add = [&](uint64_t more) {
        values[w] = static_cast<int64_t>(static_cast<uint64_t>(values[w]) + more);
      };
      switch (words[w]) {
        case SampleWord::Count:
          add(1);
          break;
        case SampleWord::Sum:
          add(static_cast<uint64_t>(n));
          break;
        case SampleWord::SumLow:
          add(static_cast<uint64_t>(int64_t{low_half}));
          break;
        case SampleWord::SumHigh:
          add(static_cast<uint64_t>((n >> 32) + (low_half < 0 ? 1 : 0)));
          break;
        case SampleWord::Least:
          values[w] = s == 0 ? n : std::min(values[w], n);
          break;
        case SampleWord::Greatest:
          values[w] = s == 0 ? n : std::max(values[w], n);
          break;
        case SampleWord::SquareLow:
          add(low * low & 0xffffffff);
          break;
        case SampleWord::SquareLowUp:
          add(low * low >> 32);
          break;
        case SampleWord::SquareMixed:
          add(low * high & 0xffffffff);
          break;
        case SampleWord::SquareMixedUp:
          add(low * high >> 32);
          break;
        case SampleWord::SquareHigh:
          add(high * high & 0xffffffff);
          break;
        case SampleWord::SquareHighUp:
          add(high * high >> 32);
          break;
      }
    }
  }
  return values;
}

const std::vector<SampleWord> kAllWords{
    SampleWord::Count,       SampleWord::SumLow,      SampleWord::SumHigh,
    SampleWord::Least,       SampleWord::Greatest,    SampleWord::SquareLow,
    SampleWord::SquareLowUp, SampleWord::SquareMixed, SampleWord::SquareMixedUp,
    SampleWord::SquareHigh,  SampleWord::SquareHighUp};

TEST_F(AggregateTest, MergedPartsAreAsExactAsSamples) {
  ASSERT_TRUE(needs_.learn({-100, 100, 25}));
  std::mt19937_64 random(5);
  for (int round = 0; round < 300; ++round) {
    Aggregate* whole = heap_.aggregate();
    Aggregate* merged = heap_.aggregate();
    for (int part = 0; part < 4; ++part) {
      std::vector<int64_t> samples;
      for (uint64_t i = random() % 20; i > 0; --i) {
        const uint64_t kind = random() % 8;
        samples.push_back(kind == 0   ? kMin
                          : kind == 1 ? kMax
                                      : static_cast<int64_t>(random()) >> (random() % 64));
      }
      for (int64_t n : samples) whole->add(n, needs_);
      if (part % 2 == 0) {  // user space's own
        for (int64_t n : samples) merged->add(n, needs_);
        continue;
      }
      const std::vector<int64_t> values = words_of(kAllWords, samples);
      merged->merge(partial_of(kAllWords, values.data()), needs_);
      for (int64_t n : samples) {
        merged->merge_bucket(Distribution::Kind::LogLinear, 0, log_linear_bucket(n), 1, false,
                             needs_);
        merged->merge_bucket(Distribution::Kind::Linear, 0, linear_bucket(needs_.linear[0], n), 1,
                             false, needs_);
      }
    }
    ASSERT_EQ(to_text(Value::of_object(Type::Aggregate, merged)),
              to_text(Value::of_object(Type::Aggregate, whole)));
    if (whole->empty()) continue;
    ASSERT_EQ(merged->stddev(), whole->stddev());
    ASSERT_EQ(merged->quantile(0.7), whole->quantile(0.7));
    ASSERT_EQ(labels(merged->pow2()), labels(whole->pow2()));
    Distribution a;
    Distribution b;
    ASSERT_TRUE(merged->linear(needs_.linear[0], needs_, &a));
    ASSERT_TRUE(whole->linear(needs_.linear[0], needs_, &b));
    ASSERT_EQ(labels(a), labels(b));
  }
}

TEST_F(AggregateTest, MergedPowersOfTwoCountWithOrWithoutWords) {
  Aggregate* a = of({5});
  a->merge_bucket(Distribution::Kind::Pow2, 0, pow2_bucket(6), 3, true, needs_);
  a->merge_bucket(Distribution::Kind::Pow2, 0, pow2_bucket(-1), 2, true, needs_);
  EXPECT_EQ(a->count(), 6);
  EXPECT_EQ(labels(a->pow2()), "(-2, -1]:2 [4, 8):4 ");
  a->clear();
  EXPECT_EQ(a->count(), 0);
  EXPECT_TRUE(a->pow2().counts.empty());
}

TEST_F(AggregateTest, ASourceIsAskedWhileThereIsOne) {
  class Source : public SampleSource {
   public:
    void before_read() override { ++asked; }
    int asked = 0;
  };
  Source source;
  Aggregate* plain = of({1});
  Aggregate* shared = of({2});
  shared->set_from_source();
  shared->refresh();
  heap_.set_sample_source(&source);
  plain->refresh();
  EXPECT_EQ(source.asked, 0);
  EXPECT_EQ(to_text(Value::of_object(Type::Aggregate, shared)),
            "count 1, sum 2, min 2, max 2, avg 2");
  EXPECT_EQ(source.asked, 1);
  heap_.set_sample_source(nullptr);
  shared->refresh();
  EXPECT_EQ(source.asked, 1);
}

}  // namespace
}  // namespace ktap::runtime
