// Tree → bytecode: names, scopes, constants, registers; calls and literal formats checked where
// they can be.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytecode/chunk.h"
#include "diag/diagnostic.h"
#include "syntax/ast.h"

namespace ktap::compiler {

/// Compiles a script. Returns null when the sink has errors.
std::unique_ptr<bytecode::Chunk> compile(const syntax::Script& script, const diag::Source& source,
                                         diag::Sink& sink);

/// Compiles what was entered at a prompt. `globals` are those of earlier entries, by slot; the
/// chunk's are the same and those that this one adds. Its top-level variables are global.
std::unique_ptr<bytecode::Chunk> compile_entry(syntax::Script script, const diag::Source& source,
                                               const std::vector<std::string>& globals,
                                               diag::Sink& sink);

/// Compiles a filter that was found in a computed event text: a function of no parameters that
/// returns the filter's value; bare names are built-in variables, fields, words, or the chunk's
/// globals.
std::unique_ptr<bytecode::Function> compile_filter(const syntax::Expr& filter,
                                                   const diag::Source& source,
                                                   const std::vector<std::string>& globals,
                                                   diag::Sink& sink);

}  // namespace ktap::compiler
