// The two kinds of kernel tables behind runtime Tables: snapshots by flipping the generation
// (Delta) and by copying (Shared). The flip is RCU's idea: writers look at the generation once a
// run, so that after one grace period nobody writes the idle map.
#include "engine/kernel_table.h"

#include <algorithm>
#include <cstring>

namespace ktap::engine {

using runtime::Table;
using runtime::Type;
using runtime::Value;

namespace {

int64_t add_wrapping(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

}  // namespace

// ---- Snapshots
// ---------------------------------------------------------------------------------------------

void Snapshots::take() {
  if (taken_in_run_ == run_) return;
  taken_in_run_ = run_;
  if (tables_.empty()) return;
  if (!armed_) {  // nothing writes: both maps are at rest
    for (DeltaTable* table : tables_) {
      table->collect(0);
      table->collect(1);
    }
    return;
  }
  const uint64_t idle = __atomic_load_n(generation_, __ATOMIC_RELAXED);
  __atomic_store_n(generation_, idle ^ 1, __ATOMIC_SEQ_CST);
  sys::wait_for_programs();
  for (DeltaTable* table : tables_) table->collect(idle);
}

void Snapshots::remove(DeltaTable* table) {
  tables_.erase(std::remove(tables_.begin(), tables_.end(), table), tables_.end());
}

// ---- DeltaTable
// --------------------------------------------------------------------------------------------

DeltaTable::DeltaTable(const backend::Table& layout, sys::Map* first, sys::Map* second,
                       const std::vector<std::string>& strings, runtime::Heap& heap,
                       Snapshots& snapshots)
    : codec_(layout, strings),
      maps_{first, second},
      heap_(heap),
      snapshots_(snapshots),
      key_size_bytes_(layout.key_size_bytes) {
  snapshots_.add(this);
}

DeltaTable::~DeltaTable() { snapshots_.remove(this); }

void DeltaTable::collect(uint64_t generation) {
  sys::Map& map = *maps_[generation & 1];
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  const Result<size_t> count = map.read_all(true, &keys, &values);
  if (!count.ok()) return;  // what is there stays there, for the next snapshot
  const size_t stride = map.value_stride_bytes();
  for (size_t i = 0; i < count.value(); ++i) {
    int64_t sum = 0;
    for (size_t at = 0; at < stride; at += 8) {
      int64_t on_cpu = 0;
      std::memcpy(&on_cpu, values.data() + i * stride + at, sizeof on_cpu);
      sum = add_wrapping(sum, on_cpu);
    }
    pending_sums_.push_back(sum);
  }
  pending_keys_.insert(pending_keys_.end(), keys.begin(), keys.end());
}

void DeltaTable::before_read(Table& table) {
  snapshots_.take();
  for (size_t i = 0; i < pending_sums_.size(); ++i) {
    const Value key = codec_.decode(pending_keys_.data() + i * key_size_bytes_, heap_);
    const Value now = table.get(key);
    Value sum = Value::of(pending_sums_[i]);
    if (now.is_integer()) sum = Value::of(add_wrapping(now.integer, sum.integer));
    if (now.type == Type::Float) {
      sum = Value::of(now.number + static_cast<double>(pending_sums_[i]));
    }
    table.set(key, sum);
  }
  pending_keys_.clear();
  pending_sums_.clear();
}

// Deltas that came in before must go with what is deleted or overwritten: they are added up first.
void DeltaTable::on_clear(Table& table) { before_read(table); }

void DeltaTable::on_set(Table& table, Value, Value) { before_read(table); }

// ---- SharedTable
// -------------------------------------------------------------------------------------------

SharedTable::SharedTable(const backend::Table& layout, sys::Map* map,
                         const std::vector<std::string>& strings, runtime::Heap& heap,
                         Snapshots& snapshots)
    : codec_(layout, strings),
      values_(layout, strings),
      map_(map),
      heap_(heap),
      snapshots_(snapshots),
      key_size_bytes_(layout.key_size_bytes) {}

void SharedTable::before_read(Table& table) {
  if (taken_in_run_ == snapshots_.run()) return;
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  const Result<size_t> count = map_->read_all(false, &keys, &values);
  if (!count.ok()) return;
  taken_in_run_ = snapshots_.run();
  // Entries that only user space can have (a float, a key that the kernel cannot make) are none of
  // the map's: stay.
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> encoded;
  for (const auto& [key, value] : table.entries()) {
    if (codec_.encode(key, &bytes) && values_.encode(bytes.data(), value, &encoded))
      table.set(key, Value::nil());
  }
  snapshot_.clear();
  const size_t size = values_.size_bytes();
  for (size_t i = 0; i < count.value(); ++i) {
    const uint8_t* key = keys.data() + i * key_size_bytes_;
    std::vector<uint8_t> value(values.begin() + static_cast<ptrdiff_t>(i * size),
                               values.begin() + static_cast<ptrdiff_t>((i + 1) * size));
    if (!values_.is_whole(key, value.data()) && !read_whole(*map_, values_, key, &value)) continue;
    snapshot_[std::string(reinterpret_cast<const char*>(key), key_size_bytes_)] =
        std::string(value.begin(), value.end());
    table.set(codec_.decode(key, heap_), values_.decode(value.data(), heap_));
  }
}

void SharedTable::remove_if_unchanged(const std::string& key, const std::string& value) {
  std::string now(value.size(), '\0');
  if (!map_->lookup(key.data(), now.data()) || now != value) return;
  if (!map_->take(key.data(), now.data()) || now == value) return;
  // A program wrote between the look and the taking: its value goes back, unless there is a newer
  // one already.
  Result<void> put_back = map_->update(key.data(), now.data(), /*only_new=*/true);
  static_cast<void>(put_back.ok());
}

void SharedTable::on_clear(Table& table) {
  before_read(table);
  for (const auto& [key, value] : snapshot_) remove_if_unchanged(key, value);
  snapshot_.clear();
}

void SharedTable::on_set(Table& table, Value key, Value value) {
  before_read(table);
  std::vector<uint8_t> bytes;
  if (!codec_.encode(key, &bytes)) return;
  const std::string text(bytes.begin(), bytes.end());
  std::vector<uint8_t> encoded;
  if (values_.encode(bytes.data(), value, &encoded)) {
    // A full map refuses: the entry then lives in the Table alone.
    if (map_->update(bytes.data(), encoded.data()).ok())
      snapshot_[text] = std::string(encoded.begin(), encoded.end());
    return;
  }
  const auto seen = snapshot_.find(text);
  if (seen == snapshot_.end()) return;
  remove_if_unchanged(text, seen->second);
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
    : values_(layout, strings), map_(map), heap_(heap) {
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

}  // namespace ktap::engine
