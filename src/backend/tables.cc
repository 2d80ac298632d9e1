// Tables in the kernel's hash maps: keys on the stack or in scratch, and the operations. What is
// kept in the program's own memory is written by areas.cc.
//
// A DeltaHash table is two per-CPU maps; Control::kGeneration says which one is written. The
// generation is read once an operation and kept, so that all steps meet the same map. Sums are
// changed by atomic adds although they are per CPU: a program that interrupts this one may hit the
// same entry. Entries that are more than sums have one writer each (Table.copies).
#include <fmt/format.h>

#include <algorithm>

#include "backend/selector.h"
#include "backend/table_facts.h"
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
    move_word_to(Reg::R10, temp_key() + static_cast<int32_t>(offset), word);
  }
}

void Selector::load_key_address(Reg dst) {
  Word key{Word::Kind::Stack, 0, Reg::R0, temp_key()};
  if (key_in_scratch_) {
    key = Word{Word::Kind::Scratch, 0, Reg::R0, static_cast<int32_t>(homes_.scratch_temp_offset)};
  }
  load_address(dst, key);
}

/// That the operands make a key of the table.
bool Selector::check_key(ValueId id) {
  const Inst& of = inst(id);
  auto number = static_cast<size_t>(of.imm);
  const Table& table = unit_.unit.tables[number];
  size_t parts = of.operands.size() - value_operands(of, module_.tables[number]);
  if (parts != table.key.size()) {
    fail(fmt::format("table {} has keys of different lengths", module_.tables[number].name));
    return false;
  }
  for (size_t i = 0; i < parts; ++i) {
    const ssa::KeyPart& part = table.key[i];
    if (part.kind != ssa::KeyPart::Kind::Bytes) continue;
    const Inst& source = inst(payload_owner(function_, of.operands[i]));
    bool is_literal = source.op == Op::ConstStr;
    size_t size =
        is_literal ? module_.strings[static_cast<size_t>(source.imm)].size() : source.max_bytes;
    if (size > part.max_bytes) {
      fail(fmt::format("a key of {} bytes in table {}, whose keys have {}", size,
                       module_.tables[number].name, part.max_bytes));
      return false;
    }
  }
  return true;
}

/// Word `index` of the key that the operation's operands make.
Word Selector::key_word(ValueId id, const Table& table, uint32_t index) {
  if (table.key.empty()) return Word{};
  size_t part = 0;
  while (part + 1 < table.key.size() && table.part_offset_bytes[part + 1] <= 8 * index) ++part;
  uint32_t word = index - table.part_offset_bytes[part] / 8;
  bool as_bytes = table.key[part].kind == ssa::KeyPart::Kind::Bytes;
  return payload_word(inst(id).operands[part], word, as_bytes);
}

void Selector::build_key(ValueId id) {
  const Table& table = unit_.unit.tables[static_cast<size_t>(inst(id).imm)];
  for (uint32_t i = 0; i < table.key_words(); ++i) {
    store_key_word(8 * i, key_word(id, table, i));
  }
}

/// This program's place in Table.writers.
size_t Selector::writer_number(const Table& table) const {
  auto at = std::lower_bound(table.writers.begin(), table.writers.end(), program_);
  KTAP_CHECK(at != table.writers.end() && *at == program_);
  return static_cast<size_t>(at - table.writers.begin());
}

uint32_t Selector::full_row(ValueId id) {
  return unit_.table_full_row(static_cast<uint32_t>(inst(id).imm), job_.handler, inst(id).line,
                              inst(id).span);
}

/// Calls a map helper whose other arguments are set. Two calls for a DeltaHash table rather than
/// one with a map in a register: the kernel can then inline either.
void Selector::call_table(Helper helper, const Table& table) {
  if (table.layout == TableLayout::Hash) {
    asm_.load_map(Reg::R1, table.maps[0]);
    return asm_.call_helper(helper);
  }
  size_t first = table.copies == 1 ? 0 : 2 * writer_number(table);
  bpf::Label other = asm_.make_label(), done = asm_.make_label();
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R10, static_cast<int16_t>(temp_generation())));
  asm_.jump_to_if(JumpOp::Ne, Reg::R1, 0, other);
  asm_.load_map(Reg::R1, table.maps[first]);
  asm_.call_helper(helper);
  asm_.jump_to(done);
  asm_.bind(other);
  asm_.load_map(Reg::R1, table.maps[first + 1]);
  asm_.call_helper(helper);
  asm_.bind(done);
}

void Selector::table_operation(ValueId id) {
  const Table& table = unit_.unit.tables[static_cast<size_t>(inst(id).imm)];
  if (!check_key(id)) return;
  if (table.layout == TableLayout::Direct) return direct_add(id, table);
  if (table.layout == TableLayout::PerCpu) return per_cpu_add(id, table);
  build_key(id);
  switch (inst(id).op) {
    case Op::TableGet:
      return table_get(id, table);
    case Op::TableAdd:
    case Op::TableMerge:
      return table_add(id, table);
    case Op::TableSet:
      return table_set(id, table);
    default:
      KTAP_CHECK(inst(id).op == Op::TableDelete && table.layout == TableLayout::Hash);
      load_key_address(Reg::R2);
      return call_table(Helper::MapDeleteElem, table);
  }
}

void Selector::table_get(ValueId id, const Table& table) {
  KTAP_CHECK(table.layout == TableLayout::Hash);
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

/// The entry at R0 takes the operation's values.
void Selector::merge_into_value(ValueId id, const Table& table) {
  if (!table.only_sums()) return merge_words(id, table, Reg::R0, 0);
  size_t first = inst(id).operands.size() - table.words.size();
  for (size_t i = 0; i < table.words.size(); ++i) {
    Reg value = in_register(inst(id).operands[first + i], Reg::R1);
    asm_.emit(
        bpf::atomic(bpf::AtomicOp::Add, Size::DW, Reg::R0, static_cast<int16_t>(8 * i), value));
  }
}

/// The operation's values as a new entry, on the temporary stack.
void Selector::first_value(ValueId id, const Table& table) {
  size_t first = inst(id).operands.size() - table.words.size();
  int32_t at = temp_value();
  if (table.has_presence) {
    move_word_to(Reg::R10, at, Word{Word::Kind::Imm, 1, Reg::R0, 0});
    at += 8;
  }
  for (size_t i = 0; i < table.words.size(); ++i) {
    move_word_to(Reg::R10, at + 8 * static_cast<int32_t>(i),
                 payload_word(inst(id).operands[first + i], 0, false));
  }
}

void Selector::table_add(ValueId id, const Table& table) {
  bpf::Label miss = asm_.make_label(), done = asm_.make_label();
  auto lookup = [&] {
    load_key_address(Reg::R2);
    call_table(Helper::MapLookupElem, table);
  };
  if (table.layout == TableLayout::DeltaHash) {
    asm_.load_map_value(Reg::R1, unit_.unit.control_map, Control::kGeneration);
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R1, 0));
    asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(temp_generation()), Reg::R1));
  }
  lookup();
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, miss);
  merge_into_value(id, table);
  asm_.jump_to(done);
  asm_.bind(miss);
  first_value(id, table);
  load_key_address(Reg::R2);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, temp_value()));
  asm_.emit(bpf::mov64(Reg::R4, bpf::kUpdateNoExist));
  call_table(Helper::MapUpdateElem, table);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, done);
  // Another CPU was first with this key, or there is no room.
  lookup();
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, count_and_resume(full_row(id), done));
  merge_into_value(id, table);
  asm_.bind(done);
}

void Selector::table_set(ValueId id, const Table& table) {
  KTAP_CHECK(table.layout == TableLayout::Hash);
  bpf::Label done = asm_.make_label();
  move_word_to(Reg::R10, temp_value(), payload_word(inst(id).operands.back(), 0, false));
  load_key_address(Reg::R2);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, temp_value()));
  asm_.emit(bpf::mov64(Reg::R4, bpf::kUpdateAny));
  call_table(Helper::MapUpdateElem, table);
  asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, count_and_resume(full_row(id), done));
  asm_.bind(done);
}

}  // namespace ktap::backend
