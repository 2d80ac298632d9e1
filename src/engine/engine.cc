// The engine `bpf`: creates a unit's maps, loads and attaches its programs, arms and disarms them
// through the control page, and reads what they leave. Last stop before the kernel. What a table's
// reader sees is kernel_table's affair.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "engine/bpf_engine.h"
#include "engine/kernel_table.h"
#include "engine/verifier_log.h"
#include "sys/attach.h"
#include "sys/bpf.h"
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
  Result<void> load_programs(std::vector<Rejection>* rejections);

  Result<void> attach() override;
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
  std::vector<uint32_t> verified_instructions() const override;

  int64_t* cell(uint32_t cell) override;
  Result<void> preload(uint32_t table, const runtime::Table& entries,
                       const ssa::Module& module) override;
  std::unique_ptr<runtime::SharedVariable> variable(uint32_t table, runtime::Heap& heap,
                                                    const ssa::Module& module) override;
  std::unique_ptr<runtime::TableBacking> back(uint32_t table, runtime::Heap& heap,
                                              const ssa::Module& module) override;
  std::unique_ptr<DeltaReader> read_delta(uint32_t table) override;
  void next_run() override { snapshots_.next_run(); }
  int program_fd(size_t program) const override { return programs_[program].get(); }
  int map_fd(uint32_t map) const override { return maps_[map].fd(); }

 private:
  std::vector<bpf::Insn> relocated(const bpf::Program& program) const;
  Result<void> attach_one(size_t index);
  Result<void> attach_files(int program_fd, const bpf::Program& program);
  Result<void> attach_points(int program_fd, const bpf::Program& program);
  Result<void> attach_sampler(int program_fd, const bpf::Program& program);
  uint64_t* control_word(uint32_t offset_bytes) const {
    return reinterpret_cast<uint64_t*>(control_.data() + offset_bytes);
  }

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
  KTAP_ASSIGN(control_, sys::MappedArray::map(maps_[unit_.control_map]));
  KTAP_ASSIGN(ring_, sys::RingReader::open(maps_[unit_.ring_map]));
  snapshots_.set_generation_word(control_word(Control::kGeneration));
  return {};
}

std::vector<bpf::Insn> Engine::relocated(const bpf::Program& program) const {
  std::vector<bpf::Insn> code = program.code;
  for (const bpf::MapRef& ref : program.maps) {
    KTAP_CHECK(ref.insn + 1 < code.size() && ref.map < maps_.size());
    bpf::Insn& first = code[ref.insn];
    first.imm = maps_[ref.map].fd();
    first.src = (ref.value ? bpf::kPseudoMapValue : bpf::kPseudoMapFd) & 15;
    code[ref.insn + 1].imm = ref.value ? static_cast<int32_t>(ref.offset) : 0;
  }
  return code;
}

Result<void> Engine::load_programs(std::vector<Rejection>* rejections) {
  for (size_t i = 0; i < unit_.programs.size(); ++i) {
    const bpf::Program& program = unit_.programs[i];
    sys::LoadFailure failure;
    std::optional<sys::UniqueFd> fd =
        sys::load_program(program.name, program.kind, relocated(program), &failure, program.btf_id,
                          program.callbacks);
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

// ---- attaching
// ---------------------------------------------------------------------------------------------

Result<void> Engine::attach() {
  // In the unit's order: the kernel runs the programs of one tracepoint in the order in which they
  // came.
  for (size_t i = 0; i < programs_.size(); ++i) {
    Result<void> attached = attach_one(i);
    if (!attached.ok()) {
      detach();
      return attached;
    }
  }
  return {};
}

Result<void> Engine::attach_one(size_t index) {
  const bpf::Program& program = unit_.programs[index];
  KTAP_CHECK(programs_[index].valid());
  const int program_fd = programs_[index].get();
  if (program.kind == bpf::ProgramKind::UprobeMulti) return attach_files(program_fd, program);
  if (program.kind == bpf::ProgramKind::Probe) return attach_points(program_fd, program);
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

Result<void> Engine::attach_points(int program_fd, const bpf::Program& program) {
  const bool needs_cookie = program.points.size() > 1;
  for (const bpf::AttachPoint& at : program.points) {
    const schema::ProbePoint& point = at.event->point;
    KTAP_CHECK(!point.path.empty());
    KTAP_ASSIGN(sys::PerfAttachment attached,
                sys::attach_user_point(
                    program_fd, point.path, {point.offset_bytes, point.semaphore_bytes, at.cookie},
                    at.event->kind == schema::EventKind::ProbeReturn, needs_cookie));
    by_perf_.push_back(std::move(attached));
  }
  return {};
}

Result<void> Engine::attach_sampler(int program_fd, const bpf::Program& program) {
  KTAP_ASSIGN(std::vector<int> cpus, sys::online_cpus());
  if (unit_.cpu >= 0) cpus = {static_cast<int>(unit_.cpu)};
  for (const bpf::AttachPoint& at : program.points) {
    for (const int cpu : cpus) {
      KTAP_ASSIGN(sys::PerfAttachment attached,
                  sys::attach_samples(program_fd, at.event->perf, cpu, at.event->name));
      samples_.push_back(std::move(attached));
    }
  }
  return {};
}

void Engine::arm() {
  snapshots_.set_armed(true);
  const int32_t state = unit_.waits_for_exec ? Control::kWaiting : Control::kRunning;
  __atomic_store_n(control_word(Control::kArmed), static_cast<uint64_t>(state), __ATOMIC_SEQ_CST);
}

void Engine::disarm() {
  if (control_.data() == nullptr) return;
  const uint64_t before = __atomic_exchange_n(control_word(Control::kArmed), 0, __ATOMIC_SEQ_CST);
  if (before == kExitValue) exited_ = true;
  if (before != 0) sys::wait_for_programs();
  // A handler that was in the middle may have called exit() after we looked.
  if (__atomic_exchange_n(control_word(Control::kArmed), 0, __ATOMIC_SEQ_CST) == kExitValue) {
    exited_ = true;
  }
  snapshots_.set_armed(false);
}

void Engine::detach() {
  disarm();
  gate_link_.reset();
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
  const std::unique_ptr<EntryStore> store = make_store(layout, maps_, module.strings);
  std::vector<uint8_t> key;
  for (const auto& [entry_key, value] : entries.entries()) {
    if (!codec.encode(entry_key, &key) || !values.encode(key.data(), value, &encoded)) {
      return Error{fmt::format(
          "table '{}' holds an entry of another kind than the ones that handlers write", name)};
    }
    // What no program could make stays in the runtime Table.
    if (!store->can_hold(key.data()) || store->put(key.data(), encoded.data())) continue;
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
  return std::make_unique<MasterTable>(layout, make_store(layout, maps_, module.strings),
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
