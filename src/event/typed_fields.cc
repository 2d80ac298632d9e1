// `argN` and `retval` are words, whatever is known: programs of scripts must not change their
// meaning where debug information is installed. `args.NAME` is typed.
#include "event/typed_fields.h"

#include <fmt/format.h>

#include <utility>

#include "event/provider.h"
#include "symbol/registers.h"

namespace ktap::event {

using schema::CKind;
using schema::Fetch;
using schema::Field;
using schema::FieldKind;
using symbol::ArgumentPlace;

void set_type(const schema::KernelTypes& types, schema::CType type, Field* field) {
  const schema::CShape shape = types.shape(type);
  field->c_type = types.name(type);
  field->size_bytes = shape.size_bytes;
  field->is_signed = shape.is_signed;
  switch (shape.kind) {
    case CKind::Int:
    case CKind::Enum:
      field->kind = FieldKind::Int;
      break;
    case CKind::Bool:
      field->kind = FieldKind::Bool;
      break;
    case CKind::Pointer: {
      field->kind = FieldKind::Pointer;
      const CKind target = types.shape(shape.target).kind;
      // Text is read by kernel_string() or user_string(): whose it is the type does not say.
      if (!shape.is_text && target != CKind::Void && target != CKind::Opaque)
        field->target = shape.target;
      break;
    }
    default:
      field->kind = FieldKind::Opaque;
      return;
  }
  if (field->size_bytes > sizeof(void*)) field->kind = FieldKind::Opaque;
}

namespace {

bool is_text(const schema::KernelTypes& types, schema::CType type) {
  const schema::CShape shape = types.shape(type);
  return shape.kind == CKind::Pointer && shape.is_text;
}

/// False: nobody knows where it is.
bool set_place(const ArgumentPlace& place, const FetchContext& context, Field* field) {
  Fetch& fetch = field->fetch;
  switch (place.kind) {
    case ArgumentPlace::Kind::Register:
      fetch.base = Fetch::Base::Register;
      fetch.at = place.in.offset_bytes;
      return true;
    case ArgumentPlace::Kind::Stack: {
      const auto pointer = symbol::find_register(context.machine, "sp", true);
      if (!pointer) return false;
      fetch.base = Fetch::Base::Register;
      fetch.at = pointer->offset_bytes;
      fetch.steps.push_back({place.value, true, context.word_bytes});
      return true;
    }
    case ArgumentPlace::Kind::Constant:
      fetch.base = Fetch::Base::Constant;
      fetch.at = place.value;
      // Compilers write 200 of an unsigned byte as -56.
      if (field->kind != FieldKind::Opaque && field->size_bytes != 0) narrow_constant(field);
      return true;
    case ArgumentPlace::Kind::Unknown:
      break;
  }
  return false;
}

/// The characters that field number `of` points to.
void add_text(uint32_t of, const FetchContext& context, schema::Event* event) {
  Field text = event->fields[of];
  text.kind = FieldKind::Text;
  text.is_signed = false;
  text.fetch.steps.push_back({0, true, context.word_bytes});
  event->fields[of].as_text = static_cast<int32_t>(event->fields.size());
  event->fields.push_back(std::move(text));
  ++event->unnumbered_fields;
}

}  // namespace

void add_user_arguments(const schema::KernelTypes& types, const symbol::UserFunction& function,
                        const FetchContext& context, schema::Event* event) {
  std::vector<uint32_t> texts;
  std::vector<std::pair<uint32_t, Field>> untold;  // by the number of the word in its place
  const auto first = static_cast<uint32_t>(event->fields.size());
  for (const symbol::UserFunction::Parameter& parameter : function.parameters) {
    const auto number = static_cast<uint32_t>(event->fields.size()) - first + 1;
    Field field = register_field(
        parameter.name.empty() ? fmt::format("arg{}", number) : parameter.name, Fetch::Base::None);
    set_type(types, parameter.type, &field);
    if (!set_place(parameter.place, context, &field) && field.kind != FieldKind::Opaque) {
      field.kind = FieldKind::Opaque;
      field.target = {};
      field.c_type += " that the compiler has optimised away, or put where nobody says";
      Field word = register_field(field.name, Fetch::Base::None);
      word.c_type = types.name(parameter.type);
      if (set_place(parameter.usual, context, &word)) {  // argN, as without debug information
        word.size_bytes = context.word_bytes;
        field.fetch = {};
        field.fetch.base = Fetch::Base::Constant;
        untold.emplace_back(static_cast<uint32_t>(event->fields.size()), std::move(field));
        event->fields.push_back(std::move(word));
        continue;
      }
    }
    if (field.kind == FieldKind::Opaque) {
      field.fetch = {};
      field.fetch.base = Fetch::Base::Constant;  // its word in a record: 0
    } else if (is_text(types, parameter.type)) {
      texts.push_back(static_cast<uint32_t>(event->fields.size()));
    }
    event->fields.push_back(std::move(field));
  }
  const uint32_t in_registers = symbol::register_argument_count(context.machine);
  for (auto i = static_cast<uint32_t>(function.parameters.size()) + 1;
       function.is_variadic && i <= in_registers; ++i) {
    Field field = register_field(fmt::format("arg{}", i), Fetch::Base::Argument);
    field.fetch = argument_fetch(context, i);
    event->fields.push_back(std::move(field));
  }
  for (const uint32_t of : texts) add_text(of, context, event);
  for (auto& [of, field] : untold) {
    event->fields[of].as_text = static_cast<int32_t>(event->fields.size());
    event->fields.push_back(std::move(field));
    ++event->unnumbered_fields;
  }
}

bool type_result(const schema::KernelTypes& types, schema::CType type, std::vector<Field>* fields) {
  const Field word = fields->back();
  set_type(types, type, &fields->back());
  if (fields->back().kind != FieldKind::Opaque) return true;
  Field unread = fields->back();
  unread.fetch = {};
  unread.fetch.base = Fetch::Base::Constant;
  fields->back() = word;
  fields->back().as_text = static_cast<int32_t>(fields->size());
  fields->push_back(std::move(unread));
  return false;
}

void type_user_result(const schema::KernelTypes& types, const symbol::UserFunction& function,
                      const FetchContext& context, schema::Event* event) {
  if (!function.is_result_told) return;
  const auto index = static_cast<uint32_t>(event->fields.size() - 1);
  if (!type_result(types, function.result, &event->fields)) {
    ++event->unnumbered_fields;
  } else if (is_text(types, function.result)) {
    add_text(index, context, event);
  }
}

}  // namespace ktap::event
