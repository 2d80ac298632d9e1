// Intervals of integers; see ranges.h. One function an operation: from the ranges of its operands
// to its own.
#include "ssa/ranges.h"

#include "base/limits.h"
#include "ssa/buckets.h"

#include <algorithm>

#include "schema/builtin_vars.h"

namespace ktap::ssa {

namespace {

constexpr Range kAll{};
constexpr int64_t kMin = INT64_MIN, kMax = INT64_MAX;
constexpr uint32_t kGrowthsBeforeWidening = 3;  // guessed
constexpr int kNarrowingRounds = 2;

/// Nothing can be in it: code that does not run. Any answer is right; this one is small.
Range meet(const Range& a, const Range& b) {
  const Range both{std::max(a.lo, b.lo), std::min(a.hi, b.hi)};
  return both.lo <= both.hi ? both : Range::of(a.lo);
}

Range add(const Range& a, const Range& b) {
  Range out;
  const bool low_wraps = __builtin_add_overflow(a.lo, b.lo, &out.lo);
  const bool high_wraps = __builtin_add_overflow(a.hi, b.hi, &out.hi);
  return low_wraps || high_wraps ? kAll : out;
}

Range subtract(const Range& a, const Range& b) {
  Range out;
  const bool low_wraps = __builtin_sub_overflow(a.lo, b.hi, &out.lo);
  const bool high_wraps = __builtin_sub_overflow(a.hi, b.lo, &out.hi);
  return low_wraps || high_wraps ? kAll : out;
}

Range multiply(const Range& a, const Range& b) {
  int64_t corners[4];
  bool wraps = false;
  wraps |= __builtin_mul_overflow(a.lo, b.lo, &corners[0]);
  wraps |= __builtin_mul_overflow(a.lo, b.hi, &corners[1]);
  wraps |= __builtin_mul_overflow(a.hi, b.lo, &corners[2]);
  wraps |= __builtin_mul_overflow(a.hi, b.hi, &corners[3]);
  if (wraps) return kAll;
  const auto [lo, hi] = std::minmax_element(corners, corners + 4);
  return {*lo, *hi};
}

/// By a divisor that is not 0. Quotients shrink towards 0, whatever the divisor.
Range divide(const Range& a, const Range& b) {
  if (a.lo == kMin && b.contains(-1)) return kAll;  // INT64_MIN / -1 wraps
  if (b.is_constant() && b.lo != 0) {
    const int64_t x = a.lo / b.lo, y = a.hi / b.lo;
    return {std::min(x, y), std::max(x, y)};
  }
  const bool is_positive = b.lo >= 0;
  if (is_positive) return {std::min<int64_t>(a.lo, 0), std::max<int64_t>(a.hi, 0)};
  const int64_t most = std::max(a.hi == kMin ? kMax : std::abs(a.hi), std::abs(a.lo));
  return {-most, most};
}

/// C's remainder: its sign is the dividend's, and it is nearer to 0 than the divisor.
Range remainder(const Range& a, const Range& b) {
  int64_t most = kMax;
  if (b.lo != kMin) most = std::max(std::abs(b.lo), std::abs(b.hi)) - 1;
  most = std::max<int64_t>(most, 0);
  Range out{-most, most};
  if (a.lo >= 0) out = {0, std::min(most, a.hi)};
  if (a.hi <= 0) out = {std::max(-most, a.lo), 0};
  return out;
}

/// All bits up to the highest that `value`, not negative, has.
int64_t filled(int64_t value) {
  auto bits = static_cast<uint64_t>(value);
  for (int shift = 1; shift < 64; shift *= 2) bits |= bits >> shift;
  return static_cast<int64_t>(bits);
}

Range bit_and(const Range& a, const Range& b) {
  if (a.is_constant() && b.is_constant()) return Range::of(a.lo & b.lo);
  // One operand that is not negative bounds the result by itself.
  if (a.lo >= 0 && b.lo >= 0) return {0, std::min(a.hi, b.hi)};
  if (a.lo >= 0) return {0, a.hi};
  if (b.lo >= 0) return {0, b.hi};
  return kAll;
}

Range bit_or(Op op, const Range& a, const Range& b) {
  if (a.is_constant() && b.is_constant()) {
    return Range::of(op == Op::Or ? a.lo | b.lo : a.lo ^ b.lo);
  }
  if (a.lo < 0 || b.lo < 0) return kAll;
  return {op == Op::Or ? std::max(a.lo, b.lo) : 0, filled(a.hi | b.hi)};
}

Range shift_left(const Range& a, const Range& count) {
  if (!count.is_constant()) return kAll;
  const int64_t by = count.lo & 63;
  if (by == 63) return kAll;
  return multiply(a, Range::of(int64_t{1} << by));
}

Range shift_right(const Range& a, const Range& count) {
  if (count.is_constant()) return {a.lo >> (count.lo & 63), a.hi >> (count.lo & 63)};
  return {std::min<int64_t>(a.lo, 0), std::max<int64_t>(a.hi, a.lo < 0 ? -1 : 0)};
}

/// Of an integer with so many bytes.
Range of_width(uint32_t size_bytes, bool is_signed) {
  if (size_bytes == 0 || size_bytes >= 8) return kAll;
  const uint32_t bits = 8 * size_bytes;
  if (is_signed) return {-(int64_t{1} << (bits - 1)), (int64_t{1} << (bits - 1)) - 1};
  return {0, (int64_t{1} << bits) - 1};
}

bool has_range(const Inst& inst) {
  return inst.type == Type::Int || inst.type == Type::Bool ||
         (inst.type == Type::Str && inst.str_kind == StrKind::Id);
}

}  // namespace

Range join(const Range& a, const Range& b) { return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)}; }

Ranges::Ranges(const Function& function, const EventGroup& group, const RangeFacts& facts)
    : function_(function),
      group_(group),
      facts_(facts),
      dominators_(function),
      order_(reverse_postorder(function)),
      ranges_(function.values.size()),
      known_(function.values.size(), false),
      growths_(function.values.size(), 0) {
  while (pass(true)) {
  }
  for (int round = 0; round < kNarrowingRounds; ++round) pass(false);
}

/// One walk over all blocks; true when a range grew. Without `widens`: ranges only shrink.
bool Ranges::pass(bool widens) {
  bool grew = false;
  for (BlockId block : order_) {
    for (ValueId id : function_.blocks[block.index].insts) {
      if (!has_range(function_[id])) continue;
      Range now = compute(id, block);
      Range& have = ranges_[id.index];
      if (!known_[id.index]) {
        known_[id.index] = grew = true;
        have = now;
      } else if (!widens) {
        have = meet(have, now);
      } else if (now = join(have, now); now != have) {
        grew = true;
        if (++growths_[id.index] > kGrowthsBeforeWidening) {
          if (now.lo < have.lo) now.lo = kMin;
          if (now.hi > have.hi) now.hi = kMax;
        }
        have = now;
      }
    }
  }
  return grew;
}

Range Ranges::compute(ValueId id, BlockId block) const {
  const Inst& inst = function_[id];
  const auto operand = [&](size_t i) { return at(inst.operands[i], block); };
  switch (inst.op) {
    case Op::ConstInt:
    case Op::ConstBool:
    case Op::ConstStr:
      return Range::of(inst.imm);
    case Op::Phi:
      return phi(inst, block);
    case Op::Add:
      return add(operand(0), operand(1));
    case Op::Sub:
      return subtract(operand(0), operand(1));
    case Op::Mul:
      return multiply(operand(0), operand(1));
    case Op::DivS:
      return divide(operand(0), operand(1));
    case Op::ModS:
      return remainder(operand(0), operand(1));
    case Op::And:
      return bit_and(operand(0), operand(1));
    case Op::Or:
    case Op::Xor:
      return bit_or(inst.op, operand(0), operand(1));
    case Op::Shl:
      return shift_left(operand(0), operand(1));
    case Op::Sar:
      return shift_right(operand(0), operand(1));
    case Op::Log2Bucket:
      return {0, kLog2Buckets - 1};
    case Op::LogLinearBucket:
      return {0, kLogLinearBuckets - 1};
    case Op::LinearBucket:
      return {0, static_cast<int64_t>(limits::kMaxLinearBuckets) + 1};
    case Op::EventVar:
      return variable(inst);
    case Op::EventField:
      return field(inst);
    default:
      return inst.type == Type::Bool ? Range{0, 1} : kAll;
  }
}

Range Ranges::variable(const Inst& inst) const {
  using schema::BuiltinVar;
  switch (static_cast<BuiltinVar>(inst.imm)) {
    case BuiltinVar::Pid:
      return facts_.tgid >= 0 ? Range::of(facts_.tgid) : Range{0, facts_.max_pid};
    case BuiltinVar::Tid:
    case BuiltinVar::Ppid:
      return {0, facts_.max_pid};
    case BuiltinVar::Uid:
    case BuiltinVar::Gid:
      return {0, UINT32_MAX};
    case BuiltinVar::Cpu:
      return facts_.cpu >= 0 ? Range::of(facts_.cpu)
                             : Range{0, std::max<int64_t>(facts_.cpu_ids, 1) - 1};
    case BuiltinVar::Ns:
      return {0, kMax};
    case BuiltinVar::Probename: {
      if (group_.name_ids.empty()) return kAll;
      const auto [lo, hi] = std::minmax_element(group_.name_ids.begin(), group_.name_ids.end());
      return {*lo, *hi};
    }
    default:
      return kAll;
  }
}

Range Ranges::field(const Inst& inst) const {
  if (inst.type == Type::Bool) return {0, 1};
  const auto index = static_cast<size_t>(inst.imm);
  bool is_first = true;
  Range range;
  for (const schema::EventPtr& event : group_.events) {
    if (index >= event->fields.size()) return kAll;
    const schema::Field& shape = event->fields[index];
    // Of what is followed through memory the operation gives the word that this begins with.
    if (!shape.fetch.steps.empty()) return kAll;
    Range own = shape.fetch.width_bits == 0 ? of_width(shape.size_bytes, shape.is_signed) : kAll;
    if (schema::is_syscall(group_.kind) && index == 0) {
      own = Range::of(event->syscall_nr);
    }
    range = is_first ? own : join(range, own);
    is_first = false;
  }
  return range;
}

Range Ranges::phi(const Inst& inst, BlockId block) const {
  bool is_first = true;
  Range range;
  for (size_t i = 0; i < inst.operands.size(); ++i) {
    const BlockId from = function_.blocks[block.index].preds[i];
    const ValueId operand = inst.operands[i];
    // What has not been computed yet comes round a loop: it adds to the range in the next pass.
    if (!dominators_.reachable(from) || !known_[operand.index]) continue;
    const Range own = on_edge(operand, from, block);
    range = is_first ? own : join(range, own);
    is_first = false;
  }
  return range;
}

/// At the end of `from`, on the way to `to`.
Range Ranges::on_edge(ValueId value, BlockId from, BlockId to) const {
  Range range = at(value, from);
  const Block& block = function_.blocks[from.index];
  const Inst& last = function_[block.insts.back()];
  if (last.op == Op::Branch && block.succs[0] != block.succs[1]) {
    range = refine(value, range, last.operands[0], block.succs[0] == to);
  }
  return range;
}

Range Ranges::at(ValueId value, BlockId block) const {
  Range range = ranges_[value.index];
  if (range.is_constant()) return range;
  for (BlockId below = block; below != order_[0] && dominators_.reachable(below);) {
    const BlockId above = dominators_.immediate(below);
    const auto& preds = function_.blocks[below.index].preds;
    const Block& decides = function_.blocks[above.index];
    const Inst& last = function_[decides.insts.back()];
    if (preds.size() == 1 && last.op == Op::Branch && decides.succs[0] != decides.succs[1]) {
      range = refine(value, range, last.operands[0], decides.succs[0] == below);
    }
    below = above;
  }
  return range;
}

/// What `condition` being true or false says of `value`.
Range Ranges::refine(ValueId value, Range range, ValueId condition, bool holds) const {
  const Inst& test = function_[condition];
  if (condition == value) return meet(range, Range::of(holds ? 1 : 0));
  if (test.op == Op::Not) return refine(value, range, test.operands[0], !holds);
  if (test.op != Op::Eq && test.op != Op::Ne && test.op != Op::Lt && test.op != Op::Le) {
    return range;
  }
  for (size_t side = 0; side < 2; ++side) {
    if (test.operands[side] != value) continue;
    const Range& other = ranges_[test.operands[1 - side].index];
    if (!known_[test.operands[1 - side].index]) continue;
    if (test.op == Op::Eq || test.op == Op::Ne) {
      if ((test.op == Op::Eq) == holds) {
        range = meet(range, other);
      } else if (other.is_constant()) {
        if (range.lo == other.lo && range.lo < range.hi) ++range.lo;
        if (range.hi == other.lo && range.lo < range.hi) --range.hi;
      }
      continue;
    }
    // value < other, value <= other, or the other way round; false turns both about.
    const bool below = (side == 0) == holds;
    const bool is_strict = (test.op == Op::Lt) == holds;
    if (below) {
      if (is_strict && other.hi == kMin) continue;
      range = meet(range, {kMin, is_strict ? other.hi - 1 : other.hi});
    } else {
      if (is_strict && other.lo == kMax) continue;
      range = meet(range, {is_strict ? other.lo + 1 : other.lo, kMax});
    }
  }
  return range;
}

}  // namespace ktap::ssa
