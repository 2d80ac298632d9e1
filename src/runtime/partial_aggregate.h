// Samples that were added up word by word somewhere else, by kernel programs: each word is a sum, a
// least or a greatest of 64 bits, and together they are as exact as an Aggregate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/wide.h"

namespace ktap::runtime {

/// One word, by what is added up in it for each sample n. The sum's and the squares' parts are at
/// most 2^32 a sample: they are exact for 2^31 samples whatever these are, and for more the smaller
/// the samples are.
enum class SampleWord : uint8_t {
  Count,    ///< 1
  Sum,      ///< n; wraps
  SumLow,   ///< the lower 32 bits of n as a signed number
  SumHigh,  ///< (n - that) / 2^32
  Least,
  Greatest,
  // With |n| = h 2^32 + l: the halves of three products.
  SquareLow,    ///< l l, lower 32 bits
  SquareLowUp,  ///< upper 32 bits
  SquareMixed,  ///< h l
  SquareMixedUp,
  SquareHigh,  ///< h h
  SquareHighUp,
};

/// What the words say together. What is not among them is 0.
struct PartialAggregate {
  uint64_t count = 0;
  Wide sum = 0;
  uint64_t squares[3] = {0, 0, 0};  ///< the lowest first
  bool has_least = false;
  bool has_greatest = false;
  int64_t least = 0;
  int64_t greatest = 0;
};

/// `values` has a value for each word.
PartialAggregate partial_of(const std::vector<SampleWord>& words, const int64_t* values);

/// into += number << shift, 192 bits that wrap. Requires: shift < 192.
void add_shifted(uint64_t (&into)[3], uint64_t number, unsigned shift);

}  // namespace ktap::runtime
