// The current task, by the cheapest way that the kernel has.
#pragma once

#include "backend/layout.h"
#include "bpf/assembler.h"
#include "bpf/kernel_facts.h"

namespace ktap::backend {

/// R0 = the current task, a typed pointer to its struct task_struct. Changes R0 to R5. For loads
/// alone: where it comes without a call, helpers do not take it.
/// Requires: facts.has_task_btf.
void load_current_task(bpf::Assembler& code, UnitBuilder& unit, const bpf::KernelFacts& facts);

/// R0 = the preemption count of the CPU, 32 bits without a sign. Changes R1 to R5. Requires:
/// has_preempt_count.
void load_preempt_count(bpf::Assembler& code, UnitBuilder& unit, const bpf::KernelFacts& facts);

}  // namespace ktap::backend
