// Top-level functions that earlier text may call: each is made as early as the variables that it
// may capture are there. Any word in its text that names an earlier variable counts as a capture.
#include <cctype>

#include "naive/evaluator.h"

namespace ktap::naive {

namespace sx = syntax;

namespace {

std::set<std::string> words(std::string_view text) {
  std::set<std::string> found;
  std::string word;
  for (char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      word += c;
    } else if (!word.empty()) {
      found.insert(word);
      word.clear();
    }
  }
  found.insert(word);
  return found;
}

std::vector<std::string> declared_by(const sx::Stmt& stmt) {
  std::vector<std::string> names;
  if (const auto* variables = std::get_if<sx::VarDecl>(&stmt.node)) {
    for (const sx::Param& name : variables->names) names.push_back(name.name);
  } else if (const auto* function = std::get_if<sx::FunctionStmt>(&stmt.node)) {
    if (function->is_local) names.push_back(function->name.name);
  }
  return names;
}

}  // namespace

std::multimap<size_t, const sx::FunctionStmt*> early_functions(const diag::Source& source,
                                                               const sx::Script& script) {
  std::multimap<size_t, const sx::FunctionStmt*> early;
  std::map<std::string, size_t> last_declared;
  std::set<std::string> seen;
  const auto& all = script.body.statements;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto* function = std::get_if<sx::FunctionStmt>(&all[i].node);
    if (function != nullptr && !function->is_local && function->path.empty() &&
        last_declared.count(function->name.name) == 0 && seen.insert(function->name.name).second) {
      size_t from = 0;
      const diag::Span span = all[i].span;
      for (const std::string& word :
           words(source.text().substr(span.begin, span.end - span.begin))) {
        auto declared = last_declared.find(word);
        if (declared != last_declared.end()) from = std::max(from, declared->second + 1);
      }
      early.emplace(from, function);
    }
    for (const std::string& name : declared_by(all[i])) last_declared[name] = i;
  }
  return early;
}

}  // namespace ktap::naive
