// The kinds of kernel tables behind runtime Tables; see kernel_table.h.
#include "engine/kernel_table.h"

#include <algorithm>
#include <cstring>

namespace ktap::engine {

using runtime::Table;
using runtime::Type;
using runtime::Value;

namespace {

int64_t add_wrapping(int64_t a, int64_t b) { return backend::merge_word(ssa::MergeOp::Add, a, b); }

}  // namespace

// ---- DeltaTable
// --------------------------------------------------------------------------------------------

DeltaTable::DeltaTable(const backend::Unit& unit, uint32_t table, std::vector<sys::Map>& maps,
                       const std::vector<std::string>& strings, runtime::Heap& heap,
                       Snapshots& snapshots)
    : reader_(unit, table, maps, snapshots), codec_(unit.tables[table], strings), heap_(heap) {
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

void DeltaTable::on_set(Table& table, Value, Value) { before_read(table); }

// ---- HashTable
// -------------------------------------------------------------------------------------------

HashTable::HashTable(const backend::Table& layout, sys::Map* map,
                     const std::vector<std::string>& strings, runtime::Heap& heap,
                     Snapshots& snapshots)
    : codec_(layout, strings),
      map_(map),
      heap_(heap),
      snapshots_(snapshots),
      key_size_bytes_(layout.key_size_bytes) {}

void HashTable::before_read(Table& table) {
  if (taken_in_run_ == snapshots_.run()) return;
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  const Result<size_t> count = map_->read_all(false, &keys, &values);
  if (!count.ok()) return;
  taken_in_run_ = snapshots_.run();
  // Entries that only user space can have (a float, a key that the kernel cannot make) are none of
  // the map's: stay.
  std::vector<uint8_t> bytes;
  for (const auto& [key, value] : table.entries()) {
    if (value.is_integer() && codec_.encode(key, &bytes)) table.set(key, Value::nil());
  }
  snapshot_.clear();
  for (size_t i = 0; i < count.value(); ++i) {
    const uint8_t* key = keys.data() + i * key_size_bytes_;
    int64_t value = 0;
    std::memcpy(&value, values.data() + i * sizeof value, sizeof value);
    snapshot_[std::string(reinterpret_cast<const char*>(key), key_size_bytes_)] = value;
    table.set(codec_.decode(key, heap_), Value::of(value));
  }
}

void HashTable::remove_if_unchanged(const std::string& key, int64_t value) {
  int64_t now = 0;
  if (!map_->lookup(key.data(), &now) || now != value) return;
  if (!map_->take(key.data(), &now) || now == value) return;
  // A program wrote between the look and the taking: its value goes back, unless there is a newer
  // one already.
  Result<void> put_back = map_->update(key.data(), &now, /*only_new=*/true);
  static_cast<void>(put_back.ok());
}

void HashTable::on_clear(Table& table) {
  before_read(table);
  for (const auto& [key, value] : snapshot_) remove_if_unchanged(key, value);
  snapshot_.clear();
}

void HashTable::on_set(Table& table, Value key, Value value) {
  before_read(table);
  std::vector<uint8_t> bytes;
  if (!codec_.encode(key, &bytes)) return;
  const std::string text(bytes.begin(), bytes.end());
  if (value.is_integer()) {
    // A full map refuses: the entry then lives in the Table alone.
    if (map_->update(bytes.data(), &value.integer).ok()) snapshot_[text] = value.integer;
    return;
  }
  const auto seen = snapshot_.find(text);
  if (seen == snapshot_.end()) return;
  remove_if_unchanged(text, seen->second);
  snapshot_.erase(seen);
}

}  // namespace ktap::engine
