// Which pass when; see pipeline.h. Each makes work for the others, so they take turns. Handlers are
// small: a few rounds.
#include "passes/pipeline.h"

#include "base/check.h"
#include "passes/passes.h"

namespace ktap::passes {

void optimize(ssa::Function& function, const ssa::Module& module) {
  constexpr int kMaxRounds = 100;  // each round shrinks something; only a mistake of ours gets here
  for (int round = 0;; ++round) {
    KTAP_CHECK(round < kMaxRounds);
    bool changed = fold_constants(function, module);
    changed |= use_known_conditions(function, module);
    changed |= share_common(function, module);
    changed |= remove_dead(function, module);
    changed |= thread_jumps(function, module);
    changed |= merge_blocks(function, module);
    // Last, when it is settled what is left to compute.
    if (!changed && !order_conditions(function, module)) return;
  }
}

}  // namespace ktap::passes
