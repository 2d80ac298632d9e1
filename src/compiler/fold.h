// Constant expressions, computed as the VM would: integers wrap, shifts count modulo 64, `/` and
// `%` are C's. What could be a run-time error (a zero divisor, a string in arithmetic) is left to
// the run.
#pragma once

#include <optional>

#include "bytecode/chunk.h"
#include "syntax/ast.h"

namespace ktap::compiler {

/// The value of an expression of literals alone, or nullopt.
std::optional<bytecode::Constant> fold(const syntax::Expr& expr);
/// Only nil and false are false.
bool truth(const bytecode::Constant& value);
/// The text of `a .. b` when both are strings or integers.
std::optional<bytecode::Constant> fold_concat(const bytecode::Constant& a,
                                              const bytecode::Constant& b);

}  // namespace ktap::compiler
