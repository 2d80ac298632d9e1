// Aggregates: what `t[k] <<< n` fills and count, sum, …, quantile and hist read (language, section
// 6). One representation serves every reader: the scalars, the log-linear buckets (which also give
// the powers of two), and the linear buckets that the script's readers are known to ask for. Bounds
// that only show when hist is called are served from the single values, as long as these are few.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/distribution.h"
#include "runtime/partial_aggregate.h"
#include "runtime/value.h"
#include "runtime/wide.h"

namespace ktap::runtime {

/// What the readers of a script need beyond what each aggregate has.
struct ReaderNeeds {
  std::vector<LinearShape> linear;  ///< grows only
  bool values = false;              ///< a hist has bounds that are no constants

  /// False when there are too many.
  bool learn(const LinearShape& shape);
};

/// Implemented by the engine: samples of aggregates that kernel handlers add.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  /// Called before the VM reads or empties an aggregate that gets such samples: on the first call
  /// of a handler run it brings all of them up to date.
  virtual void before_read() = 0;
};

/// Made by Heap::aggregate() alone.
class Aggregate : public Object {
 public:
  Aggregate() : Object(Type::Aggregate) {}

  /// Cost: a search among the buckets in use. Memory is bounded: some 30 KB, and 160 KB for each
  /// linear shape, when samples are spread as widely as can be; 2.6 MB more for single values.
  void add(int64_t sample, const ReaderNeeds& needs);
  void clear();
  /// Adds samples that were added up elsewhere.
  void merge(const PartialAggregate& partial, const ReaderNeeds& needs);
  /// Adds what was counted elsewhere in one bucket, numbered as in buckets.h, of histogram `kind`;
  /// Linear: of the shape number `shape` of the needs. With `counts` these samples are in no
  /// PartialAggregate.
  void merge_bucket(Distribution::Kind kind, size_t shape, int bucket, uint64_t count, bool counts,
                    const ReaderNeeds& needs);
  /// It gets samples from the heap's SampleSource, as long as there is one.
  void set_from_source() { from_source_ = true; }
  /// Brings it up to date: whoever reads or empties it on behalf of the script calls this first.
  void refresh() const {
    if (from_source_ && *source_ != nullptr) (*source_)->before_read();
  }

  bool empty() const { return count_ == 0; }
  int64_t count() const { return static_cast<int64_t>(count_); }
  /// Wraps at 64 bits.
  int64_t sum() const { return static_cast<int64_t>(sum_); }
  /// Does not.
  Wide wide_sum() const { return sum_; }
  // Of one that is not empty.
  int64_t min() const { return min_; }
  int64_t max() const { return max_; }
  /// The C quotient, of the sum before it wraps.
  int64_t avg() const;
  /// Of the population, rounded down; exact.
  int64_t stddev() const;
  /// Of the least sample that at least q × count samples do not exceed; within 1/32 of it.
  /// Requires: 0 ≤ q ≤ 1.
  int64_t quantile(double q) const;

  Distribution pow2() const;
  Distribution log_linear() const;
  /// False when this shape was not known before the first sample and the values are too many.
  bool linear(const LinearShape& shape, const ReaderNeeds& needs, Distribution* result) const;

  size_t memory_bytes() const;

 private:
  friend class Heap;
  using Values = std::unordered_map<int64_t, uint64_t>;

  void begin(const ReaderNeeds& needs);
  bool add_value(int64_t sample);
  void add_square(int64_t sample);
  void account();

  uint64_t count_ = 0;
  Wide sum_ = 0;
  uint64_t squares_[3] = {0, 0, 0};  // the sum of squares: 192 bits, the lowest first
  int64_t min_ = 0;
  int64_t max_ = 0;
  BucketCounts buckets_;                   // log-linear
  BucketCounts pow2_;                      // powers of two, of samples that are not in buckets_
  std::vector<BucketCounts> linear_;       // of the first shapes of the needs
  std::unique_ptr<Values> values_;         // null: not kept, or too many
  size_t* heap_bytes_ = nullptr;           // the heap's account
  SampleSource* const* source_ = nullptr;  // the heap's
  bool from_source_ = false;
  size_t accounted_bytes_ = 0;
};

/// `count 3, sum 60, min 10, max 30, avg 20`; `count 0` of an empty one.
void append_aggregate(std::string& out, const Aggregate& aggregate);

}  // namespace ktap::runtime
