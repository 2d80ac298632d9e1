// Which layout each table of a run gets, and where in memory it then lies. Decided over all
// programs at once, from what table_facts found:
//   only added to  Direct when the keys that there can be are few, PerCpu else, DeltaHash where
//                  memory or the kernel forbids both
//   the rest       Hash
#pragma once

#include <vector>

#include "backend/table_facts.h"
#include "backend/unit.h"

namespace ktap::backend {

/// More possible keys than this are not worth an entry each.
constexpr uint64_t kMaxDirectEntries = 65536;
/// Programs that may have their own areas of one PerCpu table.
constexpr size_t kMaxAreaPrograms = 8;

/// Tables and memories of a unit, and the maps that they need: `unit.tables`, `unit.memories`,
/// `unit.maps` grow.
void lay_out_tables(const std::vector<TableUse>& uses, const ssa::Module& module,
                    const bpf::KernelFacts& facts, const Options& options, Unit& unit);

}  // namespace ktap::backend
