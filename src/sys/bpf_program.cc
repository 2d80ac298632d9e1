// Loading programs, their statistics, and waiting until none of them is in the middle.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <iterator>
#include <string_view>

#include "bpf/function_btf.h"
#include "sys/bpf.h"
#include "sys/bpf_quiet.h"
#include "sys/errors.h"
#include "sys/text_file.h"
#include "sys/undisturbed.h"

namespace ktap::sys {

namespace {

constexpr size_t kMostCpuListBytes = 64 << 10;
constexpr size_t kLogBytes = 1 << 20;
constexpr size_t kMostLogBytes = 32 << 20;

bpf_prog_type kernel_type(bpf::ProgramKind kind) {
  switch (kind) {
    case bpf::ProgramKind::RawTracepoint:
      return BPF_PROG_TYPE_RAW_TRACEPOINT;
    case bpf::ProgramKind::TypedRawTracepoint:
    case bpf::ProgramKind::FunctionEntry:
    case bpf::ProgramKind::FunctionExit:
      return BPF_PROG_TYPE_TRACING;
    case bpf::ProgramKind::Probe:
    case bpf::ProgramKind::KprobeMulti:
    case bpf::ProgramKind::UprobeMulti:
      return BPF_PROG_TYPE_KPROBE;
    case bpf::ProgramKind::PerfEvent:
      return BPF_PROG_TYPE_PERF_EVENT;
    case bpf::ProgramKind::Tracepoint:
      break;
  }
  return BPF_PROG_TYPE_TRACEPOINT;
}

int try_load(const std::string& name, bpf::ProgramKind kind, const std::vector<bpf::Insn>& code,
             std::string* log, uint32_t btf_id, const std::vector<uint32_t>& callbacks = {},
             int types_fd = -1) {
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.attempts = 1;
#if defined(__riscv)
  // The verifier would have each word aligned there; texts are not. The kernel does what a
  // processor does not.
  options.prog_flags = BPF_F_ANY_ALIGNMENT;
#endif
  UniqueFd types;  // wanted until the program is loaded
  const std::vector<bpf::FunctionInfo> functions = bpf::function_infos(callbacks);
  if (!callbacks.empty()) {
    const std::vector<uint8_t> btf = bpf::btf_of_functions();
    types.reset(bpf_btf_load(btf.data(), btf.size(), nullptr));
    if (!types.valid()) return -errno;
    options.prog_btf_fd = static_cast<uint32_t>(types.get());
    options.func_info = functions.data();
    options.func_info_cnt = static_cast<uint32_t>(functions.size());
    options.func_info_rec_size = sizeof functions[0];
  }
  options.attach_btf_id = btf_id;
  if (types_fd >= 0) options.attach_btf_obj_fd = static_cast<uint32_t>(types_fd);
  if (kind == bpf::ProgramKind::TypedRawTracepoint) options.expected_attach_type = BPF_TRACE_RAW_TP;
  if (kind == bpf::ProgramKind::FunctionEntry) options.expected_attach_type = BPF_TRACE_FENTRY;
  if (kind == bpf::ProgramKind::FunctionExit) options.expected_attach_type = BPF_TRACE_FEXIT;
  if (kind == bpf::ProgramKind::UprobeMulti)
    options.expected_attach_type = static_cast<bpf_attach_type>(kTraceUprobeMulti);
  if (kind == bpf::ProgramKind::KprobeMulti)
    options.expected_attach_type = static_cast<bpf_attach_type>(kTraceKprobeMulti);
  if (log != nullptr) {
    options.log_level = 1;
    options.log_buf = log->data();
    options.log_size = static_cast<uint32_t>(log->size());
  }
  static_assert(sizeof(bpf::Insn) == sizeof(bpf_insn));
  return bpf_prog_load(kernel_type(kind), name.c_str(), "GPL",
                       reinterpret_cast<const bpf_insn*>(code.data()), code.size(), &options);
}

/// A map of maps with one entry: writing it waits for all running programs.
class RcuWaiter {
 public:
  RcuWaiter() : inner_(bpf_map_create(BPF_MAP_TYPE_ARRAY, "ktap_wait", 4, 8, 1, nullptr)) {
    if (!inner_.valid()) return;
    LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = static_cast<uint32_t>(inner_.get()));
    outer_.reset(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "ktap_wait", 4, 4, 1, &options));
  }
  bool wait() {
    // The kernel skips other programs on this CPU while the entry is written (Map::keep_cpu): also
    // those of whoever takes the CPU in the midst.
    const Undisturbed here(true);
    const uint32_t key = 0;
    const int inner = inner_.get();
    return outer_.valid() && bpf_map_update_elem(outer_.get(), &key, &inner, BPF_ANY) == 0;
  }

 private:
  UniqueFd inner_;
  UniqueFd outer_;
};

Result<std::vector<int>> read_cpus(const char* kind) {
  const std::string path = fmt::format("/sys/devices/system/cpu/{}", kind);
  KTAP_ASSIGN(const std::string text, read_text(path, kMostCpuListBytes));
  std::vector<int> cpus = parse_cpu_list(text);
  if (cpus.empty()) return system_error("reading " + path, EIO);
  return cpus;
}

}  // namespace

Result<uint32_t> possible_cpus() {
  static const Result<std::vector<int>> cpus = read_cpus("possible");
  if (!cpus.ok()) return cpus.error();
  return static_cast<uint32_t>(cpus.value().back()) + 1;
}

Result<std::vector<int>> online_cpus() { return read_cpus("online"); }

bool try_load_program(const std::string& name, bpf::ProgramKind kind,
                      const std::vector<bpf::Insn>& code, std::string* log, uint32_t btf_id) {
  silence_libbpf();
  const UniqueFd fd(try_load(kernel_name(name), kind, code, log, btf_id));
  return fd.valid();
}

bool takes_sleepable_raw_tracepoints() {
  silence_libbpf();
  const bpf::Insn code[] = {bpf::mov64(bpf::Reg::R0, 0), bpf::exit_insn()};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_SLEEPABLE);
  const UniqueFd fd(bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "probe", "GPL",
                                  reinterpret_cast<const bpf_insn*>(code), std::size(code),
                                  &options));
  return fd.valid();
}

namespace {

volatile std::sig_atomic_t limit_signals = 0;  // of LoadLimit
void on_limit(int) { limit_signals = limit_signals + 1; }

/// Signals this thread once it has used its CPU time: the verifier gives up then, with EAGAIN.
/// Source: kernel/bpf/verifier.c, do_check().
class LoadLimit {
 public:
  explicit LoadLimit(std::chrono::milliseconds limit) : before_signals_(limit_signals) {
    struct sigaction action = {};
    action.sa_handler = on_limit;
    has_action_ = sigaction(SIGALRM, &action, &before_) == 0;
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGALRM;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    has_timer_ = has_action_ && timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer_) == 0;
    if (!has_timer_) return;
    itimerspec span = {};
    span.it_value.tv_sec = limit.count() / 1000;
    span.it_value.tv_nsec = limit.count() % 1000 * 1000000;
    span.it_interval.tv_nsec = 10000000;  // should it come between two calls
    timer_settime(timer_, 0, &span, nullptr);
  }
  ~LoadLimit() {
    if (has_timer_) timer_delete(timer_);
    if (has_action_) sigaction(SIGALRM, &before_, nullptr);
  }
  LoadLimit(const LoadLimit&) = delete;
  LoadLimit& operator=(const LoadLimit&) = delete;

  bool is_over() const { return limit_signals != before_signals_; }

 private:
  const int before_signals_;
  struct sigaction before_ = {};
  bool has_action_ = false;
  bool has_timer_ = false;
  timer_t timer_ = {};
};

/// As often as another signal interrupts it.
int load_until(const LoadLimit& limit, const std::string& name, bpf::ProgramKind kind,
               const std::vector<bpf::Insn>& code, std::string* log, uint32_t btf_id,
               const std::vector<uint32_t>& callbacks, int types_fd) {
  int fd = 0;
  do {
    fd = try_load(name, kind, code, log, btf_id, callbacks, types_fd);
  } while (fd == -EAGAIN && !limit.is_over());
  return fd;
}

}  // namespace

std::optional<UniqueFd> load_program(const std::string& name, bpf::ProgramKind kind,
                                     const std::vector<bpf::Insn>& code, LoadFailure* failure,
                                     uint32_t btf_id, const std::vector<uint32_t>& callbacks,
                                     int types_fd) {
  silence_libbpf();
  const std::string short_name = kernel_name(name);
  const LoadLimit limit(kVerifierLimit);
  const int fd = load_until(limit, short_name, kind, code, nullptr, btf_id, callbacks, types_fd);
  if (fd >= 0) return UniqueFd(fd);
  failure->took_too_long = fd == -EAGAIN;
  // EFAULT: more jumps before one another than the verifier keeps (check_cond_jmp_op()).
  failure->is_too_large = fd == -E2BIG || fd == -EFAULT;
  // EPERM comes before the verifier looks: there is nothing to read in a log.
  std::string log;
  if (fd != -EPERM && !failure->took_too_long && !failure->is_too_large) {
    for (size_t bytes = kLogBytes; bytes <= kMostLogBytes; bytes *= 4) {
      log.assign(bytes, '\0');
      const LoadLimit log_limit(kVerifierLimit * 10);
      const int again =
          load_until(log_limit, short_name, kind, code, &log, btf_id, callbacks, types_fd);
      if (again >= 0) return UniqueFd(again);  // it was a passing shortage
      if (again != -ENOSPC) break;             // ENOSPC: the log did not fit
    }
    log.resize(std::min(log.size(), log.find('\0')));
  }
  failure->error = tracing_error(fmt::format("loading the program '{}'", name), -fd);
  failure->verifier_log = std::move(log);
  return std::nullopt;
}

namespace {

/// All zeros when the kernel gives none; what an older kernel does not know stays 0.
bpf_prog_info program_info(int program_fd) {
  bpf_prog_info info = {};
  uint32_t bytes = sizeof info;
  if (bpf_obj_get_info_by_fd(program_fd, &info, &bytes) != 0) return {};
  return info;
}

}  // namespace

Result<uint32_t> run_once(int program_fd, const std::vector<uint64_t>& arguments, int cpu) {
  bpf_test_run_opts options = {};
  options.sz = sizeof options;
  options.ctx_in = arguments.empty() ? nullptr : arguments.data();
  options.ctx_size_in = static_cast<uint32_t>(arguments.size() * sizeof arguments[0]);
  if (cpu >= 0) {
    options.flags = BPF_F_TEST_RUN_ON_CPU;
    options.cpu = static_cast<uint32_t>(cpu);
  }
  const int status = bpf_prog_test_run_opts(program_fd, &options);
  if (status == 0) return options.retval;
  return system_error("running a program", -status);
}

std::vector<bpf::Insn> translated_code(int program_fd) {
  const uint32_t bytes = program_info(program_fd).xlated_prog_len;
  std::vector<bpf::Insn> code(bytes / sizeof(bpf::Insn));
  bpf_prog_info info = {};
  uint32_t info_bytes = sizeof info;
  info.xlated_prog_insns = reinterpret_cast<uint64_t>(code.data());
  info.xlated_prog_len = bytes;
  if (bpf_obj_get_info_by_fd(program_fd, &info, &info_bytes) != 0) return {};
  if (info.xlated_prog_insns == 0 || info.xlated_prog_len != bytes) return {};
  return code;
}

uint64_t recursion_misses(int program_fd) { return program_info(program_fd).recursion_misses; }

uint32_t verified_instructions(int program_fd) { return program_info(program_fd).verified_insns; }

void wait_for_programs() {
  // With one CPU online membarrier returns at once, although a preempted program may stand in the
  // middle; with nohz_full it is refused.
  static const bool several = sysconf(_SC_NPROCESSORS_ONLN) > 1;
  if (several && syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0) return;
  if (RcuWaiter().wait()) return;
  // Neither is there (before 4.20): programs run for microseconds.
  usleep(20000);
}

}  // namespace ktap::sys
