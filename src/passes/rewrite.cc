// Replacing values and cutting edges; see rewrite.h.
#include "passes/rewrite.h"

#include <algorithm>

#include "base/check.h"

namespace ktap::passes {

using ssa::BlockId;
using ssa::ValueId;

void Replacements::add(ValueId old, ValueId now) {
  now = find(now);
  KTAP_CHECK(now != old);
  by_[old.index] = now;
  empty_ = false;
}

ValueId Replacements::find(ValueId id) const {
  // Values appended since have no entry: they are new and nobody's past.
  while (id.index < by_.size() && by_[id.index].valid()) id = by_[id.index];
  return id;
}

void Replacements::apply(ssa::Function& function) const {
  if (empty_) return;
  for (const ssa::Block& block : function.blocks) {
    for (ValueId id : block.insts) {
      for (ValueId& operand : function[id].operands) operand = find(operand);
    }
  }
}

void cut_edge(ssa::Function& function, BlockId from, BlockId to) {
  auto& succs = function.blocks[from.index].succs;
  const auto succ = std::find(succs.begin(), succs.end(), to);
  KTAP_CHECK(succ != succs.end());
  succs.erase(succ);
  ssa::Block& target = function.blocks[to.index];
  const auto pred = std::find(target.preds.begin(), target.preds.end(), from);
  KTAP_CHECK(pred != target.preds.end());
  const auto position = pred - target.preds.begin();
  target.preds.erase(pred);
  for (ValueId id : target.insts) {
    ssa::Inst& phi = function[id];
    if (phi.op != ssa::Op::Phi) break;
    phi.operands.erase(phi.operands.begin() + position);
  }
}

bool has_phis(const ssa::Function& function, BlockId block) {
  const auto& insts = function.blocks[block.index].insts;
  return !insts.empty() && function[insts.front()].op == ssa::Op::Phi;
}

}  // namespace ktap::passes
