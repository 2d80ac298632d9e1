// The tree as text: one node a line, indented. A visitor over the variants of ast.h: a node that is
// forgotten here does not compile.
#include <fmt/format.h>

#include "syntax/print.h"
#include "syntax/quote.h"

namespace ktap::syntax {
namespace {

class AstPrinter {
 public:
  explicit AstPrinter(std::string (*event_text)(std::string_view) = nullptr)
      : event_text_(event_text) {}

  std::string take() { return std::move(out_); }

  void print(const Expr& expr) {
    std::visit([this](const auto& node) { print_node(node); }, expr.node);
  }
  void print(const Stmt& stmt) {
    std::visit([this](const auto& node) { print_node(node); }, stmt.node);
  }
  void print(const Block& block) {
    for (const Stmt& stmt : block.statements) print(stmt);
  }

  void line(std::string_view text) { out_ += fmt::format("{:{}}{}\n", "", depth_ * 2, text); }

  template <class Part>
  void child(const Part& part) {
    ++depth_;
    print(part);
    --depth_;
  }

 private:
  template <class Part>
  void labelled(std::string_view label, const Part& part) {
    ++depth_;
    line(label);
    child(part);
    --depth_;
  }
  void labelled(std::string_view label, const std::vector<Expr>& list) {
    if (list.empty()) return;
    ++depth_;
    line(label);
    for (const Expr& expr : list) child(expr);
    --depth_;
  }

  static std::string names(const std::vector<Param>& params) {
    std::string out;
    for (const Param& param : params) out += (out.empty() ? "" : ", ") + param.name;
    return out;
  }
  void body(const FunctionBody& function) {
    ++depth_;
    line(fmt::format("body ({})", names(function.params)));
    child(function.body);
    --depth_;
  }

  void print_node(const NilLit&) { line("nil"); }
  void print_node(const BoolLit& node) { line(node.value ? "true" : "false"); }
  void print_node(const IntLit& node) { line(fmt::format("int {}", node.value)); }
  void print_node(const FloatLit& node) { line(fmt::format("float {}", node.value)); }
  void print_node(const StringLit& node) { line("string " + quoted(node.value)); }
  void print_node(const Name& node) { line("name " + node.name); }
  void print_node(const Index& node) {
    line("index");
    child(*node.object);
    for (const Expr& key : node.keys) child(key);
  }
  void print_node(const Member& node) {
    line("member " + node.name);
    child(*node.object);
  }
  void print_node(const Call& node) {
    line("call");
    child(*node.callee);
    for (const Expr& arg : node.args) child(arg);
  }
  void print_node(const Unary& node) {
    line(fmt::format("unary {}", spelling(node.op)));
    child(*node.operand);
  }
  void print_node(const Binary& node) {
    line(fmt::format("binary {}", spelling(node.op)));
    child(*node.left);
    child(*node.right);
  }
  void print_node(const Function& node) {
    line("function");
    body(*node.body);
  }
  void print_node(const TableCtor& node) {
    line("table");
    for (const TableItem& item : node.items) {
      ++depth_;
      line(item.key ? "pair" : "item");
      if (item.key) child(*item.key);
      child(*item.value);
      --depth_;
    }
  }
  void print_node(const Paren& node) {
    line("paren");
    child(*node.inner);
  }

  void print_node(const VarDecl& node) {
    line("var " + names(node.names));
    for (const Expr& value : node.values) child(value);
  }
  void print_node(const Assign& node) {
    line("assign");
    labelled("targets", node.targets);
    labelled("values", node.values);
  }
  void print_node(const CompoundAssign& node) {
    line(fmt::format("assign {}=", spelling(node.op)));
    child(node.target);
    child(node.value);
  }
  void print_node(const AggregateAdd& node) {
    line("aggregate");
    child(node.target);
    child(node.value);
  }
  void print_node(const CallStmt& node) {
    line("do-call");
    child(node.call);
  }
  void print_node(const If& node) {
    line("if");
    for (const IfArm& arm : node.arms) {
      labelled("condition", arm.condition);
      labelled("then", arm.body);
    }
    if (node.otherwise) labelled("else", *node.otherwise);
  }
  void print_node(const While& node) {
    line("while");
    labelled("condition", node.condition);
    labelled("body", node.body);
  }
  void print_node(const Repeat& node) {
    line("repeat");
    labelled("body", node.body);
    labelled("until", node.until);
  }
  void print_node(const NumericFor& node) {
    line("for " + node.var.name);
    labelled("first", node.first);
    labelled("last", node.last);
    if (node.step) labelled("step", *node.step);
    labelled("body", node.body);
  }
  void print_node(const GenericFor& node) {
    const char* kinds[] = {"pairs", "sort_pairs", "sort_keys"};
    line(fmt::format("for {} in {}", names(node.vars), kinds[static_cast<size_t>(node.kind)]));
    labelled("table", node.table);
    if (node.compare) labelled("compare", *node.compare);
    labelled("body", node.body);
  }
  void print_node(const Do& node) {
    line("do");
    child(node.body);
  }
  void print_node(const Break&) { line("break"); }
  void print_node(const Continue&) { line("continue"); }
  void print_node(const Return& node) {
    line("return");
    for (const Expr& value : node.values) child(value);
  }
  void print_node(const FunctionStmt& node) {
    std::string path = node.name.name;
    for (const Param& part : node.path) path += '.' + part.name;
    line(fmt::format("function {}{}", node.is_local ? "local " : "", path));
    body(*node.body);
  }
  void print_node(const Trace& node) {
    const char* kinds[] = {"trace", "tick", "profile", "trace_end"};
    std::string head = kinds[static_cast<size_t>(node.kind)];
    if (!node.text_expr && node.kind != TraceKind::End) {
      head += ' ' + quoted(event_text_ == nullptr ? node.event_text : event_text_(node.event_text));
    }
    line(head);
    if (node.text_expr) labelled("text", *node.text_expr);
    if (node.filter) labelled("filter", *node.filter);
    if (node.body) body(*node.body);
    if (node.function) labelled("function", *node.function);
  }

  std::string (*event_text_)(std::string_view);
  std::string out_;
  int depth_ = 0;
};

}  // namespace

const char* spelling(BinaryOp op) {
  switch (op) {
    case BinaryOp::Or:
      return "||";
    case BinaryOp::And:
      return "&&";
    case BinaryOp::Eq:
      return "==";
    case BinaryOp::Ne:
      return "!=";
    case BinaryOp::Lt:
      return "<";
    case BinaryOp::Le:
      return "<=";
    case BinaryOp::Gt:
      return ">";
    case BinaryOp::Ge:
      return ">=";
    case BinaryOp::Match:
      return "~";
    case BinaryOp::BitOr:
      return "|";
    case BinaryOp::BitXor:
      return "^";
    case BinaryOp::BitAnd:
      return "&";
    case BinaryOp::Shl:
      return "<<";
    case BinaryOp::Shr:
      return ">>";
    case BinaryOp::Concat:
      return "..";
    case BinaryOp::Add:
      return "+";
    case BinaryOp::Sub:
      return "-";
    case BinaryOp::Mul:
      return "*";
    case BinaryOp::Div:
      return "/";
    case BinaryOp::Mod:
      return "%";
  }
  return "?";
}

const char* spelling(UnaryOp op) {
  switch (op) {
    case UnaryOp::Neg:
      return "-";
    case UnaryOp::Not:
      return "!";
    case UnaryOp::BitNot:
      return "~";
  }
  return "?";
}

std::string print_ast(const Script& script) { return print_ast(script, nullptr); }

std::string print_ast(const Script& script, std::string (*event_text)(std::string_view)) {
  AstPrinter printer(event_text);
  printer.line("script");
  printer.child(script.body);
  return printer.take();
}

std::string print_ast(const Expr& expr) {
  AstPrinter printer;
  printer.print(expr);
  return printer.take();
}

}  // namespace ktap::syntax
