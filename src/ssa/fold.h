// Integer arithmetic of the language on constants, once: `lower` and `passes` fold alike.
#pragma once

#include <cstdint>
#include <optional>

#include "ssa/function.h"

namespace ktap::ssa {

/// The result of an Int or Bool operation of two operands (Bools are 0 and 1). nullopt for other
/// operations and for a zero divisor.
std::optional<int64_t> fold(Op op, int64_t left, int64_t right);

}  // namespace ktap::ssa
