// Tokens and trees as text, for people and golden tests. Stable: a changed line is a changed
// meaning.
#pragma once

#include <string>
#include <string_view>

#include "diag/diagnostic.h"
#include "syntax/ast.h"

namespace ktap::syntax {

/// One token a line: `LINE:COLUMN KIND VALUE`. An event text is one line, and its filter's tokens
/// follow. Mistakes go to `sink`, when there is one.
std::string print_tokens(const diag::Source& source, diag::Sink* sink = nullptr);

/// One node a line, its parts indented below it. Places in the source are not shown.
std::string print_ast(const Script& script);
/// The same with each event text as `event_text` gives it, to compare scripts up to its blanks.
std::string print_ast(const Script& script, std::string (*event_text)(std::string_view));
std::string print_ast(const Expr& expr);

/// "==", "..".
const char* spelling(BinaryOp op);
const char* spelling(UnaryOp op);

}  // namespace ktap::syntax
