// See engines.h. Tables are read as the product's engine reads them (engine/kernel_table.h), from
// the test machine's maps.
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>

#include "backend/table_memory.h"
#include "bpf/interpreter.h"
#include "engine/delta_reader.h"
#include "engine/kernel_table.h"
#include "engine/key_codec.h"
#include "engine/value_codec.h"
#include "handlers/engines.h"

namespace ktap::differential {
namespace {

using backend::Control;
using backend::TableLayout;
using bpf::Bytes;
using runtime::Table;
using runtime::Value;

constexpr size_t kTaskBytes = 16384;  // guessed: a task's structure has less

int64_t word_of(const Bytes& bytes) {
  int64_t word = 0;
  std::memcpy(&word, bytes.data(), std::min(bytes.size(), sizeof word));
  return word;
}

class MachineMemory final : public engine::DeltaMemory {
 public:
  MachineMemory(bpf::Machine& machine, const backend::Unit& unit, uint32_t cpu_count)
      : machine_(machine), unit_(unit), cpus_(cpu_count) {}

  bool show(uint32_t map, size_t begin, size_t bytes,
            const std::function<void(uint8_t*)>& look) override {
    const size_t stride = (unit_.maps[map].value_size_bytes + 7) / 8 * 8;
    const auto index = static_cast<uint32_t>(begin / stride);
    Bytes key(sizeof index);
    std::memcpy(key.data(), &index, sizeof index);
    Bytes value = machine_.value(map, key);
    KTAP_CHECK(begin % stride + bytes <= value.size());
    look(value.data() + begin % stride);
    return machine_.set_value(map, key, value);
  }
  bool take_all(uint32_t map, Bytes* keys, Bytes* values) override {
    const bool is_percpu = unit_.maps[map].kind == bpf::MapKind::PercpuHash;
    for (const Bytes& key : machine_.keys(map)) {
      keys->insert(keys->end(), key.begin(), key.end());
      for (uint32_t cpu = 0; cpu < (is_percpu ? cpus_ : 1); ++cpu) {
        const Bytes value = machine_.value(map, key, cpu);
        values->insert(values->end(), value.begin(), value.end());
      }
      machine_.erase(map, key);
    }
    return true;
  }

 private:
  bpf::Machine& machine_;
  const backend::Unit& unit_;
  const uint32_t cpus_;
};

/// Entries of a table that is no delta. Nothing runs while user space looks at them.
class MachineStore final : public engine::EntryStore {
 public:
  MachineStore(bpf::Machine& machine, const backend::Table& table, uint32_t control_map)
      : machine_(machine), table_(table), map_(table.maps[0]), control_map_(control_map) {}

  bool read_all(const engine::EntryBytesVisitor& visit) override {
    if (!is_hash()) {
      with_memory([&](backend::SharedMemory& memory) {
        memory.visit([&](const uint8_t* key, const int64_t* value) {
          visit(key, reinterpret_cast<const uint8_t*>(value));
        });
      });
      return true;
    }
    for (const Bytes& key : machine_.keys(map_)) {
      const Bytes value = machine_.value(map_, key);
      if (!is_gone(value)) visit(key.data(), value.data());
    }
    return true;
  }
  bool can_hold(const uint8_t* key) override {
    bool can = true;
    if (!is_hash()) with_memory([&](backend::SharedMemory& memory) { can = memory.can_hold(key); });
    return can;
  }
  bool put(const uint8_t* key, const uint8_t* value, const uint8_t*) override {
    if (is_hash()) {
      const Bytes now = machine_.value(map_, bytes_at(key));
      const bool is_new = now.empty() || is_gone(now);
      if (!machine_.set_value(map_, bytes_at(key), value_at(value))) return false;
      if (is_new) count(1);
      return true;
    }
    bool done = false;
    with_memory(
        [&](backend::SharedMemory& memory) { done = memory.put(key, word_of(value_at(value))); });
    return done;
  }
  void remove_if(const uint8_t* key, const uint8_t* value) override {
    if (!is_hash()) {
      with_memory(
          [&](backend::SharedMemory& memory) { memory.remove_if(key, word_of(value_at(value))); });
    } else if (table_.is_taken) {
      // Nothing ran since it was seen.
      const Bytes now = machine_.value(map_, bytes_at(key));
      if (now.empty() || word_of(now) != word_of(value_at(value))) return;
      KTAP_CHECK(machine_.set_value(map_, bytes_at(key), Bytes(16)));
      count(-1);
    } else if (machine_.value(map_, bytes_at(key)) == value_at(value)) {
      machine_.erase(map_, bytes_at(key));
      count(-1);
    }
  }

 private:
  bool is_hash() const { return table_.layout == TableLayout::Hash; }
  Bytes bytes_at(const uint8_t* key) const { return Bytes(key, key + table_.key_size_bytes); }

  Bytes value_at(const uint8_t* value) const {
    Bytes bytes(value, value + (is_hash() ? table_.value_size_bytes : 8));
    if (table_.is_taken) {
      bytes.resize(16);
      bytes[backend::kTakenPresence] = 1;
    }
    return bytes;
  }
  bool is_gone(const Bytes& value) const { return table_.is_taken && value == Bytes(16); }

  /// In the control page.
  void count(int64_t by) {
    if (!table_.is_counted) return;
    Bytes page = machine_.value(control_map_, Bytes(4));
    int64_t now = 0;
    std::memcpy(&now, &page[table_.count_offset_bytes], sizeof now);
    now += by;
    std::memcpy(&page[table_.count_offset_bytes], &now, sizeof now);
    KTAP_CHECK(machine_.set_value(control_map_, Bytes(4), page));
  }

  template <class Work>
  void with_memory(const Work& work) {
    Bytes bytes = machine_.value(map_, Bytes(4));
    backend::SharedMemory memory(table_, bytes.data());
    work(memory);
    KTAP_CHECK(machine_.set_value(map_, Bytes(4), bytes));
  }

  bpf::Machine& machine_;
  const backend::Table& table_;
  const uint32_t map_;
  const uint32_t control_map_;
};

/// A variable that is a table of one entry, under `true`.
class MachineVariable final : public runtime::SharedVariable {
 public:
  MachineVariable(bpf::Machine& machine, const backend::Table& table,
                  const std::vector<std::string>& strings, runtime::Heap& heap)
      : machine_(machine), map_(table.maps[0]), values_(table, strings), heap_(heap) {
    engine::KeyCodec codec(table, strings);
    KTAP_CHECK(codec.encode(runtime::Value::of(true), &key_));
  }

  runtime::Value load() override {
    const Bytes value = machine_.value(map_, key_);
    return value.empty() ? runtime::Value::nil() : values_.decode(value.data(), heap_);
  }
  bool store(runtime::Value value) override {
    if (value.is_nil()) {
      machine_.erase(map_, key_);
      return true;
    }
    Bytes bytes;
    return values_.encode(key_.data(), value, &bytes) && machine_.set_value(map_, key_, bytes);
  }

 private:
  bpf::Machine& machine_;
  const uint32_t map_;
  engine::ValueCodec values_;
  runtime::Heap& heap_;
  Bytes key_;
};

class MachineEngine final : public JudgedEngine {
 public:
  MachineEngine(const backend::Unit& unit, const bpf::KernelFacts& facts, const Ground& ground)
      : unit_(unit), cpus_(facts.cpu_count), machine_(unit.maps, facts.cpu_count) {
    bpf::FakeTask& task = machine_.task;
    task.tgid = static_cast<uint32_t>(getpid());
    task.uid = getuid();
    task.gid = getgid();
    task.ns = uint64_t{1} << 41;
    for (size_t i = 0; i < paths().size(); ++i) {
      const std::string_view bytes = path_memory(i);
      task.user_memory[reinterpret_cast<uint64_t>(bytes.data())].assign(bytes.begin(), bytes.end());
    }
    kernel_bytes_ = &task.kernel_memory[ground.regs_address];
    ground_ = &ground;
    layout_ = facts.task;
    current_tasks_ = facts.current_tasks;
    machine_.rdonly_cast = facts.current_tasks.cast;
    machine_.iter_num_new = facts.iter_num_new;
    machine_.iter_num_next = facts.iter_num_next;
    machine_.iter_num_destroy = facts.iter_num_destroy;
    size_t cells = (unit.maps[unit.control_map].value_size_bytes - Control::kCells) / 8;
    for (const backend::Table& table : unit.tables) cells -= table.count_offset_bytes != 0 ? 1 : 0;
    cells_.resize(cells);  // behind them stand the numbers of entries
  }

  std::string run(size_t index, const std::vector<uint64_t>& arguments) override {
    kernel_bytes_->assign(ground_->regs, ground_->regs + Ground::kBytes);
    // A typed program follows the pointer itself.
    std::vector<uint64_t> words(arguments);
    words[0] = machine_.add_object(Bytes(ground_->regs, ground_->regs + Ground::kRegsBytes));
    Bytes context(12 * sizeof(uint64_t));
    std::memcpy(context.data(), words.data(), words.size() * sizeof(uint64_t));
    machine_.task.cpu = ground_->actors->cpu();
    machine_.task.tid = static_cast<uint32_t>(ground_->actors->tid());
    machine_.task.comm = ground_->actors->name();
    make_task();
    exchange_cells(true);
    Result<uint64_t> done = machine_.run(unit_.programs[index], context);
    exchange_cells(false);
    return done.ok() ? "" : fmt::format("test machine: {}\n", done.error().message);
  }

  void arm() override { set_control(Control::kArmed, 1); }
  void disarm() override {
    if (!exited_) exited_ = exit_requested(&status_);
    set_control(Control::kArmed, 0);
  }
  bool exit_requested(int64_t* status) const override {
    if (!exited_ && control(Control::kArmed) != 2) return false;
    *status = exited_ ? status_ : control(Control::kExitStatus);
    return true;
  }
  size_t drain(const std::function<void(const engine::Record&)>& deliver) override {
    const std::vector<bpf::FakeRecord> records = machine_.records();
    machine_.clear_records();
    for (const bpf::FakeRecord& fake : records) {
      engine::Record record{};
      std::memcpy(&record.site, fake.data.data(), sizeof record.site);
      std::memcpy(&record.cpu, fake.data.data() + 4, sizeof record.cpu);
      record.data = fake.data.data();
      record.size_bytes = fake.data.size();
      deliver(record);
    }
    return records.size();
  }
  std::vector<uint64_t> counter(uint32_t row) const override {
    Bytes key(sizeof row);
    std::memcpy(key.data(), &row, sizeof row);
    std::vector<uint64_t> values;
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu)
      values.push_back(static_cast<uint64_t>(word_of(machine_.value(unit_.counter_map, key, cpu))));
    return values;
  }
  std::vector<uint64_t> missed_runs() const override { return {}; }
  std::vector<uint64_t> missed_hits() const override { return {}; }
  Result<void> follow(pid_t) override { return {}; }  // of --follow, which nothing here asks for
  void unfollow(pid_t) override {}
  std::vector<int> followed() override { return {}; }
  int64_t* cell(uint32_t cell) override { return &cells_[cell]; }
  Result<void> preload(uint32_t table, const Table& entries, const ssa::Module& module) override {
    const backend::Table& layout = unit_.tables[table];
    if (backend::is_delta(layout.layout)) return {};
    engine::KeyCodec codec(layout, module.strings);
    engine::ValueCodec values(layout, module.strings);
    Bytes encoded;
    MachineStore store(machine_, layout, unit_.control_map);
    Bytes key;
    for (const auto& [at, value] : entries.entries()) {
      if (!codec.encode(at, &key) || !values.encode(key.data(), value, &encoded) ||
          (store.can_hold(key.data()) && !store.put(key.data(), encoded.data(), nullptr)))
        return Error{"an entry of another kind, or too many", 0};
    }
    return {};
  }
  std::unique_ptr<runtime::TableBacking> back(uint32_t table, runtime::Heap& heap,
                                              const ssa::Module& module) override {
    const backend::Table& layout = unit_.tables[table];
    if (!backend::is_delta(layout.layout)) {
      return std::make_unique<engine::MasterTable>(
          layout, std::make_unique<MachineStore>(machine_, layout, unit_.control_map),
          module.strings, heap, snapshots_);
    }
    return std::make_unique<engine::DeltaTable>(unit_, table, memory_, module.strings, heap,
                                                snapshots_);
  }
  std::unique_ptr<runtime::SharedVariable> variable(uint32_t table, runtime::Heap& heap,
                                                    const ssa::Module& module) override {
    return std::make_unique<MachineVariable>(machine_, unit_.tables[table], module.strings, heap);
  }
  std::unique_ptr<engine::DeltaReader> read_delta(uint32_t table) override {
    return std::make_unique<engine::DeltaReader>(unit_, table, memory_, snapshots_);
  }
  void set_sleeping(bool) override {}
  std::vector<uint32_t> verified_instructions() const override { return {}; }
  uint64_t run() const override { return snapshots_.run(); }
  void next_run() override {
    snapshots_.next_run();
    if (control(Control::kArmed) == 1) set_control(Control::kGeneration, ++runs_ & 1);
  }

 private:
  /// The task's structure and what it points to, for programs that load it directly.
  void make_task() {
    if (layout_.tgid < 0) return;
    const bpf::FakeTask& task = machine_.task;
    Bytes bytes(kTaskBytes);
    Bytes parent(kTaskBytes);
    Bytes cred(kTaskBytes);
    const auto put = [](Bytes& in, int32_t at, const auto& value) {
      if (at >= 0) std::memcpy(&in[static_cast<size_t>(at)], &value, sizeof value);
    };
    put(parent, layout_.tgid, static_cast<uint32_t>(getppid()));
    put(cred, layout_.cred_uid, task.uid);
    put(cred, layout_.cred_gid, task.gid);
    put(bytes, layout_.pid, task.tid);
    put(bytes, layout_.tgid, task.tgid);
    if (layout_.comm >= 0) {
      std::memcpy(&bytes[static_cast<size_t>(layout_.comm)], task.comm.data(),
                  std::min<size_t>(task.comm.size(), 15));
    }
    put(bytes, layout_.real_parent, machine_.add_object(parent));
    put(bytes, layout_.cred, machine_.add_object(cred));
    machine_.task.task_address = machine_.add_object(bytes);
    if (task.cpu >= current_tasks_.addresses.size()) return;
    Bytes pointer(sizeof task.task_address);
    put(pointer, 0, task.task_address);
    machine_.task.kernel_memory[current_tasks_.addresses[task.cpu]] = pointer;
  }

  int64_t control(uint32_t offset) const {
    return word_of(page().empty() ? Bytes() : Bytes(page_.begin() + offset, page_.end()));
  }
  const Bytes& page() const {
    page_ = machine_.value(unit_.control_map, Bytes(4));
    return page_;
  }
  void set_control(uint32_t offset, int64_t value) {
    page();
    std::memcpy(page_.data() + offset, &value, sizeof value);
    KTAP_CHECK(machine_.set_value(unit_.control_map, Bytes(4), page_));
  }
  /// The script's variables live in cells_ while nothing runs, in the control page else.
  void exchange_cells(bool in) {
    if (cells_.empty()) return;
    page();
    uint8_t* there = page_.data() + Control::kCells;
    const size_t bytes = cells_.size() * sizeof(int64_t);
    if (in) {
      std::memcpy(there, cells_.data(), bytes);
      KTAP_CHECK(machine_.set_value(unit_.control_map, Bytes(4), page_));
    } else {
      std::memcpy(cells_.data(), there, bytes);
    }
  }

  backend::Unit unit_;
  uint32_t cpus_;
  bpf::Machine machine_;
  MachineMemory memory_{machine_, unit_, cpus_};
  engine::Snapshots snapshots_;  ///< never armed: readers take both generations
  const Ground* ground_ = nullptr;
  Bytes* kernel_bytes_ = nullptr;  ///< registers and paths, for the helpers
  bpf::TaskLayout layout_;
  bpf::CurrentTasks current_tasks_;
  std::vector<int64_t> cells_;
  mutable Bytes page_;
  int64_t runs_ = 0;
  bool exited_ = false;
  int64_t status_ = 0;
};

}  // namespace

std::unique_ptr<JudgedEngine> make_machine_engine(const backend::Unit& unit,
                                                  const bpf::KernelFacts& facts,
                                                  const Ground& ground) {
  return std::make_unique<MachineEngine>(unit, facts, ground);
}

}  // namespace ktap::differential
