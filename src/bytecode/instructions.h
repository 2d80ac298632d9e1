// Questions about all code of a script.
#pragma once

#include <algorithm>

#include "bytecode/chunk.h"

namespace ktap::bytecode {

/// Does an instruction of this function, or of one written inside it, answer yes?
template <class Predicate>
bool any_instruction(const Function& function, const Predicate& is_wanted) {
  return std::any_of(function.code.begin(), function.code.end(), is_wanted) ||
         std::any_of(function.children.begin(), function.children.end(),
                     [&](const auto& child) { return any_instruction(*child, is_wanted); });
}

}  // namespace ktap::bytecode
