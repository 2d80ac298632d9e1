// Where control goes in bytecode: what analyses of a function's code share.
#pragma once

#include <cstddef>
#include <vector>

#include "bytecode/chunk.h"

namespace ktap::lower {

/// Instructions that may run after the one at `pc`.
std::vector<size_t> successors(const bytecode::Function& function, size_t pc);

/// R[A] gets a value; false where it is only read, or A is no register.
bool writes_a(bytecode::Op op);
/// Registers above A get values too, or lose theirs: calls and loops.
bool writes_upwards(bytecode::Op op);

}  // namespace ktap::lower
