// Fewer, longer blocks: a block and its only successor become one when that has no other
// predecessor; an empty block that only jumps on is jumped over; a branch with both sides alike is
// a jump.
#include <algorithm>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace ktap::passes {

namespace {

using ssa::Block;
using ssa::BlockId;
using ssa::Op;
using ssa::ValueId;

/// Appends `next` to `block` when they are a straight run.
bool merge_with_next(ssa::Function& f, BlockId block) {
  Block& here = f.blocks[block.index];
  if (here.insts.empty() || control(f, block).op != Op::Jump) return false;
  const BlockId next = here.succs[0];
  Block& there = f.blocks[next.index];
  if (next == block || there.preds.size() != 1 || has_phis(f, next)) return false;
  here.insts.pop_back();
  here.insts.insert(here.insts.end(), there.insts.begin(), there.insts.end());
  here.succs = there.succs;
  for (BlockId succ : here.succs) {
    auto& preds = f.blocks[succ.index].preds;
    std::replace(preds.begin(), preds.end(), next, block);
  }
  there = Block();
  return true;
}

/// `block` only jumps: its predecessors go straight to where it leads.
bool jump_over(ssa::Function& f, BlockId block) {
  Block& here = f.blocks[block.index];
  if (block.index == 0 || here.insts.size() != 1 || control(f, block).op != Op::Jump) return false;
  const BlockId target = here.succs[0];
  if (target == block) return false;
  Block& there = f.blocks[target.index];
  const bool phis = has_phis(f, target);
  // With phis, an edge that the target already has from there would leave two values for one way.
  for (BlockId pred : here.preds) {
    const bool twice = std::count(here.preds.begin(), here.preds.end(), pred) > 1;
    const bool known = std::find(there.preds.begin(), there.preds.end(), pred) != there.preds.end();
    if (phis && (twice || known)) return false;
  }
  const auto at = std::find(there.preds.begin(), there.preds.end(), block) - there.preds.begin();
  there.preds.erase(there.preds.begin() + at);
  there.preds.insert(there.preds.begin() + at, here.preds.begin(), here.preds.end());
  for (ValueId id : there.insts) {
    ssa::Inst& phi = f[id];
    if (phi.op != Op::Phi) break;
    const ValueId value = phi.operands[static_cast<size_t>(at)];
    phi.operands.erase(phi.operands.begin() + at);
    phi.operands.insert(phi.operands.begin() + at, here.preds.size(), value);
  }
  for (BlockId pred : here.preds) {
    auto& succs = f.blocks[pred.index].succs;
    std::replace(succs.begin(), succs.end(), block, target);
  }
  here = Block();
  return true;
}

bool drop_needless_branch(ssa::Function& f, BlockId block) {
  Block& here = f.blocks[block.index];
  if (here.insts.empty() || control(f, block).op != Op::Branch || here.succs[0] != here.succs[1])
    return false;
  if (has_phis(f, here.succs[0])) return false;
  cut_edge(f, block, here.succs[0]);
  control(f, block).op = Op::Jump;
  control(f, block).operands.clear();
  return true;
}

}  // namespace

bool merge_blocks(ssa::Function& function, const ssa::Module&) {
  bool changed = false;
  for (uint32_t b = 0; b < function.blocks.size(); ++b) {
    const BlockId block(b);
    changed |= jump_over(function, block);
    changed |= drop_needless_branch(function, block);
    while (merge_with_next(function, block)) changed = true;
  }
  return changed;
}

}  // namespace ktap::passes
