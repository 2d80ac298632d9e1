// See kernel_types.h.
#include "lower/kernel_types.h"

#include <fmt/format.h>

#include <utility>

namespace ktap::lower {

namespace {

Error note(std::vector<EventMistake>* mistakes, EventMistake mistake) {
  Error error{mistake.text};
  if (mistakes != nullptr) mistakes->push_back(std::move(mistake));
  return error;
}

}  // namespace

Result<schema::CMember> find_member(const schema::KernelTypes& types, schema::CType of,
                                    const std::string& name, std::vector<EventMistake>* mistakes) {
  if (const auto member = types.member(of, name)) return *member;
  EventMistake mistake;
  mistake.code = diag::Code::NoStructMember;
  mistake.word = name;
  const schema::CShape shape = types.shape(of);
  if (shape.kind == schema::CKind::Struct) {
    mistake.text = fmt::format("'{}' has no member '{}'", types.name(of), name);
    mistake.choices = types.member_names(of);
    mistake.has = "it has";
  } else {
    mistake.text = fmt::format("'{}' leads to no struct that could have a member '{}'",
                               types.name({of.id, of.pointers + 1}), name);
    if (shape.kind != schema::CKind::Void && shape.kind != schema::CKind::Opaque)
      mistake.hint = "write [0] for what it points to";
  }
  return note(mistakes, std::move(mistake));
}

EventMistake no_kernel_symbol(const Error& error) {
  EventMistake mistake;
  mistake.code = diag::Code::NoKernelSymbol;
  mistake.text = error.message;
  return mistake;
}

Result<schema::CType> cast_target(const schema::KernelTypes& types, const std::string& text,
                                  std::vector<EventMistake>* mistakes) {
  EventMistake mistake;
  mistake.code = diag::Code::NoKernelType;
  Result<schema::CType> type = types.parse(text);
  if (type.ok()) {
    if (type.value().pointers > 0) return schema::CType{type.value().id, type.value().pointers - 1};
    const schema::CShape shape = types.shape(type.value());
    if (shape.kind == schema::CKind::Pointer) return shape.target;
    mistake.text = fmt::format("cast() makes pointers, and '{}' is none", text);
    mistake.hint = fmt::format("write \"{} *\"", text);
  } else {
    mistake.text = type.error().message;
    mistake.choices = types.names_like(text);
    mistake.word = text.substr(0, text.find_last_not_of("* ") + 1);
    mistake.lists_choices = false;
  }
  return note(mistakes, std::move(mistake));
}

Result<schema::CType> enum_type(const schema::KernelTypes& types, const std::string& text,
                                std::vector<EventMistake>* mistakes) {
  const Result<schema::CType> type = types.parse(text);
  if (type.ok() && !types.enumerators(type.value()).empty()) return type.value();
  if (const auto named = types.enum_of(text)) return *named;
  EventMistake mistake;
  mistake.code = diag::Code::NoKernelType;
  mistake.text = type.ok() ? fmt::format("'{}' is no enum", text)
                           : fmt::format("this kernel has no enum, and no name in one, '{}'", text);
  mistake.word = text;
  mistake.lists_choices = false;
  if (!type.ok()) mistake.choices = types.names_like(text);
  return note(mistakes, std::move(mistake));
}

std::string pointer_index_error(runtime::Type got) {
  return fmt::format("a pointer is indexed by integers and names of members, got {}",
                     runtime::type_phrase(got));
}

}  // namespace ktap::lower
