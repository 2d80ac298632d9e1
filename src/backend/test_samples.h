// Samples at the edges of buckets and many between, and a function that puts their buckets into
// shared variables.
#pragma once

#include "backend/test_support.h"
#include "ssa/buckets.h"

namespace ktap::backend::testing_support {

/// 0, every power of two and its neighbours, of both signs, and `random_count` others of all sizes.
inline std::vector<int64_t> edge_samples(size_t random_count) {
  std::vector<int64_t> samples{0, INT64_MIN, INT64_MIN + 1, INT64_MAX};
  for (int bit = 0; bit < 63; ++bit) {
    for (int64_t near : {-1, 0, 1}) {
      const int64_t sample = (int64_t{1} << bit) + near;
      samples.push_back(sample);
      samples.push_back(-sample);
    }
  }
  std::mt19937_64 random(7);
  for (size_t i = 0; i < random_count; ++i) {
    samples.push_back(static_cast<int64_t>(random()) >> (random() % 64));
  }
  return samples;
}

/// Of variable 0 into 1 (powers of two), 2 (log-linear), and the rest (module.linear).
inline void buckets(Subject& s) {
  s.module.linear = {{0, 2000, 500}, {-5, 6, 3}, {INT64_MIN, INT64_MAX, INT64_MAX / 3}, {-1, 0, 1}};
  s.module.cells.resize(3 + s.module.linear.size(), "c");
  s.cells.resize(s.module.cells.size());
  Builder& b = s.builder;
  b.at(b.block());
  const ValueId sample = b.op(Op::CellGet, {}, 0);
  b.op(Op::CellSet, {b.op(Op::Log2Bucket, {sample})}, 1);
  b.op(Op::CellSet, {b.op(Op::LogLinearBucket, {sample})}, 2);
  for (size_t i = 0; i < s.module.linear.size(); ++i) {
    const ValueId bucket = b.op(Op::LinearBucket, {sample}, static_cast<int64_t>(i));
    b.op(Op::CellSet, {bucket}, static_cast<int64_t>(3 + i));
  }
  b.ret();
}

/// What `buckets` must leave, variable 0 included.
inline std::vector<int64_t> buckets_of(const Subject& s, int64_t sample) {
  std::vector<int64_t> out{sample, ssa::log2_bucket(sample), ssa::log_linear_bucket(sample)};
  for (const ssa::LinearBounds& bounds : s.module.linear) {
    out.push_back(ssa::linear_bucket(bounds, sample));
  }
  return out;
}

}  // namespace ktap::backend::testing_support
