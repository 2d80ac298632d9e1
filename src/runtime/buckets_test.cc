// Unit test of runtime/buckets.h: the edges by hand, then every bucket of random samples against
// its bounds.
#include "runtime/buckets.h"

#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ktap::runtime {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

bool holds(const BucketBounds& bounds, int64_t sample) {
  if (bounds.mirrored) return bounds.low < sample && sample <= bounds.high;
  return bounds.low <= sample && sample < bounds.high;
}

/// Edges of all powers of two, and numbers of every length.
std::vector<int64_t> samples() {
  std::vector<int64_t> all = {0, kMin, kMin + 1, kMax, kMax - 1};
  for (int bit = 0; bit < 63; ++bit) {
    for (int64_t off = -2; off <= 2; ++off) {
      all.push_back((int64_t{1} << bit) + off);
      all.push_back(-(int64_t{1} << bit) + off);
    }
  }
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    all.push_back(static_cast<int64_t>(random()) >> (random() % 64));
  }
  return all;
}

TEST(BucketsTest, PowersOfTwo) {
  EXPECT_EQ(pow2_bucket(0), 0);
  EXPECT_EQ(pow2_bucket(1), 1);
  EXPECT_EQ(pow2_bucket(2), 2);
  EXPECT_EQ(pow2_bucket(3), 2);
  EXPECT_EQ(pow2_bucket(4), 3);
  EXPECT_EQ(pow2_bucket(kMax), 63);
  EXPECT_EQ(pow2_bucket(-1), -1);
  EXPECT_EQ(pow2_bucket(-4), -3);
  EXPECT_EQ(pow2_bucket(kMin + 1), -63);
  EXPECT_EQ(pow2_bucket(kMin), -64);
  EXPECT_TRUE(pow2_bounds(-64).low == -(Wide{1} << 64) && pow2_bounds(-64).high == kMin);
}

TEST(BucketsTest, LogLinear) {
  EXPECT_EQ(log_linear_bucket(15), 15);
  EXPECT_EQ(log_linear_bucket(16), 16);
  EXPECT_EQ(log_linear_bucket(31), 31);
  EXPECT_EQ(log_linear_bucket(32), 32);
  EXPECT_EQ(log_linear_bucket(33), 32);
  EXPECT_EQ(log_linear_bucket(34), 33);
  EXPECT_EQ(log_linear_bucket(-34), -33);
  EXPECT_EQ(log_linear_bucket(kMax), 959);
  EXPECT_EQ(log_linear_bucket(kMin), -960);
}

TEST(BucketsTest, EverySampleLiesInItsBucket) {
  for (int64_t sample : samples()) {
    const int fine = log_linear_bucket(sample);
    EXPECT_TRUE(holds(log_linear_bounds(fine), sample)) << sample;
    EXPECT_TRUE(holds(pow2_bounds(pow2_bucket(sample)), sample)) << sample;
    EXPECT_EQ(pow2_of_log_linear(fine), pow2_bucket(sample)) << sample;
  }
}

TEST(BucketsTest, BucketsFollowWithoutGaps) {
  for (int bucket = -959; bucket < 959; ++bucket) {
    const BucketBounds here = log_linear_bounds(bucket);
    const BucketBounds next = log_linear_bounds(bucket + 1);
    // The greatest integer of one, and the least of the next.
    const Wide last = here.mirrored ? here.high : here.high - 1;
    const Wide first = next.mirrored ? next.low + 1 : next.low;
    EXPECT_TRUE(last + 1 == first) << bucket;
    // A sixteenth of its power of two: the middle is within 1/32 of each of its integers.
    const Wide size = here.high - here.low;
    const Wide least = here.mirrored ? -here.high : here.low;
    EXPECT_TRUE(size == 1 || size * 16 <= least) << bucket;
  }
}

TEST(BucketsTest, LinearEdges) {
  const LinearShape tens{0, 100, 10};
  EXPECT_EQ(linear_buckets(tens), 10);
  EXPECT_EQ(linear_bucket(tens, -1), -1);
  EXPECT_EQ(linear_bucket(tens, 0), 0);
  EXPECT_EQ(linear_bucket(tens, 9), 0);
  EXPECT_EQ(linear_bucket(tens, 10), 1);
  EXPECT_EQ(linear_bucket(tens, 99), 9);
  EXPECT_EQ(linear_bucket(tens, 100), 10);
  const LinearShape uneven{-5, 20, 10};
  EXPECT_EQ(linear_buckets(uneven), 3);
  EXPECT_EQ(linear_bucket(uneven, 19), 2);
  EXPECT_TRUE(linear_bounds(uneven, 2).low == 15 && linear_bounds(uneven, 2).high == 20);
  const LinearShape all{kMin, kMax, kMax / 4};
  EXPECT_EQ(linear_buckets(all), 9);
  EXPECT_EQ(linear_bucket(all, kMin), 0);
  EXPECT_EQ(linear_bucket(all, kMax), 9);
  for (int64_t sample : samples()) {
    const int bucket = linear_bucket(all, sample);
    if (sample != kMax) {
      EXPECT_TRUE(holds(linear_bounds(all, bucket), sample)) << sample;
    }
  }
}

TEST(BucketsTest, ShapesThatAreNone) {
  EXPECT_EQ(shape_problem({0, 10, 1}), "");
  EXPECT_EQ(shape_problem({0, 10, 100}), "");
  EXPECT_EQ(shape_problem({0, 10000, 1}), "");
  EXPECT_EQ(shape_problem({0, 10001, 1}), "hist of more than 10000 buckets");
  EXPECT_EQ(shape_problem({kMin, kMax, 1}), "hist of more than 10000 buckets");
  EXPECT_EQ(shape_problem({0, 10, 0}), "the step of hist is to be over 0, got 0");
  EXPECT_EQ(shape_problem({0, 10, -1}), "the step of hist is to be over 0, got -1");
  EXPECT_EQ(shape_problem({10, 10, 1}),
            "the upper bound of hist is to be over the lower one, got 10 and 10");
}

}  // namespace
}  // namespace ktap::runtime
