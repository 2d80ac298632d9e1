// What a kernel function was called with, asked for at its return: a trampoline alone keeps it.
#pragma once

#include <string>
#include <vector>

#include "bpf/kernel_facts.h"
#include "diag/diagnostic.h"
#include "session/plan.h"

namespace ktap::session {

/// Reports each use of what no trampoline can keep, and handlers that would take too many of them.
/// `no_trampolines`: why there are none, as the end of a sentence, where `facts` has none.
void check_entry_arguments(const Plan& plan, const std::vector<Registration>& registrations,
                           const bpf::KernelFacts& facts, const std::string& no_trampolines,
                           diag::Sink& sink);

}  // namespace ktap::session
