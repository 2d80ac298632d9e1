// Which bucket of a histogram an integer falls into, and what a bucket's bounds are. Three
// divisions: powers of two; 16 buckets to each power of two (log-linear, the idea of HDR
// histograms), which serve quantiles with a relative error of 1/32; and equal steps between two
// bounds. Negative integers mirror the positive ones. Pure arithmetic, so that a kernel program can
// do the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/wide.h"

namespace ktap::runtime {

/// hist(c, lo, hi, step): [lo, lo + step), [lo + step, lo + 2 step), …, the last one cut at hi.
struct LinearShape {
  int64_t lo = 0;
  int64_t hi = 0;
  int64_t step = 0;
  bool operator==(const LinearShape& other) const {
    return lo == other.lo && hi == other.hi && step == other.step;
  }
};

/// The integers of a bucket: low ≤ x < high, of a mirrored one low < x ≤ high. Shape: from -2^64 to
/// 2^64.
struct BucketBounds {
  Wide low = 0;
  Wide high = 0;
  bool mirrored = false;
};

/// 0 for 0; 1 for 1; 2 for 2 and 3; 3 for 4 to 7; …; negative for negative ones: -64 to 63.
int pow2_bucket(int64_t sample);
BucketBounds pow2_bounds(int bucket);

/// Every integer up to 16 has its own; then 16 to each power of two: -960 to 959.
int log_linear_bucket(int64_t sample);
BucketBounds log_linear_bounds(int bucket);
/// The power of two that holds the whole of a log-linear bucket.
int pow2_of_log_linear(int bucket);

/// "" when hist can have this shape, else what is wrong with it.
std::string shape_problem(const LinearShape& shape);
/// How many buckets lie between the bounds. Requires no problem.
int linear_buckets(const LinearShape& shape);
/// -1 below lo, linear_buckets() from hi on. Requires no problem.
int linear_bucket(const LinearShape& shape, int64_t sample);
/// Of one between the bounds.
BucketBounds linear_bounds(const LinearShape& shape, int bucket);

}  // namespace ktap::runtime
