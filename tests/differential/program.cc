// See program.h.
#include "program.h"

#include <utility>

namespace ktap::differential {
namespace {

Node make(Node::Kind kind, std::string ktap, std::vector<Node> kids, std::string lua) {
  Node node;
  node.kind = kind;
  node.ktap = std::move(ktap);
  node.lua = std::move(lua);
  node.kids = std::move(kids);
  return node;
}

void render_to(std::string& out, const Node& node, Language language, size_t depth) {
  if (node.kind == Node::Kind::Block) {
    for (const Node& kid : node.kids) {
      if (depth > 0 || &kid != &node.kids.front()) out += "\n" + std::string(2 * depth, ' ');
      render_to(out, kid, language, depth);
    }
    out += "\n" + std::string(depth > 0 ? 2 * (depth - 1) : 0, ' ');
    return;
  }
  const std::string& form = language == Language::Lua && !node.lua.empty() ? node.lua : node.ktap;
  for (size_t i = 0; i < form.size(); ++i) {
    if (form[i] != '$') {
      out += form[i];
      continue;
    }
    const Node& kid = node.kids[static_cast<size_t>(form[++i] - '0')];
    render_to(out, kid, language, kid.kind == Node::Kind::Block ? depth + 1 : depth);
  }
}

class Shrinker {
 public:
  Shrinker(Node& root, const std::function<bool(const Node&)>& still_fails, int attempts)
      : root_(root), still_fails_(still_fails), attempts_(attempts) {}

  void run() {
    while (attempts_ > 0 && simplify(root_)) {
    }
  }

 private:
  bool fails() { return attempts_-- > 0 && still_fails_(root_); }

  bool simplify(Node& node) {
    bool changed = false;
    if (node.kind == Node::Kind::Block) changed = drop(node) | unwrap(node);
    if (node.kind == Node::Kind::Expr && !node.kids.empty() && replace(node)) return true;
    for (Node& kid : node.kids) changed |= simplify(kid);
    return changed;
  }

  /// Halves of a block first, then less.
  bool drop(Node& block) {
    bool changed = false;
    for (size_t size = std::max<size_t>(block.kids.size() / 2, 1); size > 0; size /= 2) {
      for (size_t end = block.kids.size(); end > 0;) {
        const size_t begin = end > size ? end - size : 0;
        std::vector<Node> before = block.kids;
        block.kids.erase(block.kids.begin() + static_cast<std::ptrdiff_t>(begin),
                         block.kids.begin() + static_cast<std::ptrdiff_t>(end));
        if (fails()) {
          changed = true;
        } else {
          block.kids = std::move(before);
        }
        end = begin;
      }
    }
    return changed;
  }

  /// A statement by the statements within it.
  bool unwrap(Node& block) {
    bool changed = false;
    for (size_t i = 0; i < block.kids.size(); ++i) {
      for (size_t k = 0; k < block.kids[i].kids.size(); ++k) {
        if (block.kids[i].kids[k].kind != Node::Kind::Block) continue;
        std::vector<Node> before = block.kids;
        std::vector<Node> inner = block.kids[i].kids[k].kids;
        block.kids.erase(block.kids.begin() + static_cast<std::ptrdiff_t>(i));
        block.kids.insert(block.kids.begin() + static_cast<std::ptrdiff_t>(i), inner.begin(),
                          inner.end());
        if (fails()) {
          changed = true;
          break;
        }
        block.kids = std::move(before);
      }
    }
    return changed;
  }

  bool replace(Node& node) {
    const Node before = node;
    for (const Node& kid : before.kids) {
      if (kid.kind != Node::Kind::Expr) continue;
      node = Node(kid);
      if (fails()) return true;
    }
    for (const char* leaf : {"1", "nil", "\"\""}) {
      node = expr(leaf);
      if (fails()) return true;
    }
    node = before;
    return false;
  }

  Node& root_;
  const std::function<bool(const Node&)>& still_fails_;
  int attempts_;
};

}  // namespace

Node expr(std::string ktap, std::vector<Node> kids, std::string lua) {
  return make(Node::Kind::Expr, std::move(ktap), std::move(kids), std::move(lua));
}
Node stmt(std::string ktap, std::vector<Node> kids, std::string lua) {
  return make(Node::Kind::Stmt, std::move(ktap), std::move(kids), std::move(lua));
}
Node block(std::vector<Node> statements) {
  return make(Node::Kind::Block, "", std::move(statements), "");
}

std::string render(const Node& program, Language language) {
  std::string out;
  render_to(out, program, language, 0);
  return out;
}

void shrink(Node& program, const std::function<bool(const Node&)>& still_fails, int attempts) {
  Shrinker(program, still_fails, attempts).run();
}

}  // namespace ktap::differential
