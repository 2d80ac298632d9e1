// Kernel tables, aggregates and shared variables behind the script's own, for the time of an armed
// plan.
#pragma once

#include <memory>
#include <vector>

#include "engine/bpf_engine.h"
#include "engine/kernel_samples.h"
#include "session/plan.h"
#include "vm/vm.h"

namespace ktap::session {

/// The kernel's side of tables, aggregates and variables.
struct Backings {
  std::vector<std::unique_ptr<runtime::TableBacking>> tables;
  std::vector<std::unique_ptr<runtime::SharedVariable>> variables;
  std::unique_ptr<engine::KernelSamples> samples;

  void clear() {
    tables.clear();
    variables.clear();
    samples.reset();
  }
};

/// Puts the kernel's tables, aggregates and variables behind those of the script, with the values
/// that these have now. `backings` outlive what is linked.
Result<void> link(const Plan& plan, engine::BpfEngine& engine, vm::Vm& vm, Backings& backings);

/// Takes the kernel side of tables and aggregates away; what it holds and user space has not read
/// is dropped.
void unlink(const Plan& plan, Backings& backings);

/// Takes all away and keeps what they hold in user space. Requires: disarmed and drained.
void bring_home(const Plan& plan, engine::BpfEngine& engine, vm::Vm& vm, Backings& backings);

/// The same for variables alone, in a run of their own: whoever assigns to one may give it a value
/// of any type again.
void bring_variables_home(const Plan& plan, engine::BpfEngine& engine, vm::Vm& vm);

}  // namespace ktap::session
