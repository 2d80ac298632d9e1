// Maps, keys, records and counters of a run. What is decided here is read by `engine` through Unit.
#include "backend/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backend/table_layout.h"
#include "base/check.h"
#include "base/user_stack.h"

namespace ktap::backend {
namespace {

constexpr uint32_t kIdleRingBytes = 1 << 16;  // a multiple of every machine's page
constexpr uint32_t kFailureRow = 0, kTableRow = 1, kRingRow = 2, kFollowRow = 3;
constexpr uint32_t kLoopRow = UINT32_MAX;  // of no line of a script

std::string_view site_word(ssa::SiteKind kind) {
  switch (kind) {
    case ssa::SiteKind::Print:
      return "print";
    case ssa::SiteKind::Printf:
      return "printf";
    case ssa::SiteKind::Warn:
      return "warn";
    case ssa::SiteKind::PrintHist:
      return "print_hist";
    case ssa::SiteKind::System:
      return "system";
    case ssa::SiteKind::Error:
      return "error";
    case ssa::SiteKind::Exit:
      return "exit";
    case ssa::SiteKind::Capture:
      return "handler";
  }
  return "output";
}

uint32_t raw_size(const ssa::EventGroup& group) {
  switch (group.kind) {
    case schema::EventKind::SyscallEnter:
      return 7 * 8;
    case schema::EventKind::SyscallExit:
      return 2 * 8;
    case schema::EventKind::Probe:
    case schema::EventKind::ProbeReturn:
    case schema::EventKind::Sample:
      return 8 * static_cast<uint32_t>(group.events[0]->own_fields()) +
             (raw_event_has_cookie(group) ? 8 : 0);
    case schema::EventKind::Tracepoint:
      break;
  }
  uint32_t bytes = 8;
  bool dynamic = false;
  for (const schema::EventPtr& event : group.events) {
    bytes = std::max(bytes, round_up8(event->record_size_bytes));
    for (const schema::Field& field : event->fields) dynamic = dynamic || is_dynamic(field);
  }
  return 8 + (dynamic ? std::max(bytes, kRawTracepointBytes) : bytes);
}

Counter loss(LossCause cause, uint32_t handler, std::string what, uint32_t line, diag::Span span) {
  Counter counter;
  counter.cause = cause;
  counter.handler = handler;
  counter.what = std::move(what);
  counter.line = line;
  counter.span = span;
  return counter;
}

}  // namespace

bool is_dynamic(const schema::Field& field) {
  return field.kind == schema::FieldKind::DynString || field.kind == schema::FieldKind::RelString ||
         field.c_type.find("__data_loc") != std::string::npos ||
         field.c_type.find("__rel_loc") != std::string::npos;
}

SiteLayout lay_out_site(const ssa::Site& site, const ssa::EventGroup* group,
                        const bpf::CallRegs& registers) {
  SiteLayout layout;
  uint32_t at = kRecordHeaderBytes;
  for (const ssa::SiteArg& arg : site.args) {
    layout.arg_offset_bytes.push_back(at);
    if (ssa::is_maybe(arg.type)) at += 8;
    at += arg.str_kind == ssa::StrKind::Bytes ? round_up8(arg.max_bytes) : 8;
  }
  if (site.raw == ssa::RawEvent::Record && group != nullptr) {
    layout.raw_offset_bytes = at;
    at += raw_size(*group);
  }
  if (site.copies_stack) {
    layout.stack_offset_bytes = at;
    at += kStackCopyHeaderBytes + static_cast<uint32_t>(registers.sample_offset) + kStackCopyBytes +
          kReturnProbes * kReturnProbeBytes;
  }
  layout.size_bytes = at;
  return layout;
}

UnitBuilder::UnitBuilder(const std::vector<Job>& jobs, const std::vector<uint32_t>& programs,
                         const ssa::Module& module, const bpf::KernelFacts& facts,
                         const Options& options)
    : module_(module) {
  bpf::MapSpec control;
  control.name = "control";
  control.value_size_bytes = Control::kCells + 8 * static_cast<uint32_t>(module.cells.size());
  control.mmapable = true;
  unit.control_map = 0;
  unit.maps.push_back(control);

  bpf::MapSpec ring;
  ring.name = "ring";
  ring.kind = bpf::MapKind::RingBuffer;
  ring.key_size_bytes = 0;
  ring.value_size_bytes = 0;
  // With nothing to send it is there, but takes no memory and no time worth a word.
  ring.max_entries =
      module.sites.empty() ? std::min(options.ring_bytes, kIdleRingBytes) : options.ring_bytes;
  unit.ring_map = 1;
  unit.maps.push_back(ring);

  bpf::MapSpec counters;
  counters.name = "counters";
  counters.kind = bpf::MapKind::PercpuArray;
  unit.counter_map = 2;
  unit.maps.push_back(counters);

  lay_out_tables(find_table_uses(jobs, programs, module, facts, options), module, facts, options,
                 unit);

  std::vector<const ssa::EventGroup*> group_of_site(module.sites.size(), nullptr);
  for (const Job& job : jobs) {
    for (const ssa::Block& block : job.function->blocks) {
      for (ssa::ValueId id : block.insts) {
        const ssa::Inst& inst = (*job.function)[id];
        if (inst.op == ssa::Op::Emit) group_of_site[static_cast<size_t>(inst.imm)] = job.group;
      }
    }
  }
  for (size_t i = 0; i < module.sites.size(); ++i) {
    unit.sites.push_back(lay_out_site(module.sites[i], group_of_site[i], facts.call_regs));
  }
}

uint64_t table_check(const uint64_t* key, size_t key_words, const uint64_t* value,
                     size_t value_words) {
  uint64_t check = 0;
  for (size_t i = 0; i < key_words; ++i) check = (check ^ key[i]) * kCheckFactor;
  for (size_t i = 0; i < value_words; ++i) check = (check ^ value[i]) * kCheckFactor;
  return check;
}

uint32_t UnitBuilder::torn_read_row(uint32_t table, uint32_t handler, uint32_t line,
                                    diag::Span span) {
  const Counter counter =
      loss(LossCause::TornRead, handler, module_.tables[table].name, line, span);
  return row({kTableRow + (line << 2), uint64_t{table} << 32 | uint64_t{1} << 31 | handler},
             counter);
}

uint32_t UnitBuilder::row(std::pair<uint32_t, uint64_t> key, Counter counter) {
  auto [it, is_new] = rows_.emplace(key, static_cast<uint32_t>(unit.counters.size()));
  if (is_new) unit.counters.push_back(std::move(counter));
  return it->second;
}

uint32_t UnitBuilder::failure_row(uint32_t failure, uint32_t handler) {
  KTAP_CHECK(failure < module_.failures.size());
  Counter counter;
  counter.kind = Counter::Kind::Failure;
  counter.failure = failure;
  counter.handler = handler;
  counter.line = module_.failures[failure].line;
  counter.span = module_.failures[failure].span;
  return row({kFailureRow, uint64_t{failure} << 32 | handler}, counter);
}

uint32_t UnitBuilder::loop_cut_row(uint32_t handler, uint32_t line, diag::Span span) {
  return row({kLoopRow, uint64_t{line} << 32 | handler},
             loss(LossCause::LoopCut, handler, "", line, span));
}

uint32_t UnitBuilder::table_full_row(uint32_t table, uint32_t handler, uint32_t line,
                                     diag::Span span) {
  const Counter counter =
      loss(LossCause::TableFull, handler, module_.tables[table].name, line, span);
  return row({kTableRow + (line << 2), uint64_t{table} << 32 | handler}, counter);
}

uint32_t UnitBuilder::ring_full_row(uint32_t site) {
  const ssa::Site& info = module_.sites[site];
  return row({kRingRow, site}, loss(LossCause::RingFull, info.handler,
                                    std::string(site_word(info.kind)), info.line, info.span));
}

uint32_t UnitBuilder::string_cut_row(const std::string& what, uint32_t handler, uint32_t line,
                                     diag::Span span) {
  for (uint32_t i = 0; i < unit.counters.size(); ++i) {
    const Counter& have = unit.counters[i];
    if (have.kind == Counter::Kind::Loss && have.cause == LossCause::StringCut &&
        have.handler == handler && have.line == line && have.what == what) {
      return i;
    }
  }
  unit.counters.push_back(loss(LossCause::StringCut, handler, what, line, span));
  return static_cast<uint32_t>(unit.counters.size() - 1);
}

uint32_t UnitBuilder::read_only_map() {
  if (read_only_map_ == kNoMap) {
    read_only_map_ = static_cast<uint32_t>(unit.maps.size());
    bpf::MapSpec map;
    map.name = "read_only";
    map.read_only = true;
    unit.maps.push_back(map);
  }
  return read_only_map_;
}

uint32_t UnitBuilder::add_read_only(const std::vector<uint8_t>& bytes) {
  auto same = std::search(read_only_.begin(), read_only_.end(), bytes.begin(), bytes.end());
  auto distance = static_cast<uint32_t>(same - read_only_.begin());
  if (same != read_only_.end() && distance % 8 == 0) return distance;
  auto offset = static_cast<uint32_t>(read_only_.size());
  read_only_.insert(read_only_.end(), bytes.begin(), bytes.end());
  read_only_.resize(round_up8(static_cast<uint32_t>(read_only_.size())));
  return offset;
}

uint32_t UnitBuilder::scratch_map() {
  if (scratch_map_ == kNoMap) {
    scratch_map_ = static_cast<uint32_t>(unit.maps.size());
    bpf::MapSpec map;
    map.name = "scratch";
    map.kind = bpf::MapKind::PercpuArray;
    unit.maps.push_back(map);
  }
  return scratch_map_;
}

uint32_t UnitBuilder::add_scratch(uint32_t bytes) {
  scratch_bytes_ = std::max(scratch_bytes_, bytes);
  return scratch_count_++;
}

void UnitBuilder::add_followed_map() {
  constexpr uint32_t kProcesses = 16384;  // guessed: 1 MB; more at a time are counted as lost
  bpf::MapSpec map;
  map.name = "followed";
  map.kind = bpf::MapKind::Hash;
  map.max_entries = kProcesses;
  unit.followed_map = static_cast<uint32_t>(unit.maps.size());
  unit.maps.push_back(map);
  unit.lost_children_row = row({kFollowRow, 0}, loss(LossCause::ProcessesFull, 0, "", 0, {}));
}

uint32_t UnitBuilder::processes_map() {
  constexpr uint32_t kProcesses = 16384;  // guessed
  if (processes_map_ == kNoMap) {
    processes_map_ = static_cast<uint32_t>(unit.maps.size());
    bpf::MapSpec map;
    map.name = "processes";
    map.kind = bpf::MapKind::Hash;
    map.key_size_bytes = 8;
    map.max_entries = kProcesses;
    unit.maps.push_back(map);
  }
  return processes_map_;
}

void UnitBuilder::add_cgroup_map() {
  bpf::MapSpec map;
  map.name = "cgroup";
  map.kind = bpf::MapKind::Cgroups;
  map.value_size_bytes = 4;
  unit.cgroup_map = static_cast<uint32_t>(unit.maps.size());
  unit.maps.push_back(map);
}

uint32_t UnitBuilder::add_programs_map() {
  bpf::MapSpec map;
  map.name = "programs";
  map.kind = bpf::MapKind::Programs;
  map.value_size_bytes = 4;
  unit.maps.push_back(map);
  return static_cast<uint32_t>(unit.maps.size() - 1);
}

uint32_t UnitBuilder::add_list_map(uint32_t bytes, uint32_t cpus, uint64_t limit_bytes) {
  list_bytes_ += uint64_t{bytes} * cpus;
  if (list_bytes_ > limit_bytes) return kNoMap;
  bpf::MapSpec map;
  map.name = "keys";
  map.value_size_bytes = bytes;
  map.max_entries = cpus;
  unit.maps.push_back(map);
  return static_cast<uint32_t>(unit.maps.size() - 1);
}

void UnitBuilder::finish() {
  unit.maps[unit.counter_map].max_entries =
      std::max(uint32_t{1}, static_cast<uint32_t>(unit.counters.size()));
  if (scratch_map_ != kNoMap) {
    unit.maps[scratch_map_].value_size_bytes = scratch_bytes_;
    unit.maps[scratch_map_].max_entries = std::max(uint32_t{1}, scratch_count_);
  }
  if (read_only_map_ != kNoMap) {
    unit.maps[read_only_map_].value_size_bytes = static_cast<uint32_t>(read_only_.size());
    unit.maps[read_only_map_].content = read_only_;
  }
}

}  // namespace ktap::backend
