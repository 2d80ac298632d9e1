// Closure + frozen world → SSA, for one group of events. By abstract interpretation of the
// bytecode: a register holds a constant of the world or an SSA value; known functions are inlined;
// branches on constants vanish.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bytecode/chunk.h"
#include "bytecode/reader_uses.h"
#include "diag/diagnostic.h"
#include "lower/machine.h"
#include "lower/samples.h"
#include "lower/world.h"
#include "runtime/heap.h"
#include "schema/builtin_vars.h"
#include "schema/event.h"
#include "ssa/function.h"

namespace ktap::lower {

/// Why a handler does not fit the kernel: the first operation that has no lowering.
struct Refusal {
  std::string text;  ///< "a table is built here", "arithmetic on a float"
  diag::Span span;
  uint32_t line = 0;
};

/// A mistake of the script that only shows with the events at hand: no such field, no `retval` in
/// this event.
struct EventMistake {
  std::string text;                  ///< "sys_enter_close has no field 'filename'"
  std::vector<std::string> choices;  ///< names that exist, for did-you-mean and the list
  std::string word;                  ///< what was asked for
  diag::Code code = diag::Code::NoSuchField;
  std::string hint;                   ///< what to write instead, "" when the choices say it
  const char* has = "the event has";  ///< before the list of all choices
  std::string whose;                  ///< of several events: which ones it is true of, "" of all
  bool lists_choices = true;          ///< false: only near ones are told
  diag::Span span;
  uint32_t line = 0;
};

/// Where user space takes each argument of an output call from, when the record of its site
/// arrives.
struct OutputArg {
  enum class Kind : uint8_t {
    Record,
    Constant,
    EventText,
    EventTextLine,
    Table,
    Call
  } kind = Kind::Record;
  uint32_t index = 0;    ///< Record: which of the site's args
  runtime::Value value;  ///< Constant: the value; Table: the table; Call: the built-in function
  std::vector<OutputArg> args;  ///< Call: what it is called with; it does not fail on these
};
/// Parallel to Module.sites by Site.user_index, for Print, Printf, PrintHist.
struct OutputSite {
  bytecode::Builtin builtin;  ///< Print, Printf, PrintHist
  std::vector<OutputArg> args;
  size_t failure = 0;  ///< of an Error: in module.failures
};

/// What a capture record holds, in the order of its site's args.
struct CaptureArg {
  enum class Kind : uint8_t {
    Var,
    Field,
    UserString,
    KernelString,
    Bytes,
    Memory,
    KernelStack,
    UserStack
  } kind = Kind::Var;
  schema::BuiltinVar var = schema::BuiltinVar::Pid;  ///< Var
  uint32_t field = 0;                                ///< Field: index in the event's fields
  uint32_t address_arg =
      0;  ///< UserString, KernelString, Bytes, Memory: which earlier arg holds the address
  uint32_t count_arg = UINT32_MAX;  ///< Bytes: likewise how many; or it is `element`
  // Memory: what lies at a member or element of what a pointer leads to.
  schema::CType of;    ///< what the pointer at the address leads to
  std::string member;  ///< "": an element
  int64_t element = 0;
  int32_t index_arg = -1;   ///< an element whose number an earlier arg holds; -1: `element`
  bool is_root = false;     ///< Memory: no member, an address of its own
  bool is_pointer = false;  ///< the value is a pointer, `curtask` too
  schema::CType target;     ///< of that pointer
};
struct CaptureSite {
  std::vector<CaptureArg> args;
  bool copies_stack = false;
  bytecode::Place stack_place;   ///< who asks for that
  bool filter_in_kernel = true;  ///< false: the VM runs the filter on the record
};

/// What the key and the values of a table are made of, as far as it had to be learnt: code that
/// came before took it for less. Kept from trial to trial.
struct Shape {
  std::vector<ssa::KeyPart> key;  ///< empty: nothing was learnt
  std::optional<ssa::KeyPart> value;
  bool may_be_nil = false;  ///< of a variable
  bool wants_key = false;   ///< a loop goes through the table that stood before any key
  friend bool operator==(const Shape&, const Shape&) = default;
};

/// A variable of the main chunk: captured, or a global by its slot.
struct Variable {
  const runtime::Cell* cell = nullptr;
  int64_t global = -1;
  bool valid() const { return cell != nullptr || global >= 0; }
  bool operator<(const Variable& other) const {
    return cell != other.cell ? std::less<const runtime::Cell*>()(cell, other.cell)
                              : global < other.global;
  }
  friend bool operator==(const Variable&, const Variable&) = default;
};

/// What handlers in the kernel read of aggregates: each word of the samples of a table of
/// aggregates, or of one aggregate, in a table of its own, which `<<<` adds to beside what user
/// space reads. Under the keys of the aggregates' table; of one aggregate, under `true`.
class Totals {
 public:
  using Key = std::pair<const runtime::Object*, runtime::SampleWord>;

  /// With what the main chunk left in the aggregate; made on the first call. `table` or `aggregate`
  /// is null.
  runtime::Table* of(const runtime::Table* table, const runtime::Aggregate* aggregate,
                     runtime::SampleWord word);
  const std::map<Key, runtime::Table*>& tables() const { return tables_; }
  /// Whose samples this table adds up, and what of them; null: it is one of the script's.
  const Key* what(const runtime::Table* table) const;
  void clear() { tables_.clear(); }
  friend bool operator==(const Totals& a, const Totals& b) { return a.tables_ == b.tables_; }

 private:
  std::map<Key, runtime::Table*> tables_;
  std::shared_ptr<runtime::Heap> heap_;  ///< of these tables; never collects
};

struct Shapes {
  std::map<const runtime::Table*, Shape> tables;
  std::map<Variable, Shape> variables;
  /// Of the tables that hold an aggregate's samples: by table or aggregate, and which of them.
  std::map<std::pair<const runtime::Object*, uint32_t>, Shape> samples;
  Totals totals;
  uint32_t longest_name = 0;    ///< of the strings that code knows by number
  bool names_have_nul = false;  ///< one of them cannot be bytes
  friend bool operator==(const Shapes&, const Shapes&) = default;
};

/// What all lowered functions of one run share, beside the module: the runtime objects behind the
/// ids.
struct Linkage {
  ssa::Module module;
  /// By table id; null: of aggregates' samples. Those of Shapes.totals are none of the script's.
  std::vector<runtime::Table*> tables;
  /// By table id: the variable that the table stands for. Its value is the entry under `true`, nil
  /// is no entry. Variables that hold integers alone are words (`cells`).
  std::vector<Variable> variables;
  Shapes shapes;  ///< when they differ behind a trial, its code is no good: again, with these
  /// The least that code took for the length of a string that it knows by number alone.
  std::optional<uint32_t> least_name_bound;
  std::vector<bool> value_is_known;           ///< by table id: an entry or a store has told
  std::vector<runtime::SampleParts> samples;  ///< by TableInfo.sample_of - 1
  std::vector<const runtime::Cell*> cells;    ///< by shared variable id; null for a global
  std::vector<int64_t> cell_globals;  ///< global slot by shared variable id, -1 for a captured one
  std::vector<OutputSite> outputs;    ///< by Site.user_index of Print, Printf, PrintHist
  std::vector<CaptureSite> captures;  ///< by Site.user_index of Capture
  /// Words of filters that are near a name that the event has; each once for every group and
  /// attempt.
  std::vector<EventMistake> warnings;
  /// What only lowering finds: members of the kernel's structs that are not there, and the like.
  std::vector<EventMistake> mistakes;
  /// Holds the strings among `outputs`' constants; never collects.
  std::unique_ptr<runtime::Heap> constants = std::make_unique<runtime::Heap>();
};

using Lowered = std::variant<ssa::Function, Refusal>;

struct Options {
  bool timestamps = false;  ///< -T: the first argument of each output and capture site is `ns`
  /// The readers of aggregates that the script has; null: it may have any, but of linear
  /// histograms.
  const bytecode::ReaderUses* readers = nullptr;
  Machine machine;
  /// lower_capture: send every event; the filter as a kernel program is too much for this kernel.
  bool unfiltered = false;
};

/// Behind the last handler: widens Linkage::shapes where one took a string for shorter than those
/// that others brought.
void learn_names(Linkage& linkage);

/// The names that `events` do not have, in all code that the handler and its filter can reach; each
/// place once, with the first event that lacks the name. Code that asks which event it runs on may
/// name what only some of them have. The same wherever the handler will run.
std::vector<EventMistake> check_names(const Handler& handler, const World& world,
                                      const std::vector<schema::EventPtr>& events);

/// The handler as kernel code. On a Refusal `linkage` is as before the call.
Lowered lower_handler(const Handler& handler, uint32_t handler_index, const World& world,
                      const ssa::EventGroup& group, const Options& options, Linkage& linkage);

/// Filter and capture for a handler that runs in user space. Never refuses: what the filter needs
/// is captured when it has no lowering. The captured set: every variable and field that a reachable
/// function may read.
Lowered lower_capture(const Handler& handler, uint32_t handler_index, const World& world,
                      const ssa::EventGroup& group, const Options& options, Linkage& linkage);

/// Which probes one program can serve.
struct ProbeSharing {
  bool has_attach_cookies = true;  ///< the kernel tells a program at which of its points it runs
  /// Kernel functions can be probed where they begin; else each takes a trampoline of its own.
  bool has_entry_probes = true;
};

/// Splits the events that a handler matches into groups that it sees alike: by kind, and among
/// system calls and probes by the positions and types of the fields that it reads.
std::vector<ssa::EventGroup> group_events(const Handler& handler, const World& world,
                                          const std::vector<schema::EventPtr>& events,
                                          const ProbeSharing& sharing, ssa::Module& module);

/// True when the handler (or its filter) reads anything of the event beyond its name: fields,
/// arguments, argstr.
bool reads_event(const ssa::Function& function, const ssa::Module& module);

}  // namespace ktap::lower
