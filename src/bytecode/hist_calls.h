// Which linear histograms a script reads: what an aggregate must count is inferred from its
// readers, and a linear hist(c, lo, hi, step) can only be counted from the first sample on when its
// bounds are known before it.
#pragma once

#include <cstdint>
#include <vector>

#include "bytecode/chunk.h"

namespace ktap::bytecode {

struct HistCalls {
  struct Bounds {
    int64_t lo;
    int64_t hi;
    int64_t step;
  };
  std::vector<Bounds> constant;  ///< of calls whose bounds stand in the code, in its order
  bool computed = false;  ///< other bounds may come: computed ones, or hist is used as a value
};

/// Adds the calls in this function's own code; its children are asked for themselves.
void find_hist_calls(const Function& function, HistCalls* calls);

}  // namespace ktap::bytecode
