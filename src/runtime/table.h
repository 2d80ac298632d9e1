// The table: list part from 1, hash part for the rest; a key is an integer, string, boolean,
// address or tuple. The hash part keeps its entries in the order of their insertion behind an
// open-addressing index (the shape of CPython's dict), so a walk is stable under removal,
// overwriting, growth and compaction. A table that kernel handlers write has a TableBacking,
// through which the VM's reads take a snapshot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/value.h"

namespace ktap::runtime {

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
  /// the old value.
  virtual void on_set(Table& table, Value key, Value value) = 0;
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
  };

  Table() : Object(Type::Table) {}

  /// nil when absent or when the key cannot be one.
  Value get(Value key) const {
    if (key.type == Type::Integer) return get_integer(key.integer);
    return get_other(key);
  }
  Value get_integer(int64_t key) const {
    uint64_t i = static_cast<uint64_t>(key) - 1;
    if (i < list_.size()) return list_[i];
    return hash_live_ == 0 ? Value::nil() : get_other(Value::of(key));
  }
  Value get_string(String* key) const;
  /// t[key] where that lies in the list part, nil or not; else null.
  const Value* list_item(int64_t key) const {
    uint64_t i = static_cast<uint64_t>(key) - 1;
    return i < list_.size() ? &list_[i] : nullptr;
  }

  // ---- names by entry: a place in code remembers where it found a name last time
  static constexpr uint32_t kNoEntry = UINT32_MAX;
  /// The value under the name `key` when entry number `entry` has that very key; else null. nil: it
  /// was removed.
  Value* entry_with(size_t entry, const Object* key) {
    if (entry >= entries_.size()) return nullptr;
    Entry& found = entries_[entry];
    return found.key.object == key && found.key.type == Type::String ? &found.value : nullptr;
  }
  const Value* entry_with(size_t entry, const Object* key) const {
    return const_cast<Table*>(this)->entry_with(entry, key);
  }
  /// The entry of a name, live or removed; kNoEntry when there is none.
  uint32_t find_name(String* key) const;
  /// Requires `entry` from find_name(), and no change of the table since.
  Value* value_at(uint32_t entry) { return &entries_[entry].value; }

  /// Where the value of a key that is there lives until the next change of the table; null when it
  /// is absent.
  Value* find_value(Value key);

  /// Requires valid_key(key). A nil value removes.
  void set(Value key, Value value);
  /// Overwrites t[key] when that is a list item, or appends it where that needs no room; `value` is
  /// not nil. Else false and nothing done.
  bool set_list(int64_t key, const Value& value) {
    uint64_t i = static_cast<uint64_t>(key) - 1;
    if (value.is_nil()) return false;
    if (i < list_.size() && !list_[i].is_nil()) {
      copy_value(list_[i], value);
      return true;
    }
    if (i != list_.size() || hash_live_ != 0 || i == list_.capacity()) return false;
    list_.push_back(value);
    ++list_live_;
    return true;
  }
  void clear();
  size_t size() const { return list_live_ + hash_live_; }
  /// integer, string, boolean, address, or a tuple of these.
  static bool valid_key(Value key);
  /// Makes room; a hint.
  void reserve(size_t list_items, size_t others);

  /// The next entry in order: the list items, then the others by age. False at the end. Entries
  /// that are there during the whole walk are seen exactly once, whatever else is added, removed or
  /// overwritten meanwhile.
  bool next(Cursor& cursor, Value& key, Value& value) const;
  /// All keys and values at this moment.
  std::vector<std::pair<Value, Value>> entries() const;

  size_t memory_bytes() const;

  TableBacking* backing = nullptr;
  uint32_t capacity_hint = 0;  ///< table.new(0, n); 0 = default

 private:
  friend class Heap;
  /// value nil: dead, kept in place until the next compaction.
  struct Entry {
    Value key;
    Value value;
    uint64_t seq;
  };
  static constexpr size_t kNone = SIZE_MAX;
  static constexpr size_t kSmall = 8;  ///< up to here entries are searched without an index

  Value get_other(Value key) const;
  size_t find(Value key) const;
  template <class Same>
  size_t search(uint32_t hash, Same same) const;
  void set_list_item(size_t i, Value value);
  void append(Value value);
  void set_hash(Value key, Value value);
  void move_list_to_hash();
  void make_room();
  void rebuild(size_t limit);
  void account();

  std::vector<Value> list_;      // t[1..n], no nil at the end
  std::vector<Entry> entries_;   // by seq
  std::vector<uint32_t> index_;  // entry + 1, 0 free; power of two, or empty while small
  size_t entry_limit_ = 0;       // entries_ may hold so many before a rebuild
  size_t list_live_ = 0;
  size_t hash_live_ = 0;
  uint64_t next_seq_ = 0;
  uint32_t epoch_ = 0;            // counts moves of entries
  size_t* heap_bytes_ = nullptr;  // the heap's account
  size_t accounted_bytes_ = 0;
};

}  // namespace ktap::runtime
