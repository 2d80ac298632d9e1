// What the programs of the machine map to run it, told by the kernel while it happens: so that the
// maps of one that has ended by the time that we look are known. Source: perf_event_open(2).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ktap::sys {

struct MapRecord {
  enum class Kind : uint8_t {
    Mapped,    ///< code
    Executed,  ///< the process runs another program from here on
    Forked,    ///< the process was made; not: a thread
    Lost,      ///< there was no room for others, of anyone
  };
  Kind kind = Kind::Mapped;
  pid_t pid = 0;
  pid_t parent = 0;       ///< Forked
  uint64_t time_ns = 0;   ///< CLOCK_MONOTONIC; Lost: behind which they came
  uint64_t until_ns = 0;  ///< Lost: before which they came
  uint64_t count = 0;     ///< Lost
  uint64_t begin = 0;     ///< Mapped, and what follows; an address
  uint64_t end = 0;       ///< the first address behind
  uint64_t file_offset = 0;
  uint64_t device = 0;  ///< major << 32 | minor
  uint64_t inode = 0;
  std::string path;  ///< as the process names it; `[vdso]`, `//anon` and the like
};

/// Reads what a ring of the kernel's holds from position `tail` to `head`, of which `last_ns` was
/// the time of the last record before; appends what concerns us, in the order of the ring. What is
/// no record ends the reading, and is told as one that was lost. Pure.
/// Requires that the size of `ring` is a power of two.
void read_map_records(std::span<const uint8_t> ring, uint64_t tail, uint64_t head,
                      uint64_t* last_ns, std::vector<MapRecord>& records);

/// A thread of its own empties the rings in time: who asks may be busy elsewhere for a second.
class MapRecords {
 public:
  /// Records come from now on. Errors: no right to it, in words.
  static Result<MapRecords> open();
  MapRecords(MapRecords&&) noexcept;
  MapRecords& operator=(MapRecords&&) noexcept;
  ~MapRecords();

  /// What happened until now and was not taken yet, of all CPUs, by time.
  std::vector<MapRecord> take();
  /// There was no room for, since the beginning.
  uint64_t lost() const;

 private:
  struct State;
  explicit MapRecords(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ktap::sys
