// The event's variables, fields and members that code mentions, and the strings it reads through
// them: what grouping compares and what a capture sends. From the text of the code alone, so more
// than any one run reads.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "lower/world.h"
#include "schema/builtin_vars.h"

namespace ktap::lower {

/// user_string() or kernel_string() of something that the event has.
struct StringRead {
  uint32_t limit_bytes = 0;  ///< the largest that is asked for
  bytecode::Place place;     ///< of the first call
};

/// What is read as a string, straight.
struct StringReads {
  std::map<schema::BuiltinVar, StringRead> vars;
  std::map<std::string, StringRead> fields;
  std::map<std::string, StringRead> members;
};

/// Sets, so that the order is fixed.
struct EventNames {
  std::set<schema::BuiltinVar> vars;  ///< EventVar
  std::set<std::string> fields;       ///< args.NAME and bare names of filters
  std::set<std::string> members;      ///< .NAME of any value: it may be the event
  StringReads user_strings;
  StringReads kernel_strings;
  // Where each was read first.
  std::map<schema::BuiltinVar, bytecode::Place> var_places;
  std::map<std::string, bytecode::Place> name_places;  ///< fields and members
  bool event_escapes = false;  ///< the event object itself is printed or passed on
};

/// Adds what `function` (nil: nothing) and all it can reach mention.
void collect_names(runtime::Value function, const World& world, EventNames& names);

}  // namespace ktap::lower
