// Which functions that change things (--unsafe) a script names: refused before anything runs.
#pragma once

#include <vector>

#include "bytecode/chunk.h"

namespace ktap::bytecode {

/// What it does is seen outside of the script: signal(), system() and their kin.
bool is_unsafe(Builtin builtin);
/// It acts on the event itself, so that it works in the kernel alone.
bool acts_in_kernel(Builtin builtin);

struct UnsafeUse {
  Builtin builtin;
  Place place;
};
/// Of this function and of those written inside it, in the order of the code.
std::vector<UnsafeUse> find_unsafe_uses(const Function& function);

}  // namespace ktap::bytecode
