// See sharing.h.
#include "backend/sharing.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace ktap::backend {

namespace {

using ssa::BlockId;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

/// More pairs than that are not looked at: a guessed bound for functions of strange shape.
constexpr size_t kMostPairs = 4096;

class Sharing {
 public:
  explicit Sharing(const LiveValues& live) : live_(live), function_(live.function) {
    const size_t count = function_.values.size();
    block_of_.resize(count);
    place_of_.resize(count);
    for (BlockId block : live_.order.blocks) {
      const auto& insts = function_.blocks[block.index].insts;
      for (size_t i = 0; i < insts.size(); ++i) {
        block_of_[insts[i].index] = block;
        place_of_[insts[i].index] = i;
      }
    }
    reads_of_.resize(count);
    for (BlockId block : live_.order.blocks) {
      for (ValueId id : function_.blocks[block.index].insts) {
        if (!live_.order.needed[id.index] || live_.order.fused[id.index]) continue;
        for (ValueId operand : function_[id].operands) note_reads(operand, id);
      }
    }
    for (uint32_t i = 0; i < count; ++i) {
      class_of_.push_back(i);
      members_.push_back({i});
    }
  }

  std::vector<ValueId> run() {
    for (BlockId block : live_.order.blocks) {
      for (ValueId id : function_.blocks[block.index].insts) {
        if (function_[id].op == Op::Phi) share_phi(id);
      }
    }
    for (BlockId block : live_.order.blocks) {
      for (ValueId id : function_.blocks[block.index].insts) {
        for (ValueId operand : function_[id].operands) {
          if (changes_in_place(id, owner(operand))) unite(id, owner(operand));
        }
      }
    }
    std::vector<ValueId> out;
    for (uint32_t i = 0; i < class_of_.size(); ++i) out.emplace_back(class_of_[i]);
    return out;
  }

 private:
  ValueId owner(ValueId id) const { return payload_owner(function_, id); }

  /// `by` reads what the operand is: a condition that the Branch computes reads its own.
  void note_reads(ValueId operand, ValueId by) {
    if (!live_.order.fused[operand.index]) {
      reads_of_[owner(operand).index].push_back(by);
      return;
    }
    for (ValueId inner : function_[operand].operands) note_reads(inner, by);
  }

  void share_phi(ValueId phi) {
    const auto& operands = function_[phi].operands;
    for (size_t i = 0; i < operands.size(); ++i) {
      if (owner(operands[i]) == operands[i] && live_.phi_may_share(phi, i)) unite(phi, operands[i]);
    }
  }

  void unite(ValueId a, ValueId b) {
    if (!live_.has_word_home[a.index] || !live_.has_word_home[b.index]) return;
    uint32_t to = class_of_[a.index], from = class_of_[b.index];
    if (to == from || members_[to].size() * members_[from].size() > kMostPairs) return;
    for (uint32_t x : members_[to]) {
      for (uint32_t y : members_[from]) {
        if (is_in_the_way(ValueId(x), ValueId(y)) || is_in_the_way(ValueId(y), ValueId(x))) return;
      }
    }
    for (uint32_t value : members_[from]) {
      class_of_[value] = to;
      members_[to].push_back(value);
    }
    members_[from].clear();
  }

  /// Whether `value` is still wanted when `made` is there.
  bool is_in_the_way(ValueId value, ValueId made) const {
    const BlockId block = block_of_[made.index];
    if (function_[made].op == Op::Phi) {
      const bool is_phi_too = function_[value].op == Op::Phi && block_of_[value.index] == block;
      return is_phi_too || live_.live_in[block.index][value.index];
    }
    if (is_read_by(made, value) && !changes_in_place(made, value)) return true;
    return is_alive_behind(value, made, block);
  }

  bool is_read_by(ValueId id, ValueId value) const {
    const auto& operands = function_[id].operands;
    return std::any_of(operands.begin(), operands.end(),
                       [&](ValueId operand) { return reads(operand, value); });
  }

  /// An operand that is read: a condition that the Branch computes reads its own.
  bool reads(ValueId operand, ValueId value) const {
    if (!live_.order.fused[operand.index]) return owner(operand) == value;
    return is_read_by(operand, value);
  }

  /// An operation that may have its result where that operand was. (Of two operands in one home
  /// only the first may be the result's.)
  bool changes_in_place(ValueId id, ValueId operand) const {
    const Inst& inst = function_[id];
    switch (inst.op) {
      case Op::Add:
      case Op::Mul:
      case Op::And:
      case Op::Or:
      case Op::Xor:
        return owner(inst.operands[0]) == operand || owner(inst.operands[1]) == operand;
      case Op::Sub:
      case Op::Shl:
      case Op::Sar:
        return owner(inst.operands[0]) == operand && owner(inst.operands[1]) != operand;
      default:
        return false;
    }
  }

  bool is_alive_behind(ValueId value, ValueId made, BlockId block) const {
    const size_t from = place_of_[made.index];
    const bool is_made_anew = block_of_[value.index] == block && place_of_[value.index] > from;
    const size_t end = is_made_anew ? place_of_[value.index] : SIZE_MAX;
    for (ValueId by : reads_of_[value.index]) {
      if (block_of_[by.index] == block && place_of_[by.index] > from && place_of_[by.index] < end)
        return true;
    }
    if (is_made_anew) return false;  // before it is read: not alive here
    for (BlockId succ : function_.blocks[block.index].succs) {
      const ssa::Block& target = function_.blocks[succ.index];
      if (live_.live_in[succ.index][value.index]) return true;
      for (ValueId id : target.insts) {
        if (function_[id].op != Op::Phi) break;
        for (size_t i = 0; i < target.preds.size(); ++i) {
          if (target.preds[i] == block && reads(function_[id].operands[i], value)) return true;
        }
      }
    }
    return false;
  }

  const LiveValues& live_;
  const ssa::Function& function_;
  std::vector<BlockId> block_of_;
  std::vector<size_t> place_of_;
  std::vector<std::vector<ValueId>> reads_of_;  ///< which instructions read a value's home
  std::vector<uint32_t> class_of_;
  std::vector<std::vector<uint32_t>> members_;
};

}  // namespace

std::vector<ValueId> share_homes(const LiveValues& live) { return Sharing(live).run(); }

}  // namespace ktap::backend
