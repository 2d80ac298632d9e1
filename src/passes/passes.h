// The single passes. Each takes verified SSA and leaves verified SSA that does the same; true when
// it changed anything.
#pragma once

#include "ssa/function.h"

namespace ktap::passes {

/// Operations on constants, identities (x + 0, unwrap of wrap), phis of one value, branches on
/// constants.
bool fold_constants(ssa::Function& function, const ssa::Module& module);
/// Where a branch has decided a condition, it is a constant.
bool use_known_conditions(ssa::Function& function, const ssa::Module& module);
/// One computation of what is the same: pure operations, and reads of the event, which stay the
/// same for one run.
bool share_common(ssa::Function& function, const ssa::Module& module);
/// Blocks that nothing leads to; values that nothing uses and whose computation changes nothing.
bool remove_dead(ssa::Function& function, const ssa::Module& module);
/// Ways into a block that only branches on a phi go where their own value of it leads.
bool thread_jumps(ssa::Function& function, const ssa::Module& module);
/// Straight runs of blocks become one; jumps to jumps go to the end.
bool merge_blocks(ssa::Function& function, const ssa::Module& module);

/// Of two conditions that must both hold (or not), the cheaper one is looked at first, where nobody
/// can tell.
bool order_conditions(ssa::Function& function, const ssa::Module& module);

}  // namespace ktap::passes
