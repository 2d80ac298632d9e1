// See scope.h.
#include "compiler/scope.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace ktap::compiler {

namespace {

bool is_handler(Role role) {
  return role == Role::Handler || role == Role::TimerHandler || role == Role::EndHandler;
}

/// A function that the main chunk makes may be called from anywhere.
Where where_of(Role role, const FunctionScope* parent) {
  switch (role) {
    case Role::Main:
      return Where::Main;
    case Role::Handler:
    case Role::EventFilter:
      return Where::Event;
    case Role::TimerHandler:
    case Role::TimerFilter:
      return Where::Timer;
    case Role::EndHandler:
      return Where::End;
    case Role::Plain:
      break;
  }
  return parent == nullptr || parent->where == Where::Main ? Where::Unknown : parent->where;
}

}  // namespace

FunctionScope::FunctionScope(FunctionScope* parent_scope, Role its_role, Emitter its_emitter)
    : parent(parent_scope),
      role(its_role),
      where(where_of(its_role, parent_scope)),
      emitter(std::move(its_emitter)),
      in_handler(is_handler(its_role) || (parent_scope != nullptr && parent_scope->in_handler)),
      in_event_filter(its_role == Role::EventFilter ||
                      (parent_scope != nullptr && parent_scope->in_event_filter)),
      in_timer_filter(its_role == Role::TimerFilter ||
                      (parent_scope != nullptr && parent_scope->in_timer_filter)) {}

const Variable* FunctionScope::find(std::string_view name) const {
  const auto found = std::find_if(variables.rbegin(), variables.rend(), [&](const Variable& v) {
    return !v.name.empty() && v.name == name;
  });
  return found == variables.rend() ? nullptr : &*found;
}

int FunctionScope::upvalue(const std::string& name, diag::Span span) {
  if (parent == nullptr) return -1;
  auto& upvalues = emitter.function().upvalues;
  const Variable* variable = parent->find(name);
  const int index = variable != nullptr ? variable->reg : parent->upvalue(name, span);
  if (index < 0) return -1;
  // By where it comes from, not by name: an inner variable may hide an outer one of the same name.
  const bool from_register = variable != nullptr;
  for (size_t i = 0; i < upvalues.size(); ++i) {
    if (upvalues[i].from_parent_register == from_register && upvalues[i].index == index) {
      return static_cast<int>(i);
    }
  }
  if (upvalues.size() >= limits::kMaxUpvalues) {
    emitter.report_limit(
        diag::Code::TooManyUpvalues, span,
        fmt::format("a function captures more than {} variables", limits::kMaxUpvalues));
    return 0;
  }
  upvalues.push_back({from_register, static_cast<uint8_t>(index), name});
  return static_cast<int>(upvalues.size()) - 1;
}

Variable& FunctionScope::declare(std::string name, int reg, VariableFacts facts, diag::Span span) {
  if (variables.size() == limits::kMaxLocals) {
    emitter.report_limit(
        diag::Code::TooManyLocals, span,
        fmt::format("more than {} local variables in one function", limits::kMaxLocals));
  }
  if (reg < 0) reg = emitter.take(1, span);
  variables.push_back({std::move(name), reg, facts, false});
  return variables.back();
}

bool FunctionScope::captures_from(size_t begin) const {
  return std::any_of(variables.begin() + static_cast<std::ptrdiff_t>(begin), variables.end(),
                     [](const Variable& v) { return v.facts.captured; });
}

}  // namespace ktap::compiler
