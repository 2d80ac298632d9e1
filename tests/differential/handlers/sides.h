// A script through the machines that its handlers may run on. The VM alone is the reference. The
// others are placed by the session's own planner and run by its own tracer; they differ in the
// engine: eBPF on the test machine; loaded into this kernel and run there by BPF_PROG_TEST_RUN; or
// attached there, with the system calls made in earnest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf/kernel_facts.h"
#include "event/provider.h"
#include "handlers/actors.h"
#include "handlers/events.h"
#include "handlers/script_run.h"

namespace ktap::differential {

enum class Side : uint8_t { Machine, Kernel, Attached };

/// What the two placed sides stand on.
struct Ground {
  bpf::KernelFacts facts;
  std::unique_ptr<event::Catalog> catalog;  ///< null without tracefs: no argstr then
  std::unique_ptr<Actors> actors;
  uint64_t regs_address = 0;  ///< of `regs` as the kernel knows it; invented without a kernel
  uint8_t* regs = nullptr;    ///< a struct pt_regs that raw tracepoints are given, and paths
  static constexpr size_t kRegsBytes = 512;
  static constexpr size_t kBytes = 4096;  ///< the paths stand behind the registers

  uint64_t kernel_paths() const { return regs_address + kRegsBytes; }
};

/// Finds out what the kernel can do; without `kernel` nothing is asked of it. Errors: no privilege.
Result<std::unique_ptr<Ground>> prepare(bool kernel);

struct HandlerPlace {
  bool in_kernel = true;
  std::string reason;  ///< why in user space
};
struct PlacedRun {
  Outcome outcome;
  bool has_user_handlers = false;
  bool ring_was_full = false;
  std::vector<HandlerPlace> places;
  std::vector<std::string_view> layouts;  ///< of the tables
  std::string mistakes;                   ///< diagnostics: nothing was run
  std::string refused;  ///< what the verifier, or ssa::verify, has against a program
  int64_t plan_ns = 0;  ///< how long the CPU worked on planning,
  int64_t load_ns = 0;  ///< and the kernel on loading
  std::string code;     ///< SSA and eBPF as text, when asked for
};

/// "" and the outcome, or why the script is none to judge.
std::string run_in_vm(const std::string& script, const Ground& ground, bool attached,
                      Outcome* outcome);
PlacedRun run_placed(const std::string& script, Side side, const Ground& ground,
                     const bpf::KernelFacts& facts, bool with_code);

}  // namespace ktap::differential
