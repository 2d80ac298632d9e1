// Tables in the program's own memory, one area a generation and CPU: Direct and PerCpu. Everything
// is a plain load or store, as a program never runs inside itself. What is rarely run (a key that
// is not in its first slot, a new one, a full table) stands behind the program's end.
//
// PerCpu hashes by Fibonacci (Knuth 6.4): words are folded into a product with 2^64 / phi, the
// upper bits are the slot. Of one word the product is a bijection, so that it is the key itself:
// slots then hold it alone; only key 0, whose product is 0 like a free slot's tag, has a slot of
// its own.
#include <algorithm>

#include "backend/selector.h"
#include "backend/table_facts.h"
#include "base/check.h"
#include "ssa/dominators.h"
#include "ssa/op_info.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using ssa::BlockId;
using ssa::Inst;
using ssa::MergeOp;
using ssa::ValueId;

namespace {

/// Longer keys are looked at only where the tag fits.
constexpr uint32_t kWordsComparedAtOnce = 4;
/// Displacements of loads and stores have 16 bits.
constexpr int32_t kReach = 32767;

BlockId common_dominator(const ssa::Dominators& dominators, BlockId a, BlockId b) {
  while (!dominators.dominates(a, b)) a = dominators.immediate(a);
  return a;
}

void multiply(bpf::Assembler& code, bpf::Reg reg, uint32_t factor) {
  if (factor == 1) return;
  if ((factor & (factor - 1)) == 0) {
    code.emit(bpf::alu64(AluOp::Lsh, reg, __builtin_ctz(factor)));
  } else {
    code.emit(bpf::alu64(AluOp::Mul, reg, static_cast<int32_t>(factor)));
  }
}

}  // namespace

// ---- the area of this run
// ------------------------------------------------------------------------

bool Selector::is_in_areas(const Inst& of) const {
  if (!ssa::is_table_op(of.op)) return false;
  return has_areas(unit_.unit.tables[static_cast<size_t>(of.imm)].layout);
}

/// Where the area's address is found: once, on the way to all operations and outside of loops.
void Selector::find_area_use() {
  if (!has_areas_) return;
  ssa::Dominators dominators(function_);
  BlockId block;
  size_t uses = 0;
  bool compares = false;  // keys of several words: the register is wanted otherwise
  for (BlockId b : order_.blocks) {
    for (ValueId id : function_.blocks[b.index].insts) {
      if (!is_in_areas(inst(id))) continue;
      ++uses;
      const Table& table = unit_.unit.tables[static_cast<size_t>(inst(id).imm)];
      compares |= table.layout == TableLayout::PerCpu && table.key_words() > 1;
      block = block.valid() ? common_dominator(dominators, block, b) : b;
    }
  }
  const auto is_in_loop = [this](BlockId b) { return loops_.of_block[b.index] >= 0; };
  keeps_area_ = uses > 1 || is_in_loop(block) || compares;
  if (!keeps_area_) return;
  while (is_in_loop(block)) block = dominators.immediate(block);
  const auto& insts = function_.blocks[block.index].insts;
  auto at = std::find_if(insts.begin(), insts.end(), [&](ValueId id) {
    return is_in_areas(inst(id)) || ssa::is_control(inst(id).op);
  });
  area_before_ = *at;
}

const TablePlace& Selector::place_of(const Table& table) const {
  return table.places[writer_number(table)];
}

/// R0 = the area of this CPU and the generation that is written now; kept when more than one
/// operation wants it. R1 to R5 are lost.
void Selector::enter_areas() {
  const ProgramMemory* memory = nullptr;
  for (const Table& table : unit_.unit.tables) {
    if (!has_areas(table.layout) ||
        !std::binary_search(table.writers.begin(), table.writers.end(), program_)) {
      continue;
    }
    memory = &unit_.unit.memories[place_of(table).memory];
  }
  KTAP_CHECK(memory != nullptr);
  auto temp = static_cast<int16_t>(homes_.temp_offset);
  if (options_.cpu >= 0) {
    asm_.emit(bpf::mov64(Reg::R0, 0));
  } else {
    asm_.call_helper(Helper::GetSmpProcessorId);
    asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R0, 1));
  }
  asm_.load_map_value(Reg::R1, unit_.unit.control_map, Control::kGeneration);
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R1, 0));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R0, Reg::R1));
  if (memory->is_one_value) {
    asm_.jump_to_if(JumpOp::Gt, Reg::R0, static_cast<int32_t>(memory->areas - 1), body_out_);
    multiply(asm_, Reg::R0, memory->area_bytes);
    asm_.load_map_value(Reg::R1, memory->map, 0);
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R0, Reg::R1));
  } else {
    asm_.emit(bpf::store(Size::W, Reg::R10, temp, Reg::R0));
    asm_.load_map(Reg::R1, memory->map);
    asm_.emit(bpf::mov64(Reg::R2, Reg::R10));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, homes_.temp_offset));
    asm_.call_helper(Helper::MapLookupElem);  // of an array: the kernel inlines it
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, body_out_);
  }
  if (keeps_area_) {
    asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(area_offset_), Reg::R0));
  }
}

/// Makes `offset` one that instructions can hold, with `room_bytes` behind it.
void Selector::reach(Reg address, int32_t* offset, int32_t room_bytes) {
  if (*offset + room_bytes <= kReach) return;
  asm_.emit(bpf::alu64(AluOp::Add, address, *offset));
  *offset = 0;
}

// ---- the words of an entry
// -----------------------------------------------------------------------

/// The entry at `entry` + `at` takes the operation's values. R0 may be `entry`; R1 to R5, other
/// than it, are lost.
void Selector::merge_words(ValueId id, const Table& table, Reg entry, int32_t at) {
  const Inst& of = inst(id);
  size_t first = of.operands.size() - table.words.size();
  Reg value_reg = Reg::R5, now = Reg::R4;
  if (table.layout != TableLayout::PerCpu) {  // there the slot is new and prepared
    if (!table.only_sums()) {
      bpf::Label there = asm_.make_label();
      asm_.emit(bpf::load(Size::DW, now, entry, static_cast<int16_t>(at)));
      asm_.jump_to_if(JumpOp::Ne, now, 0, there);
      store_identities(table, entry, at + (table.has_presence ? 8 : 0));
      asm_.bind(there);
    }
    if (table.has_presence) {
      asm_.emit(bpf::store(Size::DW, entry, static_cast<int16_t>(at), 1));
      at += 8;
    }
  }
  for (size_t i = 0; i < table.words.size(); ++i) {
    auto where = static_cast<int16_t>(at + 8 * static_cast<int32_t>(i));
    ValueId value = of.operands[first + i];
    int32_t imm = 0;
    asm_.emit(bpf::load(Size::DW, now, entry, where));
    if (table.words[i] == MergeOp::Add) {
      if (small_constant(value, &imm)) {
        asm_.emit(bpf::alu64(AluOp::Add, now, imm));
      } else {
        asm_.emit(bpf::alu64(AluOp::Add, now, in_register(value, value_reg)));
      }
      asm_.emit(bpf::store(Size::DW, entry, where, now));
      continue;
    }
    bpf::Label keeps = asm_.make_label();
    Reg own = tested(payload_word(value, 0, false), value_reg);
    asm_.jump_to_if(table.words[i] == MergeOp::Min ? JumpOp::SLe : JumpOp::SGe, now, own, keeps);
    asm_.emit(bpf::store(Size::DW, entry, where, own));
    asm_.bind(keeps);
  }
}

/// What changes no sample: for words that are no sums (those are 0 already). Uses R5.
void Selector::store_identities(const Table& table, Reg entry, int32_t at) {
  for (size_t i = 0; i < table.words.size(); ++i) {
    if (table.words[i] == MergeOp::Add) continue;
    asm_.load_const(Reg::R5, table.words[i] == MergeOp::Min ? INT64_MAX : INT64_MIN);
    asm_.emit(bpf::store(Size::DW, entry, static_cast<int16_t>(at + 8 * static_cast<int32_t>(i)),
                         Reg::R5));
  }
}

// ---- Direct
// --------------------------------------------------------------------------------------

/// R1 = bytes from entry 0 by the parts that are not constant, and `offset` grows by those that
/// are. False when all are: R1 is not set then.
bool Selector::direct_entry(ValueId id, const Table& table, int32_t* offset) {
  bool has_index = false;
  uint64_t stride =
      8 * uint64_t{table.layout == TableLayout::Shared ? table.slot_words() : table.entry_words()};
  for (size_t i = table.key.size(); i-- > 0;) {
    const ssa::Range& range = table.ranges[i];
    Word word = payload_word(inst(id).operands[i], 0, false);
    if (word.kind == Word::Kind::Imm) {
      KTAP_CHECK(range.contains(word.imm));
      *offset += static_cast<int32_t>(static_cast<uint64_t>(word.imm - range.lo) * stride);
    } else {
      Reg part = has_index ? Reg::R2 : Reg::R1;
      load_tested(part, word);
      if (range.lo == static_cast<int32_t>(range.lo)) {
        if (range.lo != 0) asm_.emit(bpf::alu64(AluOp::Sub, part, static_cast<int32_t>(range.lo)));
      } else {
        asm_.load_const(Reg::R3, range.lo);
        asm_.emit(bpf::alu64(AluOp::Sub, part, Reg::R3));
      }
      // Never taken: it tells the verifier what the ranges have told us.
      bpf::Label full = count_and_resume(full_row(id), body_out_);
      asm_.jump_to_if(JumpOp::Gt, part, static_cast<int32_t>(range.size() - 1), full);
      multiply(asm_, part, static_cast<uint32_t>(stride));
      if (has_index) asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, Reg::R2));
      has_index = true;
    }
    stride *= range.size();
  }
  return has_index;
}

void Selector::direct_add(ValueId id, const Table& table) {
  int32_t offset = static_cast<int32_t>(place_of(table).offset_bytes);
  if (!keeps_area_) enter_areas();
  Reg entry = Reg::R3;
  if (keeps_area_) {
    bool has_index = direct_entry(id, table, &offset);
    asm_.emit(bpf::load(Size::DW, entry, Reg::R10, static_cast<int16_t>(area_offset_)));
    if (has_index) asm_.emit(bpf::alu64(AluOp::Add, entry, Reg::R1));
  } else {
    entry = Reg::R0;
    if (direct_entry(id, table, &offset)) asm_.emit(bpf::alu64(AluOp::Add, entry, Reg::R1));
  }
  reach(entry, &offset, 8 * static_cast<int32_t>(table.entry_words()));
  merge_words(id, table, entry, offset);
}

// ---- PerCpu
// --------------------------------------------------------------------------------------

/// R1 = the key's tag. Uses R2, R4.
void Selector::hash_key(ValueId id, const Table& table) {
  asm_.load_const(Reg::R2, static_cast<int64_t>(kHashFactor));
  load_tested(Reg::R1, key_word(id, table, 0));
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R1, Reg::R2));
  for (uint32_t i = 1; i < table.key_words(); ++i) {
    Word word = key_word(id, table, i);
    if (word != Word{}) {
      Reg reg = word.kind == Word::Kind::Reg ? word.reg : Reg::R4;
      load_tested(reg, word);
      asm_.emit(bpf::alu64(AluOp::Xor, Reg::R1, reg));
    }
    asm_.emit(bpf::alu64(AluOp::Mul, Reg::R1, Reg::R2));
  }
  if (table.key_words() > 1) asm_.emit(bpf::alu64(AluOp::Or, Reg::R1, 1));
}

/// Goes on when the slot R3 + `at`, whose tag R4 is not 0, is the key's, else to `other`. Uses R2,
/// R4 and R5. One jump for all words: few ways through the code are few states for the verifier.
void Selector::compare_key(ValueId id, const Table& table, int32_t at, bpf::Label other) {
  if (table.key_words() == 1) return asm_.jump_to_if(JumpOp::Ne, Reg::R4, Reg::R1, other);
  if (table.key_words() > kWordsComparedAtOnce) {
    asm_.jump_to_if(JumpOp::Ne, Reg::R4, Reg::R1, other);
  }
  asm_.emit(bpf::alu64(AluOp::Xor, Reg::R4, Reg::R1));
  for (uint32_t i = 0; i < table.key_words(); ++i) {
    Word word = key_word(id, table, i);
    asm_.emit(bpf::load(Size::DW, Reg::R2, Reg::R3,
                        static_cast<int16_t>(at + 8 + 8 * static_cast<int32_t>(i))));
    if (word.kind == Word::Kind::Imm && word.imm == static_cast<int32_t>(word.imm)) {
      if (word.imm != 0) {
        asm_.emit(bpf::alu64(AluOp::Xor, Reg::R2, static_cast<int32_t>(word.imm)));
      }
    } else {
      Reg reg = word.kind == Word::Kind::Reg ? word.reg : Reg::R0;
      load_tested(reg, word);
      asm_.emit(bpf::alu64(AluOp::Xor, Reg::R2, reg));
    }
    asm_.emit(bpf::alu64(AluOp::Or, Reg::R4, Reg::R2));
  }
  asm_.jump_to_if(JumpOp::Ne, Reg::R4, 0, other);
}

/// Registers on the way: R1 tag, R3 slot, R0 area.
void Selector::per_cpu_add(ValueId id, const Table& table) {
  const TablePlace& place = place_of(table);
  if (!keeps_area_) enter_areas();
  bool is_word = table.key_words() == 1;
  bpf::Label mismatch = asm_.make_label();
  bpf::Label hit = asm_.make_label(), done = asm_.make_label();
  bpf::Label insert = asm_.make_label(), zero = asm_.make_label();
  bpf::Label full = count_and_resume(full_row(id), update_done_);

  Word first = key_word(id, table, 0);
  bool maybe_zero = is_word && (first.kind != Word::Kind::Imm || first.imm == 0);
  hash_key(id, table);
  if (keeps_area_) {
    asm_.emit(bpf::load(Size::DW, Reg::R0, Reg::R10, static_cast<int16_t>(area_offset_)));
  }
  if (maybe_zero) asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, zero);
  int32_t at = slot_address(table, place, true);
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, static_cast<int16_t>(at)));
  // A free slot is found by its tag 0, which only a key of one word leaves in R4.
  compare_key(id, table, at, mismatch);
  asm_.bind(hit);
  merge_words(id, table, Reg::R3,
              at + 8 * static_cast<int32_t>(table.slot_words() - table.words.size()));
  asm_.bind(done);

  uint32_t line = inst(id).line;
  rare_.emplace_back(line, [=, this, &table] {
    asm_.bind(mismatch);
    if (!is_word) asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, static_cast<int16_t>(at)));
    asm_.jump_to_if(JumpOp::Eq, Reg::R4, 0, insert);
    more_probes(table, id, at, insert, hit, full);
    asm_.bind(insert);
    insert_slot(id, table, at, hit, full);
    if (!maybe_zero) return;
    asm_.bind(zero);
    asm_.emit(bpf::mov64(Reg::R3, Reg::R0));
    uint32_t zero_at = place.offset_bytes + table.zero_slot() * table.slot_words() * 8;
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, static_cast<int32_t>(zero_at) - at));
    asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, static_cast<int16_t>(at)));
    asm_.jump_to_if(JumpOp::Ne, Reg::R4, 0, hit);
    asm_.emit(bpf::mov64(Reg::R1, 1));
    asm_.jump_to(insert);
  });
}

/// R3 = bytes from slot 0 to the first slot of a group that the tag R1 leads to: of its own one, or
/// of another that R5 numbers. Uses R4 for that.
void Selector::slot_index(const Table& table, bool is_own) {
  asm_.emit(bpf::mov64(Reg::R3, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R3, 64 - static_cast<int32_t>(table.slot_bits)));
  if (!is_own) {  // double hashing: the step is other bits of the product
    asm_.emit(bpf::mov64(Reg::R4, Reg::R1));
    asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R4, 24));
    asm_.emit(bpf::alu64(AluOp::Or, Reg::R4, 1));
    asm_.emit(bpf::alu64(AluOp::Mul, Reg::R4, Reg::R5));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R4));
    asm_.emit(bpf::alu64(AluOp::And, Reg::R3, (1 << table.slot_bits) - 1));
  }
  multiply(asm_, Reg::R3, 8 * table.slot_words());
}

/// R3 = that slot in the area R0. Gives the offset that loads and stores still have to add.
int32_t Selector::slot_address(const Table& table, const TablePlace& place, bool is_own) {
  auto at = static_cast<int32_t>(place.offset_bytes);
  slot_index(table, is_own);
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R0));
  reach(Reg::R3, &at, static_cast<int32_t>(8 * table.slot_words()));
  return at;
}

/// The slot R3 + `at`: the key's, a free one, or neither: then on.
void Selector::probe(const Table& table, ValueId id, int32_t at, bpf::Label insert,
                     bpf::Label hit) {
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, static_cast<int16_t>(at)));
  asm_.jump_to_if(JumpOp::Eq, Reg::R4, 0, insert);
  bpf::Label other = asm_.make_label();
  compare_key(id, table, at, other);
  asm_.jump_to(hit);
  asm_.bind(other);
}

/// The slots behind the first, until the key, a free one, or too many. Each round of the loop finds
/// its slots anew from the tag: for the verifier all rounds then lead to the same states. It goes
/// through them one by one, and what one costs it grows with their number: hence few rounds.
void Selector::more_probes(const Table& table, ValueId id, int32_t at, bpf::Label insert,
                           bpf::Label hit, bpf::Label full) {
  bpf::Label loop = asm_.make_label();
  auto rest_of_group = [&] {
    for (uint32_t i = 1; i < kGroupSlots; ++i) {
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, 8 * static_cast<int32_t>(table.slot_words())));
      probe(table, id, at, insert, hit);
    }
  };
  rest_of_group();
  asm_.emit(bpf::mov64(Reg::R5, 1));
  asm_.bind(loop);
  load_area(table);
  slot_address(table, place_of(table), false);
  probe(table, id, at, insert, hit);
  rest_of_group();
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R5, 1));
  asm_.jump_to_if(JumpOp::Ne, Reg::R5, static_cast<int32_t>(kGroups), loop);
  asm_.jump_to(full);
}

/// R0 = the area again, where comparing may have used it.
void Selector::load_area(const Table& table) {
  if (table.key_words() == 1) return;
  asm_.emit(bpf::load(Size::DW, Reg::R0, Reg::R10, static_cast<int16_t>(area_offset_)));
}

/// Slot R3 + `at` becomes the key's, whose tag is R1, unless the table has all its entries.
void Selector::insert_slot(ValueId id, const Table& table, int32_t at, bpf::Label hit,
                           bpf::Label full) {
  auto count_at = static_cast<int16_t>(place_of(table).count_offset_bytes);
  load_area(table);
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R0, count_at));
  asm_.jump_to_if(JumpOp::Ge, Reg::R4, static_cast<int32_t>(table.max_entries), full);
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, 1));
  asm_.emit(bpf::store(Size::DW, Reg::R0, count_at, Reg::R4));
  asm_.emit(bpf::store(Size::DW, Reg::R3, static_cast<int16_t>(at), Reg::R1));
  int32_t next = at + 8;
  if (table.key_words() > 1) {
    for (uint32_t i = 0; i < table.key_words(); ++i, next += 8) {
      Word word = key_word(id, table, i);
      Reg reg = word.kind == Word::Kind::Reg ? word.reg : Reg::R4;
      load_word(reg, word);
      asm_.emit(bpf::store(Size::DW, Reg::R3, static_cast<int16_t>(next), reg));
    }
  }
  store_identities(table, Reg::R3, next);
  asm_.jump_to(hit);
}

}  // namespace ktap::backend
