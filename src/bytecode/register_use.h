// What an instruction does with registers, for every walk over bytecode that follows values: the
// verifier's, forwards, and the compiler's to the kernel, backwards.
#pragma once

#include <array>
#include <cstddef>

#include "bytecode/chunk.h"

namespace ktap::bytecode {

/// Registers [first, first + count).
struct RegisterRange {
  int first = 0;
  int count = 0;
};

struct RegisterUse {
  std::array<RegisterRange, 3> reads;  ///< all before `writes`
  RegisterRange writes;
};

/// Of the instruction at `pc`. A list that goes up to the open results of the instruction before
/// ends where those begin. A call writes all of its window: what is no result is gone. What a
/// closure captures is in its function's list of upvalues, not here. IterNext writes where there is
/// a next entry. Requires: what verify() asks of operands.
RegisterUse register_use(const Function& function, size_t pc);

}  // namespace ktap::bytecode
