// What this kernel can do, by trying: version numbers lie, distributions backport and lock down. A
// handful of microseconds each; the start has 5 ms for everything.
#include <unistd.h>

#include "bpf/insn.h"
#include "engine/bpf_engine.h"
#include "sys/bpf.h"

namespace ktap::engine {

namespace {

/// Where the registers of a system call lie in struct pt_regs when sys_enter fires. Argument 0 is
/// the original one where the architecture keeps it. Source: arch/*/include/asm/ptrace.h.
bpf::SyscallRegs syscall_regs() {
  bpf::SyscallRegs regs;
#if defined(__x86_64__)
  return regs;  // the defaults
#elif defined(__aarch64__)
  regs = {{272, 8, 16, 24, 32, 40}};  // orig_x0, x1 … x5
#elif defined(__riscv) && __riscv_xlen == 64
  regs = {{280, 88, 96, 104, 112, 120}};  // orig_a0, a1 … a5
#elif defined(__arm__)
  regs = {{68, 4, 8, 12, 16, 20}};  // orig_r0, r1 … r5; 4 bytes each
#else
#error "the layout of pt_regs is not known for this architecture"
#endif
  return regs;
}

bool can_load(const std::vector<bpf::Insn>& code) {
  sys::LoadFailure failure;
  return sys::load_program("probe", bpf::ProgramKind::RawTracepoint, code, &failure).has_value();
}

}  // namespace

Result<bpf::KernelFacts> probe_kernel() {
  bpf::KernelFacts facts;
  facts.syscall_regs = syscall_regs();
  KTAP_ASSIGN(facts.cpu_count, sys::possible_cpus());

  // The control page is the least that every run needs: no privilege for it, no tracing.
  bpf::MapSpec page;
  page.name = "probe";
  page.mmapable = true;
  Result<sys::Map> array = sys::Map::create(page);
  if (!array.ok()) {
    Error error = array.error();
    const size_t advice = error.message.find("; ");
    if (advice != std::string::npos) error.message = error.message.substr(advice + 2);
    return error;
  }

  bpf::MapSpec ring;
  ring.name = "probe";
  ring.kind = bpf::MapKind::RingBuffer;
  ring.max_entries = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  facts.has_ring_buffer = sys::Map::create(ring).ok();

  using bpf::Reg;
  facts.has_fetch_atomics =
      can_load({bpf::mov64(Reg::R1, 1), bpf::store(bpf::Size::DW, Reg::R10, -8, Reg::R1),
                bpf::atomic(bpf::AtomicOp::FetchAdd, bpf::Size::DW, Reg::R10, -8, Reg::R1),
                bpf::mov64(Reg::R0, 0), bpf::exit_insn()});
#if !defined(__x86_64__) && !defined(__i386__)
  facts.has_ordered_stores = false;
#endif
  // Came with the guard, in 6.1; of the guard itself nothing can be seen.
  constexpr int32_t kKtimeGetTaiNs = 208;
  facts.has_recursion_guard =
      can_load({bpf::call(kKtimeGetTaiNs), bpf::mov64(Reg::R0, 0), bpf::exit_insn()});
  return facts;
}

}  // namespace ktap::engine
