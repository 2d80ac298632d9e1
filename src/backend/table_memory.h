// Direct and PerCpu tables as they lie in a program's areas, read from outside: the counterpart of
// the code that areas.cc writes. The engine reads mapped memory with it, tests the test machine's.
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

/// Two values of one word as one.
int64_t merge_word(ssa::MergeOp op, int64_t a, int64_t b);

}  // namespace ktap::backend
