// Dominators by iteration over reverse postorder. Source: Cooper, Harvey, Kennedy, "A Simple, Fast
// Dominance Algorithm" (2001). Handlers have tens of blocks, those that programs write thousands.
#include "ssa/dominators.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace ktap::ssa {

std::vector<BlockId> reverse_postorder(const Function& function) {
  std::vector<BlockId> postorder;
  if (function.blocks.empty()) return postorder;
  std::vector<bool> seen(function.blocks.size(), false);
  // An explicit stack of (block, next successor): inlined handlers may be deep.
  std::vector<std::pair<BlockId, size_t>> stack{{BlockId(0), 0}};
  seen[0] = true;
  while (!stack.empty()) {
    auto& [block, next] = stack.back();
    const auto& succs = function.blocks[block.index].succs;
    if (next == succs.size()) {
      postorder.push_back(block);
      stack.pop_back();
      continue;
    }
    // Last successor first, so that the true side comes first in the reversed order.
    const BlockId succ = succs[succs.size() - 1 - next++];
    if (!seen[succ.index]) {
      seen[succ.index] = true;
      stack.emplace_back(succ, 0);
    }
  }
  std::reverse(postorder.begin(), postorder.end());
  return postorder;
}

Dominators::Dominators(const Function& function)
    : order_(function.blocks.size(), -1),
      immediate_(function.blocks.size()),
      first_(function.blocks.size()),
      last_(function.blocks.size()) {
  const std::vector<BlockId> order = reverse_postorder(function);
  for (size_t i = 0; i < order.size(); ++i) order_[order[i].index] = static_cast<int>(i);
  if (order.empty()) return;
  immediate_[order[0].index] = order[0];
  bool changed = true;
  while (changed) {
    changed = false;
    for (size_t i = 1; i < order.size(); ++i) {
      BlockId best;
      for (BlockId pred : function.blocks[order[i].index].preds) {
        if (!immediate_[pred.index].valid()) continue;
        BlockId other = pred;
        while (best.valid() && best != other) {
          if (order_[best.index] > order_[other.index]) {
            best = immediate_[best.index];
          } else {
            other = immediate_[other.index];
          }
        }
        best = other;
      }
      if (immediate_[order[i].index] != best) {
        immediate_[order[i].index] = best;
        changed = true;
      }
    }
  }
  number_tree(order);
}

/// Numbers the tree so that a block and all below it are one range. In `order` a block comes behind
/// its dominator.
void Dominators::number_tree(const std::vector<BlockId>& order) {
  std::vector<uint32_t> below(immediate_.size(), 1);  // with itself
  for (size_t i = order.size() - 1; i > 0; --i)
    below[immediate_[order[i].index].index] += below[order[i].index];
  std::vector<uint32_t> next(immediate_.size(), 0);
  for (size_t i = 0; i < order.size(); ++i) {
    const uint32_t block = order[i].index;
    uint32_t& first = next[immediate_[block].index];
    first_[block] = i == 0 ? 0 : first;
    if (i > 0) first += below[block];
    last_[block] = first_[block] + below[block] - 1;
    next[block] = first_[block] + 1;
  }
}

bool Dominators::dominates(BlockId above, BlockId below) const {
  if (!reachable(above) || !reachable(below)) return false;
  return first_[above.index] <= first_[below.index] && first_[below.index] <= last_[above.index];
}

}  // namespace ktap::ssa
