// See buckets.h. Negative samples mirror the positive ones.
#include "ssa/buckets.h"

#include "base/check.h"

namespace ktap::ssa {
namespace {

constexpr int kSubBits = 4;  // 16 buckets to a power of two

uint64_t magnitude(int64_t sample) {
  return sample < 0 ? 0 - static_cast<uint64_t>(sample) : static_cast<uint64_t>(sample);
}

int64_t bit_length(uint64_t number) { return number == 0 ? 0 : 64 - __builtin_clzll(number); }

}  // namespace

int64_t log2_bucket(int64_t sample) {
  const int64_t size = bit_length(magnitude(sample));
  return kLog2Zero + (sample < 0 ? -size : size);
}

int64_t log_linear_bucket(int64_t sample) {
  const uint64_t number = magnitude(sample);
  int64_t shift = bit_length(number) - kSubBits - 1;
  if (shift < 0) shift = 0;
  const int64_t size = (shift << kSubBits) + static_cast<int64_t>(number >> shift);
  return kLogLinearZero + (sample < 0 ? -size : size);
}

uint32_t linear_bucket_count(const LinearBounds& bounds) {
  const uint64_t distance = static_cast<uint64_t>(bounds.hi) - static_cast<uint64_t>(bounds.lo);
  return static_cast<uint32_t>((distance - 1) / static_cast<uint64_t>(bounds.step)) + 3;
}

int64_t linear_bucket(const LinearBounds& bounds, int64_t sample) {
  if (sample < bounds.lo) return 0;
  if (sample >= bounds.hi) return linear_bucket_count(bounds) - 1;
  const uint64_t distance = static_cast<uint64_t>(sample) - static_cast<uint64_t>(bounds.lo);
  return kLinearFirst + static_cast<int64_t>(distance / static_cast<uint64_t>(bounds.step));
}

int64_t bucket_of(const Inst& inst, const Module& module, int64_t sample) {
  switch (inst.op) {
    case Op::Log2Bucket:
      return log2_bucket(sample);
    case Op::LogLinearBucket:
      return log_linear_bucket(sample);
    default:
      KTAP_CHECK(inst.op == Op::LinearBucket);
      return linear_bucket(module.linear[static_cast<size_t>(inst.imm)], sample);
  }
}

}  // namespace ktap::ssa
