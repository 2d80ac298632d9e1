// Items → lines: the rules of the canonical layout (README.md).
#pragma once

#include <string>
#include <vector>

#include "pretty/items.h"
#include "pretty/tree.h"

namespace ktap::pretty {

/// The laid-out text. `items` are those of `tree`.
std::string lay_out(const BlockNode& tree, const std::vector<Item>& items);

}  // namespace ktap::pretty
