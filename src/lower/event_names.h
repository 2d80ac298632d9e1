// The event's variables, fields and members that code mentions, and the strings it reads through
// them: what grouping compares and what a capture sends. From the text of the code alone, so more
// than any one run reads.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "lower/world.h"
#include "schema/builtin_vars.h"

namespace ktap::lower {

/// Sets, so that the order is fixed.
struct EventNames {
  std::set<schema::BuiltinVar> vars;  ///< EventVar
  std::set<std::string> fields;       ///< args.NAME and bare names of filters
  std::set<std::string> members;      ///< .NAME of any value: it may be the event
  // user_string() of one of these, straight.
  std::set<schema::BuiltinVar> string_vars;
  std::set<std::string> string_fields;
  std::set<std::string> string_members;
  bool event_escapes = false;  ///< the event object itself is printed or passed on
};

/// Adds what `function` (nil: nothing) and all it can reach mention.
void collect_names(runtime::Value function, const World& world, EventNames& names);

}  // namespace ktap::lower
