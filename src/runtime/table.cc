// The table's parts: a list for 1..n, insertion-ordered entries for the rest. A key stays in the
// part where it was put, except when a list has become mostly holes: then it moves to the hash part
// (a queue must not grow for ever at its dead end).
#include "runtime/table.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "runtime/code_address.h"
#include "runtime/heap.h"
#include "runtime/kernel_pointer.h"
#include "runtime/stack.h"
#include "runtime/string.h"
#include "runtime/tuple.h"

namespace ktap::runtime {
namespace {

/// Most integers are used as they come: Fibonacci hashing, with the upper half folded in first, for
/// what lies above bit 31 to count too.
uint32_t hash_integer(int64_t integer) {
  auto x = static_cast<uint64_t>(integer);
  x ^= x >> 32;
  return static_cast<uint32_t>((x * 0x9e3779b97f4a7c15ULL) >> 32);
}

uint32_t hash_key(const Value& key) {
  switch (key.type) {
    case Type::String:
      return key.string()->hash();
    case Type::Tuple:
      return key.tuple()->hash();
    case Type::Pointer:
      return hash_integer(key.pointer()->address());
    case Type::Address:
      return hash_integer(key.address()->number());
    case Type::Stack:
      return key.stack()->hash();
    default:
      return hash_integer(key.integer);
  }
}

bool same_tuple(const Tuple& a, const Tuple& b) {
  return &a == &b || (a.size() == b.size() && a.hash() == b.hash() && same_parts(a, b));
}

/// Requires: valid keys. Equal numbers are the same key.
bool same_key(const Value& a, const Value& b) {
  if (a.integer == b.integer && a.type == b.type) return true;
  switch (a.type) {
    case Type::Integer:
      return b.is_integer() && a.integer == b.integer;
    case Type::Address:
      return b.type == Type::Address && equal(a, b);
    case Type::String:
      return b.type == Type::String && same_string(a.string(), b.string());
    case Type::Tuple:
      return b.type == Type::Tuple && same_tuple(*a.tuple(), *b.tuple());
    case Type::Pointer:
      return b.type == Type::Pointer && equal(a, b);
    case Type::Stack:
      return b.type == Type::Stack && same_stack(*a.stack(), *b.stack());
    default:
      return false;
  }
}

}  // namespace

Table::~Table() {
  free_list();
  free_entries();
}

/// A table of its own, without a heap, lives on malloc.
void* Table::resize(void* memory, size_t old_bytes, size_t bytes) {
  if (heap_ != nullptr) return heap_->memory_.resize(memory, old_bytes, bytes);
  void* moved = std::realloc(memory, bytes);
  if (moved == nullptr) out_of_memory();
  return moved;
}

void Table::release(void* memory, size_t bytes) {
  if (heap_ != nullptr) {
    heap_->memory_.give(memory, bytes);
  } else {
    std::free(memory);
  }
}

void Table::free_list() {
  release(list_, list_bytes());
  list_ = nullptr;
  list_size_ = 0;
  list_capacity_ = 0;
  list_live_ = 0;
}

void Table::free_entries() {
  release(entries_, hash_bytes());
  entries_ = nullptr;
  index_ = nullptr;
  index_mask_ = 0;
  entry_count_ = 0;
  forgotten_ = 0;
  entry_limit_ = 0;
  hash_live_ = 0;
}

bool Table::valid_key(const Value& key) {
  switch (key.type) {
    case Type::Integer:
    case Type::Address:
    case Type::Boolean:
    case Type::String:
    case Type::Pointer:
    case Type::Stack:
      return true;
    case Type::Tuple:
      return key.tuple()->valid_key();
    default:
      return false;
  }
}

// ---- look-ups

/// `same` tells whether an entry's key is the one looked for.
template <class Same>
inline uint32_t Table::search(uint32_t hash, Same same) const {
  if (index_ == nullptr) {
    for (uint32_t i = 0; i < entry_count_; ++i) {
      if (same(entries_[i].key)) return i;
    }
    return kNoEntry;
  }
  for (uint32_t i = hash & index_mask_; index_[i] != 0; i = (i + 1) & index_mask_) {
    uint32_t entry = index_[i] - 1;
    if (same(entries_[entry].key)) return entry;
  }
  return kNoEntry;
}

const Value* Table::find_hashed_integer(int64_t key) const {
  if (hash_live_ == 0) return nullptr;
  uint32_t entry = search(hash_integer(key),
                          [key](const Value& it) { return it.integer == key && it.is_integer(); });
  return entry == kNoEntry ? nullptr : &entries_[entry].value;
}

uint32_t Table::find_name(const String* key) const {
  if (!key->interned()) {
    return search(key->hash(), [key](const Value& it) {
      return it.type == Type::String && same_string(it.string(), key);
    });
  }
  return search(key->hash(), [key](const Value& it) {
    return static_cast<const Object*>(it.object) == key && it.type == Type::String;
  });
}

/// Requires: a valid key.
uint32_t Table::find_entry(const Value& key) const {
  switch (key.type) {
    case Type::Integer: {
      int64_t integer = key.integer;
      return search(hash_integer(integer), [integer](const Value& it) {
        return it.integer == integer && it.is_integer();
      });
    }
    case Type::String:
      return find_name(key.string());
    default:
      return search(hash_key(key), [&key](const Value& it) { return same_key(it, key); });
  }
}

const Value* Table::find_other(const Value& key) const {
  if (hash_live_ == 0 || !valid_key(key)) return nullptr;
  uint32_t entry = find_entry(key);
  return entry == kNoEntry ? nullptr : &entries_[entry].value;
}

// ---- the list part

void Table::set(const Value& key, const Value& value) {
  KTAP_CHECK(valid_key(key));
  shade(value);
  if (key.is_integer()) {
    uint64_t i = static_cast<uint64_t>(key.integer) - 1;
    if (i < list_size_) {
      set_list_item(i, value);
      return;
    }
    if (i == list_size_ && !value.is_nil()) {
      uint32_t entry = hash_live_ == 0 ? kNoEntry : find_entry(key);
      if (entry == kNoEntry || entries_[entry].value.is_nil()) {
        append(value);
        return;
      }
    }
  }
  set_hash(key, value);
}

void Table::set_items(int64_t first, const Value* values, size_t count) {
  if (first == static_cast<int64_t>(list_size_) + 1 && hash_live_ == 0 &&
      list_size_ + count > list_capacity_) {
    grow_list(std::max<size_t>(list_size_ + count, size_t{list_size_} * 2));
  }
  for (size_t i = 0; i < count; ++i) {
    int64_t key = first + static_cast<int64_t>(i);
    if (!set_list(key, values[i])) set(Value::of(key), values[i]);
  }
}

int64_t Table::list_length() const {
  int64_t length = list_live_ == list_size_ ? list_size_ : 0;
  while (!get_integer(length + 1).is_nil()) ++length;
  return length;
}

void Table::set_list_item(size_t i, const Value& value) {
  list_live_ += (value.is_nil() ? 0 : 1);
  list_live_ -= (list_[i].is_nil() ? 0 : 1);
  copy_value(list_[i], value);
  while (list_size_ > 0 && list_[list_size_ - 1].is_nil()) --list_size_;
}

void Table::grow_list(size_t capacity) {
  if (capacity >= kNoEntry || capacity > PTRDIFF_MAX / sizeof(Value)) out_of_memory();
  list_ = static_cast<Value*>(resize(list_, list_bytes(), capacity * sizeof(Value)));
  list_capacity_ = static_cast<uint32_t>(capacity);
  account();
}

void Table::append(const Value& value) {
  if (list_size_ == list_capacity_) {
    if (list_size_ >= 16 && list_live_ < list_size_ / 2) {
      auto key = Value::of(int64_t{list_size_} + 1);
      move_list_to_hash();
      set_hash(key, value);
      return;
    }
    grow_list(std::max<size_t>(4, size_t{list_size_} * 2));
  }
  copy_value(list_[list_size_++], value);
  ++list_live_;
}

void Table::move_list_to_hash() {
  const Value* items = std::exchange(list_, nullptr);
  uint32_t count = std::exchange(list_size_, 0);
  uint32_t capacity = std::exchange(list_capacity_, 0);
  list_live_ = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (!items[i].is_nil()) set_hash(Value::of(int64_t{i} + 1), items[i]);
  }
  release(const_cast<Value*>(items), capacity * sizeof(Value));
  account();
}

// ---- the hash part

void Table::set_hash(const Value& key, const Value& value) {
  uint32_t entry = find_entry(key);
  if (entry != kNoEntry) {
    hash_live_ += (value.is_nil() ? 0 : 1);
    hash_live_ -= (entries_[entry].value.is_nil() ? 0 : 1);
    copy_value(entries_[entry].value, value);
    return;
  }
  if (value.is_nil()) return;
#ifdef KTAP_HOSTILE
  rebuild(std::max<size_t>(entry_limit_, size_t{hash_live_} + 1));
#else
  if (entry_count_ >= entry_limit_) make_room();
#endif
  shade(key);
  Entry& added = entries_[entry_count_++];
  copy_value(added.key, key);
  copy_value(added.value, value);
  added.seq = next_seq_++;
  ++hash_live_;
  if (index_ != nullptr) put_into_index(entry_count_ - 1);
}

inline void Table::put_into_index(uint32_t entry) {
  uint32_t i = hash_key(entries_[entry].key) & index_mask_;
  while (index_[i] != 0) i = (i + 1) & index_mask_;
  index_[i] = entry + 1;
}

void Table::make_room() {
  bool mostly_live = hash_live_ >= entry_count_ - entry_count_ / 4;
  rebuild(mostly_live ? size_t{entry_limit_} * 2 : entry_limit_);
}

/// Drops dead entries and makes room for at least `limit` in all.
void Table::rebuild(size_t limit) {
  limit = std::max<size_t>(limit, size_t{hash_live_} + 1);
  size_t slots = 0;
  if (limit <= kSmall) {
    limit = limit <= 4 ? 4 : kSmall;
  } else {
    slots = 16;
    while (slots - slots / 4 < limit) slots *= 2;
    limit = slots - slots / 4;
  }
  const uint64_t bytes = uint64_t{limit} * sizeof(Entry) + uint64_t{slots} * sizeof(uint32_t);
  if (slots >= kNoEntry || bytes > PTRDIFF_MAX) out_of_memory();
  ++epoch_;
  auto* moved = static_cast<Entry*>(resize(nullptr, 0, static_cast<size_t>(bytes)));
  uint32_t count = 0;
  for (uint32_t i = 0; i < entry_count_; ++i) {
    if (!entries_[i].value.is_nil()) moved[count++] = entries_[i];
  }
  release(entries_, hash_bytes());
  entries_ = moved;
  entry_count_ = count;
  forgotten_ = 0;
  entry_limit_ = static_cast<uint32_t>(limit);
  index_ = nullptr;
  index_mask_ = 0;
  if (slots != 0) {
    index_ = reinterpret_cast<uint32_t*>(entries_ + limit);
    index_mask_ = static_cast<uint32_t>(slots - 1);
    std::fill(index_, index_ + slots, 0);
    for (uint32_t entry = 0; entry < count; ++entry) put_into_index(entry);
  }
  account();
}

/// clear() of a table that someone goes through.
void Table::clear_in_place() {
  list_size_ = 0;
  list_live_ = 0;
  for (uint32_t i = 0; i < entry_count_; ++i) entries_[i].value = Value::nil();
  hash_live_ = 0;
}

void Table::clear() {
  if (walks_ != 0) return clear_in_place();
  constexpr size_t kKeptBytes = 4096;  // guessed: what is filled again at once keeps its room
  if (memory_bytes() > kKeptBytes) {
    free_list();
    free_entries();
    account();
  } else if (index_ != nullptr) {
    std::fill(index_, index_ + index_mask_ + 1, 0);
  }
  list_size_ = 0;
  entry_count_ = 0;
  forgotten_ = 0;
  list_live_ = 0;
  hash_live_ = 0;
  ++epoch_;
}

void Table::reserve(size_t list_items, size_t others) {
  if (list_items > list_capacity_) grow_list(list_items);
  if (others > entry_limit_) rebuild(others);
}

// ---- walks

/// A key that comes again is a new entry, which walks that began before it do not meet.
void Table::forget_dead() {
  for (uint32_t i = 0; forgotten_ < entry_count_ - hash_live_; ++i) {
    Entry& entry = entries_[i];
    if (!entry.value.is_nil() || entry.key.is_nil()) continue;
    entry.key = Value::nil();  // no look-up meets it
    ++forgotten_;
  }
}

Table::Cursor Table::begin_walk() {
  forget_dead();
  if (list_live_ != list_size_) move_list_to_hash();  // holes that are filled are not met there
  ++walks_;
  Cursor cursor;
  cursor.list_end = list_size_;
  cursor.end_seq = next_seq_;
  return cursor;
}

void Table::find_place(Cursor& cursor) const {
  cursor.entry = first_entry_since(cursor.next_seq);
  cursor.in_hash = true;
  cursor.epoch = epoch_;
}

/// The first entry whose sequence number is at least `seq`.
uint32_t Table::first_entry_since(uint64_t seq) const {
  auto before = [](const Entry& entry, uint64_t wanted) { return entry.seq < wanted; };
  const Entry* at = std::lower_bound(entries_, entries_ + entry_count_, seq, before);
  return static_cast<uint32_t>(at - entries_);
}

bool Table::scan(Heap& heap, ScanPoint& point, int64_t& units) const {
  for (; point.list_index < list_size_; ++point.list_index) {
    if (units-- <= 0) return false;
    heap.mark(list_[point.list_index]);
  }
  for (uint32_t i = first_entry_since(point.next_seq); i < entry_count_; ++i) {
    if (units-- <= 0) return false;
    const Entry& entry = entries_[i];
    heap.mark(entry.key);  // of dead entries too: lookups still compare with it
    heap.mark(entry.value);
    point.next_seq = entry.seq + 1;
  }
  return true;
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

size_t Table::hash_bytes() const {
  size_t slots = index_ != nullptr ? size_t{index_mask_} + 1 : 0;
  return entry_limit_ * sizeof(Entry) + slots * sizeof(uint32_t);
}

void Table::account() {
  size_t bytes = memory_bytes();
  if (heap_ != nullptr) heap_->bytes_ += bytes - accounted_bytes_;
  accounted_bytes_ = bytes;
}

}  // namespace ktap::runtime
