// Between which bounds each integer of a function lies: from constants, the C types of fields, the
// kernel's limits of built-in variables, arithmetic, and the comparisons that lead to a block.
// `backend` sizes tables by it. Interval analysis with widening at loops and two narrowing rounds
// (Cousot and Cousot, 1977); what a block knows beyond a value's own bounds is read off the
// branches on the way down the dominator tree.
#pragma once

#include <cstdint>
#include <vector>

#include "ssa/dominators.h"
#include "ssa/function.h"

namespace ktap::ssa {

/// The integers from lo to hi, both included. Every Int has one; a Bool is in [0, 1], a string id
/// (StrKind::Id) is the number of its string.
struct Range {
  int64_t lo = INT64_MIN;
  int64_t hi = INT64_MAX;

  static constexpr Range of(int64_t value) { return {value, value}; }
  bool is_all() const { return lo == INT64_MIN && hi == INT64_MAX; }
  bool is_constant() const { return lo == hi; }
  bool contains(int64_t value) const { return lo <= value && value <= hi; }
  /// Number of integers in it; UINT64_MAX when that is too many to say.
  uint64_t size() const {
    const uint64_t span = static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo);
    return span == UINT64_MAX ? span : span + 1;
  }
  friend bool operator==(const Range&, const Range&) = default;
};

/// The least range that holds both.
Range join(const Range& a, const Range& b);

/// What the machine and the run say of variables.
struct RangeFacts {
  uint32_t cpu_ids = 1;               ///< CPU numbers are below this
  int64_t cpu = -1;                   ///< the only CPU that is traced, or -1
  int64_t tgid = -1;                  ///< the only process that is traced, or -1
  uint32_t max_pid = (1U << 22) - 1;  ///< PID_MAX_LIMIT of 64-bit kernels
};

class Ranges {
 public:
  /// `group` says which system calls and fields there are; it and `function` outlive this.
  Ranges(const Function& function, const EventGroup& group, const RangeFacts& facts);

  /// Bounds of an Int, Bool or string id wherever it is computed; everything for other values.
  const Range& of(ValueId value) const { return ranges_[value.index]; }
  /// Bounds at the begin of `block`: also by the comparisons that every way there has passed.
  Range at(ValueId value, BlockId block) const;

 private:
  Range compute(ValueId value, BlockId block) const;
  Range variable(const Inst& inst) const;
  Range field(const Inst& inst) const;
  Range phi(const Inst& inst, BlockId block) const;
  Range on_edge(ValueId value, BlockId from, BlockId to) const;
  Range refine(ValueId value, Range range, ValueId condition, bool holds) const;
  bool pass(bool widens);

  const Function& function_;
  const EventGroup& group_;
  const RangeFacts facts_;
  Dominators dominators_;
  std::vector<BlockId> order_;
  std::vector<Range> ranges_;
  std::vector<bool> known_;        // has been computed once
  std::vector<uint32_t> growths_;  // how often it grew
};

}  // namespace ktap::ssa
