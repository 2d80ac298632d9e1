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
#include "ssa/ranges.h"

namespace ktap::backend {

/// The control page: one mmapable array value that both sides see. Offsets in bytes.
struct Control {
  static constexpr uint32_t kArmed = 0;  ///< u64, one of the states below
  static constexpr int32_t kOff = 0;
  static constexpr int32_t kRunning = 1;  ///< handlers run
  static constexpr int32_t kExited = 2;   ///< a handler has called exit()
  static constexpr int32_t kFailed = 3;   ///< Options.strict: a run-time error
  static constexpr int32_t kWaiting = 4;  ///< -- CMD: Running once the target begins its exec
  /// u64, on the line of kArmed: 1 while the reader sleeps; the next record then wakes it, and sets
  /// it to 0.
  static constexpr uint32_t kSleeping = 8;
  static constexpr uint32_t kExitStatus = 16;  ///< u64
  static constexpr uint32_t kGeneration =
      24;  ///< u64: 0 or 1: which half of the tables that are only added to is written
  static constexpr uint32_t kZero = 56;  ///< u64: always 0; the verifier does not know that
  /// i64 each: the shared variables, behind them the numbers of entries of tables that are counted.
  static constexpr uint32_t kCells = 64;
};

/// Record of the ring buffer: u32 site, u32 cpu (0 in a record without a raw event), then the args,
/// each from an 8-byte boundary:
///   Int, Bool, Str Id   8 bytes
///   Str Bytes           max_bytes rounded up to 8, zero padded
///   Maybe…              8 bytes tag (0 nil, 1 there), then the payload as above
/// then the raw event, when the site has one:
///   system call entry   i64 number, 6 × u64 argument;  exit  i64 number, i64 result
///   probe, sample       u64 cookie where raw_event_has_cookie(), its low half the id of the
///   event's
///                       name; then a u64 for each field
///   tracepoint          u32 length, u32 0, then that many bytes of the record (fixed part, then
///   dynamic
///                       fields as far as kRawTracepointBytes)
/// then, when the site copies the stack, word 0 of a user stack, u64 bytes that could be copied,
/// u64 address of the first, u64 when that was, the saved registers (CallRegs::sample_offset
/// bytes), kStackCopyBytes, kReturnProbes return addresses (kReturnProbeBytes each), the rest 0
constexpr uint32_t kRecordHeaderBytes = 8;
/// Whether raw events of a group of probes have to say which of its events they are.
inline bool raw_event_has_cookie(const ssa::EventGroup& group) {
  return schema::gives_registers(group.kind) && group.events.size() > 1;
}
constexpr uint32_t kRawTracepointBytes = 512;

/// The site of a record that is no site's: behind the header the first word of a user stack, whose
/// process user space will have to name addresses of, and when it was taken.
constexpr int32_t kProcessSite = 0x7fffffff;

struct SiteLayout {
  std::vector<uint32_t> arg_offset_bytes;  ///< from the record's start; a Maybe's tag
  uint32_t raw_offset_bytes = 0;           ///< 0: none
  uint32_t stack_offset_bytes = 0;         ///< 0: none
  uint32_t size_bytes = 0;
};

/// Where a table's entries live. Which one a table gets, and why, says table_layout.h.
enum class TableLayout : uint8_t {
  Direct,     ///< only added to: areas (below) with room for every key that there can be
  PerCpu,     ///< only added to: areas with open addressing
  DeltaHash,  ///< only added to: two of the kernel's per-CPU hash maps, one a generation
  Shared,     ///< memory of its own, which all CPUs change with atomics; no entry is ever removed
  ByThread,   ///< memory of its own; each thread has at most one entry and alone works on it
  Hash,       ///< one of the kernel's hash maps
};
/// Kernel programs only add to such a table; user space flips Control::kGeneration and takes what
/// the idle generation holds.
constexpr bool is_delta(TableLayout layout) {
  return layout == TableLayout::Direct || layout == TableLayout::PerCpu ||
         layout == TableLayout::DeltaHash;
}

/// Shared: the one value of an array map.
///   u64 how many entries there are (unless direct), up to kSlotsOffset
///   direct (`ranges` are set): entries { u64 presence, i64 value }
///   else: slots { u64 tag, u64 presence, i64 value }, tags as in PerCpu, of keys of one word
/// The value is written first; then presence becomes 1, once.
///
/// ByThread: likewise, the number only of a table that is_counted, slots { u64 tag, i64 value }
/// with the tag tid << 2 | ThreadState. A thread's entry stays in its slot until another thread
/// takes the slot of one that is absent.
enum class ThreadState : uint8_t { Absent = 0, Busy = 1, Present = 2 };
constexpr uint32_t kSlotsOffset = 64;

/// Its entries are in areas: memory that one program alone writes.
constexpr bool has_areas(TableLayout layout) {
  return layout == TableLayout::Direct || layout == TableLayout::PerCpu;
}

/// The memory that one program alone writes its Direct and PerCpu tables in: an array map of areas,
/// of which `2 * cpu + generation` is one. A program never runs inside itself, so that plain loads
/// and stores are exact there.
///   u64 for each PerCpu table: how many of its slots are taken
///   Direct tables: entries { [u64 presence,] i64 word… }
///   PerCpu tables: slots { u64 tag, [key words,] i64 word… }; tag 0: free
struct ProgramMemory {
  uint32_t map = 0;
  uint32_t area_bytes = 0;
  uint32_t front_bytes = 0;  ///< of these, what stands before the slots
  uint32_t areas = 0;
  /// All areas are the map's one value, so that code has their address without a look-up; else each
  /// area is a value. In user space's mapping they lie the same.
  bool is_one_value = false;
};
/// Where one program's part of a table lies in each of its areas.
struct TablePlace {
  uint32_t memory = 0;              ///< index in Unit.memories
  uint32_t count_offset_bytes = 0;  ///< PerCpu
  uint32_t offset_bytes = 0;        ///< of entry or slot 0
};

/// PerCpu: the hash is a product with this; of one key word it is a bijection, and its own tag.
constexpr uint64_t kHashFactor = 0x9e3779b97f4a7c15;
constexpr uint64_t kHashInverse = 0xf1de83e19937733d;  ///< undoes it
static_assert(kHashFactor * kHashInverse == 1);
/// PerCpu: an entry is in one of kGroupSlots slots that follow each other, from its first slot on
/// or from one of kGroups - 1 other places that its hash leads to; else the table counts as full.
constexpr uint32_t kGroupSlots = 4, kGroups = 16;

struct Table {
  TableLayout layout = TableLayout::DeltaHash;
  std::string reason;  ///< for --explain: why this layout
  std::vector<ssa::KeyPart> key;
  std::vector<uint32_t>
      part_offset_bytes;  ///< in the key's bytes; every part takes a multiple of 8 bytes
  uint32_t key_size_bytes = 8;
  std::vector<ssa::MergeOp> words = {ssa::MergeOp::Add};  ///< of an entry
  /// Hash: what the one word of an entry is. Else an integer, as all words are.
  ssa::KeyPart value;
  /// Hash: of a map's value: one word, or the bytes of a string and behind them table_check() of
  /// key and bytes, since such a value is not written at once: who reads it looks again when they
  /// disagree. Of a Union the check leaves out the word that holds a number, which programs add to.
  uint32_t value_size_bytes = 8;
  uint32_t max_entries = 0;
  /// Programs ask how many entries it has, or go through it: whoever makes or removes one counts
  /// it.
  bool is_counted = false;
  /// Hash: programs add to entries, and user space takes them meanwhile. It then subtracts what it
  /// has seen, and no entry goes while programs may run, for one of them may be about to add to it.
  /// Behind the value a word says that the entry is there; it also is while its value is not 0.
  bool is_taken = false;
  /// By what: handlers only add, only set and clear bits, or only toggle them.
  enum class TakenBy : uint8_t { Sum, Mask, Toggle } taken_by = TakenBy::Sum;
  bool adds_positive = false;       ///< is_taken: nothing else than numbers above 0 is added
  uint32_t count_offset_bytes = 0;  ///< Hash, counted: of the u64 in the control page
  /// Indices in Unit.maps. Hash, Shared, ByThread: one. DeltaHash: two for each copy, one a
  /// generation.
  std::vector<uint32_t> maps;

  std::vector<uint32_t> writers;   ///< programs that work on it, ascending
  std::vector<TablePlace> places;  ///< Direct, PerCpu: parallel to writers
  /// DeltaHash: entries that are more than sums are changed without atomics, so that each writer
  /// has maps of its own, in the order of `writers`; else 1.
  uint32_t copies = 1;
  /// Direct, and Shared when it is_direct: the keys that there can be, by part. Entry number: the
  /// first part counts most.
  std::vector<ssa::Range> ranges;
  bool is_direct = false;
  /// Direct, DeltaHash: a word before the others says that the entry is there; else the first one
  /// is not 0 in an entry that is there.
  bool has_presence = false;
  /// PerCpu: 1 << slot_bits slots, the rest of the last group, then the slot of hash 0.
  uint32_t slot_bits = 0;

  bool only_sums() const {
    for (const ssa::MergeOp op : words) {
      if (op != ssa::MergeOp::Add) return false;
    }
    return true;
  }
  uint32_t key_words() const { return key_size_bytes / 8; }
  /// Words of an entry, the one that says it is there included.
  uint32_t entry_words() const {
    return static_cast<uint32_t>(words.size()) + (has_presence || is_taken ? 1 : 0);
  }
  /// PerCpu: the only word of a key is in its tag.
  uint32_t slot_words() const {
    if (layout == TableLayout::ByThread) return 2;
    if (layout == TableLayout::Shared) return is_direct ? 2 : 3;
    return 1 + (key_words() > 1 ? key_words() : 0) + static_cast<uint32_t>(words.size());
  }
  uint32_t slots() const { return (1U << slot_bits) + kGroupSlots; }
  uint32_t zero_slot() const { return slots() - 1; }
  /// Shared, ByThread: of entries that can be walked by number.
  uint64_t walk_slots() const { return is_direct ? direct_entries() : slots(); }
  uint64_t direct_entries() const {
    uint64_t entries = 1;
    for (const ssa::Range& range : ranges) entries *= range.size();
    return entries;
  }
};

/// Where the word of an entry that is_taken is, in a map's value.
constexpr int16_t kTakenPresence = 8;
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
  LoopCut,    ///< a handler's loops took longer than the kernel lets them; the run has ended
  ProcessesFull,  ///< more processes than can be followed at a time: one is not traced
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
  std::vector<ProgramMemory> memories;
  std::vector<Counter> counters;  ///< by row of the counter map
  bool waits_for_exec = false;    ///< Options.wait_for_exec
  int64_t cpu = -1;               ///< Options.cpu
  int64_t target_tgid = -1;       ///< Options.target_tgid, unless follows()
  int64_t root_tgid = -1;         ///< Options.target_tgid, in any case
  /// Processes that are traced, by tgid: Options.target_tgid and what it has forked, as far as that
  /// is not reaped; kNoMap: Options.follow is not set.
  uint32_t followed_map = kNoMap;
  uint32_t lost_children_row = 0;  ///< counter: processes that the map had no room for
  std::string cgroup_path;         ///< Options.cgroup_path
  uint32_t cgroup_map = kNoMap;    ///< holds that cgroup, once `engine` has put it there
  static constexpr uint32_t kNoMap = UINT32_MAX;
  bool follows() const { return followed_map != kNoMap; }
  /// The program that does nothing but wait for the exec, when no handler's program does it; of no
  /// use once that has come.
  uint32_t gate_program = UINT32_MAX;
};

struct Options {
  int64_t target_tgid = -1;  ///< -p, -- CMD: only this process
  int64_t cpu = -1;          ///< -C
  /// --follow: what the target forks is traced as well. The tracepoints sched_process_fork and
  /// sched_process_free keep the set of processes.
  bool follow = false;
  schema::EventPtr forked, freed;
  std::string cgroup_path;     ///< --cgroup: only tasks in this folder of cgroup v2, and below it
  int64_t uid = -1;            ///< --user: only tasks of this user
  bool wait_for_exec = false;  ///< -- CMD: armed as kWaiting; the target's execve makes it kRunning
  uint32_t ring_bytes = 8 << 20;
  uint32_t table_size = 0;               ///< --table-size; 0: the default
  uint64_t max_table_bytes = 256 << 20;  ///< memory that Direct and PerCpu tables may take
  bool strict = false;  ///< --strict: no handler starts after the first run-time error
  bool fuse = true;     ///< one program for all handlers of a tracepoint; else one for each

  /// What `pid` is in every handler; -1: not known beforehand.
  int64_t only_tgid() const { return follow ? -1 : target_tgid; }
};

/// A job that became part of no program.
constexpr uint32_t kNoProgram = UINT32_MAX;

/// One lowered handler on one group.
struct Job {
  const ssa::Function* function;
  const ssa::EventGroup* group;
  uint32_t handler;
  uint32_t group_index;
  /// Loops by bpf_loop where the kernel has it, whatever else it has: the verifier walks a round
  /// once.
  bool by_callback = false;
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
