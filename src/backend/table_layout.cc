// See table_layout.h.
#include "backend/table_layout.h"

#include "backend/table_size.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/layout.h"
#include "base/check.h"
#include "base/limits.h"

namespace ktap::backend {

namespace {

/// The kernel's bound for the value of an array before 5.1x: what kmalloc gives at most.
constexpr uint64_t kMaxAreaBytes = 4 << 20;
/// 2^32 slots would be too many for every index here.
constexpr uint32_t kMinSlotBits = 3, kMaxSlotBits = 24;

class Layouter {
 public:
  Layouter(const std::vector<TableUse>& uses, const ssa::Module& module,
           const bpf::KernelFacts& facts, const Options& options, Unit& unit)
      : uses_(uses),
        module_(module),
        facts_(facts),
        options_(options),
        unit_(unit),
        areas_(options.cpu >= 0 ? 2 : 2 * facts.cpu_count) {}

  void run() {
    for (size_t i = 0; i < uses_.size(); ++i) {
      Table table = shape(module_.tables[i]);
      choose(table, uses_[i], module_.tables[i]);
      unit_.tables.push_back(std::move(table));
    }
    for (size_t i = 0; i < uses_.size(); ++i) place(unit_.tables[i], uses_[i], i);
    make_memories();
  }

 private:
  Table shape(const ssa::TableInfo& info) const {
    Table table;
    table.key = info.key;
    table.words = info.words;
    uint32_t at = 0;
    for (const ssa::KeyPart& part : info.key) {
      table.part_offset_bytes.push_back(at);
      at += part.is_bytes() ? round_up8(part.max_bytes) : 8;
    }
    table.key_size_bytes = std::max(at, uint32_t{8});
    table.value = info.value;
    if (info.value.is_bytes() && info.value.max_bytes > 8)
      table.value_size_bytes = round_up8(info.value.max_bytes) + 8;
    table.max_entries = table_entries(info, options_);
    return table;
  }

  void choose(Table& table, const TableUse& use, const ssa::TableInfo& info) {
    table.writers.assign(use.programs.begin(), use.programs.end());
    if (!is_only_added(use, info)) return choose_master(table, use, info);
    table.has_presence = !use.first_word_is_positive;
    if (!facts_.has_mapped_tables) {
      return fall_back(table, "this kernel has no tables in mapped memory");
    }
    if (use.is_used && choose_direct(table, use)) return;
    choose_per_cpu(table, use);
  }

  /// By what the code does; lowering's word is taken for a table that no code works on any more.
  static bool is_only_added(const TableUse& use, const ssa::TableInfo& info) {
    if (info.is_variable || info.value.kind != ssa::KeyPart::Kind::Int) return false;
    if (use.is_measured || use.is_emptied) return false;
    if (!use.is_used) {
      return info.is_added && !info.is_read && !info.is_set && !info.is_deleted &&
             !info.is_combined;
    }
    return !use.is_read && !use.is_set && !use.is_deleted && !use.is_combined() && !use.is_walked;
  }

  static bool is_changed_outside(const ssa::TableInfo& info) {
    return info.is_removed_outside || info.is_stored_outside;
  }

  /// What several do to an entry is the same in any order, and can be undone.
  static bool has_one_change(const TableUse& use) {
    return !use.is_raised && int{use.is_added} + int{use.is_masked} + int{use.is_toggled} == 1;
  }

  void choose_master(Table& table, const TableUse& use, const ssa::TableInfo& info) {
    std::string how;
    const auto say = [&](bool does, std::string_view word) {
      if (does) how += fmt::format("{}{} it", how.empty() ? "" : " and ", word);
    };
    // A walk over an empty table then takes no time. Where user space takes entries, counting wants
    // an exchange, and a walk is not worth being without.
    table.is_counted = use.is_measured || use.is_emptied ||
                       (use.is_walked && (facts_.has_fetch_atomics || !is_changed_outside(info)));
    say(use.is_read, "read");
    say(use.is_set, "set");
    say(use.is_masked || use.is_toggled, "combine bits in");
    say(use.is_raised, "raise");
    say(use.is_deleted, "remove from");
    say(use.is_walked, "go through");
    say(use.is_measured, "ask for the length of");
    say(use.is_emptied, "empty");
    table.layout = TableLayout::Hash;
    table.is_taken = is_changed_outside(info) && has_one_change(use) && !use.is_set &&
                     !use.is_deleted && !use.is_emptied && !info.is_variable &&
                     !(use.is_combined() && table.is_counted) &&
                     info.value.kind == ssa::KeyPart::Kind::Int && table.words.size() == 1;
    if (use.is_masked) table.taken_by = Table::TakenBy::Mask;
    if (use.is_toggled) table.taken_by = Table::TakenBy::Toggle;
    table.adds_positive = table.is_taken && use.is_added && use.first_word_is_positive;
    table.reason = fmt::format("handlers {}", how);
    if (use.grows_in_walk) table.reason += ", and add to it as they go through it";
    if (use.is_combined() || info.is_combined || use.is_emptied || use.grows_in_walk) return;
    const std::string why_not = refuses_own_memory(table, info);
    if (!why_not.empty()) {
      table.reason += ", " + why_not;
    } else if (use.is_used && use.by_thread && use.only_system_calls &&
               !((use.is_walked || use.is_measured) && info.has_no_tid)) {  // they see those too
      table.reason = "every key is the thread that runs";
      choose_slots(table, TableLayout::ByThread);
    } else if (use.is_deleted) {
      table.reason += ", not each its own thread's entry alone";
    } else if (use.is_used && !use.is_walked && !use.is_measured &&
               choose_direct_master(table, use)) {
      table.reason += fmt::format(", {} possible keys", table.direct_entries());
    } else if (table.key.size() == 1 && !table.key[0].is_bytes()) {
      choose_slots(table, TableLayout::Shared);
    }
  }

  /// Why only a map of the kernel can hold it; "" when memory of our own may do.
  std::string refuses_own_memory(const Table& table, const ssa::TableInfo& info) const {
    if (info.is_variable) return "and it is a variable";
    if (table.value.kind == ssa::KeyPart::Kind::Bool) return "and its values are booleans";
    if (table.value.kind == ssa::KeyPart::Kind::Stack) return "and its values are stacks";
    if (table.value.kind == ssa::KeyPart::Kind::Union) return "and its values are of several kinds";
    if (table.value.is_bytes() || table.value.kind == ssa::KeyPart::Kind::StrId)
      return "and its values are strings";
    if (!facts_.has_mapped_tables) return "and this kernel has no tables in mapped memory";
    if (!facts_.has_fetch_atomics) return "and this kernel has no compare-and-exchange";
    if (info.is_stored_outside) return "and a timer stores entries meanwhile";
    if (info.is_removed_outside) return "and entries are removed in user space meanwhile";
    return table.words.size() == 1 ? "" : "and its entries have several words";
  }

  bool choose_direct_master(Table& table, const TableUse& use) {
    uint64_t entries = 1;
    for (size_t i = 0; i < table.key.size(); ++i) {
      if (table.key[i].is_bytes()) return false;
      const uint64_t keys = use.parts[i].size();
      if (keys > kMaxDirectEntries || (entries *= keys) > kMaxDirectEntries) return false;
    }
    table.layout = TableLayout::Shared;
    table.is_direct = true;
    table.ranges = use.parts;
    return true;
  }

  void choose_slots(Table& table, TableLayout layout) {
    table.layout = layout;
    set_slot_bits(table);
    if (kSlotsOffset + uint64_t{table.slots()} * table.slot_words() * 8 > kMaxAreaBytes) {
      table.layout = TableLayout::Hash;
      table.reason += fmt::format(", and {} entries take too much memory", table.max_entries);
    }
  }

  /// At most half of the slots are taken.
  static void set_slot_bits(Table& table) {
    table.slot_bits = kMinSlotBits;
    while (table.slot_bits < kMaxSlotBits &&
           (uint64_t{1} << table.slot_bits) < 2 * uint64_t{table.max_entries}) {
      ++table.slot_bits;
    }
  }

  void fall_back(Table& table, std::string why) const {
    table.layout = TableLayout::DeltaHash;
    table.reason = std::move(why);
    // Sums alone need nothing: 0 changes none.
    if (table.only_sums()) {
      table.has_presence = false;
    } else {
      table.copies = std::max(uint32_t{1}, static_cast<uint32_t>(table.writers.size()));
    }
  }

  bool choose_direct(Table& table, const TableUse& use) {
    uint64_t entries = 1;
    for (size_t i = 0; i < table.key.size(); ++i) {
      if (table.key[i].is_bytes()) return false;
      const uint64_t keys = use.parts[i].size();
      if (keys > kMaxDirectEntries || (entries *= keys) > kMaxDirectEntries) return false;
    }
    const uint64_t bytes = entries * table.entry_words() * 8;
    if (!has_room(bytes, use)) return false;
    table.layout = TableLayout::Direct;
    table.ranges = use.parts;
    table.reason = (entries == 1 ? std::string("one possible key")
                                 : fmt::format("{} possible keys", entries)) +
                   ", " + areas(use);
    return true;
  }

  void choose_per_cpu(Table& table, const TableUse& use) {
    if (use.programs.size() > kMaxAreaPrograms) {
      return fall_back(table, fmt::format("{} programs write it", use.programs.size()));
    }
    table.layout = TableLayout::PerCpu;  // slot_words() asks
    set_slot_bits(table);
    const uint64_t bytes = uint64_t{table.slots()} * table.slot_words() * 8;
    if (table.slot_bits == kMaxSlotBits || !has_room(bytes, use)) {
      return fall_back(table, fmt::format("{} entries on {} CPUs take too much memory",
                                          table.max_entries, areas_ / 2));
    }
    table.has_presence = false;  // a slot that is taken is there
    table.reason = areas(use);
  }

  static std::string areas(const TableUse& use) {
    std::string text = "one area a CPU";
    if (use.programs.size() > 1) text += fmt::format(", {} programs write it", use.programs.size());
    return text;
  }

  /// Reserves it.
  bool has_room(uint64_t bytes, const TableUse& use) {
    const uint64_t all = bytes * areas_ * use.programs.size();
    if (taken_bytes_ + all > options_.max_table_bytes) return false;
    for (const uint32_t program : use.programs) {
      if (area_bytes_[program] + bytes > kMaxAreaBytes) return false;
    }
    for (const uint32_t program : use.programs) area_bytes_[program] += bytes;
    taken_bytes_ += all;
    return true;
  }

  void place(Table& table, const TableUse& use, size_t number) {
    switch (table.layout) {
      case TableLayout::Direct:
      case TableLayout::PerCpu:
        return place_in_areas(table, use);
      case TableLayout::DeltaHash:
        for (uint32_t i = 0; i < 2 * table.copies; ++i) {
          table.maps.push_back(add_map(table, fmt::format("table{}_{}", number, i)));
        }
        return;
      case TableLayout::Hash:
        table.maps.push_back(add_map(table, fmt::format("table{}", number)));
        if (table.is_counted) {
          uint32_t& page_bytes = unit_.maps[unit_.control_map].value_size_bytes;
          table.count_offset_bytes = page_bytes;
          page_bytes += 8;
        }
        return;
      case TableLayout::Shared:
      case TableLayout::ByThread:
        table.maps.push_back(static_cast<uint32_t>(unit_.maps.size()));
        bpf::MapSpec map;
        map.name = fmt::format("table{}", number);
        map.value_size_bytes =
            kSlotsOffset + static_cast<uint32_t>(table.walk_slots()) * table.slot_words() * 8;
        map.mmapable = true;
        unit_.maps.push_back(map);
        return;
    }
  }

  uint32_t add_map(const Table& table, std::string name) {
    bpf::MapSpec map;
    map.name = std::move(name);
    map.kind = table.layout == TableLayout::Hash ? bpf::MapKind::Hash : bpf::MapKind::PercpuHash;
    map.key_size_bytes = table.key_size_bytes;
    map.value_size_bytes = has_check(table) ? table.value_size_bytes : 8 * table.entry_words();
    map.max_entries = table.max_entries;
    unit_.maps.push_back(map);
    return static_cast<uint32_t>(unit_.maps.size() - 1);
  }

  /// The offsets are settled by make_memories(): what stands in front must be known first.
  void place_in_areas(Table& table, const TableUse& use) {
    for (const uint32_t program : use.programs) {
      const auto next = static_cast<uint32_t>(unit_.memories.size());
      const auto [memory, is_new] = memory_of_program_.emplace(program, next);
      if (is_new) unit_.memories.emplace_back();
      table.places.push_back(TablePlace{memory->second, 0, 0});
    }
  }

  /// Counts first, then Direct tables, then slots: a reader that finds all counts 0 need not look
  /// at the slots.
  void make_memories() {
    const auto each = [&](TableLayout layout, auto&& visit) {
      for (Table& table : unit_.tables) {
        if (table.layout != layout) continue;
        for (TablePlace& place : table.places) visit(table, place, unit_.memories[place.memory]);
      }
    };
    each(TableLayout::PerCpu, [](Table&, TablePlace& place, ProgramMemory& memory) {
      place.count_offset_bytes = memory.area_bytes;
      memory.area_bytes += 8;
    });
    each(TableLayout::Direct, [](Table& table, TablePlace& place, ProgramMemory& memory) {
      place.offset_bytes = memory.area_bytes;
      memory.area_bytes += static_cast<uint32_t>(table.direct_entries() * table.entry_words() * 8);
    });
    for (ProgramMemory& memory : unit_.memories) {
      memory.area_bytes = (memory.area_bytes + 63) & ~63U;  // slots do not cross cache lines
      memory.front_bytes = memory.area_bytes;
    }
    each(TableLayout::PerCpu, [](Table& table, TablePlace& place, ProgramMemory& memory) {
      place.offset_bytes = memory.area_bytes;
      memory.area_bytes += table.slots() * table.slot_words() * 8;
    });
    for (size_t i = 0; i < unit_.memories.size(); ++i) {
      ProgramMemory& memory = unit_.memories[i];
      // Two CPUs never share a cache line.
      memory.area_bytes = (memory.area_bytes + 127) & ~127U;
      memory.map = static_cast<uint32_t>(unit_.maps.size());
      bpf::MapSpec map;
      map.name = fmt::format("areas{}", i);
      memory.areas = areas_;
      memory.is_one_value = uint64_t{memory.area_bytes} * areas_ <= facts_.max_value_bytes;
      map.value_size_bytes = memory.area_bytes * (memory.is_one_value ? areas_ : 1);
      map.max_entries = memory.is_one_value ? 1 : areas_;
      map.mmapable = true;
      unit_.maps.push_back(map);
    }
  }

  const std::vector<TableUse>& uses_;
  const ssa::Module& module_;
  const bpf::KernelFacts& facts_;
  const Options& options_;
  Unit& unit_;
  const uint32_t areas_;  // of one program: generations times CPUs
  uint64_t taken_bytes_ = 0;
  std::map<uint32_t, uint64_t> area_bytes_;         // by program
  std::map<uint32_t, uint32_t> memory_of_program_;  // index in unit.memories
};

}  // namespace

void lay_out_tables(const std::vector<TableUse>& uses, const ssa::Module& module,
                    const bpf::KernelFacts& facts, const Options& options, Unit& unit) {
  KTAP_CHECK(uses.size() == module.tables.size());
  Layouter(uses, module, facts, options, unit).run();
}

}  // namespace ktap::backend
