// See facts.h. Everything here only grows, so that the freeze comes to an end.
#include "lower/facts.h"

#include <algorithm>
#include <tuple>
#include <variant>

#include "base/limits.h"

namespace ktap::lower {

namespace {

/// More strings than this count by their length alone.
constexpr size_t kMostTexts = 32;
constexpr uint32_t kNameBytes = 16;  // of a task (TASK_COMM_LEN)

}  // namespace

void Texts::add(std::string_view text) {
  if (bytes != 0) return add_made(static_cast<uint32_t>(text.size()));
  known.emplace(text);
  if (known.size() > kMostTexts) add_made(1);
}

void Texts::add_made(uint32_t at_most) {
  bytes = std::max(bytes, at_most);
  for (const std::string& text : known) bytes = std::max(bytes, static_cast<uint32_t>(text.size()));
  known.clear();
}

bool Texts::merge(const Texts& other) {
  const std::pair<size_t, uint32_t> before{known.size(), bytes};
  if (other.bytes != 0) add_made(other.bytes);
  for (const std::string& text : other.known) add(text);
  return before != std::pair<size_t, uint32_t>{known.size(), bytes};
}

bool Stored::merge(const Stored& other) {
  const auto before = std::make_pair(kinds, is_unsure);
  kinds |= other.kinds;
  is_unsure |= other.is_unsure;
  return texts.merge(other.texts) || before != std::make_pair(kinds, is_unsure);
}

Facts Facts::of(uint8_t kinds) {
  Facts f;
  f.kinds = kinds;
  if ((kinds & kString) != 0) f.texts.add_made(limits::kMaxMadeBytes);
  return f;
}

Facts Facts::of_text(std::string_view text) {
  Facts f;
  f.kinds = kString;
  f.texts.add(text);
  return f;
}

Facts Facts::of_tuple(const std::vector<Facts>& parts) {
  Facts f = of(kOther);
  for (Facts part : parts) {
    part.parts.clear();
    f.parts.push_back(std::move(part));
  }
  return f;
}

Facts Facts::of_constant(const bytecode::Constant& constant) {
  if (std::holds_alternative<std::monostate>(constant)) return of(kNil);
  if (std::holds_alternative<int64_t>(constant)) return of(kInteger);
  if (std::holds_alternative<double>(constant)) return of(kFloat);
  if (const auto* text = std::get_if<std::string>(&constant)) return of_text(*text);
  return of(kBoolean);
}

Facts Facts::of_variable(schema::BuiltinVar variable) {
  using schema::BuiltinVar;
  Facts f;
  switch (variable) {
    case BuiltinVar::EventObject:
      f.event = true;
      return f;
    case BuiltinVar::Curtask:
      return pointer();
    case BuiltinVar::InInterrupt:
      return of(kBoolean);
    case BuiltinVar::Execname:
      f.kinds = kString;
      f.texts.add_made(kNameBytes);
      return f;
    case BuiltinVar::Probename:
    case BuiltinVar::Argstr:
      return of(kString);
    default:
      return variable >= BuiltinVar::Arg0 && variable <= BuiltinVar::Arg9 ? field() : of(kInteger);
  }
}

Facts Facts::field() {
  Facts f = of(kInteger);
  f.unsure = true;
  return f;
}

Facts Facts::pointer() {
  Facts f = of(kPointer);
  f.typed = true;
  return f;
}

Facts Facts::in_memory() {
  Facts f = of(kInteger | kNil);
  f.typed = true;
  return f;
}

bool Facts::merge(const Facts& other) {
  const auto before = std::make_tuple(kinds, unsure, event, fresh, typed, tables.size(),
                                      functions.size(), builtins.size(), walked.size());
  const bool parts_grew = merge_parts(other);
  kinds |= other.kinds;
  unsure |= other.unsure;
  event |= other.event;
  fresh |= other.fresh;
  typed |= other.typed;
  tables.insert(other.tables.begin(), other.tables.end());
  functions.insert(other.functions.begin(), other.functions.end());
  builtins.insert(other.builtins.begin(), other.builtins.end());
  walked.insert(other.walked.begin(), other.walked.end());
  const bool texts_grew = texts.merge(other.texts);
  return parts_grew || texts_grew ||
         before != std::make_tuple(kinds, unsure, event, fresh, typed, tables.size(),
                                   functions.size(), builtins.size(), walked.size());
}

/// Before the kinds are merged: a place that has held nothing yet takes the other's parts.
bool Facts::merge_parts(const Facts& other) {
  if ((other.kinds & kOther) == 0) return false;
  if ((kinds & kOther) == 0) {
    parts = other.parts;
    is_mixed = other.is_mixed;
    return true;
  }
  if (other.is_mixed || parts.size() != other.parts.size()) return !std::exchange(is_mixed, true);
  bool grew = false;
  for (size_t i = 0; i < parts.size(); ++i) grew |= parts[i].merge(other.parts[i]);
  return grew;
}

}  // namespace ktap::lower
