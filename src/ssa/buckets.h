// Buckets of histograms as numbers from 0 on, so that they can be a part of a key and an index:
// what Log2Bucket, LogLinearBucket and LinearBucket give. The numbering is the language's
// (runtime's buckets.h, with negative buckets), moved up by a constant.
#pragma once

#include <cstdint>

#include "ssa/function.h"

namespace ktap::ssa {

constexpr uint32_t kLog2Buckets = 128;
constexpr int64_t kLog2Zero = 64;  ///< the bucket of 0: subtract it for the language's number
constexpr uint32_t kLogLinearBuckets = 1920;
constexpr int64_t kLogLinearZero = 960;
constexpr int64_t kLinearFirst = 1;  ///< the bucket of `lo`

int64_t log2_bucket(int64_t sample);
int64_t log_linear_bucket(int64_t sample);
int64_t linear_bucket(const LinearBounds& bounds, int64_t sample);
/// With the two for what lies outside. At most limits::kMaxLinearBuckets + 2.
uint32_t linear_bucket_count(const LinearBounds& bounds);

/// What the operation gives of a constant sample. Requires: one of the three.
int64_t bucket_of(const Inst& inst, const Module& module, int64_t sample);

}  // namespace ktap::ssa
