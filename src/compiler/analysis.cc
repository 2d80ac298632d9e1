// See analysis.h. One walk with a stack of scopes: a name that a scope declares is that variable,
// else a global.
#include "compiler/analysis.h"

#include <algorithm>
#include <map>
#include <variant>

#include "base/limits.h"

namespace ktap::compiler {

namespace sx = syntax;

VariableFacts Analysis::facts(const sx::Param* declaration) const {
  const auto found = variables.find(declaration);
  return found == variables.end() ? VariableFacts{} : found->second;
}

int Analysis::find_global(const std::string& name) const {
  const auto found = std::find(globals.begin(), globals.end(), name);
  return found == globals.end() ? -1 : static_cast<int>(found - globals.begin());
}

namespace {

class Analyser {
 public:
  explicit Analyser(Analysis& analysis) : analysis_(analysis) {}

  void script(const sx::Script& script) {
    const auto& statements = script.body.statements;
    for (size_t i = 0; i < statements.size(); ++i) {
      top_level_ = i;
      captures_end_ = 0;
      statement(statements[i]);
      const auto* function = std::get_if<sx::FunctionStmt>(&statements[i].node);
      if (function != nullptr && is_global_function(*function)) {
        if (captures_end_ < i) analysis_.hoisted.emplace(function, captures_end_);
        first_function_.emplace(function->name.name, function);
      }
    }
    keep_first_definitions();
  }

  void expression(const sx::Expr& expr) {
    std::visit([this](const auto& node) { walk(node); }, expr.node);
  }

 private:
  struct Variable {
    const sx::Param* declaration;
    int function_depth;
    size_t top_level;  ///< the top-level statement that declares it
  };

  // ---- scopes ----

  void declare(const sx::Param& param) {
    variables_.push_back({&param, depth_, top_level_});
    analysis_.variables.emplace(&param, VariableFacts{});
  }

  const Variable* find(const std::string& name) const {
    const auto found = std::find_if(variables_.rbegin(), variables_.rend(),
                                    [&](const Variable& v) { return v.declaration->name == name; });
    return found == variables_.rend() ? nullptr : &*found;
  }

  void use(const std::string& name, diag::Span span, bool assigns) {
    const Variable* variable = find(name);
    if (variable == nullptr) {
      if (assigns) assign_global(name, span);
      return;
    }
    if (variable->function_depth == depth_) return;
    VariableFacts& facts = analysis_.variables[variable->declaration];
    facts.captured = true;
    facts.changed_by_closure |= assigns;
    if (variable->function_depth == 0) {
      captures_end_ = std::max(captures_end_, variable->top_level + 1);
    }
  }

  void assign_global(const std::string& name, diag::Span span) {
    ++assignments_[name];
    if (depth_ > 0 || analysis_.find_global(name) >= 0) return;
    if (analysis_.globals.size() == limits::kMaxGlobals && !analysis_.excess_global) {
      analysis_.excess_global = span;
    }
    analysis_.globals.push_back(name);
  }

  bool is_global_function(const sx::FunctionStmt& function) const {
    return !function.is_local && function.path.empty() && find(function.name.name) == nullptr;
  }

  void keep_first_definitions() {
    for (auto it = analysis_.hoisted.begin(); it != analysis_.hoisted.end();) {
      const sx::FunctionStmt* function = it->first;
      const bool is_first = first_function_[function->name.name] == function;
      if (is_first && assignments_[function->name.name] > 1) analysis_.remade.insert(function);
      it = is_first ? std::next(it) : analysis_.hoisted.erase(it);
    }
  }

  // ---- pieces ----

  void optional(const sx::ExprPtr& expr) {
    if (expr) expression(*expr);
  }
  void list(const std::vector<sx::Expr>& exprs) {
    for (const sx::Expr& expr : exprs) expression(expr);
  }
  void statements(const sx::Block& block) {
    for (const sx::Stmt& inner : block.statements) statement(inner);
  }
  void block(const sx::Block& block) {
    const size_t outer = variables_.size();
    statements(block);
    variables_.resize(outer);
  }
  void function(const sx::FunctionBody& body) {
    const size_t outer = variables_.size();
    ++depth_;
    for (const sx::Param& param : body.params) declare(param);
    statements(body.body);
    --depth_;
    variables_.resize(outer);
  }
  void filter(const sx::ExprPtr& expr) {
    ++depth_;
    optional(expr);
    --depth_;
  }
  void target(const sx::Expr& expr) {
    if (const auto* name = std::get_if<sx::Name>(&expr.node))
      return use(name->name, expr.span, true);
    expression(expr);
  }

  // ---- expressions ----

  void walk(const sx::NilLit&) {}
  void walk(const sx::BoolLit&) {}
  void walk(const sx::IntLit&) {}
  void walk(const sx::FloatLit&) {}
  void walk(const sx::StringLit&) {}
  void walk(const sx::Name& node) { use(node.name, {}, false); }
  void walk(const sx::Index& node) {
    expression(*node.object);
    list(node.keys);
  }
  void walk(const sx::Member& node) { expression(*node.object); }
  void walk(const sx::Call& node) {
    expression(*node.callee);
    list(node.args);
  }
  void walk(const sx::Unary& node) { expression(*node.operand); }
  void walk(const sx::Binary& node) {
    expression(*node.left);
    expression(*node.right);
  }
  void walk(const sx::Function& node) { function(*node.body); }
  void walk(const sx::TableCtor& node) {
    for (const sx::TableItem& item : node.items) {
      optional(item.key);
      optional(item.value);
    }
  }
  void walk(const sx::Paren& node) { expression(*node.inner); }

  // ---- statements ----

  void statement(const sx::Stmt& stmt) {
    std::visit([this](const auto& node) { walk(node); }, stmt.node);
  }

  void walk(const sx::VarDecl& node) {
    list(node.values);
    for (const sx::Param& name : node.names) declare(name);
  }
  void walk(const sx::Assign& node) {
    for (const sx::Expr& expr : node.targets) target(expr);
    list(node.values);
  }
  void walk(const sx::CompoundAssign& node) {
    target(node.target);
    expression(node.value);
  }
  void walk(const sx::AggregateAdd& node) {
    expression(node.target);
    expression(node.value);
  }
  void walk(const sx::CallStmt& node) { expression(node.call); }
  void walk(const sx::If& node) {
    for (const sx::IfArm& arm : node.arms) {
      expression(arm.condition);
      block(arm.body);
    }
    if (node.otherwise) block(*node.otherwise);
  }
  void walk(const sx::While& node) {
    expression(node.condition);
    block(node.body);
  }
  void walk(const sx::Repeat& node) {
    const size_t outer = variables_.size();
    statements(node.body);
    expression(node.until);
    variables_.resize(outer);
  }
  void walk(const sx::NumericFor& node) {
    expression(node.first);
    expression(node.last);
    if (node.step) expression(*node.step);
    const size_t outer = variables_.size();
    declare(node.var);
    statements(node.body);
    variables_.resize(outer);
  }
  void walk(const sx::GenericFor& node) {
    expression(node.table);
    if (node.compare) expression(*node.compare);
    const size_t outer = variables_.size();
    for (const sx::Param& var : node.vars) declare(var);
    statements(node.body);
    variables_.resize(outer);
  }
  void walk(const sx::Do& node) { block(node.body); }
  void walk(const sx::Break&) {}
  void walk(const sx::Continue&) {}
  void walk(const sx::Return& node) { list(node.values); }
  void walk(const sx::FunctionStmt& node) {
    if (node.is_local) {
      declare(node.name);
    } else {
      use(node.name.name, node.name.span, node.path.empty());
    }
    function(*node.body);
  }
  void walk(const sx::Trace& node) {
    optional(node.text_expr);
    filter(node.filter);
    if (node.body) function(*node.body);
    optional(node.function);
  }

  Analysis& analysis_;
  std::vector<Variable> variables_;
  int depth_ = 0;
  size_t top_level_ = 0;
  size_t captures_end_ = 0;  ///< 1 + the last top-level statement whose variables this one captures
  std::map<std::string, int> assignments_;
  std::map<std::string, const sx::FunctionStmt*> first_function_;
};

}  // namespace

Analysis analyse(const sx::Script& script) { return analyse(script, {"arg"}); }

Analysis analyse(const sx::Script& script, const std::vector<std::string>& globals) {
  Analysis analysis;
  analysis.globals = globals;
  Analyser(analysis).script(script);
  return analysis;
}

Analysis analyse(const sx::Expr& expression, const std::vector<std::string>& globals) {
  Analysis analysis;
  analysis.globals = globals;
  Analyser(analysis).expression(expression);
  return analysis;
}

}  // namespace ktap::compiler
