// Which values of one word share a home: a phi and its operands, the result of an operation and the
// operand that it changes in place, as far as none is wanted after another has been made. Then
// there is nothing to move. Part of find_homes(), between live values and the scan.
//
// In SSA two values are in each other's way only where one is alive when the other is made (Hack
// and others, "Register allocation for programs in SSA form", 2006): asked for each pair of two
// classes before they become one.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "backend/homes.h"
#include "ssa/function.h"

namespace ktap::backend {

/// What is known of the function by then.
struct LiveValues {
  const ssa::Function& function;
  const Order& order;
  const std::vector<std::vector<bool>>& live_in;  ///< by block and value; phis are not in their own
  const std::vector<bool>& has_word_home;         ///< by value: a number in a home of its own
  const PhiMayShare& phi_may_share;
};

/// By value: the one that stands for its class, itself when it shares with none.
std::vector<ssa::ValueId> share_homes(const LiveValues& live);

}  // namespace ktap::backend
