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
#include "ssa/op_info.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

namespace {

constexpr int32_t kEnoent = -2, kEexist = -17;  // of the kernel's map helpers

bool is_union_update(Op op, const Table& table) {
  const bool is_update =
      op == Op::TableAdd || op == Op::TableAnd || op == Op::TableOr || op == Op::TableXor;
  return is_update && table.value.kind == ssa::KeyPart::Kind::Union;
}

/// What a timer deletes or zeroes of what handlers only add is subtracted (Table.is_taken), so that
/// nothing they add meanwhile is lost; not so of a Union.
bool wants_taking(const ssa::TableInfo& info) {
  const bool is_one_change = info.is_added != info.is_combined && !info.is_set && !info.is_deleted;
  return is_one_change && (info.is_removed_outside || info.is_stored_outside);
}

}  // namespace

// ---- before the code

void Selector::need_of_table(const Inst& of) {
  const Table& table = unit_.unit.tables[static_cast<size_t>(of.imm)];
  const ssa::TableInfo& info = module_.tables[static_cast<size_t>(of.imm)];
  if (table.value.kind == ssa::KeyPart::Kind::Union && wants_taking(info)) {
    fail(
        fmt::format("a timer changes {} {}, which handlers only add to, and which holds more than "
                    "integers",
                    info.is_variable ? "variable" : "table", info.name));
  }
  const bool combines = of.op == Op::TableAnd || of.op == Op::TableOr || of.op == Op::TableXor;
  if (combines && !facts_.has_fetch_atomics) fail("this kernel has no atomic bit operations");
  if (of.op == Op::TableRaise && !facts_.has_fetch_atomics)
    fail("the least or greatest sample is read, and this kernel has no compare-and-exchange");
  if (table.is_taken && table.is_counted && !facts_.has_fetch_atomics) {
    fail(
        fmt::format("the length of table {}, from which user space takes entries: this kernel has "
                    "no exchange",
                    info.name));
  }
  if (table.key_size_bytes > kMaxKeyBytes) {
    fail(fmt::format("a key of {} bytes in table {}; at most {} fit", table.key_size_bytes,
                     info.name, kMaxKeyBytes));
  }
  if (is_in_areas(of)) {
    has_areas_ = true;
    return;
  }
  if (table.layout == TableLayout::Shared || table.layout == TableLayout::ByThread) return;
  const bool makes_entry = of.op == Op::TableSet || of.op == Op::TableAdd || combines;
  if (makes_entry && has_check(table)) {
    needs_.makes_text = true;
    needs_.widest_made_value_bytes =
        std::max(needs_.widest_made_value_bytes, table.value_size_bytes);
  }
  need_of_map(table);
}

/// Key and value of a step on a kernel's map.
void Selector::need_of_map(const Table& table) {
  needs_.widest_key_bytes = std::max(needs_.widest_key_bytes, table.key_size_bytes);
  needs_.widest_value_bytes = std::max(needs_.widest_value_bytes, 8 * table.entry_words());
  needs_.temp_bytes = std::max(needs_.temp_bytes, needs_.widest_value_bytes + 8);
}

// ---- keys

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
    if (!part.is_bytes()) continue;
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
  bool as_bytes = table.key[part].is_bytes();
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
  if (loops_.is_blind(block_)) untie(Reg::R1);
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
  if (table.layout == TableLayout::Shared) return shared_operation(id, table);
  if (table.layout == TableLayout::ByThread) return thread_operation(id, table);
  build_key(id);
  if (is_union_update(inst(id).op, table)) return update_union(id, table);
  switch (inst(id).op) {
    case Op::TableGet:
      return table_get(id, table);
    case Op::TableAdd:
    case Op::TableMerge:
      return table_add(id, table);
    case Op::TableSet:
      return table_set(id, table);
    case Op::TableAnd:
    case Op::TableOr:
    case Op::TableXor:
    case Op::TableRaise:
      return table_combine(id, table);
    default:
      KTAP_CHECK(inst(id).op == Op::TableDelete && table.layout == TableLayout::Hash);
      load_key_address(Reg::R2);
      call_table(Helper::MapDeleteElem, table);
      if (table.is_counted) {
        const bpf::Label absent = asm_.make_label();
        asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, absent);
        count_entry(table, -1);
        asm_.bind(absent);
      }
      return;
  }
}

void Selector::table_get(ValueId id, const Table& table) {
  KTAP_CHECK(table.layout == TableLayout::Hash);
  if (has_check(table)) return get_bytes(id, table);
  const bpf::Label absent = asm_.make_label();
  const Reg dst = result_register(id, Reg::R3);
  load_key_address(Reg::R2);
  call_table(Helper::MapLookupElem, table);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, absent);
  asm_.emit(bpf::load(Size::DW, dst, Reg::R0, 0));
  if (table.is_taken) {  // the value first: who takes it says before that it is not there
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, kTakenPresence));
    asm_.emit(bpf::alu64(AluOp::Or, Reg::R1, dst));
    asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, absent);
  }
  join_nil(id, dst, absent);
}

/// The entry at R0 takes the operation's value, and is there from then on.
void Selector::add_to_taken(ValueId id, const Table& table) {
  const Reg value = in_register(inst(id).operands.back(), Reg::R1);
  if (!table.is_counted) {
    // The word first: behind the add it might undo what was said by who took all of it meanwhile.
    if (!table.adds_positive) asm_.emit(bpf::store(Size::DW, Reg::R0, kTakenPresence, 1));
    return asm_.emit(bpf::atomic(bpf::AtomicOp::Add, Size::DW, Reg::R0, 0, value));
  }
  const bpf::Label done = asm_.make_label();
  if (value != Reg::R1) asm_.emit(bpf::mov64(Reg::R1, value));
  // One that gives the old value keeps the order everywhere: the look at the other word is later.
  asm_.emit(bpf::atomic(bpf::AtomicOp::FetchAdd, Size::DW, Reg::R0, 0, Reg::R1));
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, kTakenPresence));
  asm_.jump_to_if(JumpOp::Ne, Reg::R1, 0, done);
  count_entry(table, 1);
  asm_.emit(bpf::mov64(Reg::R1, 1));
  asm_.emit(bpf::atomic(bpf::AtomicOp::Xchg, Size::DW, Reg::R0, kTakenPresence, Reg::R1));
  asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, done);
  count_entry(table, -1);
  asm_.bind(done);
}

/// The entry at R0 takes the operation's values.
void Selector::merge_into_value(ValueId id, const Table& table) {
  if (table.is_taken) return add_to_taken(id, table);
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
  if (table.is_taken)
    move_word_to(Reg::R10, at + kTakenPresence, Word{Word::Kind::Imm, 1, Reg::R0, 0});
}

/// `update` makes an entry that must be new, and gives R0: 0 goes to `done`.
void Selector::make_entry(const Table& table, bpf::Label done,
                          const std::function<void()>& update) {
  count_entry(table, 1);
  update();
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, done);
  count_entry(table, -1);
}

/// R0 = what making an entry of the value on the stack gave, when there was none.
void Selector::make_from_stack(const Table& table, int32_t value_offset) {
  load_key_address(Reg::R2);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, value_offset));
  asm_.emit(bpf::mov64(Reg::R4, bpf::kUpdateNoExist));
  call_table(Helper::MapUpdateElem, table);
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
  make_entry(table, done, [&] { make_from_stack(table, temp_value()); });
  // Another CPU was first with this key, or there is no room.
  lookup();
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, count_and_resume(full_row(id), update_done_));
  merge_into_value(id, table);
  asm_.bind(done);
}

/// R2 = the check of the key, R3 = the factor. Uses R1.
void Selector::check_words_of_key(const Table& table) {
  asm_.load_const(Reg::R3, static_cast<int64_t>(kCheckFactor));
  asm_.emit(bpf::mov64(Reg::R2, 0));
  Word key{Word::Kind::Stack, 0, Reg::R0, temp_key()};
  if (key_in_scratch_) {
    key = Word{Word::Kind::Scratch, 0, Reg::R0, static_cast<int32_t>(homes_.scratch_temp_offset)};
  }
  for (uint32_t i = 0; i < table.key_size_bytes / 8; ++i) {
    load_word(Reg::R1, key);
    asm_.emit(bpf::alu64(AluOp::Xor, Reg::R2, Reg::R1));
    asm_.emit(bpf::alu64(AluOp::Mul, Reg::R2, Reg::R3));
    key.offset += 8;
  }
}

/// Whether the check of a value takes this word of it: not a Union's number, which is added to.
bool Selector::is_checked(const Table& table, uint32_t word) {
  return table.value.kind != ssa::KeyPart::Kind::Union || word != ssa::kUnionWordOffset / 8;
}

/// A value of several words. The kernel reuses the memory of an entry that was replaced while
/// others may still read it: what was read counts only when its check is right.
void Selector::get_bytes(ValueId id, const Table& table) {
  const Home& home = homes_.homes[id.index];
  const bpf::Label done = asm_.make_label(), good = asm_.make_label();
  const bpf::Label absent = home.has_tag ? done : asm_.make_label();
  const uint32_t words = table.value_size_bytes / 8 - 1;
  constexpr int kTries = 3;
  clear(home.payload, home.words);
  if (home.has_tag) set_word(home.tag, 0);
  for (int i = 0; i < kTries; ++i) {
    load_key_address(Reg::R2);
    call_table(Helper::MapLookupElem, table);
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, absent);
    check_words_of_key(table);
    for (uint32_t word = 0; word < words; ++word) {
      asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, static_cast<int16_t>(8 * word)));
      store_word(home_word(id, word), Reg::R1);
      if (!is_checked(table, word)) continue;
      asm_.emit(bpf::alu64(AluOp::Xor, Reg::R2, Reg::R1));
      asm_.emit(bpf::alu64(AluOp::Mul, Reg::R2, Reg::R3));
    }
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, static_cast<int16_t>(8 * words)));
    asm_.jump_to_if(JumpOp::Eq, Reg::R1, Reg::R2, good);
  }
  const uint32_t row = unit_.torn_read_row(static_cast<uint32_t>(inst(id).imm), job_.handler,
                                           inst(id).line, inst(id).span);
  asm_.jump_to(count_and_resume(row, body_out_));
  if (!home.has_tag) {  // a Union says itself that it is nil
    asm_.bind(absent);
    set_word(home_word(id, 0), ssa::kNilTag);
  }
  asm_.bind(good);
  if (home.has_tag) set_word(home.tag, 1);
  asm_.bind(done);
}

/// The value in scratch, with its check. `word_of`: its words.
void Selector::store_bytes(const Table& table, const std::function<Word(uint32_t)>& word_of) {
  const uint32_t words = table.value_size_bytes / 8 - 1;
  const auto at = static_cast<int32_t>(value_offset_);
  check_words_of_key(table);
  for (uint32_t i = 0; i < words; ++i) {
    load_word(Reg::R1, word_of(i));
    asm_.emit(bpf::store(Size::DW, Reg::R7, static_cast<int16_t>(at + 8 * static_cast<int32_t>(i)),
                         Reg::R1));
    if (!is_checked(table, i)) continue;
    asm_.emit(bpf::alu64(AluOp::Xor, Reg::R2, Reg::R1));
    asm_.emit(bpf::alu64(AluOp::Mul, Reg::R2, Reg::R3));
  }
  asm_.emit(bpf::store(Size::DW, Reg::R7,
                       static_cast<int16_t>(at + 8 * static_cast<int32_t>(words)), Reg::R2));
}

/// R3 = the value in scratch.
void Selector::load_value_address() {
  load_address(Reg::R3, {Word::Kind::Scratch, 0, Reg::R0, static_cast<int32_t>(value_offset_)});
}

/// += &= |= ^= on an entry that may be something else than an integer. Where it has become that
/// since this handler looked, what came later stays.
void Selector::update_union(ValueId id, const Table& table) {
  const ValueId operand = inst(id).operands.back();
  const bpf::Label done = asm_.make_label(), miss = asm_.make_label();
  const bool makes = inst(id).op != Op::TableAnd;
  const auto find = [&](bpf::Label absent) {
    load_key_address(Reg::R2);
    call_table(Helper::MapLookupElem, table);
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, absent);
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, 0));
    asm_.jump_to_if(JumpOp::Ne, Reg::R1, ssa::kIntTag, done);
    asm_.emit(bpf::atomic(atomic_of(inst(id).op), Size::DW, Reg::R0, ssa::kUnionWordOffset,
                          in_register(operand, Reg::R1)));
  };
  find(makes ? miss : done);
  if (makes) {
    asm_.jump_to(done);
    asm_.bind(miss);
    store_bytes(table, [&](uint32_t word) {
      if (word == 0) return Word{Word::Kind::Imm, ssa::kIntTag, Reg::R0, 0};
      return word == ssa::kUnionWordOffset / 8 ? payload_word(operand, 0, false) : Word{};
    });
    make_entry(table, done, [&] {
      load_key_address(Reg::R2);
      load_value_address();
      asm_.emit(bpf::mov64(Reg::R4, bpf::kUpdateNoExist));
      call_table(Helper::MapUpdateElem, table);
    });
    find(count_and_resume(full_row(id), done));  // another CPU was first, or there is no room
  }
  asm_.bind(done);
}

/// The entry at R0 becomes the operand where it is less, both unsigned. A try fails where another
/// CPU was first, whose value is then the one to be compared with.
void Selector::raise_value(ValueId id) {
  constexpr int kTries = 16;  // each needs another CPU that raises it within some nanoseconds
  const bpf::Label done = asm_.make_label();
  const Reg value = in_register(inst(id).operands.back(), Reg::R1);
  asm_.emit(bpf::mov64(Reg::R2, Reg::R0));
  asm_.emit(bpf::load(Size::DW, Reg::R0, Reg::R2, 0));
  for (int i = 0; i < kTries; ++i) {
    asm_.jump_to_if(JumpOp::Ge, Reg::R0, value, done);
    asm_.emit(bpf::mov64(Reg::R3, Reg::R0));
    asm_.emit(bpf::atomic(bpf::AtomicOp::CmpXchg, Size::DW, Reg::R2, 0, value));
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, Reg::R3, done);
  }
  asm_.jump_to_if(JumpOp::Ge, Reg::R0, value, done);
  const uint32_t row = unit_.torn_read_row(static_cast<uint32_t>(inst(id).imm), job_.handler,
                                           inst(id).line, inst(id).span);
  asm_.jump_to(count_and_resume(row, done));
  asm_.bind(done);
}

/// &= |= ^= on an entry, or its raising. An absent one counts as 0; &= is only asked for when it
/// was there, and makes none.
void Selector::table_combine(ValueId id, const Table& table) {
  KTAP_CHECK(table.layout == TableLayout::Hash);
  const ValueId operand = inst(id).operands.back();
  const int32_t value_at = temp_value();
  const bpf::Label done = asm_.make_label(), miss = asm_.make_label();
  const bool makes = inst(id).op != Op::TableAnd;
  const auto combine = [&] {
    if (inst(id).op == Op::TableRaise) return raise_value(id);
    if (table.is_taken && makes) asm_.emit(bpf::store(Size::DW, Reg::R0, kTakenPresence, 1));
    asm_.emit(
        bpf::atomic(atomic_of(inst(id).op), Size::DW, Reg::R0, 0, in_register(operand, Reg::R1)));
  };
  load_key_address(Reg::R2);
  call_table(Helper::MapLookupElem, table);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, makes ? miss : done);
  combine();
  if (makes) {
    asm_.jump_to(done);
    asm_.bind(miss);
    move_word_to(Reg::R10, value_at, payload_word(operand, 0, false));
    if (table.is_taken)
      move_word_to(Reg::R10, value_at + kTakenPresence, Word{Word::Kind::Imm, 1, Reg::R0, 0});
    make_entry(table, done, [&] { make_from_stack(table, value_at); });
    load_key_address(Reg::R2);  // another CPU was first, or there is no room
    call_table(Helper::MapLookupElem, table);
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, count_and_resume(full_row(id), done));
    combine();
  }
  asm_.bind(done);
}

void Selector::table_set(ValueId id, const Table& table) {
  KTAP_CHECK(table.layout == TableLayout::Hash);
  bpf::Label done = asm_.make_label();
  const ValueId value = inst(id).operands.back();
  if (has_check(table)) {
    store_bytes(table, [&](uint32_t word) { return payload_word(value, word, true); });
  } else {
    const bool as_bytes = table.value.is_bytes();
    move_word_to(Reg::R10, temp_value(), payload_word(value, 0, as_bytes));
  }
  const auto update = [&](int32_t flags) {
    load_key_address(Reg::R2);
    if (has_check(table)) {
      load_value_address();
    } else {
      asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, temp_value()));
    }
    asm_.emit(bpf::mov64(Reg::R4, flags));
    call_table(Helper::MapUpdateElem, table);
  };
  const bpf::Label full = count_and_resume(full_row(id), done);
  if (table.is_counted) {
    // One that goes between the two was removed after this had set it.
    make_entry(table, done, [&] { update(bpf::kUpdateNoExist); });
    // By the lower half: before 6.4 a map's function gives an int, and 6.1 calls it directly.
    asm_.jump32_to_if(JumpOp::Ne, Reg::R0, kEexist, full);
    update(bpf::kUpdateExist);
    asm_.jump32_to_if(JumpOp::Eq, Reg::R0, kEnoent, done);
  } else {
    update(bpf::kUpdateAny);
  }
  asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, full);
  asm_.bind(done);
}

}  // namespace ktap::backend
