// See delta_reader.h. Areas are mapped one at a time and only while they are read: a run that never
// looks has none of their pages in its memory.
#include "engine/delta_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ktap::engine {

using backend::TableLayout;

namespace {

bool is_zero(const std::vector<int64_t>& words) {
  return std::all_of(words.begin(), words.end(), [](int64_t word) { return word == 0; });
}

}  // namespace

// ---- Snapshots
// -----------------------------------------------------------------------------------

void Snapshots::take() {
  if (taken_in_run_ == run_) return;
  taken_in_run_ = run_;
  if (readers_.empty()) return;
  if (!armed_) {  // nothing writes: both halves are at rest
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

// ---- DeltaReader
// ---------------------------------------------------------------------------------

DeltaReader::DeltaReader(const backend::Unit& unit, uint32_t table, std::vector<sys::Map>& maps,
                         Snapshots& snapshots)
    : unit_(unit), table_(unit.tables[table]), maps_(maps), snapshots_(snapshots) {
  snapshots_.add(this);
}

DeltaReader::~DeltaReader() { snapshots_.remove(this); }

void DeltaReader::add_row(const uint8_t* key, const int64_t* words) {
  keys_.insert(keys_.end(), key, key + table_.key_size_bytes);
  words_.insert(words_.end(), words, words + table_.words.size());
}

void DeltaReader::take_rows(const backend::EntryVisitor& visit) {
  const std::vector<uint8_t> keys = std::exchange(keys_, {});
  const std::vector<int64_t> words = std::exchange(words_, {});
  const size_t count = words.size() / table_.words.size();
  for (size_t i = 0; i < count; ++i) {
    visit(keys.data() + i * table_.key_size_bytes, words.data() + i * table_.words.size());
  }
}

void DeltaReader::collect(uint64_t generation) {
  if (table_.layout != TableLayout::DeltaHash) return collect_areas(generation & 1);
  for (uint32_t copy = 0; copy < table_.copies; ++copy) {
    collect_map(maps_[table_.maps[2 * copy + (generation & 1)]]);
  }
}

void DeltaReader::collect_areas(uint64_t generation) {
  for (const backend::TablePlace& place : table_.places) {
    const sys::Map& map = maps_[unit_.memories[place.memory].map];
    for (uint32_t area = 0; area < map.spec().max_entries; ++area) {
      if ((area & 1) == generation) collect_area(place, area);
    }
  }
}

void DeltaReader::collect_area(const backend::TablePlace& place, uint32_t area) {
  const backend::ProgramMemory& memory = unit_.memories[place.memory];
  const sys::Map& map = maps_[memory.map];
  const size_t begin = size_t{area} * memory.area_bytes;
  const bool has_slots = table_.layout == TableLayout::PerCpu;
  // What cannot be mapped stays where it is, for a later snapshot.
  if (has_slots) {
    const Result<sys::MappedArray> front = sys::MappedArray::map(map, begin, memory.front_bytes);
    if (!front.ok() || !backend::has_entries(place, front.value().data())) return;
  }
  const Result<sys::MappedArray> mapped =
      sys::MappedArray::map(map, begin, has_slots ? memory.area_bytes : memory.front_bytes);
  if (!mapped.ok()) return;
  backend::visit_entries(table_, place, mapped.value().data(), true,
                         [this](const uint8_t* key, const int64_t* words) { add_row(key, words); });
}

void DeltaReader::collect_map(sys::Map& map) {
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  const Result<size_t> count = map.read_all(true, &keys, &values);
  if (!count.ok()) return;  // what is there stays there, for the next snapshot
  const size_t stride = map.value_stride_bytes();
  const size_t entry_bytes = 8 * size_t{table_.entry_words()};
  std::vector<int64_t> entry(table_.entry_words());
  for (size_t i = 0; i < count.value(); ++i) {
    for (size_t at = 0; at < stride; at += entry_bytes) {  // one a CPU
      std::memcpy(entry.data(), values.data() + i * stride + at, entry_bytes);
      // A CPU that has not met the key has zeros, which change no sum.
      const bool is_there = table_.only_sums() ? at == 0 || !is_zero(entry) : entry[0] != 0;
      if (!is_there) continue;
      add_row(keys.data() + i * table_.key_size_bytes,
              entry.data() + (table_.has_presence ? 1 : 0));
    }
  }
}

}  // namespace ktap::engine
