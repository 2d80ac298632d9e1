// See partial_aggregate.h.
#include "runtime/partial_aggregate.h"

namespace ktap::runtime {
namespace {

/// How far a word of the squares is shifted: h l counts twice.
unsigned square_shift(SampleWord word) {
  switch (word) {
    case SampleWord::SquareLowUp:
      return 32;
    case SampleWord::SquareMixed:
      return 33;
    case SampleWord::SquareMixedUp:
      return 65;
    case SampleWord::SquareHigh:
      return 64;
    case SampleWord::SquareHighUp:
      return 96;
    default:
      return 0;
  }
}

}  // namespace

void add_shifted(uint64_t (&into)[3], uint64_t number, unsigned shift) {
  uint64_t words[3] = {0, 0, 0};
  const size_t first = shift / 64;
  words[first] = number << (shift % 64);
  if (shift % 64 != 0 && first + 1 < 3) words[first + 1] = number >> (64 - shift % 64);
  uint64_t carry = 0;
  for (size_t i = 0; i < 3; ++i) {
    const uint64_t sum = into[i] + words[i];
    const uint64_t more = sum + carry;
    carry = (sum < into[i] ? 1 : 0) + (more < sum ? 1 : 0);
    into[i] = more;
  }
}

PartialAggregate partial_of(const std::vector<SampleWord>& words, const int64_t* values) {
  PartialAggregate partial;
  for (size_t i = 0; i < words.size(); ++i) {
    const int64_t value = values[i];
    switch (words[i]) {
      case SampleWord::Count:
        partial.count = static_cast<uint64_t>(value);
        break;
      case SampleWord::Sum:
      case SampleWord::SumLow:
        partial.sum += value;
        break;
      case SampleWord::SumHigh:
        partial.sum += Wide{value} * (int64_t{1} << 32);
        break;
      case SampleWord::Least:
        partial.has_least = true;
        partial.least = value;
        break;
      case SampleWord::Greatest:
        partial.has_greatest = true;
        partial.greatest = value;
        break;
      case SampleWord::SquareLow:
      case SampleWord::SquareLowUp:
      case SampleWord::SquareMixed:
      case SampleWord::SquareMixedUp:
      case SampleWord::SquareHigh:
      case SampleWord::SquareHighUp:
        add_shifted(partial.squares, static_cast<uint64_t>(value), square_shift(words[i]));
        break;
    }
  }
  return partial;
}

}  // namespace ktap::runtime
