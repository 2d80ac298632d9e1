// See delta_reader.h.
#include "engine/delta_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ktap::engine {

void Snapshots::take() {
  if (taken_in_run_ == run_) return;
  taken_in_run_ = run_;
  if (readers_.empty()) return;
  if (!armed_) {  // nothing writes: both maps are at rest
    for (DeltaReader* reader : readers_) {
      reader->collect(0);
      reader->collect(1);
    }
    return;
  }
  const uint64_t idle = __atomic_load_n(generation_, __ATOMIC_RELAXED);
  __atomic_store_n(generation_, idle ^ 1, __ATOMIC_SEQ_CST);
  sys::wait_for_programs();
  for (DeltaReader* reader : readers_) reader->collect(idle);
}

void Snapshots::remove(DeltaReader* reader) {
  readers_.erase(std::remove(readers_.begin(), readers_.end(), reader), readers_.end());
}

DeltaReader::DeltaReader(const backend::Unit& unit, uint32_t table, std::vector<sys::Map>& maps,
                         Snapshots& snapshots)
    : table_(unit.tables[table]), maps_(maps), snapshots_(snapshots) {
  snapshots_.add(this);
}

DeltaReader::~DeltaReader() { snapshots_.remove(this); }

void DeltaReader::take_rows(const Visitor& visit) {
  const std::vector<uint8_t> keys = std::exchange(keys_, {});
  const std::vector<int64_t> words = std::exchange(words_, {});
  const size_t count = words.size() / table_.words.size();
  for (size_t i = 0; i < count; ++i) {
    visit(keys.data() + i * table_.key_size_bytes, words.data() + i * table_.words.size());
  }
}

void DeltaReader::collect(uint64_t generation) {
  sys::Map& map = maps_[table_.maps[generation & 1]];
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  const Result<size_t> count = map.read_all(true, &keys, &values);
  if (!count.ok()) return;  // what is there stays there, for the next snapshot
  const bool only_sums = std::all_of(table_.words.begin(), table_.words.end(),
                                     [](ssa::MergeOp op) { return op == ssa::MergeOp::Add; });
  const size_t stride = map.value_stride_bytes();
  const size_t entry_bytes = 8 * table_.words.size();
  std::vector<int64_t> entry(table_.words.size());
  for (size_t i = 0; i < count.value(); ++i) {
    for (size_t at = 0; at < stride; at += entry_bytes) {  // one a CPU
      std::memcpy(entry.data(), values.data() + i * stride + at, entry_bytes);
      // A CPU that has not met the key has zeros. A sum of 0 still makes an entry.
      const bool is_zero =
          std::all_of(entry.begin(), entry.end(), [](int64_t w) { return w == 0; });
      if (only_sums ? is_zero && at != 0 : entry[0] == 0) continue;
      const uint8_t* key = keys.data() + i * table_.key_size_bytes;
      keys_.insert(keys_.end(), key, key + table_.key_size_bytes);
      words_.insert(words_.end(), entry.begin(), entry.end());
    }
  }
}

}  // namespace ktap::engine
