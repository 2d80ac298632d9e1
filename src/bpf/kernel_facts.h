// What a kernel can do, as a plain value: `sys` probes it, tests build old kernels by hand.
#pragma once

#include <cstdint>

namespace ktap::bpf {

/// How the registers of a system call lie in struct pt_regs, in bytes.
struct SyscallRegs {
  int32_t arg_offset[6] = {112, 104, 96, 56, 72, 64};  ///< x86-64: di si dx r10 r8 r9
  int32_t nr_offset = 120;                             ///< x86-64: orig_ax; read at sys_exit
  uint32_t nr_size_bytes = 8;                          ///< 4 or 8
  int32_t execve_nr = 59;
  int32_t execveat_nr = 322;
};

struct KernelFacts {
  bool has_ring_buffer = true;    ///< 5.8
  bool has_fetch_atomics = true;  ///< 5.12
  bool has_mapped_tables = true;  ///< arrays that user space maps (5.5)
  /// A raw tracepoint's program never runs inside itself (6.1).
  bool has_recursion_guard = true;
  /// Stores of one CPU are seen in their order by the others, as x86 does.
  bool has_ordered_stores = true;
  uint32_t cpu_count = 1;  ///< possible CPUs: their numbers are below this
  SyscallRegs syscall_regs;
};

}  // namespace ktap::bpf
