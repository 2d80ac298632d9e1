// A generated program: a tree of text pieces, each in ktap's and in Lua's spelling, that is printed
// line for line alike and can be made smaller piece by piece.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace ktap::differential {

struct Node {
  enum class Kind : uint8_t { Expr, Stmt, Block };
  Kind kind = Kind::Expr;
  std::string ktap;  ///< `$0` … `$9` are the kids; nothing for a block
  std::string lua;   ///< "": the same
  std::vector<Node> kids;
};

Node expr(std::string ktap, std::vector<Node> kids = {}, std::string lua = {});
Node stmt(std::string ktap, std::vector<Node> kids = {}, std::string lua = {});
Node block(std::vector<Node> statements = {});

enum class Language : uint8_t { Ktap, Lua };
/// The text of a whole program, a block.
std::string render(const Node& program, Language language);

/// Takes away statements and parts of expressions while `still_fails` holds of what is left.
/// Cost: at most `attempts` calls of it.
void shrink(Node& program, const std::function<bool(const Node&)>& still_fails, int attempts);

}  // namespace ktap::differential
