// What the event gives: variables, fields, e.NAME. A name that the event does not have ends the run
// of the handler; where that is sure, check_names() has found it before.
#include <fmt/format.h>

#include <utility>

#include "diag/diagnostic.h"
#include "lower/lowerer.h"

namespace ktap::lower {

ssa::ValueId Lowerer::read_var(schema::BuiltinVar var) {
  if (var == schema::BuiltinVar::InInterrupt) return in_interrupt();
  ssa::Inst inst{ssa::Op::EventVar, ssa::Type::Int};
  inst.imm = static_cast<int64_t>(var);
  if (var == schema::BuiltinVar::Execname) {
    inst.type = ssa::Type::Str;
    inst.str_kind = ssa::StrKind::Bytes;
    inst.max_bytes = 16;
  } else if (var == schema::BuiltinVar::Probename) {
    inst.type = ssa::Type::Str;
    inst.str_kind = ssa::StrKind::Id;
  }
  return emit(std::move(inst));
}

ssa::ValueId Lowerer::read_event_field(uint32_t field, bool is_word) {
  const schema::Field& f = event().fields[field];
  const bool is_bool = f.kind == schema::FieldKind::Bool && !is_word;
  if (f.fetch.is_followed()) return follow_fetch(field, is_bool);
  ssa::Inst inst{ssa::Op::EventField, ssa::Type::Int};
  inst.imm = field;
  if (is_bool) inst.type = ssa::Type::Bool;
  if (is_of_bytes(field)) {
    inst.type = ssa::Type::Str;
    inst.str_kind = ssa::StrKind::Bytes;
    inst.max_bytes = f.size_bytes;
  } else if (is_string_field(f)) {
    inst.type = ssa::Type::Str;
    inst.str_kind = ssa::StrKind::Bytes;
    inst.max_bytes = string_bytes(f);
  }
  return emit(std::move(inst));
}

AbstractValue Lowerer::event_read(const EventRead& read, const std::string& name) {
  switch (read.kind) {
    case EventRead::Kind::Var:
      if (read.var == schema::BuiltinVar::Curtask) return current_task();
      return AbstractValue::ssa(read_var(read.var));
    case EventRead::Kind::Field: {
      const ssa::ValueId id = read_event_field(read.field, read.is_word);
      if (is_of_bytes(read.field))  // as buf() of it
        return rendered(bytecode::Builtin::Buf,
                        {AbstractValue::ssa(id),
                         AbstractValue::of(int64_t{event().fields[read.field].size_bytes})});
      return read.is_pointer ? pointer_of(read.field, id) : AbstractValue::ssa(id);
    }
    case EventRead::Kind::Nil:
      return AbstractValue::nil();
    case EventRead::Kind::Bool:
      return AbstractValue::boolean(read.boolean);
    case EventRead::Kind::Name:
      if (group_.events.size() == 1) return AbstractValue::string(event().name);
      return AbstractValue::ssa(read_var(schema::BuiltinVar::Probename));
    case EventRead::Kind::Text:
      return AbstractValue::of_kind(Kind::EventText);
    case EventRead::Kind::TextFunction: {
      AbstractValue v = AbstractValue::of_kind(Kind::Builtin);
      v.integer = static_cast<int64_t>(bytecode::Builtin::EventTostring);
      return v;
    }
    case EventRead::Kind::Object:
      return AbstractValue::of_kind(Kind::Event);
    case EventRead::Kind::Opaque:
    case EventRead::Kind::Missing:
      break;
  }
  // check_names() let it pass: only some of the handler's events lack it. The VM's words.
  const bool is_variable = schema::find_builtin_var(name).has_value();
  fail_now(is_variable ? fmt::format("the event gives no '{}'", name)
                       : fmt::format("the event has no field '{}'", name));
  return AbstractValue::nil();
}

AbstractValue Lowerer::event_var(schema::BuiltinVar var) {
  return event_read(read_variable(event(), var), std::string(schema::builtin_var_name(var)));
}

/// `/comm == prev_com/` compares with a word where a field was meant, perhaps.
void Lowerer::warn_of_near_name(const std::string& word) {
  EventMistake warning = missing_field(event(), word, place_);
  for (size_t i = 0; i <= static_cast<size_t>(schema::BuiltinVar::EventObject); ++i) {
    warning.choices.emplace_back(schema::builtin_var_name(static_cast<schema::BuiltinVar>(i)));
  }
  if (word.size() < 3 || diag::nearest(word, warning.choices).empty()) return;
  warning.text = fmt::format("'{}' is taken as a word: {} has no such field", word, event().name);
  linkage_.warnings.push_back(std::move(warning));
}

AbstractValue Lowerer::event_field(const std::string& name, bool or_word) {
  const EventRead read = read_field(event(), name);
  if (or_word && read.kind == EventRead::Kind::Missing) {
    warn_of_near_name(name);
    return AbstractValue::string(name);
  }
  return event_read(read, name);
}

AbstractValue Lowerer::event_member(const std::string& name) {
  return event_read(read_member(event(), name), name);
}

}  // namespace ktap::lower
