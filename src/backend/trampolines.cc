// See trampolines.h.
#include "backend/trampolines.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace ktap::backend {

namespace {

/// A trampoline at the return of these is never done with, and stays in the kernel for ever; from
/// 6.16 on the kernel refuses some. Source: tools/objtool/noreturns.h, and callers in
/// kernel/exit.c.
constexpr std::string_view kNeverReturn[] = {
    "__module_put_and_exit",
    "__module_put_and_kthread_exit",
    "complete_and_exit",
    "cpu_startup_entry",
    "do_exit",
    "do_group_exit",
    "do_task_dead",
    "kthread_complete_and_exit",
    "kthread_exit",
    "make_task_dead",
    "nmi_panic_self_stop",
    "panic",
    "panic_smp_self_stop",
    "rewind_stack_and_make_dead",
    "rewind_stack_do_exit",
};

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool never_returns(std::string_view function) {
  return std::find(std::begin(kNeverReturn), std::end(kNeverReturn), function) !=
             std::end(kNeverReturn) ||
         ends_with(function, "sys_exit") || ends_with(function, "sys_exit_group");
}

struct Uses {
  bool sets_result = false;
  bool reads_result = false;
  bool reads_entry = false;  ///< at a return, what the function was called with
};

Uses uses_of(const Job& job, const ssa::Module& module) {
  Uses uses;
  const schema::Event& event = *job.group->events[0];
  for (const ssa::Block& block : job.function->blocks) {
    for (ssa::ValueId id : block.insts) {
      const ssa::Inst& inst = (*job.function)[id];
      const auto number = static_cast<size_t>(inst.imm);
      if (inst.op == ssa::Op::OverrideReturn) uses.sets_result = true;
      if (inst.op == ssa::Op::EventField && number < event.fields.size()) {
        if (event.fields[number].fetch.base == schema::Fetch::Base::Result)
          uses.reads_result = true;
        if (number >= event.own_fields()) uses.reads_entry = true;
      }
      if (inst.op == ssa::Op::Emit && module.sites[number].raw == ssa::RawEvent::Record)
        uses.reads_result = true;
    }
  }
  return uses;
}

}  // namespace

std::string why_no_trampoline(const Job& job, const ssa::Module& module,
                              const bpf::KernelFacts& facts) {
  if (job.group->events.size() != 1) return "it takes one function at a time";
  const schema::Event& event = *job.group->events[0];
  if (!schema::is_kernel_function(event)) return "it is for functions of the kernel";
  const schema::ProbePoint& point = event.point;
  if (!point.is_traceable) return "the kernel's function tracer does not have this function";
  if (point.btf_id == 0) return "not all of its arguments are words";
  if (!point.btf_module.empty() && !facts.has_module_trampolines)
    return "this kernel has none at functions of modules (Linux 5.11)";
  const Uses uses = uses_of(job, module);
  if (uses.sets_result) return "it sets no results";
  if (event.kind != schema::EventKind::ProbeReturn) return "";
  if (never_returns(point.symbol)) return "this function never returns";
  if (!point.gives_word && uses.reads_result)
    return "it has no result to read of a function that returns no word";
  return "";
}

/// At the return of a function that gives nothing only for what it was called with: among those
/// are more that never return than the list knows.
bool wants_trampoline(const Job& job, const ssa::Module& module) {
  const schema::Event& event = *job.group->events[0];
  return event.kind != schema::EventKind::ProbeReturn || event.point.gives_word ||
         uses_of(job, module).reads_entry;
}

}  // namespace ktap::backend
