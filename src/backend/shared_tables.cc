// Tables in memory that all CPUs share: Shared and ByThread (unit.h says how they lie there).
//
// Shared: a slot is claimed by compare-and-exchange of its tag and never given back, so that
// finding it needs no lock. Values are changed by one store or one atomic add; whoever finds
// presence 0 sets it behind the value, by an atomic, which orders both.
//
// ByThread: only the thread itself works on its entry, and only in programs that never run inside
// each other (system calls): loads and stores do. Others may take its slot while it is absent:
// claiming is a compare-and-exchange from absent to busy, of whichever thread; the value is written
// while it is busy. A slot that was never used ends a search: a thread takes the first absent slot
// on its way, and slots do not become unused again.
#include "backend/selector.h"
#include "backend/table_facts.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::AtomicOp;
using bpf::JumpOp;
using bpf::Size;
using ssa::Op;
using ssa::ValueId;

namespace {

constexpr int16_t kTag = 0;
// Of a Shared entry, from its presence word on.
constexpr int16_t kPresence = 0, kValue = 8;
constexpr int16_t kThreadValue = 8;
constexpr auto kAbsent = static_cast<int32_t>(ThreadState::Absent);
constexpr auto kBusy = static_cast<int32_t>(ThreadState::Busy);
constexpr auto kPresent = static_cast<int32_t>(ThreadState::Present);
static_assert(kAbsent == 0, "an absent entry's tag is tid << 2");

}  // namespace

/// R3 = the first slot of a group in the table's own memory. Uses R0, and R4 unless is_own.
void Selector::memory_slot(const Table& table, bool is_own) {
  slot_index(table, is_own);
  asm_.load_map_value(Reg::R0, table.maps[0], kSlotsOffset);
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R0));
}

// ---- Shared
// --------------------------------------------------------------------------------------

void Selector::shared_operation(ValueId id, const Table& table) {
  bool is_get = inst(id).op == Op::TableGet;
  bpf::Label found = asm_.make_label(), absent = asm_.make_label(), done = asm_.make_label();
  if (table.is_direct) {
    auto at = static_cast<int32_t>(kSlotsOffset);
    bool has_index = direct_entry(id, table, &at);
    asm_.load_map_value(Reg::R3, table.maps[0], static_cast<uint32_t>(at));
    if (has_index) asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R1));
    return is_get ? shared_get(id) : shared_change(id, table);
  }
  bpf::Label full = is_get ? absent : count_and_resume(full_row(id), done);
  shared_slot(id, table, found, absent, is_get ? std::nullopt : std::optional(full));
  asm_.bind(found);
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, 8));  // past the tag
  is_get ? shared_get(id) : shared_change(id, table);
  asm_.bind(done);
  uint32_t line = inst(id).line;
  rare_.emplace_back(line, [=, this, &table] {
    if (is_get) {
      asm_.bind(absent);
      const Home& home = homes_.homes[id.index];
      store_word(home.tag, 0);
      store_word(home.payload, 0);
      return asm_.jump_to(done);
    }
    asm_.bind(absent);
    shared_claim(table, found, full);
  });
}

/// R3 = the key's slot; goes on there, or to `absent` when there is none. Key 0 always has one;
/// that becomes no entry, but goes to `full`, when there are as many as may be.
void Selector::shared_slot(ValueId id, const Table& table, bpf::Label found, bpf::Label absent,
                           std::optional<bpf::Label> full) {
  bpf::Label search = asm_.make_label(), zero = asm_.make_label();
  hash_key(id, table);
  asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, zero);
  memory_slot(table, true);
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kTag));
  asm_.jump_to_if(JumpOp::Ne, Reg::R4, Reg::R1, search);
  rare_.emplace_back(inst(id).line, [=, this, &table] {
    asm_.bind(search);
    shared_search(table, found, absent);
    asm_.bind(zero);
    asm_.load_map_value(Reg::R3, table.maps[0],
                        kSlotsOffset + table.zero_slot() * table.slot_words() * 8);
    if (full) {
      asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, 8 + kPresence));
      asm_.jump_to_if(JumpOp::Ne, Reg::R4, 0, found);
      asm_.load_map_value(Reg::R4, table.maps[0], 0);
      asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R4, 0));
      asm_.jump_to_if(JumpOp::Ge, Reg::R4, static_cast<int32_t>(table.max_entries), *full);
    }
    asm_.jump_to(found);
  });
}

/// From the first slot R3 on, whose tag is R4 and not the key's.
void Selector::shared_search(const Table& table, bpf::Label found, bpf::Label absent) {
  asm_.jump_to_if(JumpOp::Eq, Reg::R4, 0, absent);
  each_slot(table, true, [&] {
    asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kTag));
    asm_.jump_to_if(JumpOp::Eq, Reg::R4, Reg::R1, found);
    asm_.jump_to_if(JumpOp::Eq, Reg::R4, 0, absent);
  });
  asm_.jump_to(absent);
}

/// The first free slot on the way of the tag R1 becomes the key's, unless all entries are taken.
/// Two CPUs at once may both find room for a last one. Another CPU may be first with the very key:
/// it has then taken the slot that we try.
void Selector::shared_claim(const Table& table, bpf::Label found, bpf::Label full) {
  asm_.load_map_value(Reg::R4, table.maps[0], 0);
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R4, 0));
  asm_.jump_to_if(JumpOp::Ge, Reg::R4, static_cast<int32_t>(table.max_entries), full);
  each_slot(table, false, [&] {
    asm_.emit(bpf::mov64(Reg::R0, 0));
    asm_.emit(bpf::atomic(AtomicOp::CmpXchg, Size::DW, Reg::R3, kTag, Reg::R1));
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, found);
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, Reg::R1, found);
  });
  asm_.jump_to(full);
}

/// Code for every slot, R3, in which the tag R1 may be, in their order; `is_behind`: all but the
/// first, which is R3 at the start. What `look` writes leaves by a jump or falls through in one
/// way: ways that meet again in each round would multiply for the verifier. Uses R0, R4, R5.
void Selector::each_slot(const Table& table, bool is_behind, const std::function<void()>& look) {
  auto rest_of_group = [&] {
    for (uint32_t i = 1; i < kGroupSlots; ++i) {
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, 8 * static_cast<int32_t>(table.slot_words())));
      look();
    }
  };
  if (!is_behind) {
    memory_slot(table, true);
    look();
  }
  rest_of_group();
  bpf::Label loop = asm_.make_label();
  asm_.emit(bpf::mov64(Reg::R5, 1));
  asm_.bind(loop);
  memory_slot(table, false);
  look();
  rest_of_group();
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R5, 1));
  asm_.jump_to_if(JumpOp::Ne, Reg::R5, static_cast<int32_t>(kGroups), loop);
}

/// The value of the entry R3.
void Selector::shared_get(ValueId id) {
  const Home& home = homes_.homes[id.index];
  bpf::Label done = asm_.make_label();
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kPresence));
  if (!facts_.has_ordered_stores) {
    // The second load waits for the first: its address is made of it.
    asm_.emit(bpf::mov64(Reg::R2, Reg::R4));
    asm_.emit(bpf::alu64(AluOp::And, Reg::R2, 0));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R2));
  }
  store_word(home.tag, Reg::R4);
  store_word(home.payload, 0);
  asm_.jump_to_if(JumpOp::Eq, Reg::R4, 0, done);
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kValue));
  store_word(home.payload, Reg::R4);
  asm_.bind(done);
}

/// The entry R3 is set or added to. Whoever makes it present counts it.
void Selector::shared_change(ValueId id, const Table& table) {
  ValueId value = inst(id).operands.back();
  bpf::Label done = asm_.make_label();
  if (inst(id).op == Op::TableSet) {
    move_word_to(Reg::R3, kValue, payload_word(value, 0, false));
  } else {
    KTAP_CHECK(inst(id).op == Op::TableAdd || inst(id).op == Op::TableMerge);
    Reg addend = in_register(value, Reg::R5);
    asm_.emit(bpf::atomic(AtomicOp::Add, Size::DW, Reg::R3, kValue, addend));
  }
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kPresence));
  asm_.jump_to_if(JumpOp::Ne, Reg::R4, 0, done);
  asm_.emit(bpf::mov64(Reg::R4, 1));
  asm_.emit(bpf::atomic(AtomicOp::Xchg, Size::DW, Reg::R3, kPresence, Reg::R4));
  if (!table.is_direct) {
    asm_.jump_to_if(JumpOp::Ne, Reg::R4, 0, done);
    count_in_memory(table, 1);
  }
  asm_.bind(done);
}

// ---- entry by entry

void Selector::table_walk(ValueId id) {
  const Table& table = unit_.unit.tables[static_cast<size_t>(inst(id).imm)];
  if (inst(id).op != Op::TableWalk) return table_slot(id, table);
  table.layout == TableLayout::Hash ? begin_map_walk(id, table) : begin_memory_walk(id, table);
}

/// All slots, or none when no entry is there; without a branch, of which the verifier would walk
/// both ways.
void Selector::begin_memory_walk(ValueId id, const Table& table) {
  load_count(Reg::R1, table);
  asm_.emit(bpf::neg64(Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R1, 63));
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R1, static_cast<int32_t>(table.walk_slots())));
  store_result(id, Reg::R1);
}

void Selector::table_slot(ValueId id, const Table& table) {
  const bool is_map = table.layout == TableLayout::Hash;
  // Slot numbers are in range; the verifier has to see it.
  const uint64_t slots = is_map ? table.max_entries : table.walk_slots();
  bpf::Label absent = asm_.make_label(), done = asm_.make_label();
  load_tested(Reg::R1, payload_word(inst(id).operands[1], 0, false));
  asm_.jump_to_if(JumpOp::Ge, Reg::R1, static_cast<int32_t>(slots), absent);
  if (is_map) {
    map_entry(id, table);
  } else if (inst(id).op == Op::TableSlot) {
    walk_value(id, table, absent);
  } else {
    walk_key(id, table);
  }
  asm_.bind(done);
  rare_.emplace_back(inst(id).line, [=, this] {
    asm_.bind(absent);
    const Home& home = homes_.homes[id.index];
    if (home.has_tag) store_word(home.tag, 0);
    home.words == 1 ? store_word(home.payload, 0) : clear(home.payload, home.words);
    asm_.jump_to(done);
  });
}

/// R3 = slot R1. Uses R0.
void Selector::numbered_slot(const Table& table) {
  asm_.emit(bpf::mov64(Reg::R3, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R3, static_cast<int32_t>(8 * table.slot_words())));
  asm_.load_map_value(Reg::R0, table.maps[0], kSlotsOffset);
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R0));
}

/// The value in slot R1.
void Selector::walk_value(ValueId id, const Table& table, bpf::Label absent) {
  numbered_slot(table);
  if (table.layout == TableLayout::Shared) {
    if (!table.is_direct) asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, 8));
    return shared_get(id);
  }
  // Another thread's entry may go while we look: its tag is the same before and after.
  const Home& home = homes_.homes[id.index];
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kTag));
  asm_.emit(bpf::mov64(Reg::R5, Reg::R4));
  asm_.emit(bpf::alu64(AluOp::And, Reg::R5, 3));
  asm_.jump_to_if(JumpOp::Ne, Reg::R5, kPresent, absent);
  asm_.emit(bpf::load(Size::DW, Reg::R5, Reg::R3, kThreadValue));
  asm_.emit(bpf::load(Size::DW, Reg::R2, Reg::R3, kTag));
  asm_.jump_to_if(JumpOp::Ne, Reg::R2, Reg::R4, absent);
  store_word(home.payload, Reg::R5);
  store_word(home.tag, 1);
}

/// A part of the key of the entry in slot R1.
void Selector::walk_key(ValueId id, const Table& table) {
  auto part = static_cast<size_t>(inst(inst(id).operands[2]).imm);
  if (table.is_direct) {
    uint64_t stride = 1;
    for (size_t i = part + 1; i < table.ranges.size(); ++i) stride *= table.ranges[i].size();
    const ssa::Range& range = table.ranges[part];
    asm_.emit(bpf::alu64(AluOp::Div, Reg::R1, static_cast<int32_t>(stride)));
    asm_.emit(bpf::alu64(AluOp::Mod, Reg::R1, static_cast<int32_t>(range.size())));
    asm_.load_const(Reg::R2, range.lo);
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, Reg::R2));
    return store_result(id, Reg::R1);
  }
  numbered_slot(table);
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kTag));
  if (table.layout == TableLayout::ByThread) {
    asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R4, 2));
  } else {  // the slot of key 0 has tag 0
    asm_.load_const(Reg::R2, static_cast<int64_t>(kHashInverse));
    asm_.emit(bpf::alu64(AluOp::Mul, Reg::R4, Reg::R2));
  }
  store_result(id, Reg::R4);
}

// ---- ByThread
// ------------------------------------------------------------------------------------

/// Registers on the way: R1 hash, R2 tid << 2, R3 slot, R4 the state of one's own slot, and what no
/// own slot gives: a large number.
void Selector::thread_operation(ValueId id, const Table& table) {
  Op op = inst(id).op;
  bpf::Label other = asm_.make_label(), hit = asm_.make_label(), done = asm_.make_label();
  asm_.load_const(Reg::R1, static_cast<int64_t>(kHashFactor));
  load_tested(Reg::R2, payload_word(inst(id).operands[0], 0, false));
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R1, Reg::R2));
  asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R2, 2));
  memory_slot(table, true);
  asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kTag));
  asm_.emit(bpf::alu64(AluOp::Xor, Reg::R4, Reg::R2));
  asm_.jump_to_if(JumpOp::Ne, Reg::R4, kPresent, other);
  asm_.bind(hit);
  if (op == Op::TableGet) {
    const Home& home = homes_.homes[id.index];
    asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kThreadValue));
    store_word(home.payload, Reg::R4);
    store_word(home.tag, 1);
  } else if (op == Op::TableDelete) {
    publish(ThreadState::Absent);
    if (table.is_counted) count_in_memory(table, -1);
  } else {
    thread_value(id, table, false);
  }
  asm_.bind(done);

  bool claims = op == Op::TableSet || op == Op::TableAdd || op == Op::TableMerge;
  bpf::Label full = claims ? count_and_resume(full_row(id), done) : done;
  rare_.emplace_back(inst(id).line, [=, this, &table] {
    bpf::Label own = asm_.make_label(), none = asm_.make_label();
    asm_.bind(other);
    asm_.jump_to_if(JumpOp::Lt, Reg::R4, 4, own);
    asm_.jump_to_if(JumpOp::Eq, Reg::R4, Reg::R2, none);  // never used
    thread_search(table, own, none);
    asm_.bind(own);
    asm_.jump_to_if(JumpOp::Eq, Reg::R4, kPresent, hit);
    if (claims) {  // one's own slot, absent: the usual way of a start time
      bpf::Label claimed = asm_.make_label();
      asm_.emit(bpf::mov64(Reg::R0, Reg::R2));
      asm_.emit(bpf::mov64(Reg::R4, Reg::R2));
      asm_.emit(bpf::alu64(AluOp::Or, Reg::R4, kBusy));
      asm_.emit(bpf::atomic(AtomicOp::CmpXchg, Size::DW, Reg::R3, kTag, Reg::R4));
      asm_.jump_to_if(JumpOp::Eq, Reg::R0, Reg::R2, claimed);
      asm_.bind(none);
      thread_claim(table, claimed, full);
      asm_.bind(claimed);
      thread_value(id, table, true);
      return asm_.jump_to(done);
    }
    asm_.bind(none);
    if (op == Op::TableGet) {
      const Home& home = homes_.homes[id.index];
      store_word(home.tag, 0);
      store_word(home.payload, 0);
    }
    asm_.jump_to(done);
  });
}

/// The slots behind the first: R3 and R4 of one's own, or `none`.
void Selector::thread_search(const Table& table, bpf::Label own, bpf::Label none) {
  each_slot(table, true, [&] {
    asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kTag));
    asm_.jump_to_if(JumpOp::Eq, Reg::R4, 0, none);
    asm_.emit(bpf::alu64(AluOp::Xor, Reg::R4, Reg::R2));
    asm_.jump_to_if(JumpOp::Lt, Reg::R4, 4, own);
  });
  asm_.jump_to(none);
}

/// R3 = the first slot on the way that is absent, now busy and one's own. Requires: no slot is.
void Selector::thread_claim(const Table& table, bpf::Label claimed, bpf::Label full) {
  each_slot(table, false, [&] {
    // What is not absent differs from its own tag without the state: the exchange fails.
    asm_.emit(bpf::load(Size::DW, Reg::R0, Reg::R3, kTag));
    asm_.emit(bpf::alu64(AluOp::And, Reg::R0, ~3));
    asm_.emit(bpf::mov64(Reg::R4, Reg::R2));
    asm_.emit(bpf::alu64(AluOp::Or, Reg::R4, kBusy));
    asm_.emit(bpf::atomic(AtomicOp::CmpXchg, Size::DW, Reg::R3, kTag, Reg::R4));
    // Nobody else writes this tid: it is there when it was we who exchanged.
    asm_.emit(bpf::load(Size::DW, Reg::R0, Reg::R3, kTag));
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, Reg::R4, claimed);
  });
  asm_.jump_to(full);
}

/// The tag of one's own slot R3, behind all that was read and written there. Uses R4.
void Selector::publish(ThreadState state) {
  Reg tag = Reg::R2;
  if (state != ThreadState::Absent || !facts_.has_ordered_stores) {
    tag = Reg::R4;
    asm_.emit(bpf::mov64(tag, Reg::R2));
  }
  if (state != ThreadState::Absent) {
    asm_.emit(bpf::alu64(AluOp::Or, tag, static_cast<int32_t>(state)));
  }
  if (facts_.has_ordered_stores) {
    asm_.emit(bpf::store(Size::DW, Reg::R3, kTag, tag));
  } else {
    asm_.emit(bpf::atomic(AtomicOp::Xchg, Size::DW, Reg::R3, kTag, tag));
  }
}

/// One's own entry R3 gets the operation's value; a new one is busy till then.
void Selector::thread_value(ValueId id, const Table& table, bool is_new) {
  ValueId value = inst(id).operands.back();
  if (is_new || inst(id).op == Op::TableSet) {
    move_word_to(Reg::R3, kThreadValue, payload_word(value, 0, false));
  } else {
    int32_t imm = 0;
    asm_.emit(bpf::load(Size::DW, Reg::R4, Reg::R3, kThreadValue));
    if (small_constant(value, &imm)) {
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, imm));
    } else {
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, in_register(value, Reg::R5)));
    }
    asm_.emit(bpf::store(Size::DW, Reg::R3, kThreadValue, Reg::R4));
  }
  if (is_new) publish(ThreadState::Present);
  if (is_new && table.is_counted) count_in_memory(table, 1);
}

}  // namespace ktap::backend
