// `a && b`, `a || b`: when both only look, and b costs less, b is looked at first. Most events fail
// a filter's cheap half (a number, a system call's argument), and then the dear one (execname, a
// table) is not computed. What can fail, end, write or be counted keeps its place, so nobody can
// tell.
//
// The shape: block A ends in a branch on a, one way leads to B (which has no other predecessor),
// the other to X; B computes b and branches to Y or to the same X. Afterwards A computes b, and B
// a. What A computed for a alone goes down to B, what B computed comes up to A.
#include <algorithm>
#include <optional>
#include <vector>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "schema/builtin_vars.h"
#include "ssa/dominators.h"
#include "ssa/op_info.h"

namespace ktap::passes {

namespace {

using ssa::BlockId;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

/// In nanoseconds, about: what a kernel 6.18 takes; only the order counts.
int cost_of(const Inst& inst) {
  switch (inst.op) {
    case Op::EventVar:
      switch (static_cast<schema::BuiltinVar>(inst.imm)) {
        case schema::BuiltinVar::Probename:
        case schema::BuiltinVar::Cpu:
          return 1;
        case schema::BuiltinVar::Ns:
        case schema::BuiltinVar::Cgroup:
          return 30;
        default:
          return 10;  // of the task
      }
    case Op::EventField:
      return inst.str_kind == ssa::StrKind::Bytes ? 40 : 2;
    case Op::TableGet:
      return 30;
    case Op::CellGet:
      return 2;
    case Op::StrEq:
      return 2;
    case Op::StrGlob:
      return 10;
    default:
      return ssa::is_pure(inst.op) ? 1 : 100;
  }
}

bool is_constant(Op op) {
  return op == Op::ConstInt || op == Op::ConstBool || op == Op::ConstStr || op == Op::ConstNil;
}

/// May be computed where it is not asked for: nothing is known to hold before, nothing is counted.
bool may_come_up(const Inst& inst) {
  switch (inst.op) {
    case Op::EventField:
      return inst.str_kind != ssa::StrKind::Bytes;  // a cut string is counted
    case Op::EventVar:
      return true;
    case Op::DivS:  // the divisor may be 0 as long as nobody has looked
    case Op::ModS:
    case Op::Unwrap:  // likewise nil
    case Op::Phi:
      return false;
    default:
      return ssa::is_pure(inst.op);
  }
}

class Orderer {
 public:
  explicit Orderer(ssa::Function& function) : function_(function), dominators_(function) {}

  bool run() {
    for (uint32_t i = 0; i < function_.blocks.size(); ++i) {
      if (turn(BlockId(i))) return true;  // uses and dominators are old then
    }
    return false;
  }

 private:
  const ssa::Block& block(BlockId id) const { return function_.blocks[id.index]; }
  bool branches(BlockId id) const {
    const auto& insts = block(id).insts;
    return !insts.empty() && function_[insts.back()].op == Op::Branch &&
           block(id).succs[0] != block(id).succs[1];
  }

  bool turn(BlockId a) {
    if (!dominators_.reachable(a) || !branches(a)) return false;
    for (uint32_t way = 0; way < 2; ++way) {
      const BlockId b = block(a).succs[way], x = block(a).succs[1 - way];
      if (b == a || b == x || block(b).preds.size() != 1 || !branches(b)) continue;
      const auto& succs = block(b).succs;
      const auto at_x = std::find(succs.begin(), succs.end(), x);
      if (at_x == succs.end()) continue;
      const auto to_x = static_cast<uint32_t>(at_x - succs.begin());
      if (!same_phis(a, b, x)) continue;
      if (exchange(a, way, b, to_x)) return true;
    }
    return false;
  }

  /// X takes the same from both.
  bool same_phis(BlockId a, BlockId b, BlockId x) const {
    for (const ValueId id : block(x).insts) {
      const Inst& phi = function_[id];
      if (phi.op != Op::Phi) break;
      std::optional<ValueId> from_a, from_b;
      for (size_t i = 0; i < block(x).preds.size(); ++i) {
        if (block(x).preds[i] == a) from_a = phi.operands[i];
        if (block(x).preds[i] == b) from_b = phi.operands[i];
      }
      if (!from_a || !from_b || *from_a != *from_b) return false;
    }
    return true;
  }

  bool exchange(BlockId a, uint32_t way, BlockId b, uint32_t to_x) {
    const std::vector<ValueId>& below = block(b).insts;
    int cost_below = 0;
    for (size_t i = 0; i + 1 < below.size(); ++i) {
      if (!may_come_up(function_[below[i]])) return false;
      cost_below += is_constant(function_[below[i]].op) ? 0 : cost_of(function_[below[i]]);
    }
    const std::vector<bool> goes_down = only_for_the_branch(a, b);
    int cost_above = 0;
    for (const ValueId id : block(a).insts) {
      if (goes_down[id.index]) cost_above += cost_of(function_[id]);
    }
    if (cost_above <= cost_below) return false;

    std::vector<ValueId> above_now, below_now;
    const std::vector<ValueId> above = block(a).insts;
    for (size_t i = 0; i + 1 < above.size(); ++i)
      (goes_down[above[i].index] ? below_now : above_now).push_back(above[i]);
    above_now.insert(above_now.end(), below.begin(), below.end() - 1);
    above_now.push_back(above.back());
    below_now.push_back(below.back());
    std::swap(function_[above.back()].operands, function_[below.back()].operands);
    function_.blocks[a.index].insts = std::move(above_now);
    function_.blocks[b.index].insts = std::move(below_now);

    // A goes to B where b led to Y, B to Y where a led to B; to X they both go as the condition
    // says.
    const BlockId x = block(b).succs[to_x], y = block(b).succs[1 - to_x];
    std::vector<BlockId>& from_a = function_.blocks[a.index].succs;
    std::vector<BlockId>& from_b = function_.blocks[b.index].succs;
    from_a[to_x] = x;
    from_a[1 - to_x] = b;
    from_b[way] = y;
    from_b[1 - way] = x;
    return true;
  }

  /// Which of A's operations only serve its branch, or what comes after B.
  std::vector<bool> only_for_the_branch(BlockId a, BlockId b) {
    std::vector<bool> down(function_.values.size(), false);
    const std::vector<ValueId>& insts = block(a).insts;
    const std::vector<std::vector<ValueId>> users = find_users();
    for (size_t i = insts.size() - 1; i-- > 0;) {
      const Inst& inst = function_[insts[i]];
      const ssa::Effect effect = ssa::op_info(inst.op).effect;
      if (effect == ssa::Effect::Write) break;  // what was read before it stays there
      if (inst.op == Op::Phi || is_constant(inst.op)) continue;
      const bool is_counted = inst.op == Op::UserString || inst.op == Op::KernelString ||
                              inst.op == Op::ReadBytes || inst.op == Op::KernelText ||
                              (inst.op == Op::EventField && inst.str_kind == ssa::StrKind::Bytes);
      if (is_counted) continue;
      down[insts[i].index] =
          std::all_of(users[insts[i].index].begin(), users[insts[i].index].end(), [&](ValueId by) {
            if (by == insts.back() || down[by.index]) return true;
            const BlockId where = block_of_[by.index];
            return where != a && where != b && function_[by].op != Op::Phi &&
                   dominators_.dominates(b, where);
          });
    }
    return down;
  }

  std::vector<std::vector<ValueId>> find_users() {
    std::vector<std::vector<ValueId>> users(function_.values.size());
    block_of_.assign(function_.values.size(), BlockId());
    for (uint32_t i = 0; i < function_.blocks.size(); ++i) {
      for (const ValueId id : function_.blocks[i].insts) {
        block_of_[id.index] = BlockId(i);
        for (const ValueId operand : function_[id].operands) users[operand.index].push_back(id);
      }
    }
    return users;
  }

  ssa::Function& function_;
  ssa::Dominators dominators_;
  std::vector<BlockId> block_of_;
};

}  // namespace

bool order_conditions(ssa::Function& function, const ssa::Module&) {
  bool changed = false;
  while (Orderer(function).run()) changed = true;
  return changed;
}

}  // namespace ktap::passes
