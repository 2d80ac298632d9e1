// The value that `hist` gives: a distribution as it was at that moment.
#pragma once

#include <utility>

#include "runtime/distribution.h"
#include "runtime/value.h"

namespace ktap::runtime {

/// Made by Heap::histogram() alone; immutable.
class Histogram : public Object {
 public:
  explicit Histogram(Distribution distribution)
      : Object(Type::Histogram), distribution_(std::move(distribution)) {}
  const Distribution& distribution() const { return distribution_; }
  size_t memory_bytes() const {
    return sizeof(Histogram) + distribution_.counts.capacity() * sizeof(BucketCount);
  }

 private:
  Distribution distribution_;
};

}  // namespace ktap::runtime
