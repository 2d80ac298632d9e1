// The event's variables, fields and members that code mentions, and the strings it reads through
// them: what grouping compares and what a capture sends. From the text of the code alone, so more
// than any one run reads.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lower/world.h"
#include "schema/builtin_vars.h"
#include "schema/kernel_types.h"

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

/// Kernel memory that straight code reads: `curtask.mm.exe_file`, cast("int *", args.p)[0]. A step
/// of such a chain; its parent stands before it.
struct KernelRead {
  enum class Kind : uint8_t {
    Task,       ///< curtask
    Event,      ///< a field of the event's, where it is a pointer of a known type
    Constant,   ///< a pointer that the main chunk made
    Cast,       ///< cast(text, from)
    TaskBytes,  ///< curr_taskinfo(number, …): a pointer to a `text` there
    Member,     ///< parent.text
    Element,    ///< parent[number]
    ElementAt   ///< parent[from]: of the event, Var, Field or Member
  } kind = Kind::Task;
  /// Where the address of a cast or an index comes from; of Event: Field or Member.
  enum class From : uint8_t { Var, Field, Member, Number, Symbol, Read } from = From::Number;
  int parent = -1;  ///< Member, Element; Cast from Read
  std::string text;
  std::string from_name;  ///< Field, Member, Symbol
  schema::BuiltinVar from_var = schema::BuiltinVar::Pid;
  int64_t number = 0;  ///< Element; Cast from Number; Constant: its address; TaskBytes
  schema::CType type;  ///< Constant: what it points to
  bytecode::Place place;

  bool is_same(const KernelRead& other) const {
    return kind == other.kind && from == other.from && parent == other.parent &&
           text == other.text && from_name == other.from_name && from_var == other.from_var &&
           number == other.number && type == other.type;
  }
};

/// buf() of what the event has; how many bytes: known, or what the event has. Of both parts only
/// `from` and what goes with it counts: Var, Field or Member; the count may be a Number.
struct BytesRead {
  KernelRead address;
  KernelRead count;
  bytecode::Place place;  ///< of the first call
};

/// What kaddr() or enum_name() is called with where that stands in the code: it must be there.
struct KernelName {
  bytecode::Builtin builtin;
  std::string text;
  bytecode::Place place;
};

/// Sets, so that the order is fixed.
struct EventNames {
  std::set<schema::BuiltinVar> vars;  ///< EventVar
  std::set<std::string> fields;       ///< args.NAME and bare names of filters
  std::set<std::string> members;      ///< .NAME of any value: it may be the event
  StringReads user_strings;
  StringReads kernel_strings;
  std::vector<BytesRead> bytes;
  std::vector<KernelRead> kernel_reads;
  std::vector<KernelName> kernel_names;
  // Where each was read first.
  std::map<schema::BuiltinVar, bytecode::Place> var_places;
  std::map<std::string, bytecode::Place> name_places;  ///< fields and members
  /// Frames that calls of stack() and ustack() ask for, those that are left out too; 0: no call.
  uint32_t kernel_frames = 0;
  uint32_t user_frames = 0;
  bool unwinds_stack = false;    ///< ustack("dwarf")
  bool asks_stack_late = false;  ///< ustack() of what is not known there
  bool names_dwarf = false;      ///< that string stands somewhere
  bytecode::Place stack_place;   ///< of the first
  bool event_escapes = false;    ///< the event object itself is printed or passed on

  bool copies_stack() const { return unwinds_stack || (asks_stack_late && names_dwarf); }
};

/// Adds what `function` (nil: nothing) and all it can reach mention.
void collect_names(runtime::Value function, const World& world, EventNames& names);

}  // namespace ktap::lower
