// The frozen world: what handlers see when the main chunk has ended, and which of it they change. A
// variable that no handler assigns is a constant; a table that no handler rebuilds has a known
// identity.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "bytecode/chunk.h"
#include "runtime/closure.h"
#include "runtime/table.h"
#include "runtime/value.h"

namespace ktap::lower {

/// One registered handler, as the session has it.
struct Handler {
  runtime::Value function;  ///< closure (or built-in function)
  runtime::Value filter;    ///< nil or closure
  bool is_event =
      false;  ///< an event handler: a candidate for the kernel; else tick, profile, trace_end
  bool at_end = false;  ///< trace_end: runs when no other handler does, so its writes disturb none
};

struct World {
  const std::vector<runtime::Value>* globals = nullptr;
  const std::vector<std::string>* global_names = nullptr;  ///< may be null; for messages alone
  std::set<uint32_t> assigned_globals;                     ///< slots that some handler assigns
  std::set<const runtime::Cell*> assigned_cells;  ///< captured variables that some handler assigns
  std::set<const runtime::Table*>
      written_tables;  ///< some handler sets, updates or deletes entries
  // The same, where what is written may be something else than an integer (tables: or nil).
  std::set<uint32_t> mixed_globals;
  std::set<const runtime::Cell*> mixed_cells;
  std::set<const runtime::Table*> mixed_tables;
  std::set<const runtime::Table*> sampled_tables;  ///< some handler adds samples to cells
  std::set<const runtime::Table*>
      stored_tables;  ///< something else than samples may be written (removal apart)
};

/// Walks all functions that the handlers can reach (children, known callees through constants of
/// the world). A field of an event counts as an integer here: events are not known yet.
/// `global_names` may be null. Both vectors outlive the world.
World freeze(const std::vector<Handler>& handlers, const std::vector<runtime::Value>& globals,
             const std::vector<std::string>* global_names = nullptr);

/// Every function that may run when `function` is called: its own code, functions written inside
/// it, and those that its variables lead to, through tables too. In a fixed order, without doubles.
std::vector<const bytecode::Function*> reachable_functions(runtime::Value function,
                                                           const World& world);

}  // namespace ktap::lower
