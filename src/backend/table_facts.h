// What all functions of a run together do with each table: which operations, by which programs,
// with which keys. `table_layout` decides by it. First look at the functions, before any code is
// written.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "backend/unit.h"
#include "ssa/ranges.h"

namespace ktap::backend {

struct TableUse {
  bool is_read = false;        ///< TableGet
  bool is_set = false;         ///< TableSet
  bool is_added = false;       ///< TableAdd, TableMerge
  bool is_deleted = false;     ///< TableDelete
  bool is_masked = false;      ///< TableAnd, TableOr
  bool is_toggled = false;     ///< TableXor
  bool is_raised = false;      ///< TableRaise
  bool is_measured = false;    ///< TableLength
  bool is_emptied = false;     ///< TableClear
  bool is_walked = false;      ///< TableSlot, TableSlotKey: an entry must have a number
  bool grows_in_walk = false;  ///< a loop over it may make entries of it, which that must not meet
  /// All keys, by part: integers, booleans, ids of strings. Of a part of Bytes it says nothing.
  std::vector<ssa::Range> parts;
  bool is_used = false;           ///< some operation names it: `parts` is meaningful
  bool by_thread = true;          ///< every key is the thread that runs
  bool only_system_calls = true;  ///< every program is one of system calls: never in an interrupt
  std::set<uint32_t> programs;    ///< that have an operation on it, ascending
  /// The first word of each sample is above 0, and so small that no sum of them comes back to 0.
  bool first_word_is_positive = true;

  bool is_combined() const { return is_masked || is_toggled || is_raised; }
};

/// By table id. `programs[i]` is the program that job i becomes part of.
std::vector<TableUse> find_table_uses(const std::vector<Job>& jobs,
                                      const std::vector<uint32_t>& programs,
                                      const ssa::Module& module, const bpf::KernelFacts& facts,
                                      const Options& options);

/// Operands behind the key's parts.
size_t value_operands(const ssa::Inst& inst, const ssa::TableInfo& info);

}  // namespace ktap::backend
