// `if (a && b)` computes a phi of true and false and branches on it. Where a way into such a block
// knows the phi's value, it goes straight to the side that the branch would take; where it does
// not, it branches itself.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "ssa/dominators.h"

namespace ktap::passes {

namespace {

using ssa::Block;
using ssa::BlockId;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

class Threader {
 public:
  explicit Threader(ssa::Function& function)
      : f_(function), uses_(function.values.size(), 0), heads_(function.blocks.size(), false) {
    const ssa::Dominators dominators(function);
    for (uint32_t b = 0; b < f_.blocks.size(); ++b) {
      for (BlockId pred : f_.blocks[b].preds) {
        if (dominators.dominates(BlockId(b), pred)) heads_[b] = true;
      }
    }
    for (const Block& block : f_.blocks) {
      for (ValueId id : block.insts) {
        for (ValueId operand : f_[id].operands) ++uses_[operand.index];
      }
    }
  }

  bool run() {
    bool changed = false;
    for (uint32_t b = 0; b < f_.blocks.size(); ++b) changed |= thread(BlockId(b));
    return changed;
  }

 private:
  /// A phi and the branch on it, nothing else, and nobody else reads the phi. Not the head of a
  /// loop: ways past it would give the loop a second entrance.
  bool is_candidate(BlockId block) const {
    const Block& here = f_.blocks[block.index];
    if (heads_[block.index] || here.insts.size() != 2 || f_[here.insts[0]].op != Op::Phi ||
        f_[here.insts[1]].op != Op::Branch)
      return false;
    return f_[here.insts[1]].operands[0] == here.insts[0] && uses_[here.insts[0].index] == 1 &&
           here.succs[0] != here.succs[1] && here.succs[0] != block && here.succs[1] != block;
  }

  bool thread(BlockId block) {
    if (!is_candidate(block)) return false;
    bool changed = false;
    for (size_t i = 0; i < f_.blocks[block.index].preds.size();) {
      if (redirect(block, i)) {
        changed = true;
      } else {
        ++i;
      }
    }
    return changed;
  }

  bool has_edge(BlockId from, BlockId to) const {
    const auto& preds = f_.blocks[to.index].preds;
    return std::find(preds.begin(), preds.end(), from) != preds.end();
  }

  /// The new edge `from` → `to` carries what `block` → `to` carried.
  void add_edge(BlockId from, BlockId to, BlockId block) {
    Block& target = f_.blocks[to.index];
    const auto at =
        std::find(target.preds.begin(), target.preds.end(), block) - target.preds.begin();
    target.preds.push_back(from);
    for (ValueId id : target.insts) {
      Inst& phi = f_[id];
      if (phi.op != Op::Phi) break;
      const ValueId value = phi.operands[static_cast<size_t>(at)];
      phi.operands.push_back(value);
      ++uses_[value.index];
    }
  }

  bool redirect(BlockId block, size_t i) {
    const BlockId pred = f_.blocks[block.index].preds[i];
    const ValueId value = f_[f_.blocks[block.index].insts[0]].operands[i];
    const std::vector<BlockId> succs = f_.blocks[block.index].succs;
    const bool is_constant = f_[value].op == Op::ConstBool;
    if (pred == block) return false;
    std::vector<BlockId> targets = succs;
    if (is_constant) targets = {succs[f_[value].imm != 0 ? 0 : 1]};
    if (!is_constant && control(f_, pred).op != Op::Jump) return false;
    for (BlockId target : targets) {
      if (has_edge(pred, target)) return false;
    }
    auto& pred_succs = f_.blocks[pred.index].succs;
    if (std::count(pred_succs.begin(), pred_succs.end(), block) != 1) return false;
    const auto place = std::find(pred_succs.begin(), pred_succs.end(), block) - pred_succs.begin();
    for (BlockId target : targets) add_edge(pred, target, block);
    cut_edge(f_, pred, block);
    pred_succs.insert(pred_succs.begin() + place, targets.begin(), targets.end());
    if (!is_constant) {
      control(f_, pred).op = Op::Branch;
      control(f_, pred).operands = {value};
    }
    return true;
  }

  ssa::Function& f_;
  std::vector<uint32_t> uses_;
  std::vector<bool> heads_;  // by block: a loop begins here
};

}  // namespace

bool thread_jumps(ssa::Function& function, const ssa::Module&) { return Threader(function).run(); }

}  // namespace ktap::passes
