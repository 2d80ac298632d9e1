// What the keys and values of tables are made of. The first use decides; where a later one needs
// more (read strings beside literals, longer ones), that is written into Linkage::shapes and
// everything that was lowered is done again with it.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "lower/lowerer.h"
#include "runtime/kernel_pointer.h"
#include "runtime/stack.h"
#include "runtime/string.h"
#include "runtime/tuple.h"

namespace ktap::lower {

namespace {

using ssa::KeyPart;

/// The size class of a string that is kept.
uint32_t part_bytes(uint32_t max_bytes) {
  if (max_bytes <= 16) return 16;
  if (max_bytes <= 64) return 64;
  return max_bytes <= limits::kStringBytes ? limits::kStringBytes : limits::kMaxMadeBytes;
}

KeyPart bytes_part(size_t bytes) {
  return {KeyPart::Kind::Bytes, part_bytes(static_cast<uint32_t>(bytes))};
}

bool is_string(const KeyPart& part) {
  return part.kind == KeyPart::Kind::StrId || part.kind == KeyPart::Kind::Bytes;
}

/// What the part holds of strings: StrId where it holds none.
KeyPart text_of(const KeyPart& part) {
  if (part.kind == KeyPart::Kind::Union) return ssa::union_text(part.max_bytes);
  return is_string(part) ? part : KeyPart{KeyPart::Kind::StrId, 8};
}

/// The part as a Union's tags; 0: it cannot be in one.
uint8_t tags_of(const KeyPart& part) {
  if (part.kind == KeyPart::Kind::Union) return part.tags;
  if (part.kind == KeyPart::Kind::Int) return 1 << kIntTag;
  if (part.kind == KeyPart::Kind::Bool) return 1 << kBoolTag;
  return is_string(part) ? 1 << kStrTag : 0;
}

KeyPart longest_text(const KeyPart& a, const KeyPart& b) {
  if (a.kind == KeyPart::Kind::StrId) return b;
  if (b.kind == KeyPart::Kind::StrId) return a;
  return a.max_bytes < b.max_bytes ? b : a;
}

/// What holds both; nothing for types that cannot be in one place.
std::optional<KeyPart> widest(const KeyPart& a, const KeyPart& b) {
  if (a == b) return a;
  if (a.kind == KeyPart::Kind::Stack && b.kind == a.kind) return a.max_bytes < b.max_bytes ? b : a;
  if (is_string(a) && is_string(b)) return longest_text(a, b);
  if (tags_of(a) == 0 || tags_of(b) == 0) return std::nullopt;
  return ssa::union_part(longest_text(text_of(a), text_of(b)),
                         static_cast<uint8_t>(tags_of(a) | tags_of(b)));
}

const char* name_of(const KeyPart& part) {
  if (is_string(part)) return "strings";
  if (part.kind == KeyPart::Kind::Stack) return "stacks";
  if (part.kind == KeyPart::Kind::Address) return "addresses";
  if (part.kind == KeyPart::Kind::Pointer) return "kernel pointers";
  return part.kind == KeyPart::Kind::Int ? "integers" : "booleans";
}

KeyPart pointer_part(schema::CType to) { return {KeyPart::Kind::Pointer, 8, to}; }

KeyPart stack_part(size_t words) {
  return {KeyPart::Kind::Stack, 8 * static_cast<uint32_t>(words)};
}

std::optional<KeyPart> part_of_present(runtime::Value value) {
  switch (value.type) {
    case runtime::Type::Integer:
    case runtime::Type::SharedCell:
      return KeyPart{};
    case runtime::Type::Address:
      return KeyPart{KeyPart::Kind::Address, 8};
    case runtime::Type::Pointer:
      return pointer_part({value.pointer()->type(), value.pointer()->pointers()});
    case runtime::Type::Boolean:
      return KeyPart{KeyPart::Kind::Bool, 8};
    case runtime::Type::String:
      return KeyPart{KeyPart::Kind::StrId, 8};
    case runtime::Type::Stack:
      return stack_part(value.stack()->word_count());
    default:
      return std::nullopt;
  }
}

/// Addresses are keys alone.
bool is_value_part(const std::optional<KeyPart>& part) {
  return part && part->kind != KeyPart::Kind::Address;
}

bool fits_bytes(std::string_view text, const KeyPart& part) {
  return text.size() <= part.max_bytes && text.find('\0') == std::string_view::npos;
}

/// What holds all that timers store there: nothing for types that cannot be in one place.
std::optional<KeyPart> part_of_stored(const Stored& stored) {
  const uint8_t kinds = stored.kinds & static_cast<uint8_t>(~kNil);
  if (stored.is_unsure) return std::nullopt;
  if (kinds == kStack) return stack_part(1 + limits::kStackFrames);
  if (kinds == 0 || (kinds & ~(kInteger | kBoolean | kString)) != 0) return std::nullopt;
  const KeyPart text =
      stored.texts.bytes == 0 ? KeyPart{KeyPart::Kind::StrId, 8} : bytes_part(stored.texts.bytes);
  std::optional<KeyPart> all;
  const auto add = [&](uint8_t kind, const KeyPart& part) {
    if ((kinds & kind) != 0) all = all ? widest(*all, part) : part;
  };
  add(kInteger, KeyPart{});
  add(kBoolean, {KeyPart::Kind::Bool, 8});
  add(kString, text);
  return all;
}

}  // namespace

/// What would hold the value: nothing for what cannot be a key or value in the kernel.
std::optional<KeyPart> Lowerer::part_of(const AbstractValue& value) const {
  if (value.is_address()) return KeyPart{KeyPart::Kind::Address, 8};
  if (value.is(Kind::Pointer)) return pointer_part(value.ctype);
  switch (type_of(value)) {
    case ssa::Type::Int:
      return KeyPart{};
    case ssa::Type::Bool:
      return KeyPart{KeyPart::Kind::Bool, 8};
    case ssa::Type::Str:
      if (value.is(Kind::Ssa) && function_[value.id].str_kind == ssa::StrKind::Bytes)
        return bytes_part(function_[value.id].max_bytes);
      return KeyPart{KeyPart::Kind::StrId, 8};
    case ssa::Type::Stack:
      return stack_part(function_[value.id].max_bytes / 8);
    default:
      return std::nullopt;
  }
}

/// The value as operand where `part` stands.
ssa::ValueId Lowerer::as_part(const AbstractValue& value, const KeyPart& part) {
  if (part.kind == KeyPart::Kind::Union) {
    ssa::Inst made = ssa::shape_of(part);
    made.op = ssa::Op::MakeUnion;
    const bool is_text = type_of(value) == ssa::Type::Str;
    made.operands = {as_part(value, is_text ? text_of(part) : KeyPart{})};
    return stopped() ? const_int(0) : emit(std::move(made));
  }
  switch (value.kind) {
    case Kind::Int:
      return const_int(value.integer);
    case Kind::Bool:
      return const_bool(value.integer != 0);
    case Kind::Str:
      if (part.kind == KeyPart::Kind::Bytes && !fits_bytes(value.text, part))
        refuse("a string of the script with a NUL, or a long one, beside strings that are read");
      return const_str(value.text);
    case Kind::Pointer: {
      const AbstractValue number = plain(value);
      return number.is(Kind::Int) ? const_int(number.integer) : number.id;
    }
    case Kind::Rendered:  // an address
      return as_part(value.parts[0], KeyPart{});
    default:
      return part.kind == KeyPart::Kind::Bytes ? text_bytes(value) : value.id;
  }
}

/// What a place for `value` must be beside others that are Bytes. Nothing: it cannot be bytes, and
/// is refused.
std::optional<KeyPart> Lowerer::as_bytes(const AbstractValue& value, const KeyPart& part) {
  if (part.kind != KeyPart::Kind::StrId) return part;
  const std::optional<uint32_t> bound = text_bound(value);
  if (bound) return bytes_part(*bound);
  refuse(kNoBytes);
  return std::nullopt;
}

/// The name of a table of samples in Shapes.
std::pair<const runtime::Object*, uint32_t> Lowerer::sample_table(int64_t table) const {
  const uint32_t sample_of = linkage_.module.tables[static_cast<size_t>(table)].sample_of;
  const runtime::SampleParts& parts = linkage_.samples[sample_of - 1];
  const uint32_t first = parts.histograms.empty() ? *parts.stats : parts.histograms.front().table;
  const runtime::Object* object = parts.table;
  if (parts.aggregate != nullptr) object = parts.aggregate;
  return {object, static_cast<uint32_t>(table) - first};
}

Shape& Lowerer::shape_of(int64_t table) {
  const auto index = static_cast<size_t>(table);
  const Variable& variable = linkage_.variables[index];
  const uint32_t sample_of = linkage_.module.tables[index].sample_of;
  if (sample_of != 0) return linkage_.shapes.samples[sample_table(table)];
  return variable.valid() ? linkage_.shapes.variables[variable]
                          : linkage_.shapes.tables[linkage_.tables[index]];
}

/// Strings become as long as the longest.
bool Lowerer::unify_value(int64_t table, const AbstractValue& value) {
  const auto index = static_cast<size_t>(table);
  ssa::TableInfo& info = linkage_.module.tables[index];
  const bool is_variable = linkage_.variables[index].valid();
  const std::optional<KeyPart> part = part_of(value);
  if (!is_value_part(part)) {
    refuse(is_variable ? fmt::format("{} is assigned to variable {}", describe(value), info.name)
                       : fmt::format("{} is stored in a table", describe(value)));
    return false;
  }
  KeyPart have = info.value;
  const bool is_guess = !linkage_.value_is_known[index] && have.kind != KeyPart::Kind::Union;
  if (is_guess && !is_string(have) && have.kind != part->kind) have = *part;
  KeyPart wanted = *part;
  if (text_of(have).is_bytes()) {
    const std::optional<KeyPart> bytes = as_bytes(value, wanted);
    if (!bytes) return false;
    wanted = *bytes;
  }
  const auto refuse_both = [&](const KeyPart& other) {
    const bool are_pointers = other.kind == part->kind && part->kind == KeyPart::Kind::Pointer;
    refuse(fmt::format("{} {} holds {}", is_variable ? "variable" : "table", info.name,
                       are_pointers ? "kernel pointers of several types"
                                    : fmt::format("{} and {}", name_of(other), name_of(*part))));
    return false;
  };
  // A name that is only known when the handler runs stays an id among ids.
  const std::optional<KeyPart> both = widest(have, wanted);
  if (!both) return refuse_both(have);
  if (!(info.value == *both)) {
    info.value = *both;
    // Shapes grow and are never taken back, or this would not end.
    std::optional<KeyPart>& learnt = shape_of(table).value;
    const std::optional<KeyPart> grown = learnt ? widest(*learnt, *both) : both;
    if (!grown) return refuse_both(*learnt);
    learnt = grown;
  }
  linkage_.value_is_known[index] = true;
  return true;
}

/// A new table of the module. `kinds` are those that handlers write.
std::optional<int64_t> Lowerer::add_table(runtime::Table* table, const std::string& name,
                                          uint8_t kinds, const Variable& variable) {
  const char* const what = variable.valid() ? "variable" : "table";
  if ((kinds & (kFloat | kOther)) != 0) {
    refuse(fmt::format("{} {} may get something else than integers, booleans, strings and stacks",
                       what, name));
    return std::nullopt;
  }
  ssa::TableInfo info;
  info.name = name;
  // What is not told by entries or stores: by what handlers may write.
  if ((kinds & kInteger) == 0 && (kinds & kString) != 0) info.value = {KeyPart::Kind::StrId, 8};
  if ((kinds & (kInteger | kString)) == 0 && (kinds & kBoolean) != 0)
    info.value = {KeyPart::Kind::Bool, 8};
  if ((kinds & ~kNil) == kStack) info.value = stack_part(2);
  std::optional<KeyPart> value;
  const std::optional<StoredEntries> by_timers = stored_by_timers(table, variable);
  if (!present_values(*table, what, name, value)) return std::nullopt;
  if (by_timers && !begin_with_stored(*by_timers, what, info, value)) return std::nullopt;
  if (value) info.value = *value;
  const auto& known = linkage_.shapes;
  const Shape* learnt = nullptr;
  if (variable.valid() && known.variables.count(variable) != 0)
    learnt = &known.variables.at(variable);
  if (!variable.valid() && known.tables.count(table) != 0) learnt = &known.tables.at(table);
  if (learnt != nullptr && learnt->value) info.value = *learnt->value;
  if (learnt != nullptr && !learnt->key.empty()) info.key = learnt->key;
  if (by_timers && !hold_stored(*by_timers, what, info)) return std::nullopt;
  for (const auto& entry : table->entries()) {
    if (entry.second.type != runtime::Type::String) continue;
    const std::string_view text = entry.second.string()->view();
    const KeyPart place = text_of(info.value);
    if (place.kind == KeyPart::Kind::StrId) linkage_.module.intern(text);
    if (place.kind != KeyPart::Kind::Bytes || fits_bytes(text, place)) continue;
    refuse(fmt::format("{} {} holds a string that is too long, or has a NUL", what, name));
    return std::nullopt;
  }
  for (const auto& entry : table->entries()) {
    const runtime::Value key = entry.first;
    info.has_no_tid = info.has_no_tid || key.type != runtime::Type::Integer || key.integer <= 0 ||
                      key.integer > UINT32_MAX;
  }
  info.max_entries = table->capacity_hint;
  linkage_.module.tables.push_back(std::move(info));
  linkage_.tables.push_back(table);
  linkage_.variables.push_back(variable);
  linkage_.value_is_known.push_back(value.has_value());
  return static_cast<int64_t>(linkage_.tables.size() - 1);
}

/// What holds all that the main chunk left there becomes `value`.
bool Lowerer::present_values(const runtime::Table& table, const char* what, const std::string& name,
                             std::optional<KeyPart>& value) {
  for (const auto& entry : table.entries()) {
    const std::optional<KeyPart> part = part_of_present(entry.second);
    const bool is_word = is_value_part(part);
    const std::optional<KeyPart> all = is_word && value ? widest(*value, *part) : part;
    if (!is_word || !all) {
      refuse(fmt::format("{} {} holds {}", what, name,
                         is_word ? std::string("values of several types")
                                 : describe(AbstractValue::of_world(entry.second, ""))));
      return false;
    }
    value = all;
  }
  return true;
}

// ---- what timers store -------------------------------------------------------------------------

std::optional<StoredEntries> Lowerer::stored_by_timers(const runtime::Table* table,
                                                       const Variable& variable) const {
  const auto at = world_.timer_tables.find(table);
  if (at != world_.timer_tables.end()) return at->second;
  StoredEntries entries;
  if (variable.cell != nullptr) {
    const auto cell = world_.timer_cells.find(variable.cell);
    if (cell == world_.timer_cells.end()) return std::nullopt;
    entries.value = cell->second;
  } else {
    const auto global = world_.timer_globals.find(static_cast<uint32_t>(variable.global));
    if (global == world_.timer_globals.end()) return std::nullopt;
    entries.value = global->second;
  }
  return entries;
}

/// Before any code: keys and values are what timers store, values of the type that `value` says if
/// it says one.
bool Lowerer::begin_with_stored(const StoredEntries& stored, const char* what, ssa::TableInfo& info,
                                std::optional<KeyPart>& value) {
  info.is_stored_outside = (stored.value.kinds & ~kNil) != 0;
  info.is_removed_outside = (stored.value.kinds & kNil) != 0;
  if (info.is_stored_outside) {
    const std::optional<KeyPart> part = part_of_stored(stored.value);
    if (part) value = value ? widest(*value, *part) : part;
    if (!part || !value) {
      const bool are_pointers = (stored.value.kinds & ~kNil) == kPointer;
      refuse(fmt::format("{} {} gets {} by a timer", what, info.name,
                         are_pointers ? "kernel pointers" : "values of several types"));
      return false;
    }
  }
  if (!stored.has_keys) return true;
  info.has_no_tid = true;
  for (const Stored& key : stored.key) {
    const std::optional<KeyPart> part = part_of_stored(key);
    if (stored.keys_differ || !part) {
      refuse(fmt::format("{} {} gets keys of several types by a timer", what, info.name));
      return false;
    }
    info.key.push_back(*part);
  }
  return true;
}

/// When it is known what keys and values are: the strings that timers store find room.
bool Lowerer::hold_stored(const StoredEntries& stored, const char* what, ssa::TableInfo& info) {
  const auto hold = [&](const Stored& place, KeyPart& part) {
    for (const std::string& text : place.texts.known) {
      if (text_of(part).kind == KeyPart::Kind::StrId) linkage_.module.intern(text);
      if (!text_of(part).is_bytes()) continue;
      part = *widest(part, bytes_part(text.size()));
      if (!fits_bytes(text, text_of(part))) return false;
    }
    return true;
  };
  bool fits = hold(stored.value, info.value);
  for (size_t i = 0; i < std::min(stored.key.size(), info.key.size()); ++i)
    fits = hold(stored.key[i], info.key[i]) && fits;
  if (!fits)
    refuse(fmt::format("{} {} gets a string that is too long, or has a NUL", what, info.name));
  return fits;
}

std::optional<int64_t> Lowerer::table_id(const AbstractValue& table) {
  for (size_t i = 0; i < linkage_.tables.size(); ++i) {
    if (linkage_.tables[i] == table.table) return static_cast<int64_t>(i);
  }
  const auto kinds = world_.table_kinds.find(table.table);
  return add_table(table.table, table.text,
                   kinds == world_.table_kinds.end() ? uint8_t{0} : kinds->second, Variable{});
}

/// The key's parts against what the table has.
bool Lowerer::unify_key(int64_t table, const std::vector<AbstractValue>& parts) {
  ssa::TableInfo& info = linkage_.module.tables[static_cast<size_t>(table)];
  const bool is_first = info.key.empty();
  if (!is_first && info.key.size() != parts.size()) {
    refuse(fmt::format("table {} has keys of {} and of {} parts", info.name, info.key.size(),
                       parts.size()));
    return false;
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    KeyPart part = *part_of(parts[i]);
    if (is_first) {
      info.key.push_back(part);
      continue;
    }
    KeyPart& have = info.key[i];
    const KeyPart before = have;
    if (text_of(have).is_bytes()) {
      const std::optional<KeyPart> bytes = as_bytes(parts[i], part);
      if (!bytes) return false;
      part = *bytes;
    }
    const std::optional<KeyPart> both = widest(have, part);
    if (!both) {
      refuse(fmt::format("table {} has keys of different kinds", info.name));
      return false;
    }
    have = *both;
    // Ids and keys of one type that came before are of no use then, nor are shorter keys that a
    // loop has read.
    const bool was_id = before.kind == KeyPart::Kind::StrId && have.kind == KeyPart::Kind::Bytes;
    const bool is_union = have.kind == KeyPart::Kind::Union;
    if (was_id || ((is_union || info.is_iterated) && have != before)) learn_key(table);
  }
  if (!shape_of_is_empty(table)) {
    const Shape& shape = shape_of(table);
    if (!shape.key.empty() || shape.wants_key) learn_key(table);
  }
  return true;
}

/// Widens what is learnt, never narrows it: a table that an earlier handler has made does not know
/// it yet.
void Lowerer::learn_key(int64_t table) {
  const std::vector<KeyPart>& key = linkage_.module.tables[static_cast<size_t>(table)].key;
  std::vector<KeyPart>& learnt = shape_of(table).key;
  if (learnt.empty()) learnt = key;
  for (size_t i = 0; i < key.size(); ++i) learnt[i] = widest(learnt[i], key[i]).value_or(key[i]);
}

bool Lowerer::shape_of_is_empty(int64_t table) const {
  const auto index = static_cast<size_t>(table);
  if (linkage_.module.tables[index].sample_of != 0) {
    return linkage_.shapes.samples.count(sample_table(table)) == 0;
  }
  return linkage_.shapes.tables.count(linkage_.tables[index]) == 0;
}

/// Where no code has said yet what keys are made of, entries of the main chunk do.
bool Lowerer::learn_present_keys(const AbstractValue& table, int64_t id) {
  const auto entries = table.table->entries();
  if (entries.empty()) return true;
  ssa::TableInfo& info = linkage_.module.tables[static_cast<size_t>(id)];
  if (info.key.empty()) {
    const runtime::Value first = entries[0].first;
    const size_t size = first.type == runtime::Type::Tuple ? first.tuple()->size() : 1;
    for (size_t i = 0; i < size; ++i) {
      const std::optional<KeyPart> part =
          part_of_present(first.type == runtime::Type::Tuple ? (*first.tuple())[i] : first);
      if (!part) {
        refuse(fmt::format("table {} holds keys of another kind", table.text));
        return false;
      }
      info.key.push_back(*part);
    }
  }
  return fits_present_keys(table, id);
}

/// Where keys that the main chunk left are of other types than those of code, parts hold both.
void Lowerer::widen_to_present_keys(const AbstractValue& table, int64_t id) {
  std::vector<KeyPart>& key = linkage_.module.tables[static_cast<size_t>(id)].key;
  bool has_grown = false;
  for (const auto& entry : table.table->entries()) {
    const runtime::Value present = entry.first;
    const bool is_tuple = present.type == runtime::Type::Tuple;
    if ((is_tuple ? present.tuple()->size() : 1) != key.size()) return;
    for (size_t i = 0; i < key.size(); ++i) {
      const auto part = part_of_present(is_tuple ? (*present.tuple())[i] : present);
      const auto both = part ? widest(key[i], *part) : std::nullopt;
      if (!both || both->kind != KeyPart::Kind::Union || *both == key[i]) continue;
      key[i] = *both;
      has_grown = true;
    }
  }
  if (has_grown) learn_key(id);
}

/// What the main chunk left in the table has keys of the same make.
bool Lowerer::fits_present_keys(const AbstractValue& table, int64_t id) {
  widen_to_present_keys(table, id);
  const std::vector<KeyPart> key = linkage_.module.tables[static_cast<size_t>(id)].key;
  const std::function<bool(runtime::Value, const KeyPart&)> fits = [&](runtime::Value value,
                                                                       const KeyPart& part) {
    switch (part.kind) {
      case KeyPart::Kind::Int:
        return value.type == runtime::Type::Integer;
      case KeyPart::Kind::Address:
        return value.type == runtime::Type::Address;
      case KeyPart::Kind::Pointer:
        return part_of_present(value) == part;
      case KeyPart::Kind::Bool:
        return value.type == runtime::Type::Boolean;
      case KeyPart::Kind::StrId:
        if (value.type != runtime::Type::String) return false;
        linkage_.module.intern(value.string()->view());
        return true;
      case KeyPart::Kind::Bytes:
        return value.type == runtime::Type::String && fits_bytes(value.string()->view(), part);
      case KeyPart::Kind::Union:
        return value.type != runtime::Type::String || fits(value, text_of(part));
      case KeyPart::Kind::Stack:
        return value.type == runtime::Type::Stack &&
               8 * value.stack()->word_count() <= part.max_bytes;
    }
    return false;
  };
  for (const auto& entry : table.table->entries()) {
    const runtime::Value present = entry.first;
    const size_t size = present.type == runtime::Type::Tuple ? present.tuple()->size() : 1;
    bool good = size == key.size();
    for (size_t i = 0; good && i < size; ++i) {
      good = fits(present.type == runtime::Type::Tuple ? (*present.tuple())[i] : present, key[i]);
    }
    if (good) continue;
    refuse(fmt::format("table {} holds keys of another kind", table.text));
    return false;
  }
  return true;
}

}  // namespace ktap::lower
