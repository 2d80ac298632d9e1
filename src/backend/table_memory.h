// Tables in memory of our own, seen from outside: the counterpart of the code that areas.cc
// (Direct, PerCpu) and shared_tables.cc (Shared, ByThread) write. The engine works on mapped memory
// with it, tests on the test machine's.
#pragma once

#include <cstdint>
#include <functional>

#include "backend/unit.h"

namespace ktap::backend {

/// Key bytes as Table.part_offset_bytes says, and the entry's words. Both live until it returns.
using EntryVisitor = std::function<void(const uint8_t* key, const int64_t* words)>;

/// Shows every entry that `table` has at `place` in the area, and with `take` leaves the table
/// empty there. Requires: nobody writes the area. Cost: Direct: all entries that there can be;
/// PerCpu: all slots, or nothing when none is taken.
void visit_entries(const Table& table, const TablePlace& place, uint8_t* area, bool take,
                   const EntryVisitor& visit);

/// Whether a PerCpu table has entries there. `front` are the area's first front_bytes.
bool has_entries(const TablePlace& place, const uint8_t* front);

/// A Shared or ByThread table.
class SharedMemory {
 public:
  /// `memory` is the value of the table's map, and outlives this.
  SharedMemory(const Table& table, uint8_t* memory) : table_(table), memory_(memory) {}

  /// Programs may run meanwhile: an entry that comes or goes then is shown or not.
  void visit(const EntryVisitor& visit) const;
  /// False when the key is not there.
  bool lookup(const uint8_t* key, int64_t* value) const;

  /// Whether a program could make such an entry.
  bool can_hold(const uint8_t* key) const;

  // ---- changes. Requires: no program runs that may remove entries or add to these ones.
  /// False: no room. Requires: can_hold(key).
  bool put(const uint8_t* key, int64_t value);
  /// Removes the entry when it has that value.
  void remove_if(const uint8_t* key, int64_t value);

 private:
  uint64_t* slot_at(uint64_t number) const {
    return reinterpret_cast<uint64_t*>(memory_ + kSlotsOffset) + number * table_.slot_words();
  }
  int64_t* value_of(uint64_t* slot) const;
  bool is_present(const uint64_t* slot) const;
  void set_present(uint64_t* slot, const uint8_t* key, bool is_there);
  uint64_t* find(const uint8_t* key, bool claims) const;
  uint64_t* claim(uint64_t word) const;
  bool is_full() const;

  const Table& table_;
  uint8_t* memory_;
};

/// Two values of one word as one.
int64_t merge_word(ssa::MergeOp op, int64_t a, int64_t b);

}  // namespace ktap::backend
