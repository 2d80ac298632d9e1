// The engine `bpf`: creates a unit's maps, loads and attaches its programs, arms and disarms them
// through the control page, and reads what they leave. Last stop before the kernel. What a table's
// reader sees is kernel_table's affair.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "bpf/helpers.h"
#include "engine/bpf_engine.h"
#include "engine/kernel_table.h"
#include "engine/verifier_log.h"
#include "sys/attach.h"
#include "sys/bpf.h"
#include "sys/errors.h"
#include "sys/kernel_btf.h"
#include "sys/process.h"
#include "sys/ring.h"

namespace ktap::engine {

namespace {

using backend::Control;

constexpr uint64_t kExitValue = Control::kExited;

class Engine : public BpfEngine {
 public:
  explicit Engine(backend::Unit unit) : unit_(std::move(unit)) {}
  ~Engine() override { Engine::detach(); }

  Result<void> create_maps();
  Result<void> fill_scope();
  Result<void> load_programs(std::vector<Rejection>* rejections);

  Result<void> attach() override;
  uint32_t unattached_handler() const override { return unattached_handler_; }
  void arm() override;
  void disarm() override;
  void detach() override;

  size_t drain(const std::function<void(const Record&)>& deliver) override;
  int wake_fd() const override { return ring_->wake_fd(); }
  void set_sleeping(bool sleeping) override {
    uint64_t* word = control_word(Control::kSleeping);
    if (__atomic_load_n(word, __ATOMIC_RELAXED) == (sleeping ? 1 : 0)) return;
    __atomic_store_n(word, sleeping ? 1 : 0, __ATOMIC_SEQ_CST);
  }
  bool exit_requested(int64_t* status) const override;

  std::vector<uint64_t> counter(uint32_t row) const override;
  std::vector<uint64_t> missed_runs() const override;
  std::vector<uint64_t> missed_hits() const override;
  std::vector<uint32_t> verified_instructions() const override;

  int64_t* cell(uint32_t cell) override;
  Result<void> preload(uint32_t table, const runtime::Table& entries,
                       const ssa::Module& module) override;
  std::unique_ptr<runtime::SharedVariable> variable(uint32_t table, runtime::Heap& heap,
                                                    const ssa::Module& module) override;
  std::unique_ptr<runtime::TableBacking> back(uint32_t table, runtime::Heap& heap,
                                              const ssa::Module& module) override;
  std::unique_ptr<DeltaReader> read_delta(uint32_t table) override;
  Result<void> follow(pid_t process) override;
  void unfollow(pid_t process) override;
  std::vector<pid_t> followed() override;
  void next_run() override { snapshots_.next_run(); }
  uint64_t run() const override { return snapshots_.run(); }
  int program_fd(size_t program) const override { return programs_[program].get(); }
  int map_fd(uint32_t map) const override { return maps_[map].fd(); }

 private:
  /// A link at functions of the kernel, and what it has missed.
  struct Missing {
    size_t program;
    int link;
    uint64_t before = 0;  ///< when the run began
    uint64_t lost = 0;    ///< in the run, once that is over

    uint64_t count() const { return sys::missed_by_link(link).value_or(before); }
  };

  std::vector<bpf::Insn> relocated(const bpf::Program& program) const;
  Result<void> attach_one(size_t index);
  Result<void> renew_program_arrays(const bpf::Program& program);
  Result<void> attach_files(int program_fd, const bpf::Program& program);
  Result<void> attach_functions(size_t index);
  Result<void> attach_points(size_t index);
  Result<void> attach_to_process(int program_fd, const schema::Event& event);
  Result<void> attach_sampler(int program_fd, const bpf::Program& program);
  uint64_t* control_word(uint32_t offset_bytes) const {
    return reinterpret_cast<uint64_t*>(control_.data() + offset_bytes);
  }

  uint32_t unattached_handler_ = bpf::kNoHandler;
  backend::Unit unit_;
  std::vector<sys::Map> maps_;
  KernelMemory memory_{maps_};
  sys::MappedArray control_;
  std::optional<sys::RingReader> ring_;
  std::vector<sys::UniqueFd> programs_;
  sys::UniqueFd gate_link_;           // of the program that waits for the exec
  std::vector<sys::UniqueFd> links_;  // of raw tracepoints, in the order of attaching
  std::vector<sys::PerfAttachment> by_perf_;
  std::vector<sys::PerfAttachment> samples_;  // let go at once
  std::vector<Missing> missing_;
  Snapshots snapshots_;
  bool exited_ = false;  // a handler's exit(), as seen when we disarmed
};

// ---- loading
// -----------------------------------------------------------------------------------------------

Result<void> Engine::create_maps() {
  // A map, a program and a link or two descriptors for each program, at most.
  sys::allow_open_files(unit_.maps.size() + 3 * unit_.programs.size());
  maps_.reserve(unit_.maps.size());
  for (const bpf::MapSpec& spec : unit_.maps) {
    KTAP_ASSIGN(sys::Map map, sys::Map::create(spec));
    maps_.push_back(std::move(map));
  }
  KTAP_TRY(fill_scope());
  KTAP_ASSIGN(control_, sys::MappedArray::map(maps_[unit_.control_map]));
  KTAP_ASSIGN(ring_, sys::RingReader::open(maps_[unit_.ring_map]));
  snapshots_.set_generation_word(control_word(Control::kGeneration));
  return {};
}

/// Whom to trace, where maps tell it.
Result<void> Engine::fill_scope() {
  const uint32_t zero = 0;
  if (unit_.cgroup_map == backend::Unit::kNoMap) return {};
  const sys::UniqueFd cgroup(::open(unit_.cgroup_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup.valid())
    return sys::system_error(fmt::format("opening the cgroup {}", unit_.cgroup_path), errno);
  const int fd = cgroup.get();
  return maps_[unit_.cgroup_map].update(&zero, &fd);
}

Result<void> Engine::follow(pid_t process) {
  const auto key = static_cast<uint32_t>(process);
  const uint64_t value = 1;
  return maps_[unit_.followed_map].update(&key, &value);
}

void Engine::unfollow(pid_t process) {
  const auto key = static_cast<uint32_t>(process);
  maps_[unit_.followed_map].remove(&key);
}

std::vector<pid_t> Engine::followed() {
  std::vector<uint8_t> keys, values;
  const Result<size_t> count = maps_[unit_.followed_map].read_all(false, &keys, &values);
  std::vector<pid_t> processes(count.ok() ? count.value() : 0);
  if (!processes.empty()) std::memcpy(processes.data(), keys.data(), 4 * processes.size());
  return processes;
}

std::vector<bpf::Insn> Engine::relocated(const bpf::Program& program) const {
  return program.relocated([&](uint32_t map) {
    KTAP_CHECK(map < maps_.size());
    return maps_[map].fd();
  });
}

/// Of the limits for which the kernel has one word: "" when it is that of instructions.
std::string too_many_maps(const bpf::Program& program) {
  constexpr size_t kMostMaps = 64;  // MAX_USED_MAPS of kernel/bpf
  std::set<uint32_t> maps;
  static_cast<void>(program.relocated([&maps](uint32_t map) {
    maps.insert(map);
    return 0;
  }));
  if (maps.size() <= kMostMaps) return "";
  return fmt::format(
      "tables in {} maps of the kernel, which lets a program use {}; small ones, as "
      "table.new(0, 64) makes them, take none of their own",
      maps.size(), kMostMaps);
}

Result<void> Engine::load_programs(std::vector<Rejection>* rejections) {
  for (size_t i = 0; i < unit_.programs.size(); ++i) {
    const bpf::Program& program = unit_.programs[i];
    sys::UniqueFd types;  // wanted until the program is loaded
    if (!program.btf_module.empty()) {
      types = sys::open_module_types(program.btf_module);
      if (!types.valid()) {
        Rejection rejection;
        rejection.program = static_cast<uint32_t>(i);
        rejection.reason = fmt::format("the types of {} are not to be had", program.btf_module);
        rejections->push_back(std::move(rejection));
        programs_.emplace_back();  // keeps the indices
        continue;
      }
    }
    sys::LoadFailure failure;
    std::optional<sys::UniqueFd> fd =
        sys::load_program(program.name, program.kind, relocated(program), &failure, program.btf_id,
                          program.callbacks, types.get());
    if (fd.has_value()) {
      programs_.push_back(std::move(*fd));
      continue;
    }
    if (failure.took_too_long || failure.is_too_large) {
      Rejection rejection;
      rejection.program = static_cast<uint32_t>(i);
      rejection.reason = failure.is_too_large
                             ? "too many instructions, or ways through them"
                             : fmt::format("stopped after {} ms", sys::kVerifierLimit.count());
      if (std::string maps = too_many_maps(program); failure.is_too_large && !maps.empty()) {
        rejection.reason = std::move(maps);
        rejection.is_for_user = true;
      }
      rejection.is_size = true;
      rejections->push_back(std::move(rejection));
      programs_.emplace_back();  // keeps the indices
      continue;
    }
    if (failure.verifier_log.empty()) return failure.error;
    const VerifierVerdict verdict = read_verifier_log(failure.verifier_log);
    Rejection rejection;
    rejection.program = static_cast<uint32_t>(i);
    rejection.reason = verdict.reason;
    rejection.is_size = verdict.is_size;
    if (verdict.insn >= 0 && static_cast<size_t>(verdict.insn) < program.lines.size()) {
      rejection.line = program.lines[static_cast<size_t>(verdict.insn)];
      rejection.handler = program.handler_at(static_cast<size_t>(verdict.insn));
    }
    rejections->push_back(std::move(rejection));
    programs_.emplace_back();  // keeps the indices
  }
  return {};
}

sys::KernelPoint kernel_point(const bpf::AttachPoint& at) {
  const schema::ProbePoint& point = at.event->point;
  return {point.symbol, point.address, point.offset_bytes, at.cookie};
}

// ---- attaching
// ---------------------------------------------------------------------------------------------

/// Whether the kernel puts a new program before those that are there.
bool runs_latest_first(bpf::ProgramKind kind) {
  switch (kind) {
    case bpf::ProgramKind::FunctionEntry:
    case bpf::ProgramKind::FunctionExit:
    case bpf::ProgramKind::Probe:
    case bpf::ProgramKind::KprobeMulti:
    case bpf::ProgramKind::UprobeMulti:
      return true;
    case bpf::ProgramKind::RawTracepoint:
    case bpf::ProgramKind::TypedRawTracepoint:
    case bpf::ProgramKind::Tracepoint:
    case bpf::ProgramKind::PerfEvent:
      break;
  }
  return false;
}

Result<void> Engine::attach() {
  // So that the handlers of one event run as they stand in the script: the programs of a tracepoint
  // run in the order in which they came, those of a probe in the opposite one (consumer_add() in
  // kernel/events/uprobes.c, add_new_kprobe(), bpf_trampoline_link_prog(), add_ftrace_ops()).
  std::vector<size_t> order;
  std::vector<size_t> backwards;
  for (size_t i = 0; i < programs_.size(); ++i)
    (runs_latest_first(unit_.programs[i].kind) ? backwards : order).push_back(i);
  order.insert(order.end(), backwards.rbegin(), backwards.rend());
  for (const size_t i : order) {
    Result<void> attached = attach_one(i);
    if (!attached.ok()) {
      const std::vector<uint32_t> handlers = unit_.programs[i].handlers();
      if (!handlers.empty()) unattached_handler_ = handlers.front();
      detach();
      return attached;
    }
  }
  const bool is_skipped_by_map_calls =
      !by_perf_.empty() ||
      std::any_of(unit_.programs.begin(), unit_.programs.end(), [](const bpf::Program& program) {
        return program.kind == bpf::ProgramKind::KprobeMulti;
      });
  if (is_skipped_by_map_calls) {
    for (sys::Map& map : maps_) map.keep_cpu();
  }
  return {};
}

/// An array of programs takes those of one kind, and is for that of the first that knows it.
Result<void> Engine::renew_program_arrays(const bpf::Program& program) {
  for (const bpf::MapRef& ref : program.maps) {
    if (unit_.maps[ref.map].kind != bpf::MapKind::Programs) continue;
    KTAP_ASSIGN(maps_[ref.map], sys::Map::create(unit_.maps[ref.map]));
  }
  return {};
}

Result<void> Engine::attach_one(size_t index) {
  const bpf::Program& program = unit_.programs[index];
  KTAP_CHECK(programs_[index].valid());
  const int program_fd = programs_[index].get();
  if (program.kind == bpf::ProgramKind::UprobeMulti) return attach_files(program_fd, program);
  if (program.kind == bpf::ProgramKind::FunctionEntry ||
      program.kind == bpf::ProgramKind::FunctionExit) {
    KTAP_ASSIGN(sys::UniqueFd link, sys::attach_function(program_fd, program.attach_to));
    links_.push_back(std::move(link));
    return {};
  }
  if (program.kind == bpf::ProgramKind::KprobeMulti) return attach_functions(index);
  if (program.kind == bpf::ProgramKind::Probe) return attach_points(index);
  if (program.kind == bpf::ProgramKind::PerfEvent) return attach_sampler(program_fd, program);
  if (program.kind == bpf::ProgramKind::TypedRawTracepoint) {
    KTAP_ASSIGN(sys::UniqueFd link,
                sys::attach_typed_tracepoint(programs_[index].get(), program.attach_to));
    links_.push_back(std::move(link));
    return {};
  }
  if (program.kind == bpf::ProgramKind::RawTracepoint) {
    Result<sys::UniqueFd> link =
        sys::attach_raw_tracepoint(programs_[index].get(), program.attach_to);
    if (link.ok()) {
      if (index == unit_.gate_program) {
        gate_link_ = std::move(link).value();
      } else {
        links_.push_back(std::move(link).value());
      }
      return {};
    }
    if (link.error().sys_errno != ENOENT || program.tracefs_id < 0) return link.error();
    // An event that is called otherwise than its tracepoint. The program reads nothing of it but
    // its name, so that the same code serves as a classic tracepoint program.
    KTAP_TRY(renew_program_arrays(program));
    sys::LoadFailure failure;
    std::optional<sys::UniqueFd> again =
        sys::load_program(program.name, bpf::ProgramKind::Tracepoint, relocated(program), &failure,
                          0, program.callbacks);
    if (!again.has_value()) return failure.error;
    programs_[index] = std::move(*again);
  }
  KTAP_ASSIGN(
      sys::PerfAttachment tracepoint,
      sys::attach_tracepoint(programs_[index].get(), program.tracefs_id, program.attach_to));
  by_perf_.push_back(std::move(tracepoint));
  return {};
}

/// One link for each file.
Result<void> Engine::attach_files(int program_fd, const bpf::Program& program) {
  std::map<std::string, std::vector<sys::UserPoint>> files;
  for (const bpf::AttachPoint& at : program.points) {
    const schema::ProbePoint& point = at.event->point;
    files[point.path].push_back({point.offset_bytes, point.semaphore_bytes, at.cookie});
  }
  const bool is_return = program.points[0].event->kind == schema::EventKind::ProbeReturn;
  for (const auto& [path, points] : files) {
    KTAP_ASSIGN(sys::UniqueFd link, sys::attach_user_points(program_fd, path, points, is_return,
                                                            static_cast<int>(unit_.target_tgid)));
    links_.push_back(std::move(link));
  }
  return {};
}

/// One link for all of them.
Result<void> Engine::attach_functions(size_t index) {
  const bpf::Program& program = unit_.programs[index];
  std::vector<sys::KernelPoint> points;
  for (const bpf::AttachPoint& at : program.points) points.push_back(kernel_point(at));
  const bool is_return = program.points[0].event->kind == schema::EventKind::ProbeReturn;
  KTAP_ASSIGN(sys::UniqueFd link, sys::attach_kernel_points(programs_[index].get(), points,
                                                            is_return, program.attach_to));
  missing_.push_back({index, link.get()});
  links_.push_back(std::move(link));
  return {};
}

/// override(): refused where the kernel's list does not have the function.
bool sets_result(const bpf::Program& program) {
  const bpf::Insn call = bpf::call(static_cast<int32_t>(bpf::Helper::OverrideReturn));
  return std::find(program.code.begin(), program.code.end(), call) != program.code.end();
}

Result<void> Engine::attach_points(size_t index) {
  const bpf::Program& program = unit_.programs[index];
  const int program_fd = programs_[index].get();
  const bool needs_cookie = program.points.size() > 1;
  for (const bpf::AttachPoint& at : program.points) {
    const schema::ProbePoint& point = at.event->point;
    const bool is_return = at.event->kind == schema::EventKind::ProbeReturn;
    const sys::UserPoint user{point.offset_bytes, point.semaphore_bytes, at.cookie};
    Result<sys::PerfAttachment> attached =
        point.path.empty()
            ? sys::attach_kernel_point(program_fd, kernel_point(at), is_return, needs_cookie)
            : sys::attach_user_point(program_fd, point.path, user, is_return, needs_cookie);
    if (!attached.ok()) {
      if (attached.error().sys_errno == EINVAL && sets_result(program))
        return Error{
            fmt::format("the kernel does not let programs set the result of {}", at.event->name),
            EINVAL};
      return attached.error();
    }
    const int link = attached.value().link.get();
    if (point.path.empty() && link >= 0) missing_.push_back({index, link});
    by_perf_.push_back(std::move(attached).value());
  }
  return {};
}

/// A breakpoint in the memory of a process: user space is the lower half of all addresses.
bool is_in_process(const schema::PerfSource& source) {
  return source.type == PERF_TYPE_BREAKPOINT && static_cast<intptr_t>(source.address) >= 0;
}

/// As error messages call it.
std::string sample_name(const schema::Event& event) {
  return event.system == "profile" ? event.name : event.system + ":" + event.name;
}

/// A process and what descends from it.
std::set<pid_t> family_of(pid_t root) {
  std::set<pid_t> family = {root};
  const auto all = sys::processes_and_parents();
  for (bool is_more = true; is_more;) {
    is_more = false;
    for (const auto& [process, parent] : all) {
      if (process != getpid() && family.count(parent) != 0 && family.insert(process).second)
        is_more = true;
    }
  }
  return family;
}

/// On each thread that is there; those inherit it to what they start.
Result<void> Engine::attach_to_process(int program_fd, const schema::Event& event) {
  const std::string name = sample_name(event);
  if (unit_.root_tgid < 0)
    return Error{name + " is in a process's memory: say whose with -p PID or -- CMD"};
  const auto root = static_cast<pid_t>(unit_.root_tgid);
  const std::set<pid_t> processes = unit_.follows() ? family_of(root) : std::set<pid_t>{root};
  sys::ThreadPlace place;
  if (event.perf.is_of_target) {
    place.cpu = static_cast<int>(unit_.cpu);
    place.from_exec = unit_.waits_for_exec;
  }
  for (const pid_t process : processes) {
    for (const int tid : sys::threads_of(process)) {
      place.tid = tid;
      Result<sys::PerfAttachment> attached =
          sys::attach_to_thread(program_fd, event.perf, place, name);
      if (!attached.ok() && attached.error().sys_errno == ESRCH) continue;
      if (!attached.ok()) return attached.error();
      samples_.push_back(std::move(attached).value());
    }
  }
  return {};
}

Result<void> Engine::attach_sampler(int program_fd, const bpf::Program& program) {
  KTAP_ASSIGN(std::vector<int> cpus, sys::online_cpus());
  if (unit_.cpu >= 0) cpus = {static_cast<int>(unit_.cpu)};
  for (const bpf::AttachPoint& at : program.points) {
    const schema::PerfSource& source = at.event->perf;
    if (is_in_process(source) || (source.is_of_target && unit_.root_tgid >= 0)) {
      KTAP_TRY(attach_to_process(program_fd, *at.event));
      continue;
    }
    for (const int cpu : cpus) {
      KTAP_ASSIGN(sys::PerfAttachment attached,
                  sys::attach_samples(program_fd, source, cpu, sample_name(*at.event)));
      samples_.push_back(std::move(attached));
    }
  }
  return {};
}

void Engine::arm() {
  for (Missing& missing : missing_) missing.before = missing.count();
  snapshots_.set_armed(true);
  const int32_t state = unit_.waits_for_exec ? Control::kWaiting : Control::kRunning;
  __atomic_store_n(control_word(Control::kArmed), static_cast<uint64_t>(state), __ATOMIC_SEQ_CST);
}

void Engine::disarm() {
  if (control_.data() == nullptr) return;
  const uint64_t before = __atomic_exchange_n(control_word(Control::kArmed), 0, __ATOMIC_SEQ_CST);
  if (before == kExitValue) exited_ = true;
  if (before != 0) {
    sys::wait_for_programs();
    for (Missing& missing : missing_) missing.lost = missing.count() - missing.before;
  }
  // A handler that was in the middle may have called exit() after we looked.
  if (__atomic_exchange_n(control_word(Control::kArmed), 0, __ATOMIC_SEQ_CST) == kExitValue) {
    exited_ = true;
  }
  snapshots_.set_armed(false);
}

void Engine::detach() {
  disarm();
  gate_link_.reset();
  sys::close_links(std::move(links_));
  links_.clear();
  samples_.clear();
  // Before the slow ones are handed on: the holder's copies of our descriptors must keep no link
  // alive.
  if (!by_perf_.empty()) sys::detach_perf(std::move(by_perf_));
  by_perf_.clear();
}

// ---- what the programs leave
// -------------------------------------------------------------------------------

size_t Engine::drain(const std::function<void(const Record&)>& deliver) {
  // Once the command runs, waiting for it costs every system call of the machine something.
  if (gate_link_.valid() &&
      __atomic_load_n(control_word(Control::kArmed), __ATOMIC_RELAXED) == Control::kRunning) {
    gate_link_.reset();
  }
  return ring_->drain([&deliver](const uint8_t* data, size_t size_bytes) {
    if (size_bytes < backend::kRecordHeaderBytes) return;
    Record record{};
    std::memcpy(&record.site, data, sizeof record.site);
    std::memcpy(&record.cpu, data + sizeof record.site, sizeof record.cpu);
    record.data = data;
    record.size_bytes = size_bytes;
    deliver(record);
  });
}

bool Engine::exit_requested(int64_t* status) const {
  const uint64_t armed = __atomic_load_n(control_word(Control::kArmed), __ATOMIC_ACQUIRE);
  if (!exited_ && armed != kExitValue) return false;
  *status =
      static_cast<int64_t>(__atomic_load_n(control_word(Control::kExitStatus), __ATOMIC_ACQUIRE));
  return true;
}

std::vector<uint64_t> Engine::counter(uint32_t row) const {
  const sys::Map& map = maps_[unit_.counter_map];
  std::vector<uint64_t> values(map.value_stride_bytes() / sizeof(uint64_t));
  if (!map.lookup(&row, values.data())) std::fill(values.begin(), values.end(), 0);
  return values;
}

std::vector<uint64_t> Engine::missed_runs() const {
  std::vector<uint64_t> out;
  for (const sys::UniqueFd& program : programs_) {
    out.push_back(program.valid() ? sys::recursion_misses(program.get()) : 0);
  }
  return out;
}

std::vector<uint64_t> Engine::missed_hits() const {
  std::vector<uint64_t> out(programs_.size());
  for (const Missing& missing : missing_) out[missing.program] += missing.lost;
  return out;
}

std::vector<uint32_t> Engine::verified_instructions() const {
  std::vector<uint32_t> out;
  for (const sys::UniqueFd& program : programs_)
    out.push_back(program.valid() ? sys::verified_instructions(program.get()) : 0);
  return out;
}

int64_t* Engine::cell(uint32_t cell) {
  const size_t offset = Control::kCells + sizeof(int64_t) * size_t{cell};
  KTAP_CHECK(offset + sizeof(int64_t) <= control_.size_bytes());
  return reinterpret_cast<int64_t*>(control_.data() + offset);
}

Result<void> Engine::preload(uint32_t table, const runtime::Table& entries,
                             const ssa::Module& module) {
  const backend::Table& layout = unit_.tables[table];
  // A delta table's own entries stay in the runtime Table; the kernel only adds to them.
  if (backend::is_delta(layout.layout)) return {};
  const std::string& name = module.tables[table].name;
  KeyCodec codec(layout, module.strings);
  ValueCodec values(layout, module.strings);
  std::vector<uint8_t> encoded;
  const std::unique_ptr<EntryStore> store =
      make_store(layout, maps_, control_.data(), module.strings);
  std::vector<uint8_t> key;
  for (const auto& [entry_key, value] : entries.entries()) {
    if (!codec.encode(entry_key, &key) || !values.encode(key.data(), value, &encoded)) {
      return Error{fmt::format(
          "table '{}' holds an entry of another kind than the ones that handlers write", name)};
    }
    // What no program could make stays in the runtime Table.
    if (!store->can_hold(key.data()) || store->put(key.data(), encoded.data(), nullptr)) continue;
    return Error{fmt::format("table '{}' is full: it holds more than its {} entries", name,
                             layout.max_entries),
                 E2BIG};
  }
  return {};
}

std::unique_ptr<runtime::TableBacking> Engine::back(uint32_t table, runtime::Heap& heap,
                                                    const ssa::Module& module) {
  const backend::Table& layout = unit_.tables[table];
  if (backend::is_delta(layout.layout)) {
    return std::make_unique<DeltaTable>(unit_, table, memory_, module.strings, heap, snapshots_);
  }
  return std::make_unique<MasterTable>(layout,
                                       make_store(layout, maps_, control_.data(), module.strings),
                                       module.strings, heap, snapshots_);
}

std::unique_ptr<DeltaReader> Engine::read_delta(uint32_t table) {
  KTAP_CHECK(backend::is_delta(unit_.tables[table].layout));
  return std::make_unique<DeltaReader>(unit_, table, memory_, snapshots_);
}

std::unique_ptr<runtime::SharedVariable> Engine::variable(uint32_t table, runtime::Heap& heap,
                                                          const ssa::Module& module) {
  const backend::Table& layout = unit_.tables[table];
  return std::make_unique<TableVariable>(layout, &maps_[layout.maps[0]], module.strings, heap);
}

}  // namespace

Result<std::unique_ptr<BpfEngine>> BpfEngine::load(backend::Unit unit,
                                                   std::vector<Rejection>* rejections) {
  auto engine = std::make_unique<Engine>(std::move(unit));
  KTAP_TRY(engine->create_maps());
  KTAP_TRY(engine->load_programs(rejections));
  return std::unique_ptr<BpfEngine>(std::move(engine));
}

}  // namespace ktap::engine
