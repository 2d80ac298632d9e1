// Which variables handlers of both placements share, for plan.cc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "lower/lower.h"
#include "ssa/function.h"

namespace ktap::session {

/// Variables that event handlers in user space use, and how: the line of the first one.
struct UsedInUser {
  using Lines = std::map<lower::Variable, uint32_t>;
  Lines read, assigned, replaced;

  /// Against what a kernel handler does.
  std::optional<uint32_t> against(ssa::Op op, const lower::Variable& variable) const {
    const auto in = [&](const Lines& lines) -> std::optional<uint32_t> {
      const auto at = lines.find(variable);
      if (at == lines.end()) return std::nullopt;
      return at->second;
    };
    if (op == ssa::Op::CellGet || op == ssa::Op::TableGet) return in(assigned);
    if (const auto line = in(read)) return line;
    return in(op == ssa::Op::CellAdd ? replaced : assigned);
  }
};

}  // namespace ktap::session
