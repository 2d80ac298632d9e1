// The table: list part from 1, hash part for the rest; a key is an integer, string, boolean,
// address or tuple. The hash part keeps its entries in the order of their insertion behind an
// open-addressing index (the shape of CPython's dict), so a walk is stable under removal,
// overwriting, growth and compaction. Entries and index are one block; an empty table has none. A
// table that kernel handlers write has a TableBacking, through which the VM's reads take a
// snapshot.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.h"
#include "runtime/arith.h"
#include "runtime/value.h"

namespace ktap::runtime {

class Heap;

/// Implemented by the engine for a table whose entries live (also) in kernel maps.
class TableBacking {
 public:
  virtual ~TableBacking() = default;
  /// Called before the VM reads or changes the table: on the first call of a handler run it brings
  /// it up to date.
  virtual void before_read(Table& table) = 0;
  /// Called by `delete(t)` before the entries of `table` vanish: removes what the snapshot held.
  virtual void on_clear(Table& table) = 0;
  /// Called when one key is removed or set by user space (value nil = removed); `table` still has
  /// the old value. Errors: the entry finds no room, or is none that the kernel's side can hold.
  virtual Result<void> on_set(Table& table, Value key, Value value) = 0;
  /// The same for `entry op= operand`, which gives `value` of what `table` has.
  virtual Result<void> on_update(Table& table, Value key, ArithOp, int64_t /*operand*/,
                                 Value value) {
    return on_set(table, key, value);
  }
};

class Table : public Object {
 public:
  /// Where a walk stands. A new one stands at the start.
  struct Cursor {
    size_t list_index = 0;  ///< list items behind us
    bool in_hash = false;
    size_t entry = 0;       ///< next entry of the hash part
    uint64_t next_seq = 0;  ///< its sequence number is at least this
    uint32_t epoch = 0;
    size_t list_end = SIZE_MAX;  ///< what is added behind these is not seen
    uint64_t end_seq = UINT64_MAX;
    uint64_t moved_next = 0;  ///< list items that moved over or came again are seen in order, once
  };

  Table() : Object(Type::Table) {}
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// nil when absent or when the key cannot be one.
  Value get(const Value& key) const {
    const Value* found = key.type == Type::Integer ? find_integer(key.integer) : find_other(key);
    return found == nullptr ? Value::nil() : *found;
  }
  Value get_integer(int64_t key) const {
    const Value* found = find_integer(key);
    return found == nullptr ? Value::nil() : *found;
  }
  Value get_string(const String* key) const {
    const Value* found = find_string(key);
    return found == nullptr ? Value::nil() : *found;
  }

  // ---- where a value lives until the next change of the table: null, or nil, when it is absent
  const Value* find(const Value& key) const {
    return key.type == Type::Integer ? find_integer(key.integer) : find_other(key);
  }
  const Value* find_integer(int64_t key) const {
    uint64_t i = static_cast<uint64_t>(key) - 1;
    return i < list_size_ ? &list_[i] : find_hashed_integer(key);
  }
  const Value* find_string(const String* key) const {
    uint32_t entry = find_name(key);
    return entry == kNoEntry ? nullptr : &entries_[entry].value;
  }
  /// Null unless the key is there. Whoever stores through it stores no nil.
  Value* find_value(const Value& key) {
    const Value* found = find(key);
    return found == nullptr || found->is_nil() ? nullptr : const_cast<Value*>(found);
  }

  // ---- names by entry: a place in code remembers where it found a name last time
  static constexpr uint32_t kNoEntry = UINT32_MAX;
  /// The value under the name `key` when entry number `entry` has that very key; else null. nil: it
  /// was removed.
  Value* entry_with(uint32_t entry, const Object* key) {
    if (entry >= entry_count_) return nullptr;
    Entry& found = entries_[entry];
    return found.key.object == key && found.key.type == Type::String ? &found.value : nullptr;
  }
  /// The entry of a name, live or removed; kNoEntry when there is none.
  uint32_t find_name(const String* key) const;
  /// Requires `entry` from find_name(), and no change of the table since.
  Value* value_at(uint32_t entry) { return &entries_[entry].value; }

  /// Requires valid_key(key). A nil value removes.
  void set(const Value& key, const Value& value);
  /// Overwrites t[key] when that is a list item, or appends it where that needs no room; `value` is
  /// not nil. Else false and nothing done.
  bool set_list(int64_t key, const Value& value);  // heap.h
  /// t[first + i] = values[i]
  void set_items(int64_t first, const Value* values, size_t count);
  void clear();
  size_t size() const { return list_live_ + hash_live_; }
  /// The n for which t[1] … t[n] are there and t[n + 1] is not. Cost: constant, unless the list has
  /// holes or was made backwards.
  int64_t list_length() const;
  /// integer, string, boolean, address, or a tuple of these.
  static bool valid_key(const Value& key);
  /// Makes room; a hint.
  void reserve(size_t list_items, size_t others);

  /// While a walk goes on, what is deleted keeps its place: a key that comes again is the same
  /// entry. A walk that is left before its end is never done with, which costs clear() some time.
  /// Goes through what is there now, and not through what is added on the way, also where that was
  /// there before and had been deleted.
  Cursor begin_walk();
  void end_walk() { --walks_; }
  /// The next entry in order: the list items, then the others by age. False at the end. Entries
  /// that are there during the whole walk are seen exactly once, whatever else is added, removed or
  /// overwritten meanwhile.
  bool next(Cursor& cursor, Value& key, Value& value) const {
    const size_t list_end = std::min<size_t>(list_size_, cursor.list_end);
    while (cursor.list_index < list_end && !cursor.in_hash) {
      const Value& item = list_[cursor.list_index++];
      if (item.is_nil()) continue;
      copy_value(value, item);
      key.type = Type::Integer;
      key.integer = static_cast<int64_t>(cursor.list_index);
      return true;
    }
    if (!cursor.in_hash || cursor.epoch != epoch_) find_place(cursor);
    while (cursor.entry < entry_count_) {
      const Entry& entry = entries_[cursor.entry++];
      cursor.next_seq = entry.seq + 1;
      if (entry.value.is_nil()) continue;
      // A list item that moved over here was seen there, or is still to be.
      const uint64_t item =
          entry.key.is_integer() ? static_cast<uint64_t>(entry.key.integer) - 1 : UINT64_MAX;
      if (item < cursor.list_index) continue;
      if (entry.seq >= cursor.end_seq) {
        if (item >= cursor.list_end || item < cursor.moved_next) continue;
        cursor.moved_next = item + 1;
      }
      copy_value(key, entry.key);
      copy_value(value, entry.value);
      return true;
    }
    return false;
  }
  /// All keys and values at this moment.
  std::vector<std::pair<Value, Value>> entries() const;

  size_t memory_bytes() const { return list_bytes() + hash_bytes(); }
  /// The collector's write barrier, for those who store through find_value() and its kin.
  void shade(const Value& value);  // heap.h

  TableBacking* backing = nullptr;
  uint32_t capacity_hint = 0;  ///< table.new(0, n); 0 = default

 private:
  friend class Heap;
  /// value nil: dead, kept in place until the next compaction. key nil: dead for good.
  struct Entry {
    Value key;
    Value value;
    uint64_t seq;
  };
  /// How far the collector has looked at a table: list items, then entries by age, so that a
  /// compaction in between hides none.
  struct ScanPoint {
    size_t list_index = 0;
    uint64_t next_seq = 0;
  };
  static constexpr uint32_t kSmall = 8;  ///< up to here entries are searched without an index

  const Value* find_hashed_integer(int64_t key) const;
  const Value* find_other(const Value& key) const;
  uint32_t find_entry(const Value& key) const;
  template <class Same>
  uint32_t search(uint32_t hash, Same same) const;
  void set_list_item(size_t i, const Value& value);
  void append(const Value& value);
  void grow_list(size_t capacity);
  void set_hash(const Value& key, const Value& value);
  void move_list_to_hash();
  void make_room();
  void forget_dead();
  void clear_in_place();
  void rebuild(size_t limit);
  void put_into_index(uint32_t entry);
  void account();
  void* resize(void* memory, size_t old_bytes, size_t bytes);
  void release(void* memory, size_t bytes);
  void free_list();
  void free_entries();
  size_t list_bytes() const { return list_capacity_ * sizeof(Value); }
  size_t hash_bytes() const;
  /// Marks keys and values from `point` on until `units` are spent; true at the end of the table.
  bool scan(Heap& heap, ScanPoint& point, int64_t& units) const;
  uint32_t first_entry_since(uint64_t seq) const;
  /// Leads a walk into the hash part, or to its place there after entries have moved.
  void find_place(Cursor& cursor) const;

  Value* list_ = nullptr;  // t[1..n], no nil at the end
  uint32_t list_size_ = 0;
  uint32_t list_capacity_ = 0;
  uint32_t list_live_ = 0;
  uint32_t hash_live_ = 0;
  Entry* entries_ = nullptr;   // by seq; the index lies behind them
  uint32_t* index_ = nullptr;  // entry + 1, 0 free; null while small
  uint32_t index_mask_ = 0;
  uint32_t entry_count_ = 0;
  uint32_t forgotten_ = 0;    // of these, dead for good
  uint32_t entry_limit_ = 0;  // entries_ may hold so many before a rebuild
  uint32_t epoch_ = 0;        // counts moves of entries
  uint64_t next_seq_ = 0;
  uint32_t walks_ = 0;
  Heap* heap_ = nullptr;  // keeps the account; null for a table of its own
  size_t accounted_bytes_ = 0;
};

}  // namespace ktap::runtime
