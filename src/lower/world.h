// The frozen world: what handlers see when the main chunk has ended, and which of it they change. A
// variable that no handler assigns is a constant; a table that no handler rebuilds has a known
// identity.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
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
  bytecode::Place place = {};  ///< of the event text; of a built-in function as handler, too
};

/// Kinds of values that code may write, as bits.
enum ValueKind : uint8_t {
  kInteger = 1,
  kFloat = 2,
  kNil = 4,
  kBoolean = 8,
  kString = 16,
  kOther = 32,  ///< tables, functions, multi-keys, aggregates …
  kStack = 64,
  kPointer = 128,  ///< to kernel memory
};

/// The strings that a place may hold: some that the code names, or any of a length.
struct Texts {
  std::set<std::string> known;
  uint32_t bytes = 0;  ///< not 0: any string of up to this many bytes, and `known` is empty

  void add(std::string_view text);
  void add_made(uint32_t at_most);
  /// True when this grew.
  bool merge(const Texts& other);
};

/// What timers store in one place: a variable, a part of a key, the values of a table.
struct Stored {
  uint8_t kinds = 0;  ///< of ValueKind
  Texts texts;
  bool is_unsure = false;  ///< integers or strings: an event's format would tell

  /// True when this grew.
  bool merge(const Stored& other);
};

/// What timers store in a table, while handlers may use it in the kernel.
struct StoredEntries {
  bool has_keys = false;     ///< others than the table has without them
  bool keys_differ = false;  ///< in the number of their parts
  std::vector<Stored> key;   ///< by part
  Stored value;              ///< kNil: entries are removed
};

struct World {
  const std::vector<runtime::Value>* globals = nullptr;
  const std::vector<std::string>* global_names = nullptr;  ///< may be null; for messages alone
  std::set<uint32_t> assigned_globals;                     ///< slots that some handler assigns
  std::set<const runtime::Cell*> assigned_cells;  ///< captured variables that some handler assigns
  std::set<const runtime::Table*>
      written_tables;  ///< some handler sets, updates or deletes entries
  // What is written to them, as a set of ValueKind.
  std::map<uint32_t, uint8_t> global_kinds;
  std::map<const runtime::Cell*, uint8_t> cell_kinds;
  std::map<const runtime::Table*, uint8_t> table_kinds;
  std::set<const runtime::Table*> sampled_tables;  ///< some handler adds samples to cells
  std::set<const runtime::Table*>
      stored_tables;  ///< something else than samples may be written (removal apart)
  // What timers store in them, who run in user space while other handlers run in the kernel.
  std::map<const runtime::Table*, StoredEntries> timer_tables;
  std::map<const runtime::Cell*, Stored> timer_cells;
  std::map<uint32_t, Stored> timer_globals;
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
/// The built-in functions that they may call though their code does not name them: those that the
/// variables and tables hold.
std::set<bytecode::Builtin> kept_builtins(runtime::Value function, const World& world);

}  // namespace ktap::lower
