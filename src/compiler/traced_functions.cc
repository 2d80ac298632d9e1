// The function trace's filter over `ip` says which functions there are to trace: they are the event
// then, and the rest of the filter is what runs.
#include "compiler/compiler.h"

namespace ktap::compiler {

namespace sx = syntax;

namespace {

/// A glob that an event text can hold as it is. Functions have such names alone.
bool is_function_glob(std::string_view text) {
  constexpr std::string_view kOthers = "_.*?[]{}!^-";
  const bool has_braces = text.find('{') != std::string_view::npos;
  for (const char c : text) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool is_digit = c >= '0' && c <= '9';
    const bool is_other = kOthers.find(c) != std::string_view::npos || (c == ',' && has_braces);
    if (!is_letter && !is_digit && !is_other) return false;
  }
  return !text.empty();
}

/// The glob that `ip` is compared with; "": this is no such comparison.
std::string glob_of(const sx::Expr& expr,
                    const std::function<bool(const std::string&)>& is_variable) {
  if (const auto* paren = std::get_if<sx::Paren>(&expr.node))
    return glob_of(*paren->inner, is_variable);
  const auto* compared = std::get_if<sx::Binary>(&expr.node);
  if (compared == nullptr) return "";
  const auto* name = std::get_if<sx::Name>(&compared->left->node);
  if (name == nullptr || name->name != "ip") return "";
  const auto* text = std::get_if<sx::StringLit>(&compared->right->node);
  const auto* word = std::get_if<sx::Name>(&compared->right->node);
  std::string glob = text != nullptr ? text->value : "";
  if (word != nullptr && !is_variable(word->name)) glob = word->name;
  const bool is_name = glob.find_first_of("*?[]{}") == std::string::npos;
  const bool fits =
      compared->op == sx::BinaryOp::Match || (compared->op == sx::BinaryOp::Eq && is_name);
  return fits && is_function_glob(glob) ? glob : "";
}

}  // namespace

TracedFunctions traced_functions(std::string_view event_text, const sx::Expr& filter,
                                 const std::function<bool(const std::string&)>& is_variable) {
  if (event_text != "ftrace:function" || is_variable("ip")) return {};
  if (const std::string glob = glob_of(filter, is_variable); !glob.empty())
    return {"function:" + glob, nullptr};
  const auto* both = std::get_if<sx::Binary>(&filter.node);
  if (both == nullptr || both->op != sx::BinaryOp::And) return {};
  if (const std::string glob = glob_of(*both->left, is_variable); !glob.empty())
    return {"function:" + glob, both->right.get()};
  if (const std::string glob = glob_of(*both->right, is_variable); !glob.empty())
    return {"function:" + glob, both->left.get()};
  return {};
}

}  // namespace ktap::compiler
