// Maps and programs in the kernel: thin owners over libbpf's low-level calls. libbpf stops in this
// folder. Everything that fails comes back as an Error in words; libbpf itself is kept silent.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf/program.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

/// CPUs that may ever be there: how many values a per-CPU map has. Source:
/// /sys/devices/system/cpu/possible.
Result<uint32_t> possible_cpus();
/// CPUs that are online. Source: /sys/devices/system/cpu/online.
Result<std::vector<int>> online_cpus();

/// One map. Keys and values are bytes of the sizes in spec(); per-CPU values come as one value of
/// 8-byte-rounded size for each possible CPU.
class Map {
 public:
  /// Creates the map, writes `content` and freezes it when read_only.
  static Result<Map> create(const bpf::MapSpec& spec);

  int fd() const { return fd_.get(); }
  const bpf::MapSpec& spec() const { return spec_; }

  /// False when the key is not there.
  bool lookup(const void* key, void* value) const;
  /// `only_new`: fails with EEXIST when the key is there.
  Result<void> update(const void* key, const void* value, bool only_new = false);
  /// False when it was not there.
  bool remove(const void* key);
  /// Lookup and removal in one step where the kernel can (5.14), else one after the other.
  bool take(const void* key, void* value);
  /// All keys and values, back to back, at `value_stride_bytes` a value; removed from the map when
  /// `take`. Cost: one system call for some thousand entries (batches, 5.6), else three an entry.
  Result<size_t> read_all(bool take, std::vector<uint8_t>* keys, std::vector<uint8_t>* values);
  /// While a task reads or writes a map, the kernel skips the programs of perf events and of kernel
  /// functions on its CPU (bpf_disable_instrumentation() in kernel/bpf/syscall.c): also those of
  /// whoever has taken the CPU from it in the midst. With this nobody takes it.
  void keep_cpu() { keeps_cpu_ = true; }
  /// Bytes that one entry's value takes in read_all and lookup.
  size_t value_stride_bytes() const;

 private:
  Map(UniqueFd fd, bpf::MapSpec spec) : fd_(std::move(fd)), spec_(std::move(spec)) {}
  Result<size_t> read_slowly(bool take, std::vector<uint8_t>* keys, std::vector<uint8_t>* values);

  UniqueFd fd_;
  bpf::MapSpec spec_;
  bool keeps_cpu_ = false;
};

/// The memory of an mmapable array, shared with the kernel.
class MappedArray {
 public:
  MappedArray() = default;
  static Result<MappedArray> map(const Map& array);
  /// Of its memory, `size_bytes` from `begin_bytes` on.
  static Result<MappedArray> map(const Map& array, size_t begin_bytes, size_t size_bytes);
  MappedArray(MappedArray&& other) noexcept;
  MappedArray& operator=(MappedArray&& other) noexcept;
  ~MappedArray();

  uint8_t* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_bytes_ = 0;
  uint8_t* pages_ = nullptr;  // what is mapped: whole pages around it
  size_t pages_bytes_ = 0;
};

/// BPF_TRACE_KPROBE_MULTI, BPF_TRACE_UPROBE_MULTI. Younger than the headers that we are built with
/// (include/uapi/linux/bpf.h).
inline constexpr uint32_t kTraceKprobeMulti = 42;
inline constexpr uint32_t kTraceUprobeMulti = 48;

/// Why the kernel did not take a program.
struct LoadFailure {
  Error error;
  std::string verifier_log;    ///< "" when it was not the verifier
  bool took_too_long = false;  ///< the verifier was stopped: kVerifierLimit
  bool is_too_large = false;   ///< too many instructions, or too many ways through them
};

/// Whether the kernel takes `code`. `log`: where the verifier's words go, as far as there is room;
/// null: they are not asked for, which is faster. `btf_id`: TypedRawTracepoint.
bool try_load_program(const std::string& name, bpf::ProgramKind kind,
                      const std::vector<bpf::Insn>& code, std::string* log = nullptr,
                      uint32_t btf_id = 0);

/// CPU time that the verifier gets for one program: with many ways through it, it can take minutes.
constexpr std::chrono::milliseconds kVerifierLimit{1000};  // guessed
/// Loads `code`, whose map references are descriptors already. First without a log: with one it
/// takes nine times as long; after a refusal again with one. Returns the descriptor, or nothing and
/// `failure` set. `callbacks`: Program.callbacks. `types_fd`: whose number `btf_id` is, the BTF of
/// a module; -1: the kernel's own.
std::optional<UniqueFd> load_program(const std::string& name, bpf::ProgramKind kind,
                                     const std::vector<bpf::Insn>& code, LoadFailure* failure,
                                     uint32_t btf_id = 0,
                                     const std::vector<uint32_t>& callbacks = {},
                                     int types_fd = -1);

/// Whether programs of raw tracepoints may sleep: then the kernel does not keep other tasks from
/// the CPU while they run (7.1).
bool takes_sleepable_raw_tracepoints();

/// Runs the program of a raw tracepoint once, now, without an event (5.10), on this CPU or on
/// `cpu`, and gives what it returns. `arguments`: what it finds as the event's. Errors: EINVAL,
/// ENOTSUPP: this kernel does not.
Result<uint32_t> run_once(int program_fd, const std::vector<uint64_t>& arguments = {},
                          int cpu = -1);
/// A program as the kernel runs it, before it becomes machine code: with functions of the kernel
/// put into it. Empty where the kernel does not tell (net.core.bpf_jit_harden,
/// kernel.kptr_restrict).
std::vector<bpf::Insn> translated_code(int program_fd);

/// Runs that the kernel skipped because the program was running on that CPU already (5.12; else 0).
uint64_t recursion_misses(int program_fd);
/// Instructions that the verifier walked for it; 0 where the kernel does not tell (before 5.16).
uint32_t verified_instructions(int program_fd);

/// Waits until every program that runs now has ended. Source: membarrier(2) GLOBAL is
/// synchronize_rcu(); a map-in-map update waits likewise (kernel/bpf/syscall.c,
/// maybe_wait_bpf_programs) where membarrier is refused or does nothing.
void wait_for_programs();

}  // namespace ktap::sys
