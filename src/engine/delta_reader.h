// What kernel programs have added to one table since it was last read: rows of key and words. The
// flip of generations is RCU's idea: programs look at the generation once a run, so that after one
// grace period nobody writes the idle half, and it can be read and emptied at leisure.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/table_memory.h"
#include "backend/unit.h"
#include "base/result.h"
#include "sys/bpf.h"

namespace ktap::engine {

class DeltaReader;

/// What all tables of one run share: which handler run it is, and the generation that programs
/// write to.
class Snapshots {
 public:
  /// `generation` is the word of the control page.
  void set_generation_word(uint64_t* generation) { generation_ = generation; }
  /// While true, programs may be running: a flip must wait for them.
  void set_armed(bool armed) { armed_ = armed; }
  bool armed() const { return armed_; }

  void next_run() { ++run_; }
  uint64_t run() const { return run_; }
  /// On the first call of a run: flips, and every DeltaReader collects the idle half.
  void take();

  void add(DeltaReader* reader) { readers_.push_back(reader); }
  void remove(DeltaReader* reader);

 private:
  static constexpr uint64_t kNever = UINT64_MAX;

  uint64_t* generation_ = nullptr;
  bool armed_ = false;
  uint64_t run_ = 0;
  uint64_t taken_in_run_ = kNever;
  std::vector<DeltaReader*> readers_;
};

/// For one table with is_delta(layout).
class DeltaReader {
 public:
  /// All that is referred to outlives this. `maps` are the unit's.
  DeltaReader(const backend::Unit& unit, uint32_t table, std::vector<sys::Map>& maps,
              Snapshots& snapshots);
  ~DeltaReader();
  DeltaReader(const DeltaReader&) = delete;
  DeltaReader& operator=(const DeltaReader&) = delete;

  /// The snapshot rule: the first call of a handler run brings in all that was added before it.
  void refresh() { snapshots_.take(); }
  /// Shows the rows that have come in, and forgets them. A key may have several rows, one for each
  /// CPU and program: their words belong together by backend::merge_word().
  void take_rows(const backend::EntryVisitor& visit);
  const backend::Table& table() const { return table_; }

  /// Takes what half `generation` holds; Snapshots calls it when nobody writes there.
  void collect(uint64_t generation);

 private:
  void collect_areas(uint64_t generation);
  void collect_area(const backend::TablePlace& place, uint32_t area);
  void collect_map(sys::Map& map);
  void add_row(const uint8_t* key, const int64_t* words);

  const backend::Unit& unit_;
  const backend::Table& table_;
  std::vector<sys::Map>& maps_;
  Snapshots& snapshots_;
  std::vector<uint8_t> keys_;  // pending rows, back to back
  std::vector<int64_t> words_;
};

}  // namespace ktap::engine
