// All small expressions, each as a value and as a condition, with its operands in every place that
// the compiler knows; and all calls of the library with arguments of every kind.
#pragma once

#include <cstdint>

namespace ktap::differential {

struct EnumerateResult {
  int64_t judged = 0;
  int64_t failing = 0;  ///< of these, expressions that are run-time errors on both sides
  int64_t differing = 0;
  int modes = 0;         ///< literals, locals, upvalues, globals and two mixtures
  int modes_failed = 0;  ///< of these, modes with a difference
};

/// Every expression of at most `nodes` nodes, in every mode. Differences are printed, the first few
/// in full. `broken` spoils one result in each batch: for the self-test.
EnumerateResult enumerate(int nodes, bool broken);

/// Calls of the library's pure functions with every leaf as each of at most so many arguments.
EnumerateResult enumerate_library(int arguments, bool broken);

}  // namespace ktap::differential
