// The table's parts: a list for 1..n, insertion-ordered entries for the rest. A key stays in the
// part where it was put, except when a list has become mostly holes: then it moves to the hash part
// (a queue must not grow for ever at its dead end).
#include "runtime/table.h"

#include <algorithm>

#include "runtime/string.h"
#include "runtime/tuple.h"

namespace ktap::runtime {
namespace {

uint32_t mix(uint64_t x) {
  // The finaliser of MurmurHash3: every input bit reaches every output bit.
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  return static_cast<uint32_t>(x ^ (x >> 32));
}

uint32_t hash_key(Value key) {
  switch (key.type) {
    case Type::String:
      return key.string()->hash();
    case Type::Tuple:
      return key.tuple()->hash();
    default:
      return mix(static_cast<uint64_t>(key.integer));
  }
}

bool same_tuple(const Tuple& a, const Tuple& b) {
  return &a == &b || (a.size() == b.size() && a.hash() == b.hash() &&
                      std::equal(a.parts(), a.parts() + a.size(), b.parts(), equal));
}

/// Requires: valid keys. Equal numbers are the same key.
bool same_key(Value a, Value b) {
  if (a.integer == b.integer && a.type == b.type) return true;
  switch (a.type) {
    case Type::Integer:
    case Type::Address:
      return b.is_integer() && a.integer == b.integer;
    case Type::String:
      return b.type == Type::String && same_string(a.string(), b.string());
    case Type::Tuple:
      return b.type == Type::Tuple && same_tuple(*a.tuple(), *b.tuple());
    default:
      return false;
  }
}

}  // namespace

bool Table::valid_key(Value key) {
  switch (key.type) {
    case Type::Integer:
    case Type::Address:
    case Type::Boolean:
    case Type::String:
      return true;
    case Type::Tuple:
      return key.tuple()->valid_key();
    default:
      return false;
  }
}

/// `same` tells whether an entry's key is the one looked for.
template <class Same>
inline size_t Table::search(uint32_t hash, Same same) const {
  size_t mask = index_.size() - 1;
  for (size_t i = hash & mask; index_[i] != 0; i = (i + 1) & mask) {
    size_t entry = index_[i] - 1;
    if (same(entries_[entry].key)) return entry;
  }
  return kNone;
}

size_t Table::find(Value key) const {
  if (index_.empty()) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (same_key(entries_[i].key, key)) return i;
    }
    return kNone;
  }
  if (key.is_integer()) {
    return search(hash_key(key),
                  [key](Value it) { return it.integer == key.integer && it.is_integer(); });
  }
  return search(hash_key(key), [key](Value it) { return same_key(it, key); });
}

Value Table::get_other(Value key) const {
  if (key.type == Type::Address && static_cast<uint64_t>(key.integer) - 1 < list_.size()) {
    return list_[static_cast<size_t>(key.integer) - 1];
  }
  if (hash_live_ == 0 || !valid_key(key)) return Value::nil();
  size_t entry = find(key);
  return entry == kNone ? Value::nil() : entries_[entry].value;
}

uint32_t Table::find_name(String* key) const {
  size_t entry = kNone;
  if (!key->interned()) {
    entry = find(Value::of_object(Type::String, key));
  } else if (index_.empty()) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].key.object == key && entries_[i].key.type == Type::String) {
        return static_cast<uint32_t>(i);
      }
    }
  } else {
    entry = search(key->hash(),
                   [key](Value it) { return it.object == key && it.type == Type::String; });
  }
  return entry == kNone ? kNoEntry : static_cast<uint32_t>(entry);
}

Value Table::get_string(String* key) const {
  uint32_t entry = find_name(key);
  return entry == kNoEntry ? Value::nil() : entries_[entry].value;
}

Value* Table::find_value(Value key) {
  if (!valid_key(key)) return nullptr;
  if (key.is_integer() && static_cast<uint64_t>(key.integer) - 1 < list_.size()) {
    Value* item = &list_[static_cast<size_t>(key.integer) - 1];
    return item->is_nil() ? nullptr : item;
  }
  size_t entry = hash_live_ == 0 ? kNone : find(key);
  if (entry == kNone || entries_[entry].value.is_nil()) return nullptr;
  return &entries_[entry].value;
}

void Table::set(Value key, Value value) {
  KTAP_CHECK(valid_key(key));
  if (key.is_integer()) {
    uint64_t i = static_cast<uint64_t>(key.integer) - 1;
    if (i < list_.size()) {
      set_list_item(i, value);
      return;
    }
    if (i == list_.size() && !value.is_nil()) {
      size_t entry = hash_live_ == 0 ? kNone : find(key);
      if (entry == kNone || entries_[entry].value.is_nil()) {
        append(value);
        return;
      }
    }
  }
  set_hash(key, value);
}

void Table::set_list_item(size_t i, Value value) {
  list_live_ += (value.is_nil() ? 0 : 1);
  list_live_ -= (list_[i].is_nil() ? 0 : 1);
  list_[i] = value;
  while (!list_.empty() && list_.back().is_nil()) list_.pop_back();
}

void Table::append(Value value) {
  if (list_.size() == list_.capacity()) {
    if (list_.size() >= 16 && list_live_ < list_.size() / 2) {
      auto key = Value::of(static_cast<int64_t>(list_.size() + 1));
      move_list_to_hash();
      set_hash(key, value);
      return;
    }
    list_.reserve(std::max<size_t>(4, list_.size() * 2));
    account();
  }
  list_.push_back(value);
  ++list_live_;
}

void Table::move_list_to_hash() {
  std::vector<Value> items;
  items.swap(list_);
  list_live_ = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_nil()) set_hash(Value::of(static_cast<int64_t>(i + 1)), items[i]);
  }
  account();
}

void Table::set_hash(Value key, Value value) {
  size_t entry = find(key);
  if (entry != kNone) {
    hash_live_ += (value.is_nil() ? 0 : 1);
    hash_live_ -= (entries_[entry].value.is_nil() ? 0 : 1);
    entries_[entry].value = value;
    return;
  }
  if (value.is_nil()) return;
#ifdef KTAP_HOSTILE
  rebuild(std::max(entry_limit_, hash_live_ + 1));
#else
  if (entries_.size() >= entry_limit_) make_room();
#endif
  entries_.push_back({key, value, next_seq_++});
  ++hash_live_;
  if (index_.empty()) return;
  size_t mask = index_.size() - 1;
  size_t i = hash_key(key) & mask;
  while (index_[i] != 0) i = (i + 1) & mask;
  index_[i] = static_cast<uint32_t>(entries_.size());
}

void Table::make_room() {
  bool mostly_live = hash_live_ >= entries_.size() - entries_.size() / 4;
  rebuild(mostly_live ? entry_limit_ * 2 : entry_limit_);
}

/// Drops dead entries and makes room for at least `limit` in all.
void Table::rebuild(size_t limit) {
  limit = std::max<size_t>(limit, hash_live_ + 1);
  std::erase_if(entries_, [](const Entry& entry) { return entry.value.is_nil(); });
  ++epoch_;
  if (limit <= kSmall) {
    entry_limit_ = limit <= 4 ? 4 : kSmall;
    index_.clear();
  } else {
    size_t slots = 16;
    while (slots - slots / 4 < limit) slots *= 2;
    entry_limit_ = slots - slots / 4;
    index_.assign(slots, 0);
    for (size_t entry = 0; entry < entries_.size(); ++entry) {
      size_t i = hash_key(entries_[entry].key) & (slots - 1);
      while (index_[i] != 0) i = (i + 1) & (slots - 1);
      index_[i] = static_cast<uint32_t>(entry + 1);
    }
  }
  entries_.reserve(entry_limit_);
  account();
}

void Table::clear() {
  list_.clear();
  entries_.clear();
  std::fill(index_.begin(), index_.end(), 0);
  list_live_ = 0;
  hash_live_ = 0;
  ++epoch_;
}

void Table::reserve(size_t list_items, size_t others) {
  list_.reserve(list_items);
  if (others > entry_limit_) rebuild(others);
  account();
}

bool Table::next(Cursor& cursor, Value& key, Value& value) const {
  if (!cursor.in_hash) {
    while (cursor.list_index < list_.size()) {
      value = list_[cursor.list_index++];
      if (value.is_nil()) continue;
      key = Value::of(static_cast<int64_t>(cursor.list_index));
      return true;
    }
    cursor.in_hash = true;
    cursor.epoch = epoch_;
  }
  if (cursor.epoch != epoch_) {
    auto after = [](const Entry& entry, uint64_t seq) { return entry.seq < seq; };
    auto at = std::lower_bound(entries_.begin(), entries_.end(), cursor.next_seq, after);
    cursor.entry = static_cast<size_t>(at - entries_.begin());
    cursor.epoch = epoch_;
  }
  while (cursor.entry < entries_.size()) {
    const Entry& entry = entries_[cursor.entry++];
    cursor.next_seq = entry.seq + 1;
    if (entry.value.is_nil()) continue;
    // A list item that moved over here was seen there.
    if (entry.key.is_integer() && static_cast<uint64_t>(entry.key.integer) - 1 < cursor.list_index)
      continue;
    key = entry.key;
    value = entry.value;
    return true;
  }
  return false;
}

std::vector<std::pair<Value, Value>> Table::entries() const {
  std::vector<std::pair<Value, Value>> all;
  all.reserve(size());
  Cursor cursor;
  Value key;
  Value value;
  while (next(cursor, key, value)) all.emplace_back(key, value);
  return all;
}

size_t Table::memory_bytes() const {
  return list_.capacity() * sizeof(Value) + entries_.capacity() * sizeof(Entry) +
         index_.capacity() * sizeof(uint32_t);
}

void Table::account() {
  size_t bytes = memory_bytes();
  if (heap_bytes_ != nullptr) *heap_bytes_ += bytes - accounted_bytes_;
  accounted_bytes_ = bytes;
}

}  // namespace ktap::runtime
