// What kernel programs keep of the samples of a table of aggregates, or of one aggregate: tables of
// words and tables of bucket counts. `lower` decides it by the readers that the script has,
// `engine` makes aggregates of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/aggregate.h"
#include "runtime/table.h"

namespace ktap::runtime {

/// Counts by bucket; the bucket is the last part of the kernel table's key.
struct SampleHistogram {
  Distribution::Kind kind = Distribution::Kind::Pow2;
  LinearShape shape;         ///< Linear
  int64_t first_bucket = 0;  ///< that of buckets.h which has number 0 in the kernel
  uint32_t table = 0;        ///< number of the kernel's table
};

struct SampleParts {
  std::string name;                ///< as the script calls it
  Table* table = nullptr;          ///< a table of aggregates, or …
  Aggregate* aggregate = nullptr;  ///< … an aggregate
  /// The words of the kernel's table `stats`. Without it the first histogram's counts are the
  /// numbers of samples, and the histograms are all that is read.
  std::vector<SampleWord> words;
  std::optional<uint32_t> stats;
  std::vector<SampleHistogram> histograms;
};

}  // namespace ktap::runtime
