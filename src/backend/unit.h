// What goes into the kernel for one run: maps, programs, and how user space reads what they leave
// behind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf/kernel_facts.h"
#include "bpf/program.h"
#include "ssa/function.h"

namespace ktap::backend {

/// The control page: one mmapable array value that both sides see. Offsets in bytes.
struct Control {
  static constexpr uint32_t kArmed = 0;  ///< u64: 1 while handlers run; `exit()` in a handler sets
                                         ///< 2, with Options.strict a run-time error sets 3
  static constexpr uint32_t kStarted =
      8;  ///< u64: 1 once the target has begun its exec (always 1 without -- CMD)
  static constexpr uint32_t kExitStatus = 16;  ///< u64
  static constexpr uint32_t kGeneration =
      24;                                 ///< u64: 0 or 1: which map of a Delta table is written
  static constexpr uint32_t kZero = 32;   ///< u64: always 0, which the verifier does not know
  static constexpr uint32_t kCells = 64;  ///< i64 each: the shared variables
};

/// Record of the ring buffer: u32 site, u32 cpu, then the args, each from an 8-byte boundary:
///   Int, Bool, Str Id   8 bytes
///   Str Bytes           max_bytes rounded up to 8, zero padded
///   Maybe…              8 bytes tag (0 nil, 1 there), then the payload as above
/// then the raw event, when the site has one:
///   system call entry   i64 number, 6 × u64 argument;  exit  i64 number, i64 result
///   tracepoint          u32 length, u32 0, then that many bytes of the record (fixed part, then
///   dynamic
///                       fields as far as kRawTracepointBytes)
constexpr uint32_t kRecordHeaderBytes = 8;
constexpr uint32_t kRawTracepointBytes = 512;

struct SiteLayout {
  std::vector<uint32_t> arg_offset_bytes;  ///< from the record's start; a Maybe's tag
  uint32_t raw_offset_bytes = 0;           ///< 0: none
  uint32_t size_bytes = 0;
};

enum class TableLayout : uint8_t {
  Delta,  ///< two per-CPU hash maps, only added to; user space flips kGeneration and takes the idle
          ///< one
  Shared,  ///< one hash map of i64
};
struct Table {
  TableLayout layout = TableLayout::Delta;
  std::vector<ssa::KeyPart> key;
  std::vector<uint32_t>
      part_offset_bytes;  ///< in the map's key; every part takes a multiple of 8 bytes
  uint32_t key_size_bytes = 8;
  ssa::KeyPart value;  ///< Delta: Int
  /// Of a map's value: one word, or the bytes of a string and behind them table_check() of key and
  /// bytes, since such a value is not written at once: who reads it looks again when they disagree.
  uint32_t value_size_bytes = 8;
  uint32_t maps[2] = {0, 0};  ///< indices in Unit.maps; Shared uses the first
};

/// True when values have a check behind them.
constexpr bool has_check(const Table& table) { return table.value_size_bytes > 8; }
/// The check of the words of a key and of a value: what kernel code computes as well.
uint64_t table_check(const uint64_t* key, size_t key_words, const uint64_t* value,
                     size_t value_words);

enum class LossCause : uint8_t {
  RingFull,
  TableFull,
  TornRead,   ///< a table's value changed each time it was looked at; the handler's run has ended
  StringCut,  ///< a string was longer than its bound and lost its end
};
/// A row of the per-CPU counter map: what it counts and whose it is.
struct Counter {
  enum class Kind : uint8_t { Failure, Loss } kind = Kind::Loss;
  uint32_t failure = 0;  ///< Failure: index in module.failures
  LossCause cause = LossCause::RingFull;
  uint32_t handler = 0;
  /// Loss: the table's name, the output call ("printf"), or what read the string ("user_string",
  /// "args.filename")
  std::string what;
  uint32_t line = 0;
  diag::Span span;
};

struct Unit {
  std::vector<bpf::MapSpec> maps;
  std::vector<bpf::Program> programs;
  uint32_t control_map = 0;
  uint32_t ring_map = 0;
  uint32_t counter_map = 0;       ///< PercpuArray of u64
  std::vector<SiteLayout> sites;  ///< by site id
  std::vector<Table> tables;      ///< by table id
  std::vector<Counter> counters;  ///< by row of the counter map
};

struct Options {
  int64_t target_tgid = -1;  ///< -p, -- CMD: only this process
  int64_t cpu = -1;          ///< -C
  bool wait_for_exec =
      false;  ///< -- CMD: a gate program sets kStarted when the target calls execve
  uint32_t ring_bytes = 8 << 20;
  uint32_t table_size = 0;  ///< --table-size; 0: the table's own or the default
  bool strict = false;      ///< --strict: no handler starts after the first run-time error
};

/// One lowered handler on one group.
struct Job {
  const ssa::Function* function;
  const ssa::EventGroup* group;
  uint32_t handler;
  uint32_t group_index;
};

/// Jobs in the order in which handlers must run on one event. Refusals (too large a stack, …) name
/// the job.
struct EmitFailure {
  uint32_t job;
  std::string text;
};
struct EmitResult {
  Unit unit;
  std::vector<EmitFailure> failures;
};
EmitResult emit(const std::vector<Job>& jobs, const ssa::Module& module,
                const bpf::KernelFacts& facts, const Options& options);

}  // namespace ktap::backend
