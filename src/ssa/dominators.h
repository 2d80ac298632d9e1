// Which block is on every way to which: the order of blocks and the dominator tree.
#pragma once

#include <cstdint>
#include <vector>

#include "ssa/function.h"

namespace ktap::ssa {

/// Reachable blocks in reverse postorder, the entry first. A block comes after all its
/// predecessors, back edges aside.
std::vector<BlockId> reverse_postorder(const Function& function);

class Dominators {
 public:
  explicit Dominators(const Function& function);

  /// True when every way from the entry to `below` passes `above` (a block dominates itself). False
  /// for unreachable blocks.
  bool dominates(BlockId above, BlockId below) const;
  bool reachable(BlockId block) const { return order_[block.index] >= 0; }
  /// The nearest dominator; the entry's is the entry itself, an unreachable block's is invalid.
  BlockId immediate(BlockId block) const { return immediate_[block.index]; }

 private:
  void number_tree(const std::vector<BlockId>& order);

  std::vector<int> order_;  ///< position in reverse postorder, -1 when unreachable
  std::vector<BlockId> immediate_;
  /// Numbers in the tree: of a block, and the greatest below it.
  std::vector<uint32_t> first_, last_;
};

}  // namespace ktap::ssa
