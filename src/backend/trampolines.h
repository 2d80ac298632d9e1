// Which programs a function may have as a trampoline: the kernel calls those with the function's
// arguments, at its return too.
#pragma once

#include <string>

#include "backend/unit.h"
#include "bpf/kernel_facts.h"

namespace ktap::backend {

/// What keeps the job from that, as the end of a sentence; "" when it is up to the kernel. Requires
/// that the kernel has any.
std::string why_no_trampoline(const Job& job, const ssa::Module& module,
                              const bpf::KernelFacts& facts);

/// Whether a program of the job is to be one where that is possible.
bool wants_trampoline(const Job& job, const ssa::Module& module);

}  // namespace ktap::backend
