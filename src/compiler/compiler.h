// Tree → bytecode: names, scopes, constants, registers; calls and literal formats checked where
// they can be.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
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
/// globals. `is_timer`: of a timer, which has no fields.
std::unique_ptr<bytecode::Function> compile_filter(const syntax::Expr& filter,
                                                   const diag::Source& source,
                                                   const std::vector<std::string>& globals,
                                                   bool is_timer, diag::Sink& sink);

/// The functions that a filter of `ftrace:function` names.
struct TracedFunctions {
  std::string event_text;                ///< `function:GLOB`; "": the filter names none
  const syntax::Expr* filter = nullptr;  ///< what is left of the filter; null: nothing
};
/// `ip ~ "GLOB"`, `ip == "NAME"` or `ip == NAME`, alone or on one side of a `&&`. `is_variable`: of
/// the script, where the filter stands.
TracedFunctions traced_functions(std::string_view event_text, const syntax::Expr& filter,
                                 const std::function<bool(const std::string&)>& is_variable);

}  // namespace ktap::compiler
