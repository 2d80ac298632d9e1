// What this kernel can do, by trying: version numbers lie, distributions backport and lock down. A
// program of a few instructions takes 25 us, one walk over the kernel's BTF 0.4 ms; the start of a
// run has 15 ms for everything.
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "bpf/assembler.h"
#include "bpf/btf.h"
#include "bpf/helpers.h"
#include "bpf/insn.h"
#include "engine/bpf_engine.h"
#include "engine/current_tasks.h"
#include "sys/attach.h"
#include "sys/bpf.h"
#include "sys/kernel_btf.h"
#include "sys/tracefs.h"

namespace ktap::engine {

namespace {

using bpf::Insn;
using bpf::Reg;
using bpf::Size;

constexpr int32_t kKtimeGetTaiNs = 208;
constexpr int32_t kForEachHelper = 164;  // bpf_for_each_map_elem
constexpr int32_t kLoopHelper = 181;     // bpf_loop

/// Where the registers of a system call lie in struct pt_regs, and the numbers of exec. Argument 0
/// is the original one where the architecture keeps it. Source: arch/*/include/asm/ptrace.h and
/// syscall.h (syscall_get_nr).
bpf::SyscallRegs syscall_regs() {
  bpf::SyscallRegs regs;
#if defined(__x86_64__)
  return regs;  // the defaults
#elif defined(__aarch64__)
  regs = {{272, 8, 16, 24, 32, 40}, 280, 4};  // orig_x0, x1 … x5; syscallno
#elif defined(__riscv) && __riscv_xlen == 64
  regs = {{280, 88, 96, 104, 112, 120}, 136, 8};  // orig_a0, a1 … a5; a7
#elif defined(__arm__)
  regs = {{68, 4, 8, 12, 16, 20}, 28, 4};  // orig_r0, r1 … r5; 4 bytes each; r7
#else
#error "the layout of pt_regs is not known for this architecture"
#endif
  regs.execve_nr = SYS_execve;
  regs.execveat_nr = SYS_execveat;
  return regs;
}

/// Source: arch/*/include/asm/ptrace.h, and the calling conventions.
bpf::CallRegs call_regs() {
  bpf::CallRegs regs;
#if defined(__x86_64__)
  return regs;  // the defaults
#elif defined(__aarch64__)
  regs = {{0, 8, 16, 24, 32, 40, 48, 56}, 0, 256, 8, 272, 248};
#elif defined(__riscv) && __riscv_xlen == 64
  regs = {{80, 88, 96, 104, 112, 120, 128, 136}, 80, 0, 8, 256, 16};
#elif defined(__arm__)
  regs = {{0, 4, 8, 12, -1, -1, -1, -1}, 0, 60, 4, 72, 52};
#endif
  return regs;
}

bool can_load(std::vector<Insn> code) {
  code.push_back(bpf::mov64(Reg::R0, 0));
  code.push_back(bpf::exit_insn());
  return sys::try_load_program("probe", bpf::ProgramKind::RawTracepoint, code);
}

bool has_fetch_atomics() {
  return can_load({bpf::mov64(Reg::R1, 1), bpf::store(Size::DW, Reg::R10, -8, Reg::R1),
                   bpf::atomic(bpf::AtomicOp::FetchAdd, Size::DW, Reg::R10, -8, Reg::R1)});
}

/// Signed division, a sign-extending move, a sign-extending load.
bool has_cpu_v4() {
  const Insn divide = bpf::make_insn(0x37, Reg::R1, Reg::R0, 1, 2);
  const Insn move = bpf::make_insn(0xbf, Reg::R1, Reg::R1, 8, 0);
  const Insn load = bpf::make_insn(0x81, Reg::R1, Reg::R10, -8, 0);
  return can_load(
      {bpf::mov64(Reg::R1, -7), divide, move, bpf::store(Size::DW, Reg::R10, -8, Reg::R1), load});
}

bool has_may_goto() {
  const Insn may_goto = bpf::make_insn(0xe5, Reg::R0, Reg::R0, 1, 0);
  return can_load({bpf::mov64(Reg::R1, 0), may_goto, bpf::mov64(Reg::R1, 1)});
}

/// The call is wrong, and where there is such a helper it is refused for another reason than being
/// unknown.
bool has_helper(int32_t number) {
  const std::vector<Insn> code = {bpf::call(number), bpf::mov64(Reg::R0, 0), bpf::exit_insn()};
  std::string log(4096, '\0');
  if (sys::try_load_program("probe", bpf::ProgramKind::RawTracepoint, code, &log)) return true;
  return log[0] != '\0' && log.find("unknown func") == std::string::npos &&
         log.find("invalid func") == std::string::npos;
}

/// Whether a helper may call a function of the program. On 64-bit machines whatever compiles
/// programs knows such functions; that of 32-bit arm (as of 6.12) does not, and what is interpreted
/// may have none: there it is tried.
bool takes_callbacks() {
  if (sizeof(void*) == 8) return true;
  bpf::Assembler code;
  const bpf::Label round = code.make_label();
  code.emit(bpf::mov64(Reg::R1, 1));
  code.load_function(Reg::R2, round);
  code.emit(bpf::mov64(Reg::R3, 0));
  code.emit(bpf::mov64(Reg::R4, 0));
  code.emit(bpf::call(kLoopHelper));
  code.emit(bpf::mov64(Reg::R0, 0));
  code.emit(bpf::exit_insn());
  code.begin_callback(round);
  code.emit(bpf::mov64(Reg::R0, 0));
  code.emit(bpf::exit_insn());
  bpf::Program program;
  KTAP_CHECK(code.finish(program).ok());
  sys::LoadFailure failure;
  return sys::load_program("probe", bpf::ProgramKind::RawTracepoint, program.code, &failure, 0,
                           program.callbacks)
      .has_value();
}

/// For what no program can find out.
bool is_since(long major, long minor) {
  utsname names = {};
  if (uname(&names) != 0) return false;
  char* rest = nullptr;
  const long its_major = std::strtol(names.release, &rest, 10);
  const long its_minor = *rest == '.' ? std::strtol(rest + 1, nullptr, 10) : 0;
  return its_major > major || (its_major == major && its_minor >= minor);
}

/// Since 5.17 the bytes behind a task's name are zero (__set_task_comm pads).
bool pads_comm() { return is_since(5, 17); }

/// What hangs on the architecture alone.
void set_what_the_machine_says([[maybe_unused]] bpf::KernelFacts& facts) {
#if !defined(__x86_64__) && !defined(__i386__)
  facts.has_ordered_stores = false;
#endif
#if defined(__arm__)
  facts.has_raw_tracepoint_stacks = false;
#endif
#if defined(__riscv)
  facts.may_have_private_stacks = false;
#endif
}

/// The frames of what stands between a tracepoint and our program: the program itself,
/// bpf_trace_run that calls it (raw ones), __bpf_trace_NAME where that does not end in a jump, and
/// __traceiter_NAME where tracepoints are called through it. Another tracer of the same tracepoint
/// adds the latter.
void count_own_frames(bpf::KernelFacts& facts) {
  bool has_static_calls = false;
#if defined(__x86_64__) || defined(__i386__)
  has_static_calls = true;
#endif
  const uint32_t called_through = !has_static_calls && is_since(5, 10) ? 1 : 0;
  facts.raw_tracepoint_frames = 2 + called_through;
  facts.raw_syscall_frames = facts.raw_tracepoint_frames + (is_since(6, 13) ? 1 : 0);
  facts.tracepoint_frames = called_through;
}

/// Whether programs can be called at functions: tried on one that the kernel has for its own tests
/// (5.6) and nothing else calls, since architectures without trampolines refuse only here.
bool has_trampolines() {
  const std::optional<sys::KernelBtf> btf = sys::KernelBtf::open();
  std::vector<bpf::BtfType> types = {{bpf::BtfKind::Func, "bpf_fentry_test1"}};
  std::vector<bpf::BtfMember> members;
  if (!btf || !bpf::find_in_btf(btf->data(), btf->size_bytes(), types, members)) return false;
  sys::LoadFailure failure;
  const std::optional<sys::UniqueFd> program =
      types[0].id == 0
          ? std::nullopt
          : sys::load_program("probe", bpf::ProgramKind::FunctionEntry,
                              {bpf::mov64(Reg::R0, 0), bpf::exit_insn()}, &failure, types[0].id);
  return program && sys::attach_function(program->get(), "bpf_fentry_test1").ok();
}

/// The kernel's functions stand late in its BTF: 0.5 ms more to look for those of iter_num.
void read_btf(bpf::KernelFacts& facts, bool with_functions) {
  const std::optional<sys::KernelBtf> btf = sys::KernelBtf::open();
  if (!btf) return;
  std::vector<std::string> typed_names;
  for (const std::string_view name : bpf::kTypedTracepoints)
    typed_names.push_back("btf_trace_" + std::string(name));
  std::vector<bpf::BtfType> types;
  for (const std::string& name : typed_names) types.push_back({bpf::BtfKind::Typedef, name});
  const size_t first_function = types.size();
  if (with_functions) {
    for (const char* name : {"bpf_iter_num_new", "bpf_iter_num_next", "bpf_iter_num_destroy"})
      types.push_back({bpf::BtfKind::Func, name});
  }
  std::vector<bpf::BtfMember> members = {{"task_struct", "pid"},
                                         {"task_struct", "tgid"},
                                         {"task_struct", "comm"},
                                         {"task_struct", "real_parent"},
                                         {"task_struct", "cred"},
                                         {"cred", "uid"},
                                         {"cred", "gid"},
                                         {"task_struct", "prio"},
                                         {"task_struct", "thread_info"},
                                         {"thread_info", "cpu"}};
  if (!bpf::find_in_btf(btf->data(), btf->size_bytes(), types, members)) return;
  for (size_t i = 0; i < first_function; ++i) {
    if (types[i].id != 0) facts.typed_tracepoints.emplace(bpf::kTypedTracepoints[i], types[i].id);
  }
  const bool has_all = with_functions && types[first_function].id != 0 &&
                       types[first_function + 1].id != 0 && types[first_function + 2].id != 0;
  if (has_all) {
    facts.iter_num_new = types[first_function].id;
    facts.iter_num_next = types[first_function + 1].id;
    facts.iter_num_destroy = types[first_function + 2].id;
  }
  bpf::TaskLayout& task = facts.task;
  int32_t thread_info = -1, cpu = -1;
  int32_t* const offsets[] = {
      &task.pid,      &task.tgid,     &task.comm, &task.real_parent, &task.cred,
      &task.cred_uid, &task.cred_gid, &task.prio, &thread_info,      &cpu};
  for (size_t i = 0; i < members.size(); ++i) *offsets[i] = members[i].offset_bytes;
  if (thread_info >= 0 && cpu >= 0) task.cpu = thread_info + cpu;
  if (!pads_comm()) task.comm = -1;
  find_current_tasks(btf->data(), btf->size_bytes(), facts);
}

/// Whether the task may be loaded through its typed pointer. The pointers in it are not tried: the
/// verifier takes 1 ms for one.
void try_task(bpf::KernelFacts& facts) {
  const bpf::TaskLayout& task = facts.task;
  if (task.pid < 0 || task.tgid < 0) return;
  const auto load = [](Size size, Reg dst, Reg src, int32_t offset) {
    return bpf::load(size, dst, src, static_cast<int16_t>(offset));
  };
  const Insn get_task = bpf::call(static_cast<int32_t>(bpf::Helper::GetCurrentTaskBtf));
  std::vector<Insn> code = {get_task, load(Size::W, Reg::R1, Reg::R0, task.pid),
                            load(Size::W, Reg::R1, Reg::R0, task.tgid)};
  if (task.comm >= 0) code.push_back(load(Size::DW, Reg::R1, Reg::R0, task.comm + 8));
  facts.has_task_btf = can_load(code);
  facts.has_task_registers =
      facts.has_task_btf && has_helper(static_cast<int32_t>(bpf::Helper::TaskPtRegs));
}

/// A typed program of sys_enter that reads an argument: loads all the way or not at all.
void try_typed_tracepoints(bpf::KernelFacts& facts) {
  const uint32_t id = facts.typed_tracepoint("sys_enter");
  if (id == 0) return facts.typed_tracepoints.clear();
  const std::vector<Insn> code = {
      bpf::load(Size::DW, Reg::R1, Reg::R1, 0),
      bpf::load(Size::DW, Reg::R1, Reg::R1, static_cast<int16_t>(facts.syscall_regs.arg_offset[0])),
      bpf::mov64(Reg::R0, 0), bpf::exit_insn()};
  if (!sys::try_load_program("probe", bpf::ProgramKind::TypedRawTracepoint, code, nullptr, id))
    facts.typed_tracepoints.clear();
}

/// Other tasks may take the CPU from a raw tracepoint's program: the kernel keeps them from it
/// nowhere any more, or was built never to.
bool has_steady_raw_tracepoints() {
  if (!sys::takes_sleepable_raw_tracepoints()) return true;
  utsname names = {};
  return uname(&names) == 0 && std::strstr(names.version, "PREEMPT") == nullptr;
}

/// -1 where it cannot be read.
int32_t tracepoint_id(const std::string& event) {
  const Result<sys::Tracefs> tracefs = sys::Tracefs::open();
  if (!tracefs.ok()) return -1;
  const Result<std::string> text = tracefs.value().read("events/" + event + "/id");
  return text.ok() ? static_cast<int32_t>(std::strtol(text.value().c_str(), nullptr, 10)) : -1;
}

}  // namespace

Result<bpf::KernelFacts> probe_kernel(const std::vector<std::string>& without, bool gives_registers,
                                      bool kernel_functions) {
  bpf::KernelFacts facts;
  facts.syscall_regs = syscall_regs();
  facts.call_regs = call_regs();
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

  facts.has_fetch_atomics = has_fetch_atomics();
  set_what_the_machine_says(facts);
  // Came with the guard, in 6.1; of the guard itself nothing can be seen.
  facts.has_recursion_guard = can_load({bpf::call(kKtimeGetTaiNs)});
  facts.has_cpu_v4 = has_cpu_v4();
  facts.has_may_goto = has_may_goto();
  if (facts.has_may_goto) facts.max_value_bytes = 64 << 20;  // its bound went before that came
  const bool has_loop_helper = has_helper(kLoopHelper);
  const bool may_call_back = !has_loop_helper || takes_callbacks();
  facts.has_bpf_loop = has_loop_helper && may_call_back;
  facts.has_for_each_map_elem =
      may_call_back && (has_loop_helper || has_helper(kForEachHelper));  // came earlier
  const bool lacks_may_goto =
      !facts.has_may_goto || std::find(without.begin(), without.end(), "may_goto") != without.end();
  if (gives_registers) {
    facts.has_attach_cookies =
        sys::try_load_program("probe", bpf::ProgramKind::PerfEvent,
                              {bpf::call(static_cast<int32_t>(bpf::Helper::GetAttachCookie)),
                               bpf::mov64(Reg::R0, 0), bpf::exit_insn()});
    facts.has_uprobe_multi = sys::has_user_points_link();
  }
  if (kernel_functions) {
    facts.has_kprobe_multi = sys::has_kernel_points_link();
    facts.has_trampolines = has_trampolines();
    facts.has_module_trampolines = facts.has_trampolines && is_since(5, 11);
    facts.has_entry_probes = sys::has_entry_probes();
  }
  read_btf(facts, lacks_may_goto);
  try_task(facts);
  try_typed_tracepoints(facts);
  facts.has_steady_raw_tracepoints = has_steady_raw_tracepoints();
  count_own_frames(facts);
  for (const std::string& name : without) bpf::remove_fact(facts, name);
  if (!facts.has_steady_raw_tracepoints) {
    facts.raw_syscalls_id[0] = tracepoint_id("raw_syscalls/sys_enter");
    facts.raw_syscalls_id[1] = tracepoint_id("raw_syscalls/sys_exit");
  }
  return facts;
}

}  // namespace ktap::engine
