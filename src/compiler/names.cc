// Names: the variables of the script first, then what the language and the event define. What is
// wrong with a name is said here, with the nearest names that would be right.
#include <fmt/format.h>

#include "compiler/generator.h"
#include "compiler/library.h"
#include "syntax/foreign.h"

namespace ktap::compiler {

namespace sx = syntax;
namespace bc = bytecode;
using bc::Insn;
using bc::Op;
using diag::Code;
using Kind = Meaning::Kind;

namespace {

const sx::Expr& without_parens(const sx::Expr& expr) {
  const sx::Expr* inner = &expr;
  while (const auto* paren = std::get_if<sx::Paren>(&inner->node)) inner = paren->inner.get();
  return *inner;
}

bool is_iteration(std::string_view name) {
  return name == "pairs" || name == "sort_pairs" || name == "sort_keys";
}

/// The built-in variable may have a value there.
bool is_given(Where where, schema::BuiltinVar var) {
  using schema::BuiltinVar;
  if (where == Where::Event || where == Where::Unknown) return true;
  switch (var) {
    case BuiltinVar::Pid:
    case BuiltinVar::Tid:
    case BuiltinVar::Ppid:
    case BuiltinVar::Uid:
    case BuiltinVar::Gid:
    case BuiltinVar::Cpu:
    case BuiltinVar::Execname:
    case BuiltinVar::Ns:
      return true;
    case BuiltinVar::Probename:
    case BuiltinVar::Argstr:
    case BuiltinVar::EventObject:
      return where == Where::Timer;
    default:
      return false;
  }
}

/// Why a variable that is declared is not there at `at`.
std::string elsewhere_text(const sx::Param& variable, uint32_t at) {
  return fmt::format(
      "'{}' is declared here, {}", variable.name,
      variable.span.begin < at ? "for its own block or function alone" : "further down");
}

std::string_view where_text(Where where) {
  if (where == Where::Timer) return "a timer";
  return where == Where::End ? "trace_end" : "the main chunk";
}

}  // namespace

Meaning Generator::meaning(const std::string& name, diag::Span span, bool is_callee) {
  Meaning found;
  if (const Variable* variable = scope_->find(name)) {
    found.kind = Kind::Local;
    found.index = variable->reg;
    found.variable = variable;
    return found;
  }
  if (const int upvalue = scope_->upvalue(name, span); upvalue >= 0) {
    found.kind = Kind::Upvalue;
    found.index = upvalue;
    return found;
  }
  if (const int slot = analysis_.find_global(name); slot >= 0) {
    found.kind = Kind::Global;
    found.index = slot;
    return found;
  }
  return language_meaning(name, is_callee);
}

Meaning Generator::language_meaning(const std::string& name, bool is_callee) {
  Meaning found;
  if (const auto var = schema::find_builtin_var(name)) {
    found.kind = Kind::EventVar;
    found.event_var = *var;
  } else if (scope_->in_event_filter && !is_callee) {
    found.kind = Kind::EventField;
  } else if (const auto builtin = find_builtin("", name)) {
    found.kind = Kind::Builtin;
    found.builtin = *builtin;
  } else if (is_library(name)) {
    found.kind = Kind::Library;
  } else if (name == "args") {
    found.kind = Kind::Args;
  } else if (is_iteration(name)) {
    found.kind = Kind::Iteration;
  }
  return found;
}

Meaning Generator::meaning(const sx::Expr& expr, bool is_callee) {
  const sx::Expr& inner = without_parens(expr);
  if (const auto* name = std::get_if<sx::Name>(&inner.node)) {
    return meaning(name->name, inner.span, is_callee);
  }
  const auto* member = std::get_if<sx::Member>(&inner.node);
  if (member == nullptr || !is_library_name(*member->object)) return {};
  return member_meaning(std::get<sx::Name>(member->object->node).name, *member);
}

Meaning Generator::member_meaning(const std::string& library, const sx::Member& member) {
  Meaning found;
  if (const auto builtin = find_builtin(library, member.name)) {
    found.kind = Kind::Builtin;
    found.builtin = *builtin;
  }
  return found;
}

bool Generator::is_library_name(const sx::Expr& expr) {
  const auto* name = std::get_if<sx::Name>(&expr.node);
  return name != nullptr && meaning(name->name, expr.span, true).kind == Kind::Library;
}

bool Generator::is_args(const sx::Expr& expr) {
  const auto* name = std::get_if<sx::Name>(&expr.node);
  return name != nullptr && meaning(name->name, expr.span, true).kind == Kind::Args;
}

bool Generator::is_event_object(const sx::Expr& expr) {
  const Meaning found = meaning(expr, false);
  if (found.kind == Kind::EventVar) return found.event_var == schema::BuiltinVar::EventObject;
  return found.kind == Kind::Local && found.variable->is_event;
}

void Generator::name_to(const sx::Expr& expr, const std::string& name, int dst) {
  meaning_to(meaning(name, expr.span, false), name, expr.span, dst);
}

void Generator::meaning_to(const Meaning& found, const std::string& name, diag::Span span,
                           int dst) {
  const auto a = static_cast<uint8_t>(dst);
  const auto b = static_cast<uint8_t>(found.index);
  switch (found.kind) {
    case Kind::Local:
      if (found.index != dst) emit(Insn::abc(Op::Move, a, b, 0), span);
      return;
    case Kind::Upvalue:
      return emit(Insn::abc(Op::GetUpval, a, b, 0), span);
    case Kind::Global:
      return emit(Insn::ad(Op::GetGlobal, a, b), span);
    case Kind::EventVar:
      check_event_var(found.event_var, span);
      return emit(Insn::ad(Op::EventVar, a, static_cast<uint16_t>(found.event_var)), span);
    case Kind::Builtin:
      return emit(Insn::ad(Op::LoadBuiltin, a, static_cast<uint16_t>(found.builtin)), span);
    case Kind::EventField:
      return event_field_to(name, span, dst);
    case Kind::Library: {
      auto& diagnostic =
          sink_.report(Code::NotAValue, span, fmt::format("'{}' is a library, not a value", name));
      const std::vector<std::string> members = members_of(name);
      if (!members.empty())
        diagnostic.hints.push_back(fmt::format("write {}.{}", name, members.front()));
      return;
    }
    case Kind::Args:
      sink_.report(Code::NotAValue, span, "'args' is not a value")
          .hints.emplace_back(
              "write args.NAME for one argument of the event, argstr for all of them");
      return;
    case Kind::Iteration:
      sink_
          .report(Code::NotAValue, span,
                  fmt::format("'{}' stands only in the head of a for loop", name))
          .hints.push_back(fmt::format("write for (k, v in {}(t)) {{ … }}", name));
      return;
    case Kind::Unknown:
      return report_undefined(name, span);
  }
}

// ---- what of an event is where ----

void Generator::event_field_to(const std::string& name, diag::Span span, int dst) {
  check_event_field(name, span);
  const int constant = scope_->emitter.constant(name, span);
  emit(Insn::ad(Op::EventField, static_cast<uint8_t>(dst), static_cast<uint16_t>(constant)), span);
}

void Generator::check_event_var(schema::BuiltinVar var, diag::Span span) {
  if (is_given(scope_->where, var)) return;
  sink_
      .report(
          Code::NoSuchVariableHere, span,
          fmt::format("{} gives no '{}'", where_text(scope_->where), schema::builtin_var_name(var)))
      .hints.emplace_back("it has a value in handlers of events");
}

void Generator::check_event_call(const std::string& name, diag::Span span) {
  if (scope_->where == Where::Event || scope_->where == Where::Unknown) return;
  sink_
      .report(Code::NoSuchVariableHere, span,
              fmt::format("'{}' does not work in {}", name, where_text(scope_->where)))
      .hints.emplace_back("it works in handlers of events");
}

void Generator::check_event_field(const std::string& name, diag::Span span) {
  if (scope_->where == Where::Event || scope_->where == Where::Unknown) return;
  const std::string_view ktap = sx::foreign_name(name);
  sink_
      .report(Code::NoSuchField, span,
              fmt::format("{} has no field '{}'", where_text(scope_->where), name))
      .hints.push_back(ktap.empty() ? "events have fields: read it in a handler of one"
                                    : fmt::format("in ktap that is {}", ktap));
}

void Generator::check_event_member(const sx::Expr& object, const std::string& name,
                                   diag::Span span) {
  if (scope_->where != Where::Timer || name == "name" || name == "tostring") return;
  if (is_event_object(object)) check_event_field(name, span);
}

std::vector<std::string> Generator::variables_at(uint32_t at) const {
  std::vector<std::string> names;
  for (const FunctionScope* scope = scope_; scope != nullptr; scope = scope->parent) {
    for (const Variable& variable : scope->variables) {
      if (!variable.name.empty()) names.push_back(variable.name);
    }
  }
  // A function that is made early is compiled before the variables that its text stands behind.
  for (const sx::Param& variable : main_variables_) {
    if (variable.span.end <= at) names.push_back(variable.name);
  }
  names.insert(names.end(), analysis_.globals.begin(), analysis_.globals.end());
  return names;
}

std::vector<std::string> Generator::known_names(uint32_t at) const {
  std::vector<std::string> names = variables_at(at);
  const auto add = [&names](const std::vector<std::string>& more) {
    names.insert(names.end(), more.begin(), more.end());
  };
  add(members_of(""));
  add(library_names());
#define KTAP_BUILTIN_VAR(enumerator, spelling) names.emplace_back(spelling);
#include "schema/builtin_vars.def"
#undef KTAP_BUILTIN_VAR
  names.emplace_back("args");
  return names;
}

const sx::Param* Generator::declared_elsewhere(const std::string& name, uint32_t at) const {
  const sx::Param* best = nullptr;
  for (const auto& [variable, facts] : analysis_.variables) {
    if (variable->name != name) continue;
    const bool before = variable->span.begin < at;
    const bool best_before = best != nullptr && best->span.begin < at;
    // The last one before the place, else the first one behind it.
    const bool better =
        best == nullptr || (before && !best_before) ||
        (before == best_before && before == (best->span.begin < variable->span.begin));
    if (better) best = variable;
  }
  return best;
}

namespace {

/// `arg10` and on: the built-in variables end with arg9.
bool is_late_argument(std::string_view name) {
  constexpr std::string_view kHead = "arg";
  if (name.size() < kHead.size() + 2 || name.substr(0, kHead.size()) != kHead) return false;
  name.remove_prefix(kHead.size());
  return name[0] != '0' && name.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

void Generator::report_undefined(const std::string& name, diag::Span span, bool is_called) {
  if (!reported_.insert(name).second) return;
  const sx::Param* elsewhere = declared_elsewhere(name, span.begin);
  auto& diagnostic = sink_.report(
      Code::UndefinedName, span,
      elsewhere != nullptr ? fmt::format("'{}' is not defined here", name)
                           : fmt::format("'{}' is not defined: nothing assigns it", name));
  if (elsewhere != nullptr) {
    diagnostic.notes.push_back({elsewhere->span, elsewhere_text(*elsewhere, span.begin)});
    return;
  }
  if (const std::string_view ktap = sx::foreign_name(name); !ktap.empty()) {
    diagnostic.hints.push_back(fmt::format("in ktap that is {}", ktap));
    if (ktap.find_first_of(" (") == std::string_view::npos)
      diagnostic.fixes.push_back({span, std::string(ktap)});
    return;
  }
  if (is_late_argument(name)) {
    diagnostic.hints.push_back(
        "arg0 to arg9 go by their number, those behind by their names: write args.NAME (`ktap list "
        "-v` shows them)");
    return;
  }
  diag::suggest(diagnostic, name, known_names(span.begin));
  if (!is_called && scope_->in_handler && scope_->where == Where::Event &&
      diagnostic.hints.empty()) {
    diagnostic.hints.push_back(
        fmt::format("if a field of the event is meant, write args.{}", name));
  }
}

void Generator::report_undeclared(const std::string& name, diag::Span span, bool is_function) {
  if (!reported_.insert(name).second) return;
  auto& diagnostic = sink_.report(Code::UndeclaredAssignment, span,
                                  fmt::format("'{}' is assigned in a {}, but declared nowhere",
                                              name, scope_->in_handler ? "handler" : "function"));
  if (is_function) {
    diagnostic.hints.push_back(fmt::format("write 'local function {}'", name));
    return;
  }
  if (const sx::Param* elsewhere = declared_elsewhere(name, span.begin))
    diagnostic.notes.push_back({elsewhere->span, elsewhere_text(*elsewhere, span.begin)});
  diag::suggest(diagnostic, name, variables_at(span.begin));
  diagnostic.hints.push_back(
      fmt::format("write 'var {0}' here for a local variable, or assign '{0}' in the main chunk "
                  "for a global one",
                  name));
}

void Generator::report_no_member(const std::string& library, const sx::Member& member) {
  auto& diagnostic =
      sink_.report(Code::NoSuchMember, member.name_span,
                   fmt::format("the library '{}' has no '{}'", library, member.name));
  const std::vector<std::string> members = members_of(library);
  diag::suggest(diagnostic, member.name, members);
  if (!diagnostic.hints.empty()) return;
  std::string all;
  for (const std::string& name : members) all += (all.empty() ? "" : ", ") + name;
  diagnostic.hints.push_back("it has " + all);
}

}  // namespace ktap::compiler
