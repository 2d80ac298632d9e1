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
  if (facts.has_raw_syscalls_records()) {
    program.kind = bpf::ProgramKind::Tracepoint;
    program.tracefs_id = facts.raw_syscalls_id[0];
  }
  KTAP_CHECK(code.finish(program).ok());
  return program;
}

bool is_system_call_entry(const std::vector<Job>& jobs, const Bundle& bundle) {
  return jobs[bundle.jobs[0]].group->kind == schema::EventKind::SyscallEnter;
}

/// What is tried next when bundle `which` gave no program: without the jobs that failed, or one by
/// one.
void try_again(std::vector<Bundle>& bundles, size_t which, ProgramWriter::Outcome outcome,
               std::vector<EmitFailure>& failures, size_t failures_before) {
  const Bundle bundle = bundles[which];
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
  bundles.erase(bundles.begin() + static_cast<std::ptrdiff_t>(which));
  bundles.insert(bundles.begin() + static_cast<std::ptrdiff_t>(which), next.begin(), next.end());
}

/// By job: which program it becomes part of.
std::vector<uint32_t> programs_of_jobs(const std::vector<Bundle>& bundles, size_t job_count) {
  std::vector<uint32_t> programs(job_count, kNoProgram);
  for (uint32_t i = 0; i < bundles.size(); ++i) {
    for (const uint32_t job : bundles[i].jobs) programs[job] = i;
  }
  return programs;
}

/// Writes all programs, or changes `bundles` for the next attempt: where a table lies depends on
/// which programs there are.
bool write_programs(const std::vector<Job>& jobs, const ssa::Module& module,
                    const bpf::KernelFacts& facts, const Options& options, UnitBuilder& unit,
                    std::vector<Bundle>& bundles, std::vector<EmitFailure>& failures) {
  bool needs_gate = options.wait_for_exec;  // the first program that meets an execve has it
  for (size_t i = 0; i < bundles.size(); ++i) {
    const bool has_gate = needs_gate && is_system_call_entry(jobs, bundles[i]);
    const size_t failures_before = failures.size();
    bpf::Program program;
    const ProgramWriter::Outcome outcome = ProgramWriter(jobs, bundles[i], static_cast<uint32_t>(i),
                                                         module, facts, options, unit, has_gate)
                                               .run(program, failures);
    if (outcome != ProgramWriter::Outcome::Written) {
      try_again(bundles, i, outcome, failures, failures_before);
      return false;
    }
    needs_gate = needs_gate && !has_gate;
    if (!facts.current_tasks.addresses.empty()) program.free_call = facts.current_tasks.cast;
    unit.unit.programs.push_back(std::move(program));
  }
  if (options.follow) add_followers(unit, facts, options);
  if (needs_gate) {
    unit.unit.gate_program = static_cast<uint32_t>(unit.unit.programs.size());
    unit.unit.programs.push_back(make_gate(facts, options, unit));
  }
  return true;
}

}  // namespace

EmitResult emit(const std::vector<Job>& jobs, const ssa::Module& module,
                const bpf::KernelFacts& facts, const Options& options) {
  EmitResult result;
  std::vector<Bundle> bundles = bundle_jobs(jobs, module, facts, options);
  while (true) {
    UnitBuilder unit(jobs, programs_of_jobs(bundles, jobs.size()), module, facts, options);
    if (options.follow) unit.add_followed_map();
    if (!options.cgroup_path.empty()) unit.add_cgroup_map();
    if (!write_programs(jobs, module, facts, options, unit, bundles, result.failures)) continue;
    unit.unit.waits_for_exec = options.wait_for_exec;
    unit.unit.cpu = options.cpu;
    unit.unit.target_tgid = options.only_tgid();
    unit.unit.root_tgid = options.target_tgid;
    unit.unit.cgroup_path = options.cgroup_path;
    unit.finish();
    result.unit = std::move(unit.unit);
    return result;
  }
}

}  // namespace ktap::backend
