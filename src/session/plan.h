// From registered handlers to what runs where: events resolved, each handler lowered for the kernel
// or placed in user space with the reason, tables kept under one master, one Unit for all of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/unit.h"
#include "bytecode/chunk.h"
#include "diag/diagnostic.h"
#include "engine/bpf_engine.h"
#include "event/provider.h"
#include "lower/lower.h"
#include "session/options.h"
#include "ssa/function.h"

namespace ktap::session {

/// A handler as the script registered it.
struct Registration {
  bytecode::HandlerKind kind = bytecode::HandlerKind::Event;
  std::string event_text;  ///< without filter
  lower::Handler handler;
  int64_t interval_ns = 0;     ///< Tick
  int64_t next_ns = 0;         ///< Tick: the next beat, kept while it is not armed; 0: none yet
  std::string mistake;         ///< Tick: what is wrong with the interval; "" when nothing
  diag::Sink filter_mistakes;  ///< in the filter of a computed event text; they point at its place
};

/// One handler on one group of its events.
struct PlannedGroup {
  ssa::EventGroup group;
  ssa::Function function;  ///< the handler itself, or its capture program
};
/// Calls visit(inst) for each instruction of the group's function.
template <class Visit>
void each_inst(const PlannedGroup& group, Visit visit) {
  for (const ssa::Block& block : group.function.blocks) {
    for (ssa::ValueId id : block.insts) visit(group.function[id]);
  }
}

struct PlannedHandler {
  uint32_t registration = 0;
  std::vector<schema::EventPtr> events;
  bool in_kernel = true;
  lower::Refusal reason;  ///< why in user space, when !in_kernel
  std::vector<PlannedGroup> groups;
};

/// Whose record it is: site → handler and group of the plan.
struct SiteOwner {
  uint32_t handler = 0;  ///< index in Plan.handlers
  uint32_t group = 0;
};

struct Plan {
  std::vector<PlannedHandler> handlers;  ///< event handlers, in source order
  lower::Linkage linkage;
  std::vector<SiteOwner> owners;   ///< by site id
  std::vector<backend::Job> jobs;  ///< parallel to the emitted programs' handler/group
  backend::Unit unit;
  /// By program, once they are loaded; 0 where the kernel does not tell.
  std::vector<uint32_t> verified_instructions;

  /// The tables behind kernel tables, and what output sites print.
  void mark(runtime::Heap& heap) const;
};

/// What code in the kernel uses, by table id and by shared variable id. Lowering also meets what
/// is dead in the end: a value that is read and thrown away.
struct KernelUses {
  std::vector<bool> tables;
  std::vector<bool> cells;
  /// What handlers do to them: `+=`, `&=` and `|=`, `^=`, another store.
  enum Change : uint8_t { kSum = 1, kMask = 2, kToggle = 4, kStore = 8 };
  std::vector<uint8_t> cell_changes;
};
KernelUses kernel_uses(const Plan& plan);

/// Everything that planning reads.
struct PlanInput {
  const std::vector<Registration>* registrations;
  const std::vector<runtime::Value>* globals;
  const std::vector<std::string>* global_names;
  const bpf::KernelFacts* facts;
  const Options* options;
  backend::Options backend;
  bytecode::ReaderUses readers;          ///< of aggregates
  lower::Machine machine;                ///< left out: handlers that ask for it run in user space
  int stop_fd = -1;                      ///< readable: give up, with the error EINTR
  const diag::Source* source = nullptr;  ///< the script's; null: no text to mend
};

/// Mistakes in timers, and in the filters of computed event texts.
void check_registrations(const std::vector<Registration>& registrations, const diag::Source& source,
                         diag::Sink& sink);

/// All of an event text, or of the call that computes it: the filter of a computed one has its
/// mistakes there, and not at its words.
bool is_event_text(const std::vector<Registration>& registrations, const diag::Span& span);

/// Without --unsafe: each function that changes things, where the script names it.
void check_unsafe(const bytecode::Chunk& chunk, const diag::Source& source, const Options& options,
                  diag::Sink& sink);

/// One of their events does.
bool give_registers(const std::vector<PlannedHandler>& handlers);
/// One of their events is a function of the kernel.
bool trace_kernel(const std::vector<PlannedHandler>& handlers);

/// Looks every event text up. Mistakes become diagnostics, what tracing may do to who is traced
/// too, unless it is `quiet`; the matched events go to `handlers`, what globs left out to `notes`.
void resolve_events(const std::vector<Registration>& registrations, const diag::Source& source,
                    event::Catalog& catalog, bool quiet, std::vector<PlannedHandler>& handlers,
                    diag::Sink& sink, std::vector<std::string>* notes = nullptr);

/// Places and compiles all handlers, and loads them when `load` is set: a program that the verifier
/// refuses sends its handler to user space. Mistakes of the script go to `sink`; errors of the
/// machine are returned.
Result<std::unique_ptr<Plan>> make_plan(const PlanInput& input,
                                        std::vector<PlannedHandler> handlers, bool load,
                                        std::unique_ptr<engine::BpfEngine>* engine,
                                        diag::Sink& sink);

/// `-d`: what was loaded and verified for each handler, what moved to user space and why.
std::string dry_run_report(const Plan& plan, const std::vector<Registration>& registrations,
                           const diag::Source& source);

/// `--explain`: where each handler runs and why, what its tables became, what crosses.
std::string explain(const Plan& plan, const std::vector<Registration>& registrations,
                    const diag::Source& source);

}  // namespace ktap::session
