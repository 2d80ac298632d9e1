// emit(): lays out what programs share, then writes one program a tracepoint. A job that does not
// fit is named; the others go on.
#include <cstddef>
#include <utility>
#include <vector>

#include "backend/program_writer.h"
#include "backend/unit.h"
#include "base/check.h"

namespace ktap::backend {
namespace {

/// -- CMD with no handler on the entry of system calls: a program that only waits for the exec.
bpf::Program make_gate(const bpf::KernelFacts& facts, const Options& options,
                       const UnitBuilder& unit) {
  using bpf::Reg;
  bpf::Assembler code;
  const bpf::Label out = code.make_label();
  code.set_owner(bpf::kNoHandler, 0);
  code.emit(bpf::mov64(Reg::R6, Reg::R1));
  code.load_map_value(Reg::R1, unit.unit.control_map, Control::kArmed);
  code.emit(bpf::load(bpf::Size::DW, Reg::R3, Reg::R1, 0));
  write_gate(code, facts, options, unit, out);
  code.bind(out);
  code.emit(bpf::mov64(Reg::R0, 0));
  code.emit(bpf::exit_insn());

  bpf::Program program;
  program.name = "gate";
  program.attach_to = "sys_enter";
  KTAP_CHECK(code.finish(program).ok());
  return program;
}

bool is_system_call_entry(const std::vector<Job>& jobs, const Bundle& bundle) {
  return jobs[bundle.jobs[0]].group->kind == schema::EventKind::SyscallEnter;
}

/// What is tried next when a bundle gave no program: without the jobs that failed, or one by one.
std::vector<Bundle> try_again(const Bundle& bundle, ProgramWriter::Outcome outcome,
                              std::vector<EmitFailure>& failures, size_t failures_before) {
  std::vector<Bundle> next;
  if (outcome == ProgramWriter::Outcome::TooLong && bundle.jobs.size() == 1) {
    failures.push_back({bundle.jobs[0], "the handler is too long for one eBPF program"});
  } else if (outcome == ProgramWriter::Outcome::TooLong) {
    for (const uint32_t job : bundle.jobs) next.push_back(Bundle{{job}});
  } else {
    Bundle rest = bundle;
    for (size_t i = failures_before; i < failures.size(); ++i)
      std::erase(rest.jobs, failures[i].job);
    if (!rest.jobs.empty()) next.push_back(std::move(rest));
  }
  return next;
}

}  // namespace

EmitResult emit(const std::vector<Job>& jobs, const ssa::Module& module,
                const bpf::KernelFacts& facts, const Options& options) {
  EmitResult result;
  UnitBuilder unit(jobs, module, options);
  bool needs_gate = options.wait_for_exec;  // the first program that meets an execve has it
  std::vector<Bundle> bundles = bundle_jobs(jobs, module, facts, options);
  for (size_t i = 0; i < bundles.size(); ++i) {
    const Bundle bundle = bundles[i];
    const bool has_gate = needs_gate && is_system_call_entry(jobs, bundle);
    const size_t failures_before = result.failures.size();
    bpf::Program program;
    const ProgramWriter::Outcome outcome =
        ProgramWriter(jobs, bundle, module, facts, options, unit, has_gate)
            .run(program, result.failures);
    if (outcome == ProgramWriter::Outcome::Written) {
      needs_gate = needs_gate && !has_gate;
      unit.unit.programs.push_back(std::move(program));
    } else {
      const std::vector<Bundle> next = try_again(bundle, outcome, result.failures, failures_before);
      bundles.insert(bundles.begin() + static_cast<std::ptrdiff_t>(i + 1), next.begin(),
                     next.end());
    }
  }
  if (needs_gate) {
    unit.unit.gate_program = static_cast<uint32_t>(unit.unit.programs.size());
    unit.unit.programs.push_back(make_gate(facts, options, unit));
  }
  unit.unit.waits_for_exec = options.wait_for_exec;
  unit.finish();
  result.unit = std::move(unit.unit);
  return result;
}

}  // namespace ktap::backend
