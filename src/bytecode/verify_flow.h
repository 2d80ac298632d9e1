// The part of the check that follows control: what each register holds on every way to an
// instruction. Private to this folder; verify.cc calls it when the shape of the code is good.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "bytecode/chunk.h"

namespace ktap::bytecode {

struct FlowProblem {
  size_t pc;
  std::string text;
};

/// The first instruction that reads what is not there on some way to it: a register that nothing
/// wrote or a call has taken, an iterator or a counting loop that was not prepared, a table literal
/// that is none.
///
/// Requires: every register, jump and child index is in range (verify.cc has looked).
/// Cost: linear for what the compiler makes; bounded for anything.
std::optional<FlowProblem> check_flow(const Function& function);

}  // namespace ktap::bytecode
