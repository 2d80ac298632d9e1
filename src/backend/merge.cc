// TableMerge: several words of one entry change at once, each in its own way. On a Delta table a
// new key's values are 0 on the other CPUs: where there are extremes, the first word tells such a
// value from one that was updated.
//
// Words that are added to need atomic adds once several programs write the table: one may interrupt
// the other on a CPU. An extreme cannot be kept so (5.8 has no atomic that compares), so there each
// program has entries of its own: the table's key ends with the program's number, and user space
// merges them like those of CPUs.
#include <algorithm>

#include "backend/selector.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::MergeOp;
using ssa::Op;
using ssa::ValueId;

void Selector::update_table(ValueId id) {
  const Table& table = unit_.unit.tables[static_cast<size_t>(inst(id).imm)];
  begin_update(id);
  if (!build_key(id)) return;
  if (inst(id).op == Op::TableAdd) {
    table_add(id, table);
  } else {
    table_merge(id, table);
  }
  end_update(id);
}

void Selector::table_merge(ValueId id, const Table& table) {
  KTAP_CHECK(table.layout == TableLayout::Delta);
  bpf::Label miss = asm_.make_label(), done = asm_.make_label();
  const auto look_up = [&] {
    load_key_address(Reg::R2);
    call_table(Helper::MapLookupElem, table);
  };
  const bool has_extremes = std::any_of(table.words.begin(), table.words.end(),
                                        [](MergeOp op) { return op != MergeOp::Add; });
  look_up();
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, miss);
  if (has_extremes) {
    bpf::Label old = asm_.make_label();
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, 0));
    asm_.jump_to_if(JumpOp::Ne, Reg::R1, 0, old);
    store_words(id, table, Reg::R0, 0);
    asm_.jump_to(done);
    asm_.bind(old);
  }
  merge_words(id, table);
  asm_.jump_to(done);
  asm_.bind(miss);
  store_words(id, table, Reg::R10, merge_offset_);
  load_key_address(Reg::R2);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, merge_offset_));
  asm_.emit(bpf::mov64(Reg::R4, bpf::kUpdateNoExist));
  call_table(Helper::MapUpdateElem, table);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, done);
  look_up();
  const uint32_t row = unit_.table_full_row(static_cast<uint32_t>(inst(id).imm), job_.handler,
                                            inst(id).line, inst(id).span);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, count_and_resume(row, update_done_));
  // Another CPU made the entry just now: this one's value in it is still untouched.
  if (has_extremes) {
    store_words(id, table, Reg::R0, 0);
  } else {
    merge_words(id, table);
  }
  asm_.bind(done);
}

/// The entry's first value on this CPU. Uses R1.
void Selector::store_words(ValueId id, const Table& table, Reg base, int32_t offset) {
  const size_t keys = table.key.size();
  for (size_t i = 0; i < table.words.size(); ++i) {
    move_word_to(base, offset + 8 * static_cast<int32_t>(i),
                 payload_word(inst(id).operands[keys + i], 0, false));
  }
}

/// R0: the value. Uses R1 and R2.
void Selector::merge_words(ValueId id, const Table& table) {
  const size_t keys = table.key.size();
  for (size_t i = 0; i < table.words.size(); ++i) {
    const ValueId operand = inst(id).operands[keys + i];
    const auto at = static_cast<int16_t>(8 * i);
    if (table.has_rivals) {
      KTAP_CHECK(table.words[i] == MergeOp::Add);
      const Reg addend = in_register(operand, Reg::R2);
      asm_.emit(bpf::atomic(bpf::AtomicOp::Add, Size::DW, Reg::R0, at, addend));
      continue;
    }
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, at));
    if (table.words[i] != MergeOp::Add) {
      bpf::Label keep = asm_.make_label();
      const Reg value = in_register(operand, Reg::R2);
      asm_.jump_to_if(table.words[i] == MergeOp::Max ? JumpOp::SGe : JumpOp::SLe, Reg::R1, value,
                      keep);
      asm_.emit(bpf::store(Size::DW, Reg::R0, at, value));
      asm_.bind(keep);
      continue;
    }
    int32_t imm = 0;
    if (small_constant(operand, &imm)) {
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, imm));
    } else {
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, in_register(operand, Reg::R2)));
    }
    asm_.emit(bpf::store(Size::DW, Reg::R0, at, Reg::R1));
  }
}

}  // namespace ktap::backend
