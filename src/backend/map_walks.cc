// Loops over tables in the kernel's hash maps, which have no entries by number. A walk begins with
// bpf_for_each_map_elem(): it calls a function for each entry, which notes the key in a list. The
// loop then goes through the list and looks each key up: what its body has removed it does not
// meet, what the body has changed it meets as it is then, as the language wants it.
//
// A list is memory of one program on one CPU, for one walk: walks inside of each other have lists
// of their own. A program never runs inside itself, so that nothing else writes there. The key of
// an entry that other CPUs remove and store again meanwhile may stand there twice, or not at all.
#include <fmt/format.h>

#include <algorithm>

#include "backend/selector.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

namespace {

// A list: how many keys it has, then the keys.
constexpr int16_t kCount = 0, kKeys = 8;

}  // namespace

void Selector::need_of_walk(const Inst& of) {
  const Table& table = unit_.unit.tables[static_cast<size_t>(of.imm)];
  if (table.layout != TableLayout::Hash) return;
  const std::string& name = module_.tables[static_cast<size_t>(of.imm)].name;
  if (!facts_.has_for_each_map_elem) {
    return fail(
        fmt::format("a loop over table {}: this kernel lets no program go through its hash "
                    "maps, where the table lies ({})",
                    name, table.reason));
  }
  if (table.key_size_bytes > kMaxKeyBytes) {
    return fail(fmt::format("a key of {} bytes in table {}; at most {} fit", table.key_size_bytes,
                            name, kMaxKeyBytes));
  }
  need_of_map(table);
  if (of.op != Op::TableWalk) return;
  needs_.calls_back = true;
  const uint64_t bytes = kKeys + uint64_t{table.max_entries} * table.key_size_bytes;
  if (bytes > kMaxListBytes) {
    return fail(fmt::format("a loop over table {}: its keys may take {} MB, {} are there", name,
                            bytes >> 20, kMaxListBytes >> 20));
  }
  uint32_t& size = lists_[inst(of.operands[0]).imm].size_bytes;
  size = std::max(size, static_cast<uint32_t>(bytes));
}

void Selector::place_walks() {
  for (auto& entry : lists_) {
    entry.second.offset_bytes = walk_bytes_;
    walk_bytes_ += entry.second.size_bytes;
  }
}

/// Finds this program's lists on this CPU, once for all walks.
void Selector::enter_walks() {
  const bool is_one = options_.cpu >= 0;
  const uint32_t cpus = is_one ? 1 : facts_.cpu_count;
  if (frame_.walk_map == Unit::kNoMap) {
    frame_.walk_map = unit_.add_list_map(frame_.walk_bytes, cpus, options_.max_table_bytes);
  }
  if (frame_.walk_map == Unit::kNoMap) {
    return fail(fmt::format("loops over tables whose keys take too much memory: {} KB on each CPU",
                            frame_.walk_bytes >> 10));
  }
  if (is_one) {
    asm_.load_map_value(Reg::R0, frame_.walk_map, 0);
  } else {
    asm_.call_helper(Helper::GetSmpProcessorId);
    asm_.emit(bpf::store(Size::W, Reg::R10, static_cast<int16_t>(homes_.temp_offset), Reg::R0));
    asm_.load_map(Reg::R1, frame_.walk_map);
    asm_.emit(bpf::mov64(Reg::R2, Reg::R10));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, homes_.temp_offset));
    asm_.call_helper(Helper::MapLookupElem);  // of an array: the kernel inlines it
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, out_);
  }
  asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(lists_offset_), Reg::R0));
}

/// reg = the list of the walk that the operation is part of.
void Selector::load_list(Reg reg, const Inst& of) {
  const uint32_t offset = lists_.at(inst(of.operands[0]).imm).offset_bytes;
  asm_.emit(bpf::load(Size::DW, reg, Reg::R10, static_cast<int16_t>(lists_offset_)));
  if (offset != 0) asm_.emit(bpf::alu64(AluOp::Add, reg, static_cast<int32_t>(offset)));
}

void Selector::begin_map_walk(ValueId id, const Table& table) {
  const auto number = static_cast<uint32_t>(inst(id).imm);
  if (collectors_.count(number) == 0) collectors_[number] = asm_.make_label();
  const auto temp = static_cast<int16_t>(homes_.temp_offset);
  const bpf::Label listed = asm_.make_label();
  load_list(Reg::R1, inst(id));
  asm_.emit(bpf::store(Size::DW, Reg::R1, kCount, 0));
  if (table.is_counted) {  // the kernel looks at each place where an entry can be
    load_count(Reg::R2, table);
    asm_.jump_to_if(JumpOp::Eq, Reg::R2, 0, listed);
  }
  asm_.emit(bpf::store(Size::DW, Reg::R10, temp, Reg::R1));
  asm_.load_map(Reg::R1, table.maps[0]);
  asm_.load_function(Reg::R2, collectors_[number]);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, temp));
  asm_.emit(bpf::mov64(Reg::R4, 0));
  asm_.call_helper(Helper::ForEachMapElem);
  asm_.bind(listed);
  load_list(Reg::R1, inst(id));
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R1, kCount));
  store_result(id, Reg::R1);
}

/// What is called for each entry: R2 is its key, R4 leads to the address of the list.
void Selector::write_collector(const Table& table) {
  const bpf::Label full = asm_.make_label();
  asm_.emit(bpf::load(Size::DW, Reg::R5, Reg::R4, 0));
  asm_.emit(bpf::load(Size::DW, Reg::R0, Reg::R5, kCount));
  asm_.jump_to_if(JumpOp::Ge, Reg::R0, static_cast<int32_t>(table.max_entries), full);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R0));
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R3, static_cast<int32_t>(table.key_size_bytes)));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R5));
  for (uint32_t word = 0; word < table.key_words(); ++word) {
    const auto at = static_cast<int16_t>(8 * word);
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R2, at));
    asm_.emit(bpf::store(Size::DW, Reg::R3, static_cast<int16_t>(kKeys + at), Reg::R1));
  }
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R0, 1));
  asm_.emit(bpf::store(Size::DW, Reg::R5, kCount, Reg::R0));
  asm_.emit(bpf::mov64(Reg::R0, bpf::kLoopGoesOn));
  asm_.emit(bpf::exit_insn());
  asm_.bind(full);  // others have stored and removed meanwhile
  asm_.emit(bpf::mov64(Reg::R0, bpf::kLoopEnds));
  asm_.emit(bpf::exit_insn());
}

/// The value under key number R1 of the list, or a part of that key.
void Selector::map_entry(ValueId id, const Table& table) {
  asm_.emit(bpf::mov64(Reg::R3, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R3, static_cast<int32_t>(table.key_size_bytes)));
  load_list(Reg::R0, inst(id));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R0));
  const auto load_word_at = [&](uint32_t offset) {
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R3, static_cast<int16_t>(kKeys + offset)));
  };
  if (inst(id).op == Op::TableSlot) {
    for (uint32_t word = 0; word < table.key_words(); ++word) {
      load_word_at(8 * word);
      store_key_word(8 * word, Word{Word::Kind::Reg, 0, Reg::R1, 0});
    }
    return table_get(id, table);
  }
  const uint32_t offset =
      table.part_offset_bytes[static_cast<size_t>(inst(inst(id).operands[2]).imm)];
  const uint32_t words = homes_.homes[id.index].words;
  for (uint32_t word = 0; word < words; ++word) {
    load_word_at(offset + 8 * word);
    store_word(home_word(id, word), Reg::R1);
  }
}

}  // namespace ktap::backend
