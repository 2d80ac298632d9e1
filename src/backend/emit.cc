// emit(): lays out what programs share, then selects one program a job. A job that does not fit is
// named; the others go on.
#include "backend/selector.h"
#include "backend/unit.h"
#include "base/check.h"

namespace ktap::backend {
namespace {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Reg;
using bpf::Size;

/// -- CMD: the target has started once it enters execve. Stands before all others, so that the
/// handlers see that very call.
bpf::Program make_gate(const bpf::KernelFacts& facts, const Options& options,
                       const UnitBuilder& unit) {
  bpf::Assembler code;
  bpf::Label out = code.make_label(), found = code.make_label();
  code.emit(bpf::load(Size::DW, Reg::R6, Reg::R1, 8));
  code.jump_to_if(JumpOp::Eq, Reg::R6, facts.syscall_regs.execve_nr, found);
  code.jump_to_if(JumpOp::Ne, Reg::R6, facts.syscall_regs.execveat_nr, out);
  code.bind(found);
  code.call_helper(Helper::GetCurrentPidTgid);
  code.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 32));
  code.jump_to_if(JumpOp::Ne, Reg::R0, static_cast<int32_t>(options.target_tgid), out);
  code.load_map_value(Reg::R1, unit.unit.control_map, 0);
  code.emit(bpf::load(Size::DW, Reg::R2, Reg::R1, Control::kArmed));
  code.jump_to_if(JumpOp::Ne, Reg::R2, 1, out);
  code.emit(bpf::store(Size::DW, Reg::R1, Control::kStarted, 1));
  code.bind(out);
  code.emit(bpf::mov64(Reg::R0, 0));
  code.emit(bpf::exit_insn());

  bpf::Program program;
  program.name = "gate";
  program.attach_to = "sys_enter";
  program.handler = bpf::kNoHandler;
  KTAP_CHECK(code.finish(program).ok());
  return program;
}

}  // namespace

EmitResult emit(const std::vector<Job>& jobs, const ssa::Module& module,
                const bpf::KernelFacts& facts, const Options& options) {
  EmitResult result;
  std::vector<uint32_t> programs;  // one a job
  for (uint32_t i = 0; i < jobs.size(); ++i) programs.push_back(i);
  UnitBuilder unit(jobs, programs, module, facts, options);
  if (options.wait_for_exec) unit.unit.programs.push_back(make_gate(facts, options, unit));
  for (size_t i = 0; i < jobs.size(); ++i) {
    auto program = Selector(jobs[i], programs[i], module, facts, options, unit).run();
    if (program.ok()) {
      unit.unit.programs.push_back(std::move(program).value());
    } else {
      result.failures.push_back(EmitFailure{static_cast<uint32_t>(i), program.error().message});
    }
  }
  unit.finish();
  result.unit = std::move(unit.unit);
  return result;
}

}  // namespace ktap::backend
