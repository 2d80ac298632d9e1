// What passes do to functions: other values for old ones, edges cut.
#pragma once

#include <vector>

#include "ssa/function.h"

namespace ktap::passes {

/// Collects "use this instead of that", applied at once.
class Replacements {
 public:
  explicit Replacements(const ssa::Function& function) : by_(function.values.size()) {}

  void add(ssa::ValueId old, ssa::ValueId now);
  /// What stands for `id` now, through chains.
  ssa::ValueId find(ssa::ValueId id) const;
  bool empty() const { return empty_; }
  /// Rewrites every operand in the function.
  void apply(ssa::Function& function) const;

 private:
  std::vector<ssa::ValueId> by_;  ///< invalid: itself
  bool empty_ = true;
};

/// Removes one edge, with the operands of phis that belong to it. `to` keeps its other edges.
void cut_edge(ssa::Function& function, ssa::BlockId from, ssa::BlockId to);

/// The last operation of the block, which ends it.
inline ssa::Inst& control(ssa::Function& function, ssa::BlockId block) {
  return function[function.blocks[block.index].insts.back()];
}

bool has_phis(const ssa::Function& function, ssa::BlockId block);

}  // namespace ktap::passes
