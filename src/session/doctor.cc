// Version numbers and build options lie: each row loads and attaches a program of two instructions,
// for as long as the row takes. What cannot be tried (lockdown, sysctls) is read.
#include "session/doctor.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diag/json.h"
#include "engine/bpf_engine.h"
#include "event/provider.h"
#include "session/doctor_trials.h"
#include "sys/attach.h"
#include "sys/bpf.h"
#include "sys/errors.h"
#include "sys/kernel_btf.h"
#include "sys/text_file.h"
#include "sys/tracefs.h"

namespace ktap::session {

namespace {

using bpf::ProgramKind;

constexpr size_t kMostBytes = 1 << 20;

const char* const kKernelFunction = kTriedFunction;
constexpr uint64_t kBehindTracer = 8;  // of riscv64: the place that the function tracer keeps
const char* const kTracepoint = "sched_process_exit";  // seldom hit: nobody pays for our look

// ---- what is tried
// --------------------------------------------------------------------------------------------

Found try_ebpf() {
  bpf::MapSpec map;
  map.name = "doctor";
  map.mmapable = true;
  KTAP_ASSIGN(const sys::Map made, sys::Map::create(map));
  return std::string();
}

Found try_ring() {
  bpf::MapSpec map;
  map.name = "doctor";
  map.kind = bpf::MapKind::RingBuffer;
  map.max_entries = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  KTAP_ASSIGN(const sys::Map made, sys::Map::create(map));
  return std::string();
}

Found try_raw_tracepoint() {
  KTAP_ASSIGN(const sys::Tracefs tracefs, sys::Tracefs::open());  // their names and fields
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::RawTracepoint));
  KTAP_ASSIGN(const sys::UniqueFd link, sys::attach_raw_tracepoint(program.get(), kTracepoint));
  return std::string();
}

Found try_typed_tracepoint() {
  KTAP_ASSIGN(const sys::Tracefs tracefs, sys::Tracefs::open());
  KTAP_ASSIGN(const bpf::KernelFacts facts, engine::probe_kernel({}, false));
  const uint32_t id = facts.typed_tracepoint("sched_switch");
  if (id == 0) return Error{"the kernel does not describe its tracepoints, or does not load them"};
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::TypedRawTracepoint, {}, id));
  KTAP_ASSIGN(const sys::UniqueFd link,
              sys::attach_typed_tracepoint(program.get(), "sched_switch"));
  return std::string();
}

Found try_perf_tracepoint() {
  KTAP_ASSIGN(const sys::Tracefs tracefs, sys::Tracefs::open());
  KTAP_ASSIGN(const std::string id, tracefs.read(fmt::format("events/sched/{}/id", kTracepoint)));
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::Tracepoint));
  KTAP_ASSIGN(const sys::PerfAttachment attached,
              sys::attach_tracepoint(program.get(), std::atoi(id.c_str()), kTracepoint));
  return std::string();
}

Found try_kernel_functions() {
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::KprobeMulti));
  sys::KernelPoint point;
  point.symbol = kKernelFunction;
  const Result<sys::UniqueFd> link =
      sys::attach_kernel_points(program.get(), {point}, false, kKernelFunction);
  if (!link.ok() && link.error().sys_errno == EOPNOTSUPP)
    return Error{"this kernel has no links for many functions"};
  if (!link.ok()) return link.error();
  return std::string();
}

Found try_kernel_function() {
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::Probe));
  sys::KernelPoint point;
  point.symbol = kKernelFunction;
  const bool at_beginnings = sys::has_entry_probes();
  if (!at_beginnings) point.offset_bytes = kBehindTracer;
  KTAP_ASSIGN(const sys::PerfAttachment attached,
              sys::attach_kernel_point(program.get(), point, false, false));
  return std::string(at_beginnings ? "" : "behind their beginnings alone");
}

/// A function of ours to set a probe on.
Result<sys::UserPoint> own_point() {
  sys::UserPoint point;
  KTAP_ASSIGN(point.offset_bytes, file_offset(reinterpret_cast<uintptr_t>(&probed_function)));
  return point;
}

Result<std::string> own_path() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0) return Error{"/proc/self/exe cannot be read: is /proc mounted?"};
  return std::string(path, static_cast<size_t>(length));
}

Found try_user_functions() {
  KTAP_ASSIGN(const sys::UserPoint point, own_point());
  KTAP_ASSIGN(const std::string path, own_path());
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::UprobeMulti));
  KTAP_ASSIGN(const sys::UniqueFd link,
              sys::attach_user_points(program.get(), path, {point}, false, getpid()));
  return std::string();
}

Found try_user_function() {
  KTAP_ASSIGN(const sys::UserPoint point, own_point());
  KTAP_ASSIGN(const std::string path, own_path());
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::Probe));
  KTAP_ASSIGN(const sys::PerfAttachment attached,
              sys::attach_user_point(program.get(), path, point, false, false));
  return std::string();
}

Found try_samples(uint32_t type, uint64_t config, const char* name) {
  schema::PerfSource source;
  source.type = type;
  source.config = config;
  source.period = 1'000'000'000;
  KTAP_ASSIGN(const std::vector<int> cpus, sys::online_cpus());
  if (cpus.empty()) return Error{"no CPU is online"};
  KTAP_ASSIGN(const sys::UniqueFd program, load_trial(ProgramKind::PerfEvent));
  KTAP_ASSIGN(const sys::PerfAttachment attached,
              sys::attach_samples(program.get(), source, cpus.front(), name));
  return std::string();
}

Found try_profile() {
  return try_samples(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, "profile-1s");
}
Found try_software() {
  return try_samples(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, "software:page-faults");
}
Found try_hardware() {
  return try_samples(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, "hardware:cpu-cycles");
}
Found try_cache() {
  return try_samples(PERF_TYPE_HW_CACHE, PERF_COUNT_HW_CACHE_L1D, "cache:L1-dcache-loads");
}

Found try_follow() {
  KTAP_ASSIGN(const std::unique_ptr<event::Catalog> catalog, event::Catalog::open());
  const event::Matches found = catalog->match("sched:sched_process_fork, sched:sched_process_free");
  if (found.events.size() != 2) return Error{"the kernel has no tracepoints of forks"};
  return try_raw_tracepoint();
}

// ---- what is read
// ---------------------------------------------------------------------------------------------

/// One line of a file; "" when it cannot be read.
std::string line_of(const std::string& path) {
  const Result<std::string> text = sys::read_text(path, kMostBytes);
  return text.ok() ? text.value().substr(0, text.value().find('\n')) : "";
}

Found find_jit() {
  const std::string on = line_of("/proc/sys/net/core/bpf_jit_enable");
  if (on.empty()) return std::string("not known: the setting is root's to read");
  if (on == "0") return Error{"it is off"};
  return std::string();
}

Found find_btf() {
  const std::optional<sys::KernelBtf> btf = sys::KernelBtf::open();
  if (!btf) return Error{"there is no /sys/kernel/btf/vmlinux"};
  return fmt::format("{} KB", btf->size_bytes() / 1024);
}

Found find_tracefs() {
  KTAP_ASSIGN(const std::unique_ptr<event::Catalog> catalog, event::Catalog::open());
  return fmt::format("{} events", catalog->list("*").size());
}

/// What a note begins with that could not be read: neither yes nor no.
constexpr std::string_view kNotKnown = "not known";

Found find_lockdown() {
  const std::string modes = line_of("/sys/kernel/security/lockdown");
  const size_t begin = modes.find('['), end = modes.find(']');
  if (begin == std::string::npos || end == std::string::npos)
    return std::string(line_of("/sys/kernel/security/lsm").empty()
                           ? "not known: /sys/kernel/security is not mounted"
                           : "none");
  const std::string mode = modes.substr(begin + 1, end - begin - 1);
  if (mode == "confidentiality")
    return Error{"confidentiality: the kernel's memory cannot be read; boot without lockdown="};
  if (mode == "integrity") return std::string("integrity: nothing can be changed, all can be read");
  return mode;
}

Found find_memlock() {
  rlimit limit = {};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  if (limit.rlim_cur == RLIM_INFINITY) return std::string("no limit");
  return fmt::format("{} KB; from Linux 5.11 on maps do not count against it",
                     limit.rlim_cur / 1024);
}

Found find_setting(const char* path, const char* meaning) {
  const std::string value = line_of(path);
  return value.empty() ? std::string(kNotKnown) : value + meaning;
}

Found find_paranoid() {
  return find_setting("/proc/sys/kernel/perf_event_paranoid",
                      "; root and CAP_PERFMON may trace whatever it is");
}

Found find_unprivileged() {
  return find_setting("/proc/sys/kernel/unprivileged_bpf_disabled",
                      "; tracing needs CAP_BPF and CAP_PERFMON whatever it is");
}

/// The same for handlers in the kernel and in user space: these have filter and capture in it.
Found find_placement() {
  KTAP_TRY(try_ebpf());
  KTAP_TRY(load_trial(ProgramKind::RawTracepoint));
  return try_ring();
}

// ---- the table
// ------------------------------------------------------------------------------------------------

struct Check {
  std::string_view section;
  std::string_view name;
  Found (*find)();
  std::string_view advice;
};
constexpr Check kChecks[] = {
#define KTAP_CHECK_ROW(section, name, find, advice) {section, name, find, advice},
#include "session/doctor_checks.def"
};

/// The advice of the errors is for one run; here it stands once, at the end.
std::string why(const Check& check, const Error& error) {
  if (error.sys_errno == EPERM || error.sys_errno == EACCES || check.advice.empty())
    return error.message;
  return fmt::format("{} ({})", error.message, check.advice);
}

struct Answer {
  std::string_view text;
  std::string_view json;
};

Answer answer_of(const Found& found) {
  if (!found.ok()) return {"no", "false"};
  if (found.value().compare(0, kNotKnown.size(), kNotKnown) == 0) return {"?", "null"};
  return {"yes", "true"};
}

}  // namespace

int doctor(bool json) {
  bool traces = false;
  std::string_view section;
  for (const Check& check : kChecks) {
    const Found found = check.find();
    std::string_view name = check.name;
    if (name[0] == '*') {
      name.remove_prefix(1);
      traces = traces || found.ok();
    }
    const std::string note = found.ok() ? found.value() : why(check, found.error());
    const Answer answer = answer_of(found);
    if (json) {
      std::fputs(diag::JsonObject()
                     .text("section", check.section)
                     .text("check", name)
                     .raw("works", answer.json)
                     .text("note", note)
                     .line()
                     .c_str(),
                 stdout);
      continue;
    }
    if (check.section != section) std::puts(fmt::format("{}:", check.section).c_str());
    section = check.section;
    std::string line = fmt::format("  {:<3}  {}", answer.text, name);
    if (!note.empty()) line += ": " + note;
    std::puts(line.c_str());
  }
  if (json) {
    std::fputs(diag::JsonObject().raw("traces", traces ? "true" : "false").line().c_str(), stdout);
  } else {
    std::puts(traces ? "Events can be traced here."
                     : "No event can be traced here. A script can be compiled and checked all the "
                       "same (ktap --check).");
    if (geteuid() != 0) std::puts("Run it as root too: some of this is refused to other users.");
  }
  return traces ? 0 : 1;
}

}  // namespace ktap::session
