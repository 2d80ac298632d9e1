// Takes what user space has seen out of entries that the kernel's programs add to meanwhile
// (backend::Table.is_taken). User space can only write an entry whole, and what a program has added
// since it looked would be gone: a program of our own subtracts.
#pragma once

#include <cstdint>
#include <utility>

#include "base/result.h"
#include "sys/bpf.h"
#include "sys/unique_fd.h"

namespace ktap::engine {

class EntryTaker {
 public:
  /// `map`: of a table that is_taken; outlives this. `is_counted`: the table is. Errors: the
  /// kernel's.
  static Result<EntryTaker> make(const sys::Map& map, bool is_counted);

  /// Subtracts `seen`; of an entry that is 0 then it says that it is not there. Gives by how much
  /// the number of entries grows: -1, 0 or 1; of a table that is not counted nothing that means
  /// anything. Errors: those of run_once() (before 5.10). Cost: some 2 us.
  Result<int64_t> take(const uint8_t* key, int64_t seen);

 private:
  EntryTaker(sys::Map order, sys::MappedArray memory, sys::UniqueFd program, size_t key_size_bytes)
      : order_(std::move(order)),
        memory_(std::move(memory)),
        program_(std::move(program)),
        key_size_bytes_(key_size_bytes) {}

  sys::Map order_;  ///< for the program: what to subtract, then the key
  sys::MappedArray memory_;
  sys::UniqueFd program_;
  size_t key_size_bytes_;
};

}  // namespace ktap::engine
