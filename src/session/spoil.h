// For tests (--spoil): makes the verifier refuse a program, so that the way from its refusal to
// user space can be walked without a mistake in the compiler.
#pragma once

#include <cstdint>

#include "bpf/program.h"

namespace ktap::session {

/// Puts a store outside of the stack in the place of the first instruction of script line `line`.
/// False when the program has none.
bool spoil(bpf::Program& program, uint32_t line);

}  // namespace ktap::session
