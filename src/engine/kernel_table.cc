// The kinds of kernel tables behind runtime Tables; see kernel_table.h.
#include "engine/kernel_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_set>
#include <utility>

#include "runtime/text.h"

namespace ktap::engine {

using runtime::Table;
using runtime::Type;
using runtime::Value;

namespace {

int64_t add_wrapping(int64_t a, int64_t b) { return backend::merge_word(ssa::MergeOp::Add, a, b); }

}  // namespace

// ---- DeltaTable
// --------------------------------------------------------------------------------------------

DeltaTable::DeltaTable(const backend::Unit& unit, uint32_t table, DeltaMemory& memory,
                       const std::vector<std::string>& strings, runtime::Heap& heap,
                       Snapshots& snapshots)
    : reader_(unit, table, memory, snapshots), codec_(unit.tables[table], strings), heap_(heap) {
  KTAP_CHECK(unit.tables[table].words.size() == 1 && unit.tables[table].only_sums());
}

void DeltaTable::before_read(Table& table) {
  reader_.refresh();
  reader_.take_rows([&](const uint8_t* bytes, const int64_t* words) {
    const Value key = codec_.decode(bytes, heap_);
    const Value now = table.get(key);
    Value sum = Value::of(words[0]);
    if (now.is_integer()) sum = Value::of(add_wrapping(now.integer, words[0]));
    if (now.type == Type::Float) sum = Value::of(now.number + static_cast<double>(words[0]));
    table.set(key, sum);
  });
}

// Deltas that came in before must go with what is deleted or overwritten: they are added up first.
void DeltaTable::on_clear(Table& table) { before_read(table); }

Result<void> DeltaTable::on_set(Table& table, Value, Value) {
  before_read(table);
  return {};
}

// ---- where entries are
// ---------------------------------------------------------------------------

namespace {

int64_t integer(const uint8_t* value) {
  int64_t number = 0;
  std::memcpy(&number, value, sizeof number);
  return number;
}

/// `count`: the number of a table's entries, null when nobody asks for it. Raised before an entry
/// comes, lowered after one has gone.
void add_to_count(uint64_t* count, int64_t by) {
  if (count != nullptr) __atomic_fetch_add(count, static_cast<uint64_t>(by), __ATOMIC_SEQ_CST);
}

/// Makes an entry that must be new, and counts it before.
bool make_entry(sys::Map& map, const uint8_t* key, const void* value, uint64_t* count) {
  add_to_count(count, 1);
  if (map.update(key, value, /*only_new=*/true).ok()) return true;
  add_to_count(count, -1);
  return false;
}

/// The atomic that does it; Sub is an Add. Nothing for what is none.
std::optional<bpf::AtomicOp> atomic_of(const Change& change) {
  switch (change.op) {
    case runtime::ArithOp::Add:
    case runtime::ArithOp::Sub:
      return bpf::AtomicOp::Add;
    case runtime::ArithOp::BitAnd:
      return bpf::AtomicOp::And;
    case runtime::ArithOp::BitOr:
      return bpf::AtomicOp::Or;
    case runtime::ArithOp::BitXor:
      return bpf::AtomicOp::Xor;
    default:
      return std::nullopt;
  }
}

/// In the kernel's own time. False: there is no entry, or the kernel cannot do it.
bool update_in_kernel(EntryUpdater& updater, const uint8_t* key, const Change& change) {
  const std::optional<bpf::AtomicOp> atomic = atomic_of(change);
  if (!atomic) return false;
  const bool is_sub = change.op == runtime::ArithOp::Sub;
  const int64_t operand = is_sub ? runtime::wrap_sub(0, change.operand) : change.operand;
  return updater.update(key, *atomic, operand) == EntryUpdater::Found::There;
}

/// One of the kernel's hash maps.
class MapStore : public EntryStore {
 public:
  /// `count`: the number of entries, null when nobody asks for it.
  MapStore(const backend::Table& table, sys::Map* map, uint64_t* count,
           const std::vector<std::string>& strings)
      : values_(table, strings), map_(map), count_(count), updater_(table, *map) {}

  bool read_all(const EntryBytesVisitor& visit) override {
    std::vector<uint8_t> keys;
    std::vector<uint8_t> values;
    const Result<size_t> count = map_->read_all(false, &keys, &values);
    if (!count.ok()) return false;
    const size_t size = values_.size_bytes();
    for (size_t i = 0; i < count.value(); ++i) {
      const uint8_t* key = keys.data() + i * map_->spec().key_size_bytes;
      std::vector<uint8_t> value(values.begin() + static_cast<ptrdiff_t>(i * size),
                                 values.begin() + static_cast<ptrdiff_t>((i + 1) * size));
      if (values_.is_whole(key, value.data()) || read_whole(*map_, values_, key, &value))
        visit(key, value.data());
    }
    return true;
  }

  bool can_hold(const uint8_t*) override { return true; }
  bool put(const uint8_t* key, const uint8_t* value, const uint8_t*) override {
    if (count_ == nullptr) return map_->update(key, value).ok();
    if (make_entry(*map_, key, value, count_)) return true;
    std::vector<uint8_t> now(values_.size_bytes());
    return map_->lookup(key, now.data()) && map_->update(key, value).ok();
  }

  bool update(const uint8_t* key, const uint8_t* value, const uint8_t* seen,
              const Change& change) override {
    constexpr int kTries = 3;  // a program may make the entry, or remove it, between the two
    for (int i = 0; i < kTries; ++i) {
      if (update_in_kernel(updater_, key, change)) return true;
      if (make_entry(*map_, key, value, count_)) return true;
    }
    return put(key, value, seen);
  }

  void remove_if(const uint8_t* key, const uint8_t* value) override {
    const std::vector<uint8_t> wanted(value, value + values_.size_bytes());
    std::vector<uint8_t> now(wanted.size());
    if (!map_->lookup(key, now.data()) || now != wanted) return;
    if (!map_->take(key, now.data())) return;
    add_to_count(count_, -1);
    if (now == wanted) return;
    // A program wrote between the look and the taking: its value goes back, unless there is a newer
    // one already.
    make_entry(*map_, key, now.data(), count_);
  }

 private:
  ValueCodec values_;
  sys::Map* map_;
  uint64_t* count_;
  EntryUpdater updater_;
};

/// One of the kernel's hash maps, of a table that is_taken.
class TakenStore : public EntryStore {
 public:
  TakenStore(const backend::Table& table, sys::Map* map, uint64_t* count)
      : table_(table), map_(map), count_(count), updater_(table, *map) {}

  bool read_all(const EntryBytesVisitor& visit) override {
    std::vector<uint8_t> keys;
    std::vector<uint8_t> values;
    const Result<size_t> count = map_->read_all(false, &keys, &values);
    if (!count.ok()) return false;
    std::unordered_set<std::string> gone;
    for (size_t i = 0; i < count.value(); ++i) {
      const uint8_t* key = keys.data() + i * table_.key_size_bytes;
      const Entry entry = entry_at(values.data() + i * sizeof(Entry));
      if (entry.is_there()) {
        visit(key, reinterpret_cast<const uint8_t*>(&entry.value));
      } else {
        gone.emplace(reinterpret_cast<const char*>(key), table_.key_size_bytes);
      }
    }
    make_room(std::move(gone), count.value());
    return true;
  }

  bool can_hold(const uint8_t*) override { return true; }
  bool put(const uint8_t* key, const uint8_t* value, const uint8_t* seen) override {
    const Entry entry{integer(value), 1};
    add_to_count(count_, 1);
    if (map_->update(key, &entry, /*only_new=*/true).ok()) return true;
    const int64_t old = seen == nullptr ? 0 : integer(seen);
    const auto found = replace(key, old, entry.value);
    if (found != EntryUpdater::Found::New) add_to_count(count_, -1);
    if (found) return *found != EntryUpdater::Found::Absent;
    // An old kernel: what is added in these few microseconds is gone.
    Entry now;
    if (!map_->lookup(key, &now)) return false;
    const Entry both{add_wrapping(now.value, runtime::wrap_sub(entry.value, old)), 1};
    if (!map_->update(key, &both).ok()) return false;
    if (!now.is_there()) add_to_count(count_, 1);
    return true;
  }

  void remove_if(const uint8_t* key, const uint8_t* value) override {
    const int64_t seen = integer(value);
    if (const std::optional<int64_t> more = updater_.take(key, seen))
      return add_to_count(count_, *more);
    // An old kernel: as above.
    Entry now;
    if (!map_->lookup(key, &now)) return;
    const int64_t rest = now.value - seen;
    const Entry left{rest, rest == 0 ? 0 : 1};
    if (map_->update(key, &left).ok() && rest == 0) add_to_count(count_, -1);
  }

 private:
  struct Entry {
    int64_t value = 0;
    int64_t presence = 0;
    bool is_there() const { return value != 0 || presence != 0; }
  };
  static_assert(offsetof(Entry, presence) == backend::kTakenPresence);

  static Entry entry_at(const uint8_t* bytes) {
    Entry entry;
    std::memcpy(&entry, bytes, sizeof entry);
    return entry;
  }

  /// Entries that are gone take room. When the map gets full, those go that were gone at the last
  /// snapshot: an add to one of them at this very moment, after such a rest, would be lost.
  void make_room(std::unordered_set<std::string> gone, size_t in_map) {
    if (in_map > table_.max_entries / 2) {
      for (const std::string& key : gone) {
        if (gone_.count(key) != 0) map_->remove(key.data());
      }
    }
    gone_ = std::move(gone);
  }

  /// What the tick has seen becomes `value`; what handlers have done since stays.
  std::optional<EntryUpdater::Found> replace(const uint8_t* key, int64_t old, int64_t value) {
    switch (table_.taken_by) {
      case backend::Table::TakenBy::Sum:
        return updater_.update(key, bpf::AtomicOp::Add, runtime::wrap_sub(value, old));
      case backend::Table::TakenBy::Toggle:
        return updater_.update(key, bpf::AtomicOp::Xor, old ^ value);
      case backend::Table::TakenBy::Mask:
        updater_.update(key, bpf::AtomicOp::And, ~(old & ~value));
        return updater_.update(key, bpf::AtomicOp::Or, value & ~old);
    }
    KTAP_UNREACHABLE();
  }

  const backend::Table& table_;
  sys::Map* map_;
  uint64_t* count_;
  EntryUpdater updater_;
  std::unordered_set<std::string> gone_;  // at the last snapshot
};

/// Memory of our own, mapped when it is first looked at.
class MemoryStore : public EntryStore {
 public:
  MemoryStore(const backend::Table& table, sys::Map* map) : table_(table), map_(map) {}

  bool read_all(const EntryBytesVisitor& visit) override {
    if (!map()) return false;
    memory_->visit([&](const uint8_t* key, const int64_t* value) {
      visit(key, reinterpret_cast<const uint8_t*>(value));
    });
    return true;
  }
  bool can_hold(const uint8_t* key) override { return map() && memory_->can_hold(key); }
  bool put(const uint8_t* key, const uint8_t* value, const uint8_t*) override {
    return map() && memory_->put(key, integer(value));
  }
  void remove_if(const uint8_t* key, const uint8_t* value) override {
    if (map()) memory_->remove_if(key, integer(value));
  }

 private:
  bool map() {
    if (memory_) return true;
    Result<sys::MappedArray> mapped = sys::MappedArray::map(*map_);
    if (!mapped.ok()) return false;
    mapped_ = std::move(mapped).value();
    memory_.emplace(table_, mapped_.data());
    return true;
  }

  const backend::Table& table_;
  sys::Map* map_;
  sys::MappedArray mapped_;
  std::optional<backend::SharedMemory> memory_;
};

}  // namespace

std::unique_ptr<EntryStore> make_store(const backend::Table& table, std::vector<sys::Map>& maps,
                                       uint8_t* control, const std::vector<std::string>& strings) {
  KTAP_CHECK(!backend::is_delta(table.layout));
  sys::Map* map = &maps[table.maps[0]];
  if (table.layout == backend::TableLayout::Hash) {
    auto* count = reinterpret_cast<uint64_t*>(control + table.count_offset_bytes);
    if (!table.is_counted) count = nullptr;
    if (table.is_taken) return std::make_unique<TakenStore>(table, map, count);
    return std::make_unique<MapStore>(table, map, count, strings);
  }
  return std::make_unique<MemoryStore>(table, map);
}

// ---- MasterTable
// ---------------------------------------------------------------------------------

MasterTable::MasterTable(const backend::Table& layout, std::unique_ptr<EntryStore> store,
                         const std::vector<std::string>& strings, runtime::Heap& heap,
                         Snapshots& snapshots)
    : codec_(layout, strings),
      values_(layout, strings),
      store_(std::move(store)),
      heap_(heap),
      snapshots_(snapshots),
      key_size_bytes_(layout.key_size_bytes),
      max_entries_(layout.max_entries) {}

void MasterTable::before_read(Table& table) {
  if (taken_in_run_ == snapshots_.run()) return;
  std::unordered_map<std::string, std::string> now;
  const bool read = store_->read_all([&](const uint8_t* key, const uint8_t* value) {
    now[std::string(reinterpret_cast<const char*>(key), key_size_bytes_)] =
        std::string(reinterpret_cast<const char*>(value), values_.size_bytes());
  });
  if (!read) return;
  taken_in_run_ = snapshots_.run();
  // Entries that only user space can have (a float, a key that the kernel cannot make) are none of
  // the kernel's: they stay.
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> encoded;
  for (const auto& [key, value] : table.entries()) {
    if (codec_.encode(key, &bytes) && values_.encode(bytes.data(), value, &encoded) &&
        store_->can_hold(bytes.data())) {
      table.set(key, Value::nil());
    }
  }
  snapshot_ = std::move(now);
  for (const auto& [key, value] : snapshot_) {
    table.set(codec_.decode(reinterpret_cast<const uint8_t*>(key.data()), heap_),
              values_.decode(reinterpret_cast<const uint8_t*>(value.data()), heap_));
  }
}

void MasterTable::on_clear(Table& table) {
  before_read(table);
  for (const auto& [key, value] : snapshot_) {
    store_->remove_if(reinterpret_cast<const uint8_t*>(key.data()),
                      reinterpret_cast<const uint8_t*>(value.data()));
  }
  snapshot_.clear();
}

Result<void> MasterTable::on_set(Table& table, Value key, Value value) {
  return store(table, key, value, nullptr);
}

Result<void> MasterTable::on_update(Table& table, Value key, runtime::ArithOp op, int64_t operand,
                                    Value value) {
  const Change change{op, operand};
  return store(table, key, value, &change);
}

/// While no program runs, what the kernel's side cannot hold lives in the Table alone.
Result<void> MasterTable::store(Table& table, Value key, Value value, const Change* change) {
  before_read(table);
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> encoded;
  const bool has_key = codec_.encode(key, &bytes);
  if (value.is_nil()) {
    if (has_key) remove(bytes);
    return {};
  }
  if (!has_key || !values_.encode(bytes.data(), value, &encoded)) {
    if (snapshots_.armed())
      return Error{"a table that handlers in the kernel share cannot hold " +
                       runtime::unfit_phrase(has_key ? value : key),
                   0};
    if (has_key) remove(bytes);
    return {};
  }
  const std::string text(bytes.begin(), bytes.end());
  const auto now = snapshot_.find(text);
  const auto* seen =
      now == snapshot_.end() ? nullptr : reinterpret_cast<const uint8_t*>(now->second.data());
  const bool is_put = change == nullptr
                          ? store_->put(bytes.data(), encoded.data(), seen)
                          : store_->update(bytes.data(), encoded.data(), seen, *change);
  if (is_put) {
    snapshot_[text] = std::string(encoded.begin(), encoded.end());
  } else if (snapshots_.armed()) {
    return Error{fmt::format("the table is full: handlers in the kernel use it, and there it has "
                             "room for {} entries (table.new() or --table-size gives more)",
                             max_entries_),
                 0};
  }
  return {};
}

void MasterTable::remove(const std::vector<uint8_t>& key) {
  const auto seen = snapshot_.find(std::string(key.begin(), key.end()));
  if (seen == snapshot_.end()) return;
  store_->remove_if(key.data(), reinterpret_cast<const uint8_t*>(seen->second.data()));
  snapshot_.erase(seen);
}

bool read_whole(const sys::Map& map, const ValueCodec& values, const uint8_t* key,
                std::vector<uint8_t>* value) {
  constexpr int kTries = 1000;  // each meets another write; guessed: far more than ever happens
  value->resize(values.size_bytes());
  for (int i = 0; i < kTries; ++i) {
    if (!map.lookup(key, value->data())) return false;
    if (values.is_whole(key, value->data())) return true;
  }
  return false;
}

// ---- TableVariable
// -----------------------------------------------------------------------------------------

TableVariable::TableVariable(const backend::Table& layout, sys::Map* map,
                             const std::vector<std::string>& strings, runtime::Heap& heap)
    : table_(layout), values_(layout, strings), map_(map), updater_(layout, *map), heap_(heap) {
  KTAP_CHECK(KeyCodec(layout, strings).encode(Value::of(true), &key_));
}

Value TableVariable::load() {
  std::vector<uint8_t> value;
  if (!read_whole(*map_, values_, key_.data(), &value)) return Value::nil();
  return values_.decode(value.data(), heap_);
}

bool TableVariable::store(Value value) {
  if (value.is_nil()) {
    map_->remove(key_.data());
    return true;
  }
  std::vector<uint8_t> bytes;
  return values_.encode(key_.data(), value, &bytes) && map_->update(key_.data(), bytes.data()).ok();
}

bool TableVariable::update(runtime::ArithOp op, int64_t operand) {
  const ssa::KeyPart::Kind kind = table_.value.kind;
  return (kind == ssa::KeyPart::Kind::Int || kind == ssa::KeyPart::Kind::Union) &&
         update_in_kernel(updater_, key_.data(), Change{op, operand});
}

}  // namespace ktap::engine
