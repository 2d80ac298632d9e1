// What changes something (results, memory, signals) is in the program, behind a test that fails at
// run time: the verifier and the attaching are what is tried.
#include "session/doctor_trials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "bpf/btf.h"
#include "bpf/helpers.h"
#include "event/provider.h"
#include "symbol/kallsyms.h"
#include "symbol/maps.h"
#include "sys/attach.h"
#include "sys/bpf.h"
#include "sys/errors.h"
#include "sys/kernel_btf.h"
#include "sys/text_file.h"
#include "sys/tracefs.h"
#include "sys/users.h"

namespace ktap::session {

namespace {

using bpf::Helper;
using bpf::Insn;
using bpf::JumpOp;
using bpf::ProgramKind;
using bpf::Reg;
using bpf::Size;

constexpr size_t kMostBytes = 1 << 20;
constexpr const char* kOverridable = "/sys/kernel/debug/error_injection/list";
// System calls are open to it where anything is.
#if defined(__x86_64__)
constexpr const char* kOverridden = "__x64_sys_getppid";
#elif defined(__aarch64__)
constexpr const char* kOverridden = "__arm64_sys_getppid";
#else
constexpr const char* kOverridden = "should_failslab";
#endif
constexpr long kNoSuchCall = 9999;

/// Not 0: in our file, and not in memory that comes with nothing.
volatile uint16_t g_semaphore = 1;

/// A call that the program never comes to: no task has that number.
std::vector<Insn> unless_asked(std::vector<Insn> arguments, Helper helper) {
  std::vector<Insn> code = {bpf::mov64(Reg::R6, Reg::R1),
                            bpf::call(static_cast<int32_t>(Helper::GetCurrentPidTgid))};
  const auto skipped = static_cast<int16_t>(arguments.size() + 1);
  code.push_back(bpf::jump_if(JumpOp::Ne, Reg::R0, -1, skipped));
  code.insert(code.end(), arguments.begin(), arguments.end());
  code.push_back(bpf::call(static_cast<int32_t>(helper)));
  return code;
}

/// A place in the kernel's memory, watched on one CPU.
Result<void> watch_kernel(uint64_t address, uint32_t access) {
  schema::PerfSource source;
  source.type = PERF_TYPE_BREAKPOINT;
  source.address = address;
  source.access = access;
  source.length_bytes = access == HW_BREAKPOINT_X ? sizeof(long) : 1;
  KTAP_ASSIGN(const std::vector<int> cpus, sys::online_cpus());
  if (cpus.empty()) return Error{"no CPU is online"};
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::PerfEvent));
  KTAP_ASSIGN(const sys::PerfAttachment attached,
              sys::attach_samples(program.get(), source, cpus.front(),
                                  std::string("mem:") + kTriedFunction));
  return {};
}

}  // namespace

void probed_function() {}

Result<uint64_t> file_offset(uintptr_t address) {
  KTAP_ASSIGN(const symbol::ProcessMaps maps, symbol::ProcessMaps::read(getpid()));
  const symbol::Mapping* mapping = maps.find(address);
  if (mapping == nullptr) return Error{"ktap itself is not in /proc/self/maps"};
  return address - mapping->begin + mapping->file_offset;
}

Result<sys::UniqueFd> load_trial(ProgramKind kind, std::vector<Insn> code, uint32_t btf_id) {
  code.push_back(bpf::mov64(Reg::R0, 0));
  code.push_back(bpf::exit_insn());
  sys::LoadFailure failure;
  std::optional<sys::UniqueFd> program = sys::load_program("doctor", kind, code, &failure, btf_id);
  if (!program) return failure.error;
  return std::move(*program);
}

Found try_trampoline() {
  const std::optional<sys::KernelBtf> btf = sys::KernelBtf::open();
  std::vector<bpf::BtfType> types = {{bpf::BtfKind::Func, kTriedFunction}};
  std::vector<bpf::BtfMember> members;
  if (!btf) return Error{"the kernel does not describe its functions"};
  if (!bpf::find_in_btf(btf->data(), btf->size_bytes(), types, members) || types[0].id == 0)
    return Error{fmt::format("the kernel does not describe {}", kTriedFunction)};
  Result<sys::UniqueFd> program = load_trial(ProgramKind::FunctionEntry, {}, types[0].id);
  if (!program.ok()) {
    // Such a kernel says no more than "not permitted", to root as well.
    const Result<sys::Tracefs> tracefs = sys::Tracefs::open();
    if (tracefs.ok() && !tracefs.value().read("available_filter_functions").ok())
      return Error{"this kernel has no function tracer, which they stand on"};
    return program.error();
  }
  KTAP_ASSIGN(const sys::UniqueFd link,
              sys::attach_function(program.value().get(), kTriedFunction));
  return std::string();
}

Found try_function_trace() {
  KTAP_ASSIGN(const std::unique_ptr<event::Catalog> catalog, event::Catalog::open());
  const event::Matches found = catalog->match("function:vfs_rea[d]");
  if (!found.mistakes.empty()) return Error{found.mistakes.front().text};
  sys::KernelPoint point;
  point.symbol = kTriedFunction;
  if (sys::has_kernel_points_link()) {
    KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::KprobeMulti));
    KTAP_ASSIGN(const sys::UniqueFd link,
                sys::attach_kernel_points(program.get(), {point}, false, kTriedFunction));
    return std::string("all functions by one link");
  }
  if (!sys::has_entry_probes()) {
    KTAP_ASSIGN(const std::string note, try_trampoline());
    return fmt::format("function by function, at most {}, by trampolines{}",
                       limits::kFunctionsOneByOne, note);
  }
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::Probe));
  KTAP_ASSIGN(const sys::PerfAttachment attached,
              sys::attach_kernel_point(program.get(), point, false, false));
  return std::string("function by function: globs over many take long");
}

Found try_markers() {
  sys::UserPoint point;
  KTAP_ASSIGN(point.offset_bytes, file_offset(reinterpret_cast<uintptr_t>(&probed_function)));
  KTAP_ASSIGN(point.semaphore_bytes, file_offset(reinterpret_cast<uintptr_t>(&g_semaphore)));
  const uint16_t before = g_semaphore;
  const bool by_link = sys::has_user_points_link();  // as markers are traced: it wants less
  KTAP_ASSIGN(const sys::UniqueFd program,
              load_trial(by_link ? ProgramKind::UprobeMulti : ProgramKind::Probe));
  const std::string path = "/proc/self/exe";
  sys::UniqueFd link;
  sys::PerfAttachment attached;
  if (by_link) {
    KTAP_ASSIGN(link, sys::attach_user_points(program.get(), path, {point}, false, getpid()));
  } else {
    KTAP_ASSIGN(attached, sys::attach_user_point(program.get(), path, point, false, false));
  }
  if (g_semaphore != before + 1) return Error{"the kernel does not count semaphores up"};
  return std::string();
}

Found try_memory_of_process() {
  schema::PerfSource source;
  source.type = PERF_TYPE_BREAKPOINT;
  source.address = reinterpret_cast<uintptr_t>(&g_semaphore);
  source.access = HW_BREAKPOINT_W;
  source.length_bytes = 2;
  sys::ThreadPlace place;
  place.tid = static_cast<int>(syscall(SYS_gettid));
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::PerfEvent));
  KTAP_ASSIGN(const sys::PerfAttachment attached,
              sys::attach_to_thread(program.get(), source, place, "mem:ADDR"));
  return std::string();
}

Found try_memory_of_kernel() {
  KTAP_ASSIGN(const symbol::Kallsyms symbols, symbol::Kallsyms::read());
  KTAP_TRY(symbols.check_addresses());
  const std::vector<symbol::KernelSymbol> found = symbols.find(kTriedFunction);
  if (found.empty()) return Error{fmt::format("the kernel lists no {}", kTriedFunction)};
  // Nobody writes to a function.
  KTAP_TRY(watch_kernel(found.front().address, HW_BREAKPOINT_W));
  const Result<void> executed = watch_kernel(found.front().address, HW_BREAKPOINT_X);
  return std::string(executed.ok() ? "" : "none on the kernel's own code");
}

Found try_write_user() {
  const Result<sys::UniqueFd> program =
      load_trial(ProgramKind::RawTracepoint,
                 unless_asked({bpf::store(Size::DW, Reg::R10, -8, 0), bpf::mov64(Reg::R1, 0),
                               bpf::mov64(Reg::R2, Reg::R10),
                               bpf::alu64(bpf::AluOp::Add, Reg::R2, -8), bpf::mov64(Reg::R3, 8)},
                              Helper::ProbeWriteUser));
  if (program.ok()) return std::string();
  if (program.error().sys_errno != EINVAL) return program.error();
  return Error{"the kernel offers no bpf_probe_write_user(), as one that is locked down"};
}

Found try_signal() {
  KTAP_TRY(load_trial(ProgramKind::RawTracepoint,
                      unless_asked({bpf::mov64(Reg::R1, 0)}, Helper::SendSignal)));
  return std::string();
}

Found try_override() {
  sys::KernelPoint point;
  point.symbol = kOverridden;
  const Result<sys::UniqueFd> program = load_trial(
      ProgramKind::Probe,
      unless_asked({bpf::mov64(Reg::R1, Reg::R6), bpf::mov64(Reg::R2, 0)}, Helper::OverrideReturn));
  if (!program.ok() && program.error().sys_errno == EINVAL)
    return Error{"the kernel offers no bpf_override_return()"};
  if (!program.ok()) return program.error();
  KTAP_ASSIGN(const sys::PerfAttachment attached,
              sys::attach_kernel_point(program.value().get(), point, false, false));
  const Result<std::string> list = sys::read_text(kOverridable, kMostBytes);
  if (!list.ok()) return std::string();
  return fmt::format("{} functions", std::count(list.value().begin(), list.value().end(), '\n'));
}

Found try_cgroup() {
  const std::string mount = sys::cgroup_mount();
  if (mount.empty()) return Error{"cgroup v2 is not mounted"};
  bpf::MapSpec spec;
  spec.name = "doctor";
  spec.kind = bpf::MapKind::Cgroups;
  spec.value_size_bytes = 4;
  KTAP_ASSIGN(sys::Map cgroups, sys::Map::create(spec));
  const sys::UniqueFd folder(::open(mount.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return sys::system_error("opening " + mount, errno);
  const uint32_t zero = 0;
  const int fd = folder.get();
  KTAP_TRY(cgroups.update(&zero, &fd));
  bpf::MapSpec page;
  page.name = "doctor";
  page.mmapable = true;
  KTAP_ASSIGN(const sys::Map answer, sys::Map::create(page));
  KTAP_ASSIGN(const sys::MappedArray memory, sys::MappedArray::map(answer));
  const auto load_map = [](Reg to, uint8_t pseudo, int map_fd) {
    return std::vector<Insn>{bpf::load_imm64_first(to, pseudo, static_cast<uint32_t>(map_fd)),
                             bpf::load_imm64_second(0)};
  };
  std::vector<Insn> call = load_map(Reg::R1, bpf::kPseudoMapFd, cgroups.fd());
  call.push_back(bpf::mov64(Reg::R2, 0));
  call.push_back(bpf::call(static_cast<int32_t>(Helper::CurrentTaskUnderCgroup)));
  for (const Insn& insn : load_map(Reg::R1, bpf::kPseudoMapValue, answer.fd()))
    call.push_back(insn);
  call.push_back(bpf::alu64(bpf::AluOp::Add, Reg::R0, 1));
  call.push_back(bpf::store(Size::DW, Reg::R1, 0, Reg::R0));
  std::vector<Insn> code = {
      bpf::load(Size::DW, Reg::R2, Reg::R1, 8),
      bpf::jump_if(JumpOp::Ne, Reg::R2, kNoSuchCall, static_cast<int16_t>(call.size()))};
  code.insert(code.end(), call.begin(), call.end());
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::RawTracepoint, code));
  KTAP_ASSIGN(const sys::UniqueFd link, sys::attach_raw_tracepoint(program.get(), "sys_enter"));
  syscall(kNoSuchCall);
  int64_t said = 0;
  std::memcpy(&said, memory.data(), sizeof said);
  if (said != 2)
    return Error{fmt::format("the kernel does not find ktap under {}: {}", mount,
                             said == 0 ? "its event did not come" : fmt::format("{}", said - 1))};
  return mount;
}

}  // namespace ktap::session
