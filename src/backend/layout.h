// The parts of a Unit that programs share: maps, record layouts, table keys, counter rows,
// read-only data. First step of emit(); the selector then asks it for indices and offsets while it
// writes code.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backend/unit.h"

namespace ktap::backend {

/// Bytes of a string as it lies in scratch, keys and records: a multiple of 8.
constexpr uint32_t round_up8(uint32_t bytes) { return (bytes + 7) & ~uint32_t{7}; }

/// Bytes of memory that reading a string of at most `max_bytes` takes: the helpers put a NUL behind
/// the last byte, and one byte more than the bound tells a string that is cut from one that fits.
constexpr uint32_t read_buffer_bytes(uint32_t max_bytes) { return max_bytes + 2; }

/// A key wider than this fits no kernel hash map of every kernel (MAX_BPF_STACK of older ones).
constexpr uint32_t kMaxKeyBytes = 512;
constexpr uint64_t kMaxListBytes = 4 << 20;  ///< of keys, for a walk over a kernel's hash map
/// The golden ratio as a 64-bit fraction, odd: each bit reaches all higher ones.
constexpr uint64_t kCheckFactor = 0x9e3779b97f4a7c15;
/// The largest value of a per-CPU map (PCPU_MIN_UNIT_SIZE).
constexpr uint32_t kMaxScratchBytes = 32768;

/// Builds a Unit piece by piece. Map indices are final as soon as they are given out; sizes are
/// settled by finish().
class UnitBuilder {
 public:
  /// `programs[i]`: the program that job i becomes part of.
  UnitBuilder(const std::vector<Job>& jobs, const std::vector<uint32_t>& programs,
              const ssa::Module& module, const bpf::KernelFacts& facts, const Options& options);

  Unit unit;

  /// Row of "this failure in this handler", made at its first use.
  uint32_t failure_row(uint32_t failure, uint32_t handler);
  uint32_t loop_cut_row(uint32_t handler, uint32_t line, diag::Span span);
  /// Row of a loss of `handler`, made at its first use: the table or site that lost.
  uint32_t table_full_row(uint32_t table, uint32_t handler, uint32_t line, diag::Span span);
  uint32_t torn_read_row(uint32_t table, uint32_t handler, uint32_t line, diag::Span span);
  uint32_t ring_full_row(uint32_t site);
  /// One row for each place and `what` ("user_string", "args.filename").
  uint32_t string_cut_row(const std::string& what, uint32_t handler, uint32_t line,
                          diag::Span span);

  /// Puts bytes (a multiple of 8) into the read-only map; gives their offset in it.
  uint32_t add_read_only(const std::vector<uint8_t>& bytes);
  uint32_t read_only_map();

  /// A program's own entry of the scratch map: its key. The map's values become at least `bytes`.
  uint32_t add_scratch(uint32_t bytes);
  uint32_t scratch_map();
  /// Processes whose stacks were taken, with how many.
  uint32_t processes_map();

  /// The set of processes that are traced, and the counter of those that had no room in it.
  void add_followed_map();
  /// For one cgroup.
  void add_cgroup_map();
  /// An empty map of programs, for one program: it may hold those of the same kind alone.
  uint32_t add_programs_map();
  /// Lists of keys, for one program: an entry of `bytes` for each of `cpus`. kNoMap: all such lists
  /// together would take more than `limit_bytes`.
  uint32_t add_list_map(uint32_t bytes, uint32_t cpus, uint64_t limit_bytes);

  void finish();

 private:
  uint32_t row(std::pair<uint32_t, uint64_t> key, Counter counter);

  static constexpr uint32_t kNoMap = UINT32_MAX;

  const ssa::Module& module_;
  std::map<std::pair<uint32_t, uint64_t>, uint32_t> rows_;
  std::vector<uint8_t> read_only_;
  uint32_t read_only_map_ = kNoMap;
  uint32_t scratch_map_ = kNoMap;
  uint32_t processes_map_ = kNoMap;
  uint32_t scratch_count_ = 0;
  uint32_t scratch_bytes_ = 8;
  uint64_t list_bytes_ = 0;
};

/// Record layout of one site; `group` is null when the site has no raw event or no job emits it.
SiteLayout lay_out_site(const ssa::Site& site, const ssa::EventGroup* group,
                        const bpf::CallRegs& registers = {});

/// True for a field whose bytes lie in the record's dynamic part (__data_loc, __rel_loc).
bool is_dynamic(const schema::Field& field);

}  // namespace ktap::backend
