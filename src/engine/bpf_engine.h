// Holds one run's maps, programs and attachments in the kernel, and delivers what they leave:
// records, counters, tables, shared variables. The design's engine `bpf`.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/unit.h"
#include "base/result.h"
#include "bpf/kernel_facts.h"
#include "engine/delta_reader.h"
#include "runtime/heap.h"
#include "runtime/shared_variable.h"
#include "runtime/table.h"
#include "ssa/function.h"

namespace ktap::engine {

/// What this kernel can do, less the facts named in `without` (bpf::fact_names). `gives_registers`:
/// an event does; `kernel_functions`: one of them is a kernel function; else what it has for those
/// alone is not looked for. Cost: 1 ms.
Result<bpf::KernelFacts> probe_kernel(const std::vector<std::string>& without = {},
                                      bool gives_registers = true, bool kernel_functions = true);

/// The verifier refused a program: which, why (the log's own last words, for -v), at which script
/// line.
struct Rejection {
  uint32_t program = 0;  ///< index in unit.programs
  std::string reason;
  uint32_t line = 0;
  /// Whose instruction it was; bpf::kNoHandler: nobody's, or the log names none.
  uint32_t handler = bpf::kNoHandler;
  /// Not one instruction but all of them together: too many, or too many ways through them.
  bool is_size = false;
  bool is_for_user = false;  ///< the reason is none of the verifier's words
};

/// One record of the ring buffer; the bytes live until the callback returns.
struct Record {
  uint32_t site;
  uint32_t cpu;
  const uint8_t* data;  ///< from the record's start, header included
  size_t size_bytes;
};

class BpfEngine {
 public:
  /// Creates the maps and loads the programs. With rejections the engine is of no further use: the
  /// caller moves those handlers to user space and tries again.
  static Result<std::unique_ptr<BpfEngine>> load(backend::Unit unit,
                                                 std::vector<Rejection>* rejections);
  virtual ~BpfEngine() = default;

  /// Attaches everything; nothing runs before arm(). On an error all is detached again.
  virtual Result<void> attach() = 0;
  /// After an error of attach(): whose events could not be attached; bpf::kNoHandler: nobody's.
  virtual uint32_t unattached_handler() const = 0;
  virtual void arm() = 0;
  /// Stops all handlers at once and waits until those that run have ended.
  virtual void disarm() = 0;
  /// Detaches; called by the destructor too.
  virtual void detach() = 0;

  /// Delivers the records that are there, oldest first; returns how many.
  virtual size_t drain(const std::function<void(const Record&)>& deliver) = 0;
  /// Readable when a wake-up was asked for: exit(), or a record while we sleep.
  virtual int wake_fd() const = 0;
  /// While set, the next record wakes (and takes it back): 6 us for the program that writes it.
  virtual void set_sleeping(bool sleeping) = 0;
  /// True once a handler has called exit(); `status` as given.
  virtual bool exit_requested(int64_t* status) const = 0;

  /// Per-CPU values of one row of unit.counters.
  virtual std::vector<uint64_t> counter(uint32_t row) const = 0;
  /// Runs of programs that the kernel itself skipped, per program: recursion.
  virtual std::vector<uint64_t> missed_runs() const = 0;
  /// Hits of functions of the kernel for which it ran no program, per program: within other probes,
  /// and returns of calls that it had no room to remember. Of all processes, from arm()
  /// to disarm().
  virtual std::vector<uint64_t> missed_hits() const = 0;
  /// Instructions that the verifier walked, per program; 0 where the kernel does not tell.
  virtual std::vector<uint32_t> verified_instructions() const = 0;

  /// The memory of shared variable `cell`, mapped.
  virtual int64_t* cell(uint32_t cell) = 0;
  /// Puts the table's present entries into the kernel map, before arm(). Error when they do not fit
  /// its key.
  virtual Result<void> preload(uint32_t table, const runtime::Table& entries,
                               const ssa::Module& module) = 0;
  /// The snapshot rule (language, section 5) for a runtime table. `next_run()` starts a new
  /// snapshot.
  virtual std::unique_ptr<runtime::TableBacking> back(uint32_t table, runtime::Heap& heap,
                                                      const ssa::Module& module) = 0;
  /// The rows of a delta table, for a reader that gives them another form than back() does. The
  /// same rule holds; what one reader has taken no other one sees.
  virtual std::unique_ptr<DeltaReader> read_delta(uint32_t table) = 0;
  /// A variable that is a table of one entry, under `true`; its value is in the map by preload().
  virtual std::unique_ptr<runtime::SharedVariable> variable(uint32_t table, runtime::Heap& heap,
                                                            const ssa::Module& module) = 0;
  virtual void next_run() = 0;
  /// Which one it is: grows with next_run().
  virtual uint64_t run() const = 0;

  /// With Unit.follows(): processes to trace, beside those that they fork once attach() is done.
  virtual Result<void> follow(pid_t process) = 0;
  virtual void unfollow(pid_t process) = 0;
  /// All of them that are not reaped, and may hold threads' numbers beside.
  virtual std::vector<pid_t> followed() = 0;

  /// Descriptors, for tests that run loaded programs without attaching them (BPF_PROG_TEST_RUN).
  virtual int program_fd(size_t program) const = 0;
  virtual int map_fd(uint32_t map) const = 0;
};

}  // namespace ktap::engine
