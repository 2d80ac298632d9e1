// Counts by bucket: what `hist` gives of an aggregate, with the labels and the picture of section 6
// of the language.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/buckets.h"

namespace ktap::runtime {

struct BucketCount {
  int bucket;
  uint64_t count;
};

/// Buckets that are not empty, ascending. Grows with what is seen: most samples fall into few.
class BucketCounts {
 public:
  /// True when the bucket is a new one.
  bool add(int bucket, uint64_t count = 1);
  const std::vector<BucketCount>& all() const { return counts_; }
  size_t memory_bytes() const { return counts_.capacity() * sizeof(BucketCount); }

 private:
  std::vector<BucketCount> counts_;
};

struct Distribution {
  enum class Kind : uint8_t { Pow2, LogLinear, Linear } kind = Kind::Pow2;
  LinearShape shape;                ///< Linear
  std::vector<BucketCount> counts;  ///< of the buckets that are not empty, ascending

  /// The number in front of the bucket's label. INT64_MIN below a linear one's first bound; where
  /// the number is INT64_MIN or less, the least integer of the bucket.
  int64_t lower(int bucket) const;
  /// `[4, 8)`, `[1K, 2K)`, `0`, `(-8, -4]`; of a linear one also `< 10`, `>= 100`.
  std::string label(int bucket) const;
  /// 0 when there is none with that lower bound.
  uint64_t count_from(int64_t lower_bound) const;
  uint64_t total() const;
};

/// 1024 is `1K`, 2^20 `1M`, up to `E`; what no suffix gives exactly stays digits.
std::string power_text(Wide number);

/// Appends header and rows, from the first to the last bucket that is not empty, each with a
/// newline. `indent`: blanks before each line.
void append_distribution(std::string& out, const Distribution& distribution, size_t indent = 0);

}  // namespace ktap::runtime
