// Tables: keys on the stack or in scratch, and the four operations on the kernel's hash maps.
//
// A Delta table is two per-CPU maps; Control::kGeneration says which one is written. The generation
// is read once a run and kept, so that all that the run adds is in one snapshot. Cells are changed
// by atomic adds although they are per CPU: a program that interrupts this one may hit the same
// cell.
#include <fmt/format.h>

#include "backend/selector.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

void Selector::store_key_word(uint32_t offset, const Word& word) {
  if (key_in_scratch_) {
    move_word_to(Reg::R7, static_cast<int32_t>(homes_.scratch_temp_offset + offset), word);
  } else {
    move_word_to(Reg::R10, homes_.temp_offset + kTempKey + static_cast<int32_t>(offset), word);
  }
}

void Selector::load_key_address(Reg dst) {
  Word key{Word::Kind::Stack, 0, Reg::R0, homes_.temp_offset + kTempKey};
  if (key_in_scratch_) {
    key = Word{Word::Kind::Scratch, 0, Reg::R0, static_cast<int32_t>(homes_.scratch_temp_offset)};
  }
  load_address(dst, key);
}

bool Selector::build_key(ValueId id) {
  const Inst& of = inst(id);
  auto number = static_cast<size_t>(of.imm);
  const Table& table = unit_.unit.tables[number];
  size_t values = of.op == Op::TableMerge                          ? table.words.size()
                  : of.op == Op::TableSet || of.op == Op::TableAdd ? 1
                                                                   : 0;
  size_t parts = of.operands.size() - values;
  if (parts != table.key.size()) {
    fail(fmt::format("table {} has keys of different lengths", module_.tables[number].name));
    return false;
  }
  if (parts == 0) store_key_word(0, Word{});
  if (table.by_program) {
    store_key_word(
        table.key_size_bytes - 8,
        Word{Word::Kind::Imm, static_cast<int64_t>(unit_.unit.programs.size()), Reg::R0, 0});
  }
  for (size_t i = 0; i < parts; ++i) {
    const ssa::KeyPart& part = table.key[i];
    ValueId value = of.operands[i];
    uint32_t offset = table.part_offset_bytes[i];
    if (part.kind != ssa::KeyPart::Kind::Bytes) {
      store_key_word(offset, payload_word(value, 0, false));
      continue;
    }
    const Inst& source = inst(payload_owner(function_, value));
    bool is_literal = source.op == Op::ConstStr;
    size_t size =
        is_literal ? module_.strings[static_cast<size_t>(source.imm)].size() : source.max_bytes;
    if (size > part.max_bytes) {
      fail(fmt::format("a key of {} bytes in table {}, whose keys have {}", size,
                       module_.tables[number].name, part.max_bytes));
      return false;
    }
    for (uint32_t word = 0; word < round_up8(part.max_bytes) / 8; ++word) {
      store_key_word(offset + 8 * word, payload_word(value, word, true));
    }
  }
  return true;
}

/// Calls a map helper whose other arguments are set. Two calls for a Delta table rather than one
/// with a map in a register: the kernel can then inline either.
void Selector::call_table(Helper helper, const Table& table) {
  if (table.layout == TableLayout::Shared) {
    asm_.load_map(Reg::R1, table.maps[0]);
    return asm_.call_helper(helper);
  }
  bpf::Label other = asm_.make_label(), done = asm_.make_label();
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R10, static_cast<int16_t>(generation_offset_)));
  asm_.jump_to_if(JumpOp::Ne, Reg::R1, 0, other);
  asm_.load_map(Reg::R1, table.maps[0]);
  asm_.call_helper(helper);
  asm_.jump_to(done);
  asm_.bind(other);
  asm_.load_map(Reg::R1, table.maps[1]);
  asm_.call_helper(helper);
  asm_.bind(done);
}

void Selector::table_operation(ValueId id) {
  const Table& table = unit_.unit.tables[static_cast<size_t>(inst(id).imm)];
  if (!build_key(id)) return;
  switch (inst(id).op) {
    case Op::TableGet:
      return table_get(id, table);
    case Op::TableSet:
      return table_set(id, table);
    default:
      KTAP_CHECK(inst(id).op == Op::TableDelete && table.layout == TableLayout::Shared);
      load_key_address(Reg::R2);
      return call_table(Helper::MapDeleteElem, table);
  }
}

void Selector::table_get(ValueId id, const Table& table) {
  KTAP_CHECK(table.layout == TableLayout::Shared);
  const Home& home = homes_.homes[id.index];
  bpf::Label done = asm_.make_label();
  load_key_address(Reg::R2);
  call_table(Helper::MapLookupElem, table);
  store_word(home.tag, 0);
  store_word(home.payload, 0);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, done);
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, 0));
  store_word(home.payload, Reg::R1);
  store_word(home.tag, 1);
  asm_.bind(done);
}

void Selector::table_add(ValueId id, const Table& table) {
  ValueId addend = inst(id).operands.back();
  int32_t temp = homes_.temp_offset;
  bpf::Label miss = asm_.make_label(), done = asm_.make_label();
  auto lookup = [&] {
    load_key_address(Reg::R2);
    call_table(Helper::MapLookupElem, table);
  };
  auto add = [&] {
    asm_.emit(bpf::atomic(bpf::AtomicOp::Add, Size::DW, Reg::R0, 0, in_register(addend, Reg::R1)));
  };
  lookup();
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, miss);
  add();
  asm_.jump_to(done);
  asm_.bind(miss);
  move_word_to(Reg::R10, temp + kTempValue, payload_word(addend, 0, false));
  load_key_address(Reg::R2);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, temp + kTempValue));
  asm_.emit(bpf::mov64(Reg::R4, bpf::kUpdateNoExist));
  call_table(Helper::MapUpdateElem, table);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, done);
  // Another CPU was first with this key, or there is no room.
  lookup();
  uint32_t row = unit_.table_full_row(static_cast<uint32_t>(inst(id).imm), job_.handler,
                                      inst(id).line, inst(id).span);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, count_and_resume(row, update_done_));
  add();
  asm_.bind(done);
}

void Selector::table_set(ValueId id, const Table& table) {
  KTAP_CHECK(table.layout == TableLayout::Shared);
  int32_t value_at = homes_.temp_offset + kTempValue;
  bpf::Label done = asm_.make_label();
  move_word_to(Reg::R10, value_at, payload_word(inst(id).operands.back(), 0, false));
  load_key_address(Reg::R2);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, value_at));
  asm_.emit(bpf::mov64(Reg::R4, bpf::kUpdateAny));
  call_table(Helper::MapUpdateElem, table);
  uint32_t row = unit_.table_full_row(static_cast<uint32_t>(inst(id).imm), job_.handler,
                                      inst(id).line, inst(id).span);
  asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, count_and_resume(row, done));
  asm_.bind(done);
}

}  // namespace ktap::backend
