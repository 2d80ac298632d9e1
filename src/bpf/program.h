// Programs and maps as plain values, before any of them exists in a kernel: what `backend` hands to
// `engine`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/insn.h"
#include "schema/event.h"

namespace ktap::bpf {

/// TypedRawTracepoint: the verifier knows the types of its arguments (BTF), so that what they point
/// to is loaded directly.
/// FunctionEntry, FunctionExit: at one kernel function, called by a trampoline (fentry, fexit): the
/// context is the function's arguments as words, then its result.
/// Probe: on a kernel or user function, through perf; KprobeMulti: through one link for all kernel
/// functions; UprobeMulti: through one for all points of a file; PerfEvent: on samples.
enum class ProgramKind : uint8_t {
  RawTracepoint,
  TypedRawTracepoint,
  Tracepoint,
  FunctionEntry,
  FunctionExit,
  Probe,
  KprobeMulti,
  UprobeMulti,
  PerfEvent
};
/// "raw tracepoint", typed or not; "tracepoint", "uprobe", "sample".
std::string_view kind_name(ProgramKind kind);
enum class MapKind : uint8_t {
  Array,
  PercpuArray,
  Hash,
  PercpuHash,
  RingBuffer,
  Programs,
  Cgroups
};

struct MapSpec {
  std::string name;  ///< at most 15 bytes
  MapKind kind = MapKind::Array;
  uint32_t key_size_bytes = 4;
  uint32_t value_size_bytes = 8;
  uint32_t max_entries = 1;
  bool mmapable = false;         ///< Array only
  bool read_only = false;        ///< frozen after `content` is written; BPF_F_RDONLY_PROG
  std::vector<uint8_t> content;  ///< value of key 0 (Array), or empty
};

/// The two-slot load at `insn` refers to map `map` (index in the unit). With `value` set it becomes
/// BPF_PSEUDO_MAP_VALUE with `offset` into key 0's value, else BPF_PSEUDO_MAP_FD.
struct MapRef {
  uint32_t insn;
  uint32_t map;
  bool value = false;
  uint32_t offset = 0;
};

/// What bpf_loop() tells a callback's result from.
constexpr int32_t kLoopGoesOn = 0, kLoopEnds = 1;
/// The most rounds that it takes (BPF_MAX_LOOPS).
constexpr int32_t kMostLoopRounds = 8 << 20;

/// The handler of code that belongs to none: a prologue that handlers share, the gate of -- CMD.
constexpr uint32_t kNoHandler = UINT32_MAX;

/// Whose code begins at `insn`, up to the next range.
struct CodeRange {
  uint32_t insn = 0;
  uint32_t handler = kNoHandler;  ///< index in the session
  uint32_t group = 0;             ///< index in the handler's groups
};

/// Where a program of probes or samples is attached.
struct AttachPoint {
  schema::EventPtr event;
  uint64_t cookie = 0;  ///< what get_attach_cookie gives there
};

struct Program {
  std::string name;  ///< at most 15 bytes
  ProgramKind kind = ProgramKind::RawTracepoint;
  std::string attach_to;    ///< RawTracepoint: "sys_enter", "sched_switch"
  std::string btf_module;   ///< whose number btf_id is; "": the kernel's own
  uint32_t btf_id = 0;      ///< TypedRawTracepoint: of its type; FunctionEntry, FunctionExit: of it
  int32_t tracefs_id = -1;  ///< Tracepoint, and what a raw tracepoint that is missing falls back to
  std::vector<AttachPoint> points;  ///< of probes and samples
  std::vector<Insn> code;
  std::vector<uint32_t> lines;  ///< script line of each instruction, 0 unknown
  std::vector<MapRef> maps;
  /// BTF id of a function of the kernel that costs nothing: the kernel makes its calls a move.
  uint32_t free_call = 0;
  /// Where functions begin that are called back, ascending; each goes on to the next or the end.
  /// The kernel wants a program's types where there are any (btf_of_functions).
  std::vector<uint32_t> callbacks;
  /// One program serves all handlers of its tracepoint: whose each instruction is, ascending.
  std::vector<CodeRange> ranges;

  /// kNoHandler for what they share.
  uint32_t handler_at(size_t insn) const;
  /// Instructions that are the handler's own.
  size_t instructions_of(uint32_t handler) const;
  bool serves(uint32_t handler) const;
  /// The handlers that it serves, ascending.
  std::vector<uint32_t> handlers() const;
  /// The code with descriptors for its references to maps.
  std::vector<Insn> relocated(const std::function<int(uint32_t map)>& fd_of) const;
};

}  // namespace ktap::bpf
