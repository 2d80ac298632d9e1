// See aggregate.h. All arithmetic is exact: the sum has 128 bits, the sum of squares 192.
#include "runtime/aggregate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "base/limits.h"

namespace ktap::runtime {
namespace {

constexpr size_t kBytesPerValue = 40;  // guessed: a node of the map, and its share of the buckets

/// 192 bits, the lowest word first; wraps.
struct Words {
  uint64_t word[3] = {0, 0, 0};

  void add(const Words& other) {
    UnsignedWide carry = 0;
    for (int i = 0; i < 3; ++i) {
      carry += UnsignedWide{word[i]} + other.word[i];
      word[i] = static_cast<uint64_t>(carry);
      carry >>= 64;
    }
  }
  void subtract(const Words& other) {
    Words negative;
    for (int i = 0; i < 3; ++i) negative.word[i] = ~other.word[i];
    add(negative);
    add(of(1));
  }
  static Words of(UnsignedWide number) {
    return {{static_cast<uint64_t>(number), static_cast<uint64_t>(number >> 64), 0}};
  }
  static Words product(UnsignedWide a, uint64_t b) {
    const UnsignedWide low = UnsignedWide{static_cast<uint64_t>(a)} * b;
    const UnsignedWide high = UnsignedWide{static_cast<uint64_t>(a >> 64)} * b + (low >> 64);
    return {{static_cast<uint64_t>(low), static_cast<uint64_t>(high),
             static_cast<uint64_t>(high >> 64)}};
  }
  /// The quotient. Requires that it has 128 bits at most.
  UnsignedWide divided_by(uint64_t divisor) const {
    UnsignedWide quotient = 0;
    UnsignedWide rest = 0;
    for (int i = 2; i >= 0; --i) {
      rest = rest << 64 | word[i];
      quotient = quotient << 64 | static_cast<uint64_t>(rest / divisor);
      rest %= divisor;
    }
    return quotient;
  }
};

uint64_t magnitude(int64_t number) {
  return number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
}

/// The largest s with s × s ≤ square.
uint64_t root(UnsignedWide square) {
  uint64_t result = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const uint64_t candidate = result | uint64_t{1} << bit;
    if (UnsignedWide{candidate} * candidate <= square) result = candidate;
  }
  return result;
}

}  // namespace

bool ReaderNeeds::learn(const LinearShape& shape) {
  if (std::find(linear.begin(), linear.end(), shape) != linear.end()) return true;
  if (linear.size() >= limits::kMaxLinearShapes) return false;
  linear.push_back(shape);
  return true;
}

/// Before the first sample.
void Aggregate::begin(const ReaderNeeds& needs) {
  linear_.resize(needs.linear.size());
  if (needs.values) values_ = std::make_unique<Values>();
}

void Aggregate::add(int64_t sample, const ReaderNeeds& needs) {
  if (count_ == 0) {
    min_ = max_ = sample;
    begin(needs);
  }
  ++count_;
  sum_ += sample;
  add_square(sample);
  min_ = std::min(min_, sample);
  max_ = std::max(max_, sample);
  bool grew = buckets_.add(log_linear_bucket(sample)) || count_ == 1;
  for (size_t i = 0; i < linear_.size(); ++i) {
    grew = linear_[i].add(linear_bucket(needs.linear[i], sample)) || grew;
  }
  if (values_ != nullptr) grew = add_value(sample) || grew;
  if (grew) account();
}

void Aggregate::merge(const PartialAggregate& partial, const ReaderNeeds& needs) {
  if (partial.count == 0) return;
  const bool is_first = count_ == 0;
  if (is_first) begin(needs);
  count_ += partial.count;
  sum_ += partial.sum;
  Words squares{{squares_[0], squares_[1], squares_[2]}};
  squares.add({{partial.squares[0], partial.squares[1], partial.squares[2]}});
  std::copy(std::begin(squares.word), std::end(squares.word), squares_);
  if (partial.has_least) min_ = is_first ? partial.least : std::min(min_, partial.least);
  if (partial.has_greatest) max_ = is_first ? partial.greatest : std::max(max_, partial.greatest);
  account();
}

void Aggregate::merge_bucket(Distribution::Kind kind, size_t shape, int bucket, uint64_t count,
                             bool counts, const ReaderNeeds& needs) {
  if (counts) {
    if (count_ == 0) begin(needs);
    count_ += count;
  }
  switch (kind) {
    case Distribution::Kind::Pow2:
      pow2_.add(bucket, count);
      break;
    case Distribution::Kind::LogLinear:
      buckets_.add(bucket, count);
      break;
    case Distribution::Kind::Linear:
      // Like a sample of ours: what was not asked for before the first one is not counted.
      if (shape < linear_.size()) linear_[shape].add(bucket, count);
      break;
  }
  account();
}

bool Aggregate::add_value(int64_t sample) {
  if (!values_->emplace(sample, 0).second) {
    ++(*values_)[sample];
    return false;
  }
  (*values_)[sample] = 1;
  if (values_->size() > limits::kMaxAggregateValues) values_.reset();
  return true;
}

void Aggregate::add_square(int64_t sample) {
  Words sum{{squares_[0], squares_[1], squares_[2]}};
  sum.add(Words::of(UnsignedWide{magnitude(sample)} * magnitude(sample)));
  std::copy(std::begin(sum.word), std::end(sum.word), squares_);
}

void Aggregate::clear() {
  count_ = 0;
  sum_ = 0;
  std::fill(std::begin(squares_), std::end(squares_), 0);
  buckets_ = {};
  pow2_ = {};
  linear_ = {};
  values_.reset();
  account();
}

int64_t Aggregate::avg() const { return static_cast<int64_t>(sum_ / static_cast<Wide>(count_)); }

// With a = floor(sum / n) and r = sum - a n: the sum of squared deviations from a is
// V = squares - n a² - 2 a r, the variance V / n - (r / n)². An integer s has s² ≤ variance just
// when s² n ≤ V - ceil(r² / n).
int64_t Aggregate::stddev() const {
  const auto n = static_cast<Wide>(count_);
  Wide a = sum_ / n;
  if (a * n > sum_) --a;
  const auto r = static_cast<uint64_t>(sum_ - a * n);
  const uint64_t size = magnitude(static_cast<int64_t>(a));
  Words deviations{{squares_[0], squares_[1], squares_[2]}};
  deviations.subtract(Words::product(UnsignedWide{size} * size, count_));
  const Words mixed = Words::product(UnsignedWide{size} * r, 2);
  if (a >= 0) {
    deviations.subtract(mixed);
  } else {
    deviations.add(mixed);
  }
  const UnsignedWide rest = UnsignedWide{r} * r;
  deviations.subtract(Words::of(rest / count_ + (rest % count_ != 0 ? 1 : 0)));
  return static_cast<int64_t>(root(deviations.divided_by(count_)));
}

int64_t Aggregate::quantile(double q) const {
  // 0.07 × 100 is a little over 7 as floats go: such a rest makes no further rank.
  const double exact = q * static_cast<double>(count_);
  const double rank = std::ceil(exact - exact * 4 * std::numeric_limits<double>::epsilon());
  if (rank <= 1) return min_;
  if (rank >= static_cast<double>(count_)) return max_;
  uint64_t seen = 0;
  for (const BucketCount& b : buckets_.all()) {
    seen += b.count;
    if (static_cast<double>(seen) < rank) continue;
    const BucketBounds bounds = log_linear_bounds(b.bucket);
    // The middle of the bucket's integers.
    const Wide middle = (bounds.low + bounds.high + (bounds.mirrored ? 1 : -1)) / 2;
    return static_cast<int64_t>(std::clamp<Wide>(middle, min_, max_));
  }
  return max_;
}

Distribution Aggregate::pow2() const {
  BucketCounts counts = pow2_;
  for (const BucketCount& b : buckets_.all()) counts.add(pow2_of_log_linear(b.bucket), b.count);
  return {Distribution::Kind::Pow2, {}, counts.all()};
}

Distribution Aggregate::log_linear() const {
  return {Distribution::Kind::LogLinear, {}, buckets_.all()};
}

bool Aggregate::linear(const LinearShape& shape, const ReaderNeeds& needs,
                       Distribution* result) const {
  *result = {Distribution::Kind::Linear, shape, {}};
  if (count_ == 0) return true;
  for (size_t i = 0; i < linear_.size(); ++i) {
    if (!(needs.linear[i] == shape)) continue;
    result->counts = linear_[i].all();
    return true;
  }
  if (values_ == nullptr) return false;
  BucketCounts counts;
  for (const auto& [value, count] : *values_) counts.add(linear_bucket(shape, value), count);
  result->counts = counts.all();
  return true;
}

size_t Aggregate::memory_bytes() const {
  size_t bytes =
      buckets_.memory_bytes() + pow2_.memory_bytes() + linear_.capacity() * sizeof(BucketCounts);
  for (const BucketCounts& counts : linear_) bytes += counts.memory_bytes();
  if (values_ != nullptr) bytes += sizeof(Values) + values_->size() * kBytesPerValue;
  return bytes;
}

void Aggregate::account() {
  const size_t now = memory_bytes();
  *heap_bytes_ += now - accounted_bytes_;
  accounted_bytes_ = now;
}

void append_aggregate(std::string& out, const Aggregate& aggregate) {
  if (aggregate.empty()) {
    out += "count 0";
    return;
  }
  fmt::format_to(std::back_inserter(out), "count {}, sum {}, min {}, max {}, avg {}",
                 aggregate.count(), aggregate.sum(), aggregate.min(), aggregate.max(),
                 aggregate.avg());
}

}  // namespace ktap::runtime
