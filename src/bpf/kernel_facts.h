// What a kernel can do, as a plain value: `engine` probes it, tests build old kernels by hand, and
// `--without=` takes facts away, so that the paths for older kernels run on a new one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ktap::bpf {

/// How the registers of a system call lie in struct pt_regs, in bytes.
struct SyscallRegs {
  int32_t arg_offset[6] = {112, 104, 96, 56, 72, 64};  ///< x86-64: di si dx r10 r8 r9
  int32_t nr_offset = 120;                             ///< x86-64: orig_ax; read at sys_exit
  uint32_t nr_size_bytes = 8;                          ///< 4 or 8
  int32_t execve_nr = 59;
  int32_t execveat_nr = 322;
};

/// Where a function's arguments and result lie in struct pt_regs, in bytes. Default: x86-64.
struct CallRegs {
  int32_t arg_offset[8] = {112, 104, 96, 88, 72, 64, -1, -1};  ///< -1: not in a register
  int32_t result_offset = 80;
  int32_t ip_offset = 128;
  int32_t word_bytes = 8;  ///< of a register there
  /// Of struct bpf_perf_event_data, behind the registers: sample_period; the address follows.
  int32_t sample_offset = 168;
  int32_t stack_offset = 152;  ///< the stack pointer
};

/// Offsets in bytes in struct task_struct and in what it points to, from the kernel's BTF; -1: not
/// known.
struct TaskLayout {
  int32_t pid = -1;          ///< u32: the script's `tid`
  int32_t tgid = -1;         ///< u32: the script's `pid`
  int32_t comm = -1;         ///< char[16]; only when the kernel zeroes what is behind the name
  int32_t prio = -1;         ///< i32
  int32_t cpu = -1;          ///< u32: where it runs (thread_info inside the task)
  int32_t real_parent = -1;  ///< pointer to a task
  int32_t cred = -1;         ///< pointer to struct cred
  int32_t cred_uid = -1;     ///< u32, in struct cred
  int32_t cred_gid = -1;     ///< u32, in struct cred
  int32_t mm = -1;           ///< pointer to struct mm_struct
  int32_t stack_start = -1;  ///< unsigned long, in struct mm_struct
  // The calls of the process that return probes wait for, the innermost first.
  int32_t utask = -1;          ///< pointer to struct uprobe_task
  int32_t return_probes = -1;  ///< pointer to struct return_instance, in struct uprobe_task
  int32_t return_stack = -1;   ///< unsigned long, in that; behind it the address
  int32_t return_next = -1;    ///< pointer to the next one, in that
};

/// Where each possible CPU keeps the pointer to its current task: by that and three of the kernel's
/// BTF ids a program has the task without a call (x86-64 since 6.15).
struct CurrentTasks {
  std::vector<uint64_t> addresses;  ///< of the pointer, by CPU; empty: not known
  uint32_t cast = 0;                ///< bpf_rdonly_cast, which the kernel makes a move
  uint32_t pointer = 0;             ///< struct list_head, which begins with a pointer
  uint32_t task = 0;                ///< struct task_struct
  /// From the pointer to the CPU's preemption count, which lies beside; 0: not known.
  int32_t to_preempt_count = 0;
};

/// x86-64, whose kernels count for a CPU, not for a task, who keeps others off: the variable that
/// has the count of each CPU. Programs know it by its number in BTF (5.10), where the kernel has
/// the names of all of its symbols.
struct PreemptCount {
  uint32_t variable = 0;  ///< 0: not known
  int32_t offset = 0;     ///< in it
};

/// Default: a kernel 5.8 without BTF.
struct KernelFacts {
  bool has_ring_buffer = true;    ///< 5.8
  bool has_fetch_atomics = true;  ///< 5.12: fetch-and-add, xchg, cmpxchg
  bool has_mapped_tables = true;  ///< arrays that user space maps (5.5)
  /// A raw tracepoint's program never runs inside itself (6.1).
  bool has_recursion_guard = true;
  /// Stores of one CPU are seen in their order by the others, as x86 does.
  bool has_ordered_stores = true;
  /// No other task runs on the CPU while a raw tracepoint's program does. From 7.1 on one may, and
  /// the kernel then skips the program for it: every event of a time slice is lost. The programs of
  /// perf's tracepoints are not interrupted so.
  bool has_steady_raw_tracepoints = true;
  /// The kernel follows its stack past a program. 32-bit arm does not, so that the program of a raw
  /// tracepoint, which asks for it from within, gets nothing; those of perf's tracepoints bring the
  /// registers of before.
  bool has_raw_tracepoint_stacks = true;
  int32_t raw_syscalls_id[2] = {-1, -1};  ///< tracefs ids of raw_syscalls:sys_enter and sys_exit
  bool has_cpu_v4 = false;                ///< 6.6: signed division, sign-extending moves and loads
  bool has_may_goto = false;              ///< 6.9
  /// The kernel may give programs stacks of their own: x86 since 6.13. Where it does not, it may
  /// not take tail calls beside functions either (riscv).
  bool may_have_private_stacks = true;
  bool has_bpf_loop = false;           ///< 5.17
  bool has_task_registers = false;     ///< 5.15: those that a process has in user space
  bool has_for_each_map_elem = false;  ///< 5.13
  bool has_attach_cookies = false;  ///< 5.15, of perf events: which of its points a program runs at
  bool has_trampolines = false;     ///< 5.5; arm64 6.0: fentry and fexit
  bool has_module_trampolines = false;  ///< 5.11: those also at functions of modules
  bool has_entry_probes = true;         ///< kprobes where functions begin; riscv64 since 7.0
  bool has_kprobe_multi = false;        ///< 5.18: one link for many kernel functions
  bool has_uprobe_multi = false;        ///< 6.6
  bool has_task_btf = false;   ///< 5.11: get_current_task_btf; `task` may be loaded directly
  CurrentTasks current_tasks;  ///< with has_task_btf
  PreemptCount preempt_count;  ///< where current_tasks does not tell it
  /// BTF ids of the kernel's functions bpf_iter_num_… (6.4), all three or none: 0. Only looked for
  /// where may_goto is not there or taken away.
  uint32_t iter_num_new = 0;
  uint32_t iter_num_next = 0;
  uint32_t iter_num_destroy = 0;
  /// BTF ids of typed raw tracepoints (5.5), for those of kTypedTracepoints that the kernel has.
  std::map<std::string, uint32_t, std::less<>> typed_tracepoints;
  TaskLayout task;
  uint32_t cpu_count = 1;  ///< possible CPUs
  /// Innermost frames of the kernel's stack that a tracepoint's programs see of the tracing itself:
  /// of a raw one the program and what calls it, of perf's what calls it. 5.10 without static
  /// calls: one more. Of the raw ones of system calls one more from 6.13 on, where they may fault.
  uint32_t raw_tracepoint_frames = 2;
  uint32_t raw_syscall_frames = 2;
  uint32_t tracepoint_frames = 0;
  /// Of an array: what kmalloc gives, on old kernels.
  uint64_t max_value_bytes = 4 << 20;
  SyscallRegs syscall_regs;
  CallRegs call_regs;

  bool has_preempt_count() const {
    return preempt_count.variable != 0 ||
           (!current_tasks.addresses.empty() && current_tasks.to_preempt_count != 0);
  }
  bool has_iter_num() const { return iter_num_new != 0; }
  /// System calls are traced by the records of raw_syscalls.
  bool has_raw_syscalls_records() const {
    return !has_steady_raw_tracepoints && raw_syscalls_id[0] >= 0 && raw_syscalls_id[1] >= 0;
  }
  /// BTF id to load a typed program of raw tracepoint `name` with; 0: not possible here.
  uint32_t typed_tracepoint(std::string_view name) const {
    const auto at = typed_tracepoints.find(name);
    return at == typed_tracepoints.end() ? 0 : at->second;
  }
};

/// The raw tracepoints whose typed form somebody may use.
inline constexpr std::string_view kTypedTracepoints[] = {"sys_enter", "sys_exit", "sched_switch",
                                                         "sched_wakeup"};

/// Names that `--without=` takes, sorted as in kernel_facts.def.
std::vector<std::string_view> fact_names();
/// Whether a fact of that name holds.
bool has_fact(const KernelFacts& facts, std::string_view name);
/// Takes a fact away; false: there is none of that name.
bool remove_fact(KernelFacts& facts, std::string_view name);
/// "may_goto iter_num …; without cpu_v4 …" for -v.
std::string describe(const KernelFacts& facts);

}  // namespace ktap::bpf
