// The jobs of one tracepoint → one eBPF program: a prologue that finds out at the least cost
// whether the event is anybody's, then the handlers' bodies one behind the other in source order. A
// run-time error or a return ends one body alone; exit() keeps the later ones from starting.
//
// Two programs on one raw tracepoint cost the kernel twice the way to them (82 ns), two bodies in
// one program nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/selector.h"

namespace ktap::backend {

/// Jobs that share a program: indices of the list, in order.
struct Bundle {
  std::vector<uint32_t> jobs;
};
/// Which jobs go into which program: those of one tracepoint together, unless !options.fuse.
std::vector<Bundle> bundle_jobs(const std::vector<Job>& jobs, const ssa::Module& module,
                                const bpf::KernelFacts& facts, const Options& options);

/// R3 is the state in the control page, R6 the context: goes on, armed, when the state is kWaiting
/// and this is the target's exec, else to `out`.
void write_gate(bpf::Assembler& code, const bpf::KernelFacts& facts, const Options& options,
                const UnitBuilder& unit, bpf::Label out);

/// The programs that keep the set of processes of Options.follow.
void add_followers(UnitBuilder& unit, const bpf::KernelFacts& facts, const Options& options);

class ProgramWriter {
 public:
  /// `has_gate`: the program also waits for the target's exec (Options.wait_for_exec).
  /// `number`: of the program, as the unit's tables count them.
  ProgramWriter(const std::vector<Job>& jobs, const Bundle& bundle, uint32_t number,
                const ssa::Module& module, const bpf::KernelFacts& facts, const Options& options,
                UnitBuilder& unit, bool has_gate);

  enum class Outcome : uint8_t { Written, JobsFailed, TooLong };
  /// Jobs that do not fit are named in `failures`. TooLong: the jobs each, or all of them together.
  Outcome run(bpf::Program& program, std::vector<EmitFailure>& failures);

 private:
  using Reg = bpf::Reg;

  void set_points(bpf::Program& program) const;
  bpf::ProgramKind kind() const;
  bpf::ProgramKind kind_of_points() const;
  void prepare(std::vector<EmitFailure>& failures);
  void lay_out_frame();
  int32_t frame_word();
  void write(std::vector<EmitFailure>& failures);
  void prologue();
  void test_number(Reg number);
  void test_few_numbers(Reg number);
  void look_number_up(Reg number);
  void number_at_exit();
  void reach_windows();
  /// Only a kprobe of its own, at the first instruction, takes a result.
  bool sets_result() const;
  bool runs_long() const;
  void stay_on_kernel_stack();
  void leave_by_tail_call();
  void test_armed();
  // ---- scope.cc: whom to trace
  void test_scope();
  void test_process();
  void gate();
  bool is_syscall() const { return schema::is_syscall(group().kind); }
  bool gives_registers() const { return schema::gives_registers(group().kind); }
  bool is_tracepoint() const { return group().kind == schema::EventKind::Tracepoint; }
  bool is_exit() const { return group().kind == schema::EventKind::SyscallExit; }
  const ssa::EventGroup& group() const { return *job(0).group; }
  const Job& job(size_t body) const { return jobs_[bundle_.jobs[body]]; }
  size_t body_count() const { return bundle_.jobs.size(); }

  const std::vector<Job>& jobs_;
  const Bundle& bundle_;
  const ssa::Module& module_;
  const bpf::KernelFacts& facts_;
  const Options& options_;
  UnitBuilder& unit_;
  const bool has_gate_;

  bpf::Assembler asm_;
  Frame frame_;
  std::vector<std::unique_ptr<Selector>> bodies_;
  bool has_few_numbers_ = false;  // told apart one by one
  bpf::Label gate_, armed_, tail_call_;
};

}  // namespace ktap::backend
