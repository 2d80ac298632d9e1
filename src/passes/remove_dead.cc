// Dead code: blocks that nothing reaches, and values that nothing needs. Reads may go, writes and
// control stay.
#include <algorithm>
#include <vector>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "ssa/dominators.h"
#include "ssa/op_info.h"

namespace ktap::passes {

namespace {

using ssa::BlockId;
using ssa::ValueId;

bool remove_unreachable(ssa::Function& function) {
  std::vector<bool> reached(function.blocks.size(), false);
  for (BlockId block : ssa::reverse_postorder(function)) reached[block.index] = true;
  bool changed = false;
  for (uint32_t b = 0; b < function.blocks.size(); ++b) {
    ssa::Block& block = function.blocks[b];
    if (reached[b] || block.insts.empty()) continue;
    while (!block.succs.empty()) cut_edge(function, BlockId(b), block.succs.back());
    changed = true;
  }
  for (uint32_t b = 0; b < function.blocks.size(); ++b) {
    if (reached[b]) continue;
    function.blocks[b].insts.clear();
    function.blocks[b].preds.clear();
  }
  return changed;
}

bool is_needed_by_itself(ssa::Op op) {
  const ssa::Effect effect = ssa::op_info(op).effect;
  return effect == ssa::Effect::Write || effect == ssa::Effect::Control;
}

bool remove_unused(ssa::Function& function) {
  std::vector<bool> needed(function.values.size(), false);
  std::vector<ValueId> work;
  const auto need = [&](ValueId id) {
    if (needed[id.index]) return;
    needed[id.index] = true;
    work.push_back(id);
  };
  for (const ssa::Block& block : function.blocks) {
    for (ValueId id : block.insts) {
      if (is_needed_by_itself(function[id].op)) need(id);
    }
  }
  while (!work.empty()) {
    const ValueId id = work.back();
    work.pop_back();
    for (ValueId operand : function[id].operands) need(operand);
  }
  bool changed = false;
  for (ssa::Block& block : function.blocks) {
    const auto end = std::remove_if(block.insts.begin(), block.insts.end(),
                                    [&](ValueId id) { return !needed[id.index]; });
    changed |= end != block.insts.end();
    block.insts.erase(end, block.insts.end());
  }
  return changed;
}

}  // namespace

bool remove_dead(ssa::Function& function, const ssa::Module&) {
  const bool blocks = remove_unreachable(function);
  const bool values = remove_unused(function);
  return blocks || values;
}

}  // namespace ktap::passes
