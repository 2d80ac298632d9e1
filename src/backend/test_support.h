// For tests of `backend` alone: events and modules by hand, a direct evaluator of SSA, random
// functions, and what a run leaves behind in one form, whoever ran it (evaluator, test machine,
// kernel).
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backend/table_memory.h"
#include "backend/unit.h"
#include "bpf/interpreter.h"
#include "schema/builtin_vars.h"
#include "ssa/builder.h"

namespace ktap::backend::testing_support {

using bpf::Bytes;
using ssa::BlockId;
using ssa::Builder;
using ssa::Op;
using ssa::Type;
using ssa::ValueId;

/// What facts and the test machine call the kernel's functions bpf_iter_num_….
constexpr uint32_t kFakeIterNum = 101;
constexpr uint32_t kFakeCast = 104;
constexpr uint64_t kFakeCurrentTasks = 0xffff880000100000;  ///< a pointer to the task for each CPU

constexpr const char* kComm = "ktap_backend";

inline Bytes word(int64_t value) {
  Bytes out(8);
  std::memcpy(out.data(), &value, 8);
  return out;
}
inline int64_t as_int(const Bytes& bytes, size_t at = 0) {
  int64_t value = 0;
  if (at + 8 <= bytes.size()) std::memcpy(&value, bytes.data() + at, 8);
  return value;
}
inline Bytes padded(std::string_view text, size_t size) {
  Bytes out(size);
  std::memcpy(out.data(), text.data(), std::min(text.size(), size));
  return out;
}

inline schema::EventPtr syscall_event(schema::EventKind kind, std::string name, int64_t nr) {
  auto event = std::make_shared<schema::Event>();
  event->system = "syscalls";
  event->name = std::move(name);
  event->kind = kind;
  event->syscall_nr = nr;
  event->fields.push_back({"__syscall_nr", "int", schema::FieldKind::Int, 8, 4, true});
  if (kind == schema::EventKind::SyscallExit) {
    event->fields.push_back({"ret", "long", schema::FieldKind::Int, 16, 8, true});
  } else {
    event->fields.push_back({"fd", "int", schema::FieldKind::Int, 16, 4, true});
    event->fields.push_back({"buf", "char *", schema::FieldKind::Pointer, 24, 8, false});
    event->fields.push_back({"count", "unsigned int", schema::FieldKind::Int, 32, 4, false});
  }
  return event;
}

/// "test:event" with one field of each kind; 64 bytes, then dynamic ones.
inline schema::EventPtr record_event() {
  auto event = std::make_shared<schema::Event>();
  event->system = "sched";
  event->name = "sched_switch";
  event->tracefs_id = 321;
  event->record_size_bytes = 64;
  using schema::FieldKind;
  event->fields = {{"i8", "char", FieldKind::Int, 8, 1, true},
                   {"u8", "unsigned char", FieldKind::Int, 9, 1, false},
                   {"i16", "short", FieldKind::Int, 10, 2, true},
                   {"u32", "unsigned int", FieldKind::Int, 12, 4, false},
                   {"i32", "int", FieldKind::Int, 16, 4, true},
                   {"comm", "char[16]", FieldKind::CharArray, 20, 16, false},
                   {"loc", "__data_loc char[]", FieldKind::DynString, 36, 4, false},
                   {"p", "void *", FieldKind::Pointer, 40, 8, false},
                   {"rel", "__rel_loc char[]", FieldKind::RelString, 48, 4, false},
                   {"odd", "int", FieldKind::Int, 54, 4, true}};
  return event;
}

/// A kernel that has everything, with the fake task's layout; `numbers` gives x86-64's.
inline bpf::KernelFacts modern_facts() {
  bpf::KernelFacts facts;
  facts.has_cpu_v4 = facts.has_may_goto = facts.has_bpf_loop = facts.has_task_btf = true;
  facts.has_for_each_map_elem = true;
  facts.typed_tracepoints = {{"sys_enter", 1}, {"sys_exit", 2}};
  facts.task.pid = 16;
  facts.task.tgid = 20;
  facts.task.comm = 24;
  facts.task.real_parent = 40;
  facts.task.cred = 48;
  facts.task.cred_uid = 4;
  facts.task.cred_gid = 8;
  return facts;
}

/// The same, and where each CPU keeps the pointer to its task.
inline bpf::KernelFacts facts_with_current_tasks(uint32_t cpus = 2) {
  bpf::KernelFacts facts = modern_facts();
  for (uint32_t cpu = 0; cpu < cpus; ++cpu)
    facts.current_tasks.addresses.push_back(kFakeCurrentTasks + 8 * cpu);
  facts.current_tasks.cast = kFakeCast;
  facts.current_tasks.pointer = facts.current_tasks.task = 1;
  return facts;
}

/// A table's entries: their words by key.
using Content = std::map<Bytes, std::vector<int64_t>>;

/// Puts a table's content together from wherever parts of it lie.
struct ContentBuilder {
  explicit ContentBuilder(const Table& of) : table(of) {}
  void add(const uint8_t* key, const int64_t* words) {
    auto [at, is_new] = content.try_emplace(Bytes(key, key + table.key_size_bytes), words,
                                            words + table.words.size());
    for (size_t i = 0; i < table.words.size() && !is_new; ++i) {
      at->second[i] = merge_word(table.words[i], at->second[i], words[i]);
    }
  }
  /// A value of a hash map; of a per-CPU one, one CPU's.
  void add_value(const Bytes& key, const Bytes& value) {
    std::vector<int64_t> words(value.size() / 8);
    std::memcpy(words.data(), value.data(), value.size());
    if (!table.only_sums() && words[0] == 0) return;
    add(key.data(), words.data() + (table.has_presence ? 1 : 0));
  }
  void add_area(const TablePlace& place, uint8_t* area) {
    visit_entries(table, place, area, false,
                  [this](const uint8_t* key, const int64_t* words) { add(key, words); });
  }
  void add_shared(uint8_t* memory) {
    SharedMemory(table, memory).visit([this](const uint8_t* key, const int64_t* words) {
      add(key, words);
    });
  }
  const Table& table;
  Content content;
};

/// What a run has changed.
struct Outcome {
  std::vector<Content> tables;               ///< both generations and all CPUs as one
  std::vector<Bytes> records;                ///< without the header's cpu
  std::map<std::string, uint64_t> counters;  ///< those that are not 0
  std::vector<int64_t> cells;
  int64_t armed = 1;
  int64_t exit_status = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

inline std::string counter_name(const Counter& counter) {
  if (counter.kind == Counter::Kind::Failure) return "failure " + std::to_string(counter.failure);
  switch (counter.cause) {
    case LossCause::RingFull:
      return "ring " + counter.what;
    case LossCause::TableFull:
      return "table " + counter.what;
    case LossCause::TornRead:
      return "torn " + counter.what;
    case LossCause::LoopCut:
      return "loops";
    case LossCause::ProcessesFull:
      return "processes";
    case LossCause::StringCut:
      return "cut " + counter.what;
  }
  KTAP_UNREACHABLE();
}

/// Everything a test needs around one function.
struct Subject {
  Builder builder;
  ssa::Module module;
  ssa::EventGroup group;
  Options options;
  bpf::KernelFacts facts;
  std::vector<int64_t> cells;

  Subject() {
    options.ring_bytes = 4096;
    facts.cpu_count = 2;
    group.kind = schema::EventKind::SyscallEnter;
    group.events = {syscall_event(schema::EventKind::SyscallEnter, "sys_enter_read", 0)};
    group.name_ids = {module.intern("sys_enter_read")};
  }

  EmitResult emit_unit() {
    // A mistake of the test's own function shows as a failure too.
    std::string wrong = ssa::verify(builder.function, module);
    if (!wrong.empty()) return EmitResult{{}, {{0, "not valid SSA: " + wrong}}};
    Job job{&builder.function, &group, 3, 1};
    return emit({job}, module, facts, options);
  }
  /// The first failure's text, or "".
  std::string refusal() {
    auto result = emit_unit();
    return result.failures.empty() ? "" : result.failures[0].text;
  }
  uint32_t add_table(std::vector<ssa::KeyPart> key, bool is_shared, uint32_t entries = 64) {
    ssa::TableInfo info;
    info.name = "t" + std::to_string(module.tables.size());
    info.key = std::move(key);
    info.max_entries = entries;
    info.is_added = true;
    info.is_read = info.is_set = info.is_deleted = is_shared;
    module.tables.push_back(info);
    return static_cast<uint32_t>(module.tables.size() - 1);
  }
  uint32_t add_site(std::vector<ssa::SiteArg> args, ssa::RawEvent raw = ssa::RawEvent::None) {
    ssa::Site site;
    site.kind = ssa::SiteKind::Printf;
    site.args = std::move(args);
    site.raw = raw;
    site.line = 7;
    module.sites.push_back(site);
    return static_cast<uint32_t>(module.sites.size() - 1);
  }
};

/// The test machine with the unit's maps, armed, cells set.
class FakeKernel {
 public:
  FakeKernel(const Unit& unit, const std::vector<int64_t>& cells, uint32_t cpus = 2)
      : machine(unit.maps, cpus), unit_(unit), cpus_(cpus) {
    machine.task.comm = kComm;
    make_task();
    machine.iter_num_new = kFakeIterNum;
    machine.iter_num_next = kFakeIterNum + 1;
    machine.iter_num_destroy = kFakeIterNum + 2;
    machine.rdonly_cast = kFakeCast;
    set_control(Control::kArmed, 1);
    for (size_t i = 0; i < cells.size(); ++i) {
      set_control(Control::kCells + 8 * static_cast<uint32_t>(i), cells[i]);
    }
  }
  /// The task's structure as modern_facts() lays it out, from machine.task; its parent's tgid is 7.
  void make_task() {
    const bpf::FakeTask& task = machine.task;
    const auto put = [](Bytes& bytes, size_t at, const auto& value) {
      std::memcpy(&bytes[at], &value, sizeof value);
    };
    Bytes parent(64), cred(16), bytes(64);
    put(parent, 20, uint32_t{7});
    put(cred, 4, task.uid);
    put(cred, 8, task.gid);
    put(bytes, 16, task.tid);
    put(bytes, 20, task.tgid);
    std::memcpy(&bytes[24], task.comm.data(), std::min<size_t>(task.comm.size(), 15));
    put(bytes, 40, machine.add_object(parent));
    put(bytes, 48, machine.add_object(cred));
    machine.task.task_address = machine.add_object(bytes);
    Bytes pointer(8);
    put(pointer, 0, machine.task.task_address);
    machine.task.kernel_memory[kFakeCurrentTasks + 8 * machine.task.cpu] = pointer;
  }
  void set_control(uint32_t offset, int64_t value) {
    Bytes page = machine.value(unit_.control_map, Bytes(4));
    std::memcpy(page.data() + offset, &value, 8);
    machine.set_value(unit_.control_map, Bytes(4), page);
  }
  int64_t control(uint32_t offset) const {
    return as_int(machine.value(unit_.control_map, Bytes(4)), offset);
  }
  /// "" or what went wrong.
  std::string run(const Bytes& context, size_t program = 0) {
    auto result = machine.run(unit_.programs[program], context);
    return result.ok() ? "" : result.error().message;
  }
  Outcome outcome(size_t cell_count) const {
    Outcome out;
    for (size_t i = 0; i < unit_.tables.size(); ++i) out.tables.push_back(content(i));
    for (const bpf::FakeRecord& record : machine.records()) {
      out.records.push_back(record.data);
      std::fill_n(out.records.back().begin() + 4, 4, 0);
    }
    for (size_t row = 0; row < unit_.counters.size(); ++row) {
      uint64_t sum = 0;
      Bytes key(4);
      key[0] = static_cast<uint8_t>(row);
      for (uint32_t cpu = 0; cpu < cpus_; ++cpu) {
        sum += static_cast<uint64_t>(as_int(machine.value(unit_.counter_map, key, cpu)));
      }
      if (sum != 0) out.counters[counter_name(unit_.counters[row])] += sum;
    }
    for (size_t i = 0; i < cell_count; ++i) {
      out.cells.push_back(control(Control::kCells + 8 * static_cast<uint32_t>(i)));
    }
    out.armed = control(Control::kArmed);
    out.exit_status = control(Control::kExitStatus);
    return out;
  }
  /// Both generations and all CPUs as one.
  Content content(size_t table_index) const {
    const Table& table = unit_.tables[table_index];
    ContentBuilder out(table);
    if (table.layout == TableLayout::Shared || table.layout == TableLayout::ByThread) {
      Bytes memory = machine.value(table.maps[0], Bytes(4));
      out.add_shared(memory.data());
      return out.content;
    }
    for (uint32_t map : table.maps) {
      uint32_t copies = table.layout == TableLayout::Hash ? 1 : cpus_;
      for (const Bytes& key : machine.keys(map)) {
        for (uint32_t cpu = 0; cpu < copies; ++cpu) {
          out.add_value(key, machine.value(map, key, cpu));
        }
      }
    }
    for (const TablePlace& place : table.places) {
      const ProgramMemory& memory = unit_.memories[place.memory];
      const bpf::MapSpec& spec = unit_.maps[memory.map];
      for (uint32_t entry = 0; entry < spec.max_entries; ++entry) {
        Bytes key(4);
        std::memcpy(key.data(), &entry, 4);
        Bytes bytes = machine.value(memory.map, key);
        for (size_t at = 0; at < spec.value_size_bytes; at += memory.area_bytes) {
          out.add_area(place, &bytes[at]);
        }
      }
    }
    return out.content;
  }
  bpf::Machine machine;

 private:
  const Unit& unit_;
  uint32_t cpus_;
};

inline Bytes context_of(std::vector<uint64_t> words) {
  Bytes out(words.size() * 8);
  std::memcpy(out.data(), words.data(), out.size());
  return out;
}

}  // namespace ktap::backend::testing_support
