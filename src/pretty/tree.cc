// Walks the syntax tree in source order. A node that is forgotten here does not compile.
#include "pretty/tree.h"

#include <utility>

#include "base/chars.h"

namespace ktap::pretty {

namespace sx = syntax;

namespace {

class TreeMaker {
 public:
  explicit TreeMaker(std::string_view text) : text_(text) {}

  BlockNode block(const sx::Block& block, bool is_body) {
    BlockNode made{block.span.begin, block.span.end, is_body, {}};
    for (const sx::Stmt& stmt : block.statements) made.statements.push_back(statement(stmt));
    return made;
  }

 private:
  StatementNode statement(const sx::Stmt& stmt) {
    StatementNode made{stmt.span.begin, stmt.span.end, false, {}};
    StatementNode* outer = std::exchange(at_, &made);
    std::visit([this](const auto& node) { visit(node); }, stmt.node);
    at_ = outer;
    return made;
  }

  void body(const sx::Block& part) { at_->blocks.push_back(block(part, true)); }
  void expr(const sx::Expr& part) {
    std::visit([this](const auto& node) { visit(node); }, part.node);
  }
  void expr(const sx::ExprPtr& part) {
    if (part) expr(*part);
  }
  void all(const std::vector<sx::Expr>& parts) {
    for (const sx::Expr& part : parts) expr(part);
  }

  void visit(const sx::NilLit&) {}
  void visit(const sx::BoolLit&) {}
  void visit(const sx::IntLit&) {}
  void visit(const sx::FloatLit&) {}
  void visit(const sx::StringLit&) {}
  void visit(const sx::Name&) {}
  void visit(const sx::Index& node) {
    expr(node.object);
    all(node.keys);
  }
  void visit(const sx::Member& node) { expr(node.object); }
  void visit(const sx::Call& node) {
    expr(node.callee);
    all(node.args);
  }
  void visit(const sx::Unary& node) { expr(node.operand); }
  void visit(const sx::Binary& node) {
    expr(node.left);
    expr(node.right);
  }
  void visit(const sx::Function& node) { at_->blocks.push_back(block(node.body->body, false)); }
  void visit(const sx::TableCtor& node) {
    for (const sx::TableItem& item : node.items) {
      expr(item.key);
      expr(item.value);
    }
  }
  void visit(const sx::Paren& node) { expr(node.inner); }

  void visit(const sx::VarDecl& node) { all(node.values); }
  void visit(const sx::Assign& node) {
    all(node.targets);
    all(node.values);
  }
  void visit(const sx::CompoundAssign& node) {
    expr(node.target);
    expr(node.value);
  }
  void visit(const sx::AggregateAdd& node) {
    expr(node.target);
    expr(node.value);
  }
  void visit(const sx::CallStmt& node) { expr(node.call); }
  void visit(const sx::If& node) {
    for (const sx::IfArm& arm : node.arms) {
      expr(arm.condition);
      body(arm.body);
    }
    if (node.otherwise) body(*node.otherwise);
  }
  void visit(const sx::While& node) {
    expr(node.condition);
    body(node.body);
  }
  void visit(const sx::Repeat& node) {
    body(node.body);
    expr(node.until);
  }
  void visit(const sx::NumericFor& node) {
    expr(node.first);
    expr(node.last);
    if (node.step) expr(*node.step);
    body(node.body);
  }
  void visit(const sx::GenericFor& node) {
    expr(node.table);
    if (node.compare) expr(*node.compare);
    body(node.body);
  }
  void visit(const sx::Do& node) { body(node.body); }
  void visit(const sx::Break&) {}
  void visit(const sx::Continue&) {}
  void visit(const sx::Return& node) { all(node.values); }
  void visit(const sx::FunctionStmt& node) { body(node.body->body); }
  void visit(const sx::Trace& node) {
    at_->plain_event = is_plain(node);
    expr(node.text_expr);
    // The filter of a quoted text stands inside the quotes.
    if (at_->plain_event) expr(node.filter);
    if (node.body) body(node.body->body);
    expr(node.function);
  }

  bool is_plain(const sx::Trace& node) const {
    if (node.kind == sx::TraceKind::Tick || node.kind == sx::TraceKind::Profile) return true;
    if (node.kind == sx::TraceKind::End) return false;
    size_t at = at_->begin + std::string_view("trace").size();
    while (at < text_.size() && is_blank(text_[at])) ++at;
    return at < text_.size() && text_[at] != '(' && text_[at] != '"' && text_[at] != '\'';
  }

  std::string_view text_;
  StatementNode* at_ = nullptr;
};

}  // namespace

BlockNode make_tree(const syntax::Script& script, const diag::Source& source) {
  return TreeMaker(source.text()).block(script.body, true);
}

}  // namespace ktap::pretty
