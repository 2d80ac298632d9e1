// What a name means on the events of one group: args.NAME, arg3, e.sc_nr … → a field, a constant or
// a mistake. One place for lowering, capture and grouping.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bytecode/chunk.h"
#include "lower/lower.h"
#include "schema/builtin_vars.h"
#include "schema/event.h"
#include "ssa/function.h"

namespace ktap::lower {

/// A value that the event gives.
struct EventRead {
  enum class Kind : uint8_t {
    Var,           ///< pid, execname …: of the moment
    Field,         ///< index in the event's fields
    Nil,           ///< argN beyond the fields, e.sc_nr where no system call is
    Bool,          ///< known from the kind of event
    Name,          ///< probename
    Text,          ///< argstr
    TextFunction,  ///< e.tostring
    Object,        ///< e itself
    Missing,       ///< no such field or variable
    Opaque,        ///< there, but no value of the language
  } kind = Kind::Missing;
  schema::BuiltinVar var = schema::BuiltinVar::Pid;
  uint32_t field = 0;
  bool boolean = false;
  bool is_pointer = false;  ///< Field: to kernel memory of a known type; else it is the address
  bool is_word = false;     ///< Field: as a plain number, a boolean as 0 or 1
};

EventRead read_variable(const schema::Event& event, schema::BuiltinVar var);
/// args.NAME and bare names in filters.
EventRead read_field(const schema::Event& event, const std::string& name);
/// e.NAME: the special names first; they are nil where the event has nothing for them.
EventRead read_member(const schema::Event& event, const std::string& name);

/// Bytes of a string field as a value: 16, 64 or 256.
uint32_t string_bytes(const schema::Field& field);
bool is_string_field(const schema::Field& field);

std::vector<std::string> field_names(const schema::Event& event);
/// The script asks for a field that the event does not have, by args.NAME or a bare name.
EventMistake missing_field(const schema::Event& event, const std::string& name,
                           const bytecode::Place& place);
/// What to do about an argument that is not there at the function's return.
std::string kept_at_entry(const schema::Event& event, const std::string& name);
/// The script reads a built-in variable that the event does not give.
EventMistake missing_variable(const schema::Event& event, schema::BuiltinVar var,
                              const bytecode::Place& place);
/// The field is there, but it is no value of the language.
EventMistake opaque_field(const schema::Event& event, uint32_t field, const bytecode::Place& place);

}  // namespace ktap::lower
