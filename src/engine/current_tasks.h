// Where the kernel keeps the pointer to each CPU's current task. The kernel's description of its
// own types has the variable's place among those that each CPU has one of, not their address; the
// address of one of them stands in every program that asks for the number of its CPU, and that of a
// CPU's variables follows from where a map has an entry there. Nothing is taken on trust: what was
// found is compared with what the kernel says, on every CPU that runs. Left out: machines other
// than x86-64, whose kernels have the task in a register or compute it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bpf/kernel_facts.h"

namespace ktap::engine {

/// `btf` is the kernel's; needs cpu_count, sets current_tasks and preempt_count. Nothing known
/// where any step fails. Cost: 1 ms.
void find_current_tasks(const uint8_t* btf, size_t btf_bytes, bpf::KernelFacts& facts);

}  // namespace ktap::engine
