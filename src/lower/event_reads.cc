// Names on events; see event_reads.h. The table of special names is the language's section 7.
#include "lower/event_reads.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/limits.h"
#include "diag/diagnostic.h"

namespace ktap::lower {

namespace {

using schema::BuiltinVar;
using schema::EventKind;
using schema::FieldKind;

EventRead at_index(const schema::Event& event, size_t index, size_t count) {
  EventRead read;
  if (index >= count) {
    read.kind = EventRead::Kind::Nil;
    return read;
  }
  read.kind = event.fields[index].kind == FieldKind::Opaque ? EventRead::Kind::Opaque
                                                            : EventRead::Kind::Field;
  read.field = static_cast<uint32_t>(index);
  return read;
}

EventRead at_index(const schema::Event& event, size_t index) {
  return at_index(event, index, event.fields.size());
}

/// Which field is what the function or system call gave.
std::optional<size_t> result_index(const schema::Event& event) {
  if (event.leaves_syscall() && event.fields.size() > 1) return 1;
  if (event.kind != EventKind::ProbeReturn) return std::nullopt;
  // A fetch argument of that name stands before the function's own result.
  for (size_t i = event.own_fields(); i-- > 0;) {
    const FieldKind kind = event.fields[i].kind;  // not what stands for `args.retval` alone
    if (event.fields[i].name == "retval" && kind != FieldKind::Text && kind != FieldKind::Opaque)
      return i;
  }
  return std::nullopt;
}

/// What a function has and gives is a number by place, whatever is known of its type.
EventRead as_word(const schema::Event& event, EventRead read) {
  read.is_word = schema::gives_registers(event.kind);
  return read;
}

EventRead of(EventRead::Kind kind) {
  EventRead read;
  read.kind = kind;
  return read;
}

}  // namespace

EventRead read_variable(const schema::Event& event, BuiltinVar var) {
  switch (var) {
    case BuiltinVar::Retval: {
      const std::optional<size_t> result = result_index(event);
      return result ? as_word(event, at_index(event, *result)) : of(EventRead::Kind::Missing);
    }
    case BuiltinVar::Probename:
      return of(EventRead::Kind::Name);
    case BuiltinVar::Argstr:
      return of(EventRead::Kind::Text);
    case BuiltinVar::EventObject:
      return of(EventRead::Kind::Object);
    case BuiltinVar::Arg0:
    case BuiltinVar::Arg1:
    case BuiltinVar::Arg2:
    case BuiltinVar::Arg3:
    case BuiltinVar::Arg4:
    case BuiltinVar::Arg5:
    case BuiltinVar::Arg6:
    case BuiltinVar::Arg7:
    case BuiltinVar::Arg8:
    case BuiltinVar::Arg9:
      return as_word(
          event, at_index(event, static_cast<size_t>(var) - static_cast<size_t>(BuiltinVar::Arg0),
                          event.fields.size() - event.unnumbered_fields));
    default: {
      EventRead read = of(EventRead::Kind::Var);
      read.var = var;
      return read;
    }
  }
}

EventRead read_field(const schema::Event& event, const std::string& name) {
  const int index = event.find_field(name);
  if (index < 0) return of(EventRead::Kind::Missing);
  EventRead read = at_index(event, static_cast<size_t>(index));
  read.is_pointer = event.fields[read.field].target != schema::CType{};
  return read;
}

EventRead read_member(const schema::Event& event, const std::string& name) {
  const bool is_syscall = event.enters_syscall() || event.leaves_syscall();
  if (name == "name") return of(EventRead::Kind::Name);
  if (name == "tostring") return of(EventRead::Kind::TextFunction);
  if (name == "retval") {
    const std::optional<size_t> result = result_index(event);
    return result ? as_word(event, at_index(event, *result)) : of(EventRead::Kind::Nil);
  }
  if (name == "sc_nr") return is_syscall ? at_index(event, 0) : of(EventRead::Kind::Nil);
  if (name == "sc_is_enter") {
    if (!is_syscall) return of(EventRead::Kind::Nil);
    EventRead read = of(EventRead::Kind::Bool);
    read.boolean = event.enters_syscall();
    return read;
  }
  if (name.size() == 7 && name.compare(0, 6, "sc_arg") == 0 && name[6] >= '1' && name[6] <= '6') {
    if (!event.enters_syscall()) return of(EventRead::Kind::Nil);
    return at_index(event, static_cast<size_t>(name[6] - '0'));
  }
  return read_field(event, name);
}

bool is_string_field(const schema::Field& field) {
  return field.kind == FieldKind::CharArray || field.kind == FieldKind::DynString ||
         field.kind == FieldKind::RelString || field.kind == FieldKind::Text;
}

uint32_t string_bytes(const schema::Field& field) {
  if (field.kind != FieldKind::CharArray) return limits::kStringBytes;
  if (field.size_bytes <= 16) return 16;
  return field.size_bytes <= 64 ? 64 : limits::kStringBytes;
}

std::vector<std::string> field_names(const schema::Event& event) {
  std::vector<std::string> names;
  for (const schema::Field& field : event.fields) {
    if (field.name.compare(0, 2, "__") == 0 && !schema::is_syscall(event.kind)) continue;
    if (std::find(names.begin(), names.end(), field.name) == names.end())
      names.push_back(field.name);
  }
  return names;
}

namespace {

/// The built-in variable that a filter's word may mean, when no field is as near; "": none.
std::string near_variable(const std::string& word, const std::vector<std::string>& fields) {
  constexpr size_t kShortest = 3;  // of fewer letters everything is near
  if (word.size() < kShortest || !diag::nearest(word, fields).empty()) return "";
  std::vector<std::string> names;
  for (const auto var : {
#define KTAP_BUILTIN_VAR(name, spelling) BuiltinVar::name,
#include "schema/builtin_vars.def"
#undef KTAP_BUILTIN_VAR
       })
    if (schema::builtin_var_name(var).size() >= kShortest)
      names.emplace_back(schema::builtin_var_name(var));
  const std::vector<std::string> near = diag::nearest(word, names);
  return near.empty() ? "" : near.front();
}

}  // namespace

std::string kept_at_entry(const schema::Event& event, const std::string& name) {
  return fmt::format(
      "keep it in a table when the function is called, by a handler of {} with `kept[tid] = "
      "args.{}`, "
      "and use kept[tid] here",
      event.name.substr(0, event.name.rfind('%')), name);
}

EventMistake missing_field(const schema::Event& event, const std::string& name,
                           const bytecode::Place& place) {
  EventMistake mistake;
  mistake.text = fmt::format("{} has no field '{}'", event.name, name);
  mistake.choices = field_names(event);
  mistake.word = name;
  const auto var = schema::find_builtin_var(name);
  if (var && read_variable(event, *var).kind != EventRead::Kind::Missing)
    mistake.hint = fmt::format("write `{}`: args.NAME and e.NAME are fields", name);
  const std::string near = var ? "" : near_variable(name, mistake.choices);
  if (!near.empty()) mistake.hint = fmt::format("the nearest built-in variable: {}", near);
  if (event.kind == EventKind::Probe && event.point.path.empty() && event.find_field("arg1") > 0)
    mistake.hint =
        "this kernel's type information (BTF) does not have the function: its arguments have no "
        "names here, they are arg1, arg2 …";
  if (event.kind == EventKind::ProbeReturn && mistake.hint.empty() &&
      diag::nearest(name, mistake.choices).empty())
    mistake.hint = fmt::format(
        "of what a function was called with nothing is left when it returns; if it has a '{}', {}",
        name, kept_at_entry(event, name));
  const bool is_marker = event.system.compare(0, 4, "sdt:") == 0;  // its arguments have no names
  if (event.kind == EventKind::Probe && !event.point.path.empty() && !is_marker &&
      event.find_field("arg1") > 0)
    mistake.hint = fmt::format(
        "{} has no debug information of what the function is called with: that has no names here, "
        "it is arg1, arg2 …",
        event.point.path);
  mistake.span = place.span;
  mistake.line = place.line;
  return mistake;
}

EventMistake missing_variable(const schema::Event& event, BuiltinVar var,
                              const bytecode::Place& place) {
  EventMistake mistake;
  mistake.code = diag::Code::NoSuchVariableHere;
  mistake.text = fmt::format("{} gives no '{}'", event.name, schema::builtin_var_name(var));
  mistake.word = std::string(schema::builtin_var_name(var));
  mistake.span = place.span;
  mistake.line = place.line;
  return mistake;
}

EventMistake opaque_field(const schema::Event& event, uint32_t field,
                          const bytecode::Place& place) {
  EventMistake mistake;
  const schema::Field& what = event.fields[field];
  mistake.text = what.c_type == "void"
                     ? fmt::format("{} has no 'args.{}': the function returns nothing (void)",
                                   event.name, what.name)
                     : fmt::format("field '{}' of {} is '{}', which a script cannot read",
                                   what.name, event.name, what.c_type);
  mistake.word = event.fields[field].name;
  mistake.span = place.span;
  mistake.line = place.line;
  return mistake;
}

}  // namespace ktap::lower
