// Changes entries that the kernel's programs change meanwhile. User space can only write an entry
// whole, and what a program has done to it since user space looked would be gone: programs of our
// own, run by request, change them by atomics.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "backend/unit.h"
#include "base/result.h"
#include "bpf/insn.h"
#include "sys/bpf.h"
#include "sys/unique_fd.h"

namespace ktap::engine {

/// For a hash map of one table. Programs are made when they are first needed; before Linux 5.10, or
/// where the kernel lacks the atomic, there are none.
class EntryUpdater {
 public:
  /// Both outlive this.
  EntryUpdater(const backend::Table& table, const sys::Map& map) : table_(table), map_(map) {}

  /// Of a table that is_taken: takes `seen` out of the entry; of an entry that is 0 then it says
  /// that it is not there. Gives by how much the number of entries grows: -1, 0 or 1; of a table
  /// that is not counted nothing that means anything. Nothing: there is no such program. Cost: some
  /// 2 us.
  std::optional<int64_t> take(const uint8_t* key, int64_t seen);

  enum class Found : uint8_t { There, New, Absent };
  /// Entry = entry op operand. Of a table that is_taken the entry is there from then on; New: it
  /// had not been. Absent: the map has none, or no integer, and nothing was done.
  std::optional<Found> update(const uint8_t* key, bpf::AtomicOp op, int64_t operand);

 private:
  std::optional<uint32_t> run(uint32_t kind, const uint8_t* key, int64_t operand);
  Result<void> make_memory();
  Result<sys::UniqueFd> make_program(uint32_t kind);

  const backend::Table& table_;
  const sys::Map& map_;
  std::optional<sys::Map> order_;  ///< for the programs: the operand, then the key
  sys::MappedArray memory_;
  std::map<uint32_t, Result<sys::UniqueFd>> programs_;
};

}  // namespace ktap::engine
