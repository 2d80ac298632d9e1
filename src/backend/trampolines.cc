// See trampolines.h.
#include "backend/trampolines.h"

#include <vector>

namespace ktap::backend {

namespace {

struct Uses {
  bool sets_result = false;
  bool reads_result = false;
};

Uses uses_of(const Job& job, const ssa::Module& module) {
  Uses uses;
  const std::vector<schema::Field>& fields = job.group->events[0]->fields;
  for (const ssa::Block& block : job.function->blocks) {
    for (ssa::ValueId id : block.insts) {
      const ssa::Inst& inst = (*job.function)[id];
      const auto number = static_cast<size_t>(inst.imm);
      if (inst.op == ssa::Op::OverrideReturn) uses.sets_result = true;
      if (inst.op == ssa::Op::EventField && number < fields.size() &&
          fields[number].fetch.base == schema::Fetch::Base::Result)
        uses.reads_result = true;
      if (inst.op == ssa::Op::Emit && module.sites[number].raw == ssa::RawEvent::Record)
        uses.reads_result = true;
    }
  }
  return uses;
}

}  // namespace

std::string why_no_trampoline(const Job& job, const ssa::Module& module) {
  if (job.group->events.size() != 1) return "it takes one function at a time";
  const schema::Event& event = *job.group->events[0];
  if (!schema::is_kernel_function(event)) return "it is for functions of the kernel";
  const schema::ProbePoint& point = event.point;
  if (!point.is_traceable) return "the kernel's function tracer does not have this function";
  if (point.btf_id == 0) return "not all of its arguments are words, or a module has it";
  const Uses uses = uses_of(job, module);
  if (uses.sets_result) return "it sets no results";
  if (event.kind == schema::EventKind::ProbeReturn && !point.gives_word && uses.reads_result)
    return "it has no result to read of a function that returns no word";
  return "";
}

}  // namespace ktap::backend
