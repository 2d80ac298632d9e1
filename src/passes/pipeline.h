// The order of the passes: what happens to a function between `lower` and `backend`.
#pragma once

#include "ssa/function.h"

namespace ktap::passes {

/// Runs every pass until nothing changes any more. Requires and keeps what ssa::verify() demands.
void optimize(ssa::Function& function, const ssa::Module& module);

}  // namespace ktap::passes
