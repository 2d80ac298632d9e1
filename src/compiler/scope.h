// What a function in the making has in scope: its variables with their registers, its blocks and
// loops, and the chain of enclosing functions through which captured variables are found.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/analysis.h"
#include "compiler/emitter.h"

namespace ktap::compiler {

/// What a function is for: decides how its bare names resolve.
enum class Role : uint8_t {
  Main,
  Plain,
  Handler,
  TimerHandler,
  EndHandler,
  EventFilter,
  TimerFilter
};

/// Where code runs, as far as its text shows: decides what of an event is there.
enum class Where : uint8_t { Unknown, Main, Event, Timer, End };

struct Variable {
  std::string name;  ///< "" for a loop's hidden registers
  int reg = 0;
  VariableFacts facts;
  bool is_event = false;  ///< the parameter of an inline handler: the event object
};

struct Block {
  size_t variables_begin = 0;
  int first_register = 0;
};

struct Loop {
  size_t block = 0;  ///< index of the block of the loop's body
  Label* break_label = nullptr;
  Label* continue_label = nullptr;  ///< null in a repeat loop
  /// Repeat only: `continue` jumps here, by the first register of a body variable not declared yet.
  std::map<int, Label>* repeat_labels = nullptr;
};

struct FunctionScope {
  FunctionScope(FunctionScope* parent_scope, Role its_role, Emitter its_emitter);

  FunctionScope* parent;
  Role role;
  Where where;
  Emitter emitter;
  bool in_handler;       ///< this function or one around it is a handler
  bool in_event_filter;  ///< … is the filter of an event
  bool in_timer_filter;  ///< … of a timer
  std::vector<Variable> variables;
  std::vector<Block> blocks;
  std::vector<Loop> loops;

  const Variable* find(std::string_view name) const;
  /// Index of the upvalue that is `name` in an enclosing function, made when new; -1 when no
  /// function has it.
  int upvalue(const std::string& name, diag::Span span);
  /// Takes the next register when `reg` is -1.
  Variable& declare(std::string name, int reg, VariableFacts facts, diag::Span span);
  /// Registers from this one on hold no variable.
  int first_temporary() const { return variables.empty() ? 0 : variables.back().reg + 1; }
  /// True when a variable from index `begin` on is captured.
  bool captures_from(size_t begin) const;
};

}  // namespace ktap::compiler
