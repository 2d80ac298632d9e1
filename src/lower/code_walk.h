// Where control goes in bytecode: what analyses of a function's code share.
#pragma once

#include <cstddef>
#include <vector>

#include "bytecode/chunk.h"

namespace ktap::lower {

/// Instructions that may run after the one at `pc`.
std::vector<size_t> successors(const bytecode::Function& function, size_t pc);

}  // namespace ktap::lower
