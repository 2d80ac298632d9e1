// See entry_arguments.h.
#include "session/entry_arguments.h"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "backend/trampolines.h"
#include "base/limits.h"
#include "lower/event_reads.h"

namespace ktap::session {

namespace {

/// Calls visit(inst, field) for each use of what the function of a return was called with.
template <class Visit>
void each_entry_argument(const PlannedGroup& group, Visit visit) {
  const schema::Event& event = *group.group.events.front();
  if (event.entry_fields == 0) return;
  each_inst(group, [&](const ssa::Inst& inst) {
    const auto field = static_cast<size_t>(inst.imm);
    if (inst.op == ssa::Op::EventField && field >= event.own_fields() &&
        field < event.fields.size())
      visit(inst, field);
  });
}

/// Of the events whose entry arguments handlers use: what keeps one of their handlers, which
/// share a program, from a trampoline; "" nothing does.
std::map<const schema::Event*, std::string> why_no_entry_arguments(
    const Plan& plan, const bpf::KernelFacts& facts, const std::string& no_trampolines) {
  std::map<const schema::Event*, std::string> reasons;
  for (const PlannedHandler& handler : plan.handlers) {
    for (const PlannedGroup& group : handler.groups) {
      each_entry_argument(group, [&](const ssa::Inst&, size_t) {
        reasons.emplace(group.group.events.front().get(), "");
      });
    }
  }
  if (reasons.empty()) return reasons;
  for (const PlannedHandler& handler : plan.handlers) {
    for (const PlannedGroup& group : handler.groups) {
      const auto reason = reasons.find(group.group.events.front().get());
      if (reason == reasons.end() || !reason->second.empty() || group.group.events.size() != 1)
        continue;
      const backend::Job job{&group.function, &group.group, 0, 0};
      reason->second = facts.has_trampolines
                           ? backend::why_no_trampoline(job, plan.linkage.module, facts)
                           : no_trampolines;
    }
  }
  return reasons;
}

}  // namespace

void check_entry_arguments(const Plan& plan, const std::vector<Registration>& registrations,
                           const bpf::KernelFacts& facts, const std::string& no_trampolines,
                           diag::Sink& sink) {
  const std::map<const schema::Event*, std::string> reasons =
      why_no_entry_arguments(plan, facts, no_trampolines);
  if (reasons.empty()) return;
  std::set<uint32_t> told;
  for (const PlannedHandler& handler : plan.handlers) {
    int trampolines = 0;
    for (const PlannedGroup& group : handler.groups) {
      const schema::Event& event = *group.group.events.front();
      bool is_counted = false;
      each_entry_argument(group, [&](const ssa::Inst& inst, size_t field) {
        if (!is_counted) ++trampolines;
        is_counted = true;
        const std::string& why = reasons.at(&event);
        if (why.empty() || !told.insert(inst.span.begin).second) return;
        const std::string& name = event.fields[field].name;
        sink.report(diag::Code::EventUnavailable, inst.span,
                    fmt::format("'args.{}' of {} is gone when the function returns: only a "
                                "trampoline (fexit) keeps it, and {}",
                                name, event.name, why))
            .hints.push_back(lower::kept_at_entry(event, name));
      });
    }
    if (trampolines > limits::kFunctionsOneByOne)
      sink.report(diag::Code::EventUnavailable,
                  registrations[handler.registration].handler.place.span,
                  fmt::format("these are {} functions, and at its return each takes a trampoline "
                              "of its own for what it was called with: at most {}",
                              trampolines, limits::kFunctionsOneByOne));
  }
}

}  // namespace ktap::session
