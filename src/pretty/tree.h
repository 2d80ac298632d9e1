// Statements and blocks by their places in the source: what the layout needs of the syntax tree.
#pragma once

#include <cstdint>
#include <vector>

#include "diag/source.h"
#include "syntax/ast.h"

namespace ktap::pretty {

struct BlockNode;

struct StatementNode {
  uint32_t begin = 0;
  uint32_t end = 0;
  bool plain_event = false;       ///< its event text stands without quotes
  std::vector<BlockNode> blocks;  ///< in order; those in the blocks' statements are theirs
};

struct BlockNode {
  uint32_t begin = 0;   ///< its `{`
  uint32_t end = 0;     ///< behind its `}`
  bool is_body = true;  ///< of the statement; false: of a function within an expression
  std::vector<StatementNode> statements;
};

/// The whole script as a block, its braces apart.
BlockNode make_tree(const syntax::Script& script, const diag::Source& source);

}  // namespace ktap::pretty
