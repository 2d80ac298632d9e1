// See buckets.h.
#include "runtime/buckets.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/core.h>

#include "base/limits.h"

namespace ktap::runtime {
namespace {

constexpr int kSubBits = 4;  // 16 buckets to a power of two
constexpr int kSubBuckets = 1 << kSubBits;

uint64_t magnitude(int64_t sample) {
  return sample < 0 ? 0 - static_cast<uint64_t>(sample) : static_cast<uint64_t>(sample);
}

int top_bit(uint64_t number) { return 63 - __builtin_clzll(number); }

int signed_as(int64_t sample, int bucket) { return sample < 0 ? -bucket : bucket; }

BucketBounds mirrored_if(bool mirrored, Wide low, Wide high) {
  return mirrored ? BucketBounds{-high, -low, true} : BucketBounds{low, high, false};
}

/// hi - lo, of any two integers with hi > lo.
uint64_t distance(const LinearShape& shape) {
  return static_cast<uint64_t>(shape.hi) - static_cast<uint64_t>(shape.lo);
}

}  // namespace

int pow2_bucket(int64_t sample) {
  return sample == 0 ? 0 : signed_as(sample, top_bit(magnitude(sample)) + 1);
}

BucketBounds pow2_bounds(int bucket) {
  if (bucket == 0) return {0, 1, false};
  const Wide low = Wide{1} << (std::abs(bucket) - 1);
  return mirrored_if(bucket < 0, low, low * 2);
}

int log_linear_bucket(int64_t sample) {
  const uint64_t number = magnitude(sample);
  if (number < kSubBuckets) return static_cast<int>(sample);
  const int shift = top_bit(number) - kSubBits;
  const auto sub = static_cast<int>((number >> shift) & (kSubBuckets - 1));
  return signed_as(sample, kSubBuckets + shift * kSubBuckets + sub);
}

BucketBounds log_linear_bounds(int bucket) {
  const int number = std::abs(bucket);
  if (number < kSubBuckets) return mirrored_if(bucket < 0, number, number + 1);
  const int shift = number / kSubBuckets - 1;
  const Wide low = kSubBuckets + number % kSubBuckets;
  return mirrored_if(bucket < 0, low << shift, (low + 1) << shift);
}

int pow2_of_log_linear(int bucket) {
  if (bucket == 0) return 0;
  const BucketBounds bounds = log_linear_bounds(std::abs(bucket));
  const int power = top_bit(static_cast<uint64_t>(bounds.low)) + 1;
  return bucket < 0 ? -power : power;
}

std::string shape_problem(const LinearShape& shape) {
  if (shape.step <= 0) return fmt::format("the step of hist is to be over 0, got {}", shape.step);
  if (shape.hi <= shape.lo) {
    return fmt::format("the upper bound of hist is to be over the lower one, got {} and {}",
                       shape.lo, shape.hi);
  }
  if ((distance(shape) - 1) / static_cast<uint64_t>(shape.step) >= limits::kMaxLinearBuckets) {
    return fmt::format("hist of more than {} buckets", limits::kMaxLinearBuckets);
  }
  return "";
}

int linear_buckets(const LinearShape& shape) {
  return static_cast<int>((distance(shape) - 1) / static_cast<uint64_t>(shape.step)) + 1;
}

int linear_bucket(const LinearShape& shape, int64_t sample) {
  if (sample < shape.lo) return -1;
  if (sample >= shape.hi) return linear_buckets(shape);
  return static_cast<int>((static_cast<uint64_t>(sample) - static_cast<uint64_t>(shape.lo)) /
                          static_cast<uint64_t>(shape.step));
}

BucketBounds linear_bounds(const LinearShape& shape, int bucket) {
  const Wide low = shape.lo + Wide{bucket} * shape.step;
  return {low, std::min<Wide>(low + shape.step, shape.hi), false};
}

}  // namespace ktap::runtime
