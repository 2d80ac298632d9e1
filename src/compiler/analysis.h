// The first walk over the tree, before code is made: which names are globals, which variables are
// captured by closures and changed there, and how early a top-level function can be made. Reports
// nothing; a name that does not resolve is the generator's matter.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "diag/source.h"
#include "syntax/ast.h"

namespace ktap::compiler {

struct VariableFacts {
  bool captured = false;            ///< a function inside the variable's own reads or assigns it
  bool changed_by_closure = false;  ///< … assigns it: its register may change during any call
};

struct Analysis {
  /// By slot; `arg` is slot 0, the others follow in the order in which the main chunk assigns them.
  std::vector<std::string> globals;
  /// The assignment that makes one global more than limits::kMaxGlobals allows.
  std::optional<diag::Span> excess_global;
  std::unordered_map<const syntax::Param*, VariableFacts> variables;
  /// Top-level functions that earlier text may call: the closure is made before that top-level
  /// statement, which stands before the function's own place.
  std::unordered_map<const syntax::FunctionStmt*, size_t> hoisted;
  /// Hoisted ones whose name is assigned elsewhere too: they are made again at their place.
  std::unordered_set<const syntax::FunctionStmt*> remade;

  VariableFacts facts(const syntax::Param* declaration) const;
  /// The slot of a global, or -1.
  int find_global(const std::string& name) const;
};

Analysis analyse(const syntax::Script& script);
/// With these globals before its own, by slot.
Analysis analyse(const syntax::Script& script, const std::vector<std::string>& globals);
/// For an expression by itself, with these globals.
Analysis analyse(const syntax::Expr& expression, const std::vector<std::string>& globals);

}  // namespace ktap::compiler
