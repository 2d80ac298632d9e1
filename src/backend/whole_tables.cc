// The number of entries of a table, and its emptying. Tables of which a program asks for either are
// counted: in their own memory, or, of the kernel's hash maps, in the control page. Each change of
// an entry's presence is one step of the map. Of a hash map, whose entries anybody may remove, the
// count is raised by an atomic before an entry comes and lowered after one has gone: it is never 0
// while an entry is there.
//
// A hash map is emptied by bpf_for_each_map_elem(): it calls a function for each entry, which
// removes it. What other CPUs store meanwhile may stay: it came after the deletion.
#include "backend/selector.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::AtomicOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using ssa::Op;

/// An entry of a hash map came (1) or went (-1). Uses R1, R2.
void Selector::count_entry(const Table& table, int32_t by) {
  if (!table.is_counted) return;
  asm_.load_map_value(Reg::R1, unit_.unit.control_map, table.count_offset_bytes);
  asm_.emit(bpf::mov64(Reg::R2, by));
  asm_.emit(bpf::atomic(AtomicOp::Add, Size::DW, Reg::R1, 0, Reg::R2));
}

/// The same of memory of our own. Uses R4, R5.
void Selector::count_in_memory(const Table& table, int32_t by) {
  asm_.load_map_value(Reg::R4, table.maps[0], 0);
  asm_.emit(bpf::mov64(Reg::R5, by));
  asm_.emit(bpf::atomic(AtomicOp::Add, Size::DW, Reg::R4, 0, Reg::R5));
}

/// reg = how many entries a table has that is_counted.
void Selector::load_count(Reg reg, const Table& table) {
  KTAP_CHECK(table.is_counted && !table.is_direct);
  const bool is_map = table.layout == TableLayout::Hash;
  asm_.load_map_value(reg, is_map ? unit_.unit.control_map : table.maps[0],
                      table.count_offset_bytes);
  asm_.emit(bpf::load(Size::DW, reg, reg, 0));
}

void Selector::whole_table(ssa::ValueId id) {
  const auto number = static_cast<uint32_t>(inst(id).imm);
  const Table& table = unit_.unit.tables[number];
  load_count(Reg::R1, table);
  if (inst(id).op == Op::TableLength) return store_result(id, Reg::R1);
  KTAP_CHECK(table.layout == TableLayout::Hash);
  const bpf::Label done = asm_.make_label();
  if (emptiers_.count(number) == 0) emptiers_[number] = asm_.make_label();
  asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, done);
  asm_.load_map(Reg::R1, table.maps[0]);
  asm_.load_function(Reg::R2, emptiers_[number]);
  asm_.emit(bpf::mov64(Reg::R3, 0));
  asm_.emit(bpf::mov64(Reg::R4, 0));
  asm_.call_helper(Helper::ForEachMapElem);
  asm_.bind(done);
}

/// They get the map in R1, the key's address in R2, what the caller gave in R4.
void Selector::callbacks() {
  for (const auto& [number, label] : emptiers_) {
    const bpf::Label gone = asm_.make_label();
    asm_.set_owner(bpf::kNoHandler, 0);
    asm_.set_line(0);
    asm_.begin_callback(label);
    asm_.call_helper(Helper::MapDeleteElem);
    asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, gone);
    count_entry(unit_.unit.tables[number], -1);
    asm_.bind(gone);
    asm_.emit(bpf::mov64(Reg::R0, bpf::kLoopGoesOn));
    asm_.emit(bpf::exit_insn());
  }
  for (const auto& [number, label] : collectors_) {
    asm_.set_owner(bpf::kNoHandler, 0);
    asm_.set_line(0);
    asm_.begin_callback(label);
    write_collector(unit_.unit.tables[number]);
  }
}

}  // namespace ktap::backend
