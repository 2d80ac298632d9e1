// All handlers of at most N nodes over a small vocabulary. A node is a statement, or an operator,
// operand or call in it; a sequence is none.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ktap::differential {

/// Handlers of one event, each with a table and a variable of its own, `%` in a body: its number.
struct SmallScript {
  std::vector<std::string> bodies;
  std::string text() const;
};

/// Calls `judge` with scripts of some dozen handlers; returns how many handlers in all.
int64_t enumerate_handlers(int nodes, const std::function<void(const SmallScript&)>& judge);

}  // namespace ktap::differential
