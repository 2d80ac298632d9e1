// Strings that are made: text of integers, names as bytes, joined, cut, in big and small letters;
// and what is counted or found in them. By words where the place is known, since a string is zero
// padded; nothing here jumps by what the characters are more than it must, for the verifier follows
// each way.
#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/selector.h"
#include "base/check.h"
#include "base/glob.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

namespace {

constexpr int64_t kOnes = 0x0101010101010101;
constexpr uint32_t kWordsACount = 31;  // so many words have at most 248 bytes: a count of 8 bits

int64_t in_all_bytes(uint8_t byte) {
  return static_cast<int64_t>(uint64_t{0x0101010101010101} * byte);
}

}  // namespace

void Selector::text_operation(ValueId id) {
  switch (inst(id).op) {
    case Op::StrLen:
      text_length(inst(id).operands[0]);
      return store_result(id, Reg::R2);
    case Op::StrByte:
      return text_byte(id);
    case Op::StrFind:
      return text_find(id);
    case Op::StrBytes:
      return text_of_id(id);
    case Op::NumberName:
      return number_name(id);
    case Op::StrText:
      return text_of_int(id);
    case Op::StrJoin:
      return text_join(id);
    case Op::StrSlice:
      return text_slice(id);
    case Op::StrSub:
      return text_sub(id);
    default:
      KTAP_CHECK(inst(id).op == Op::StrCase);
      return text_case(id);
  }
}

/// Bytes that a string may have at most.
uint32_t Selector::text_bound(ValueId id) const {
  const Inst& of = inst(payload_owner(function_, id));
  if (of.op != Op::ConstStr) return inst(id).max_bytes;
  return static_cast<uint32_t>(module_.strings[static_cast<size_t>(of.imm)].size());
}

/// Where the string's bytes are; `temporary` points at a literal's.
std::pair<bpf::Reg, int32_t> Selector::text_memory(ValueId id, Reg temporary) {
  const ValueId owner = payload_owner(function_, id);
  if (inst(owner).op != Op::ConstStr) return memory_of(home_word(owner, 0));
  const std::string& text = module_.strings[static_cast<size_t>(inst(owner).imm)];
  std::vector<uint8_t> bytes(round_up8(static_cast<uint32_t>(text.size()) + 1));
  std::memcpy(bytes.data(), text.data(), text.size());
  const uint32_t map = unit_.read_only_map();
  asm_.load_map_value(temporary, map, unit_.add_read_only(bytes));
  return {temporary, 0};
}

/// R2 = the number of bytes that are not 0. Each such byte becomes a 1 in its lowest bit, the ones
/// of all words are added up byte by byte, then the bytes by a multiplication. Uses R1, R3, R4 and,
/// for long strings, `sum`.
void Selector::text_length(ValueId id, Reg sum) {
  const uint32_t words = round_up8(text_bound(id)) / 8;
  const bpf::Label done = asm_.make_label();
  asm_.load_const(Reg::R3, kOnes);
  if (words > kWordsACount) asm_.emit(bpf::mov64(sum, 0));
  asm_.emit(bpf::mov64(Reg::R2, 0));
  for (uint32_t i = 0; i < words; ++i) {
    if (i != 0 && i % kWordsACount == 0) {
      asm_.emit(bpf::alu64(AluOp::Mul, Reg::R2, Reg::R3));
      asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R2, 56));
      asm_.emit(bpf::alu64(AluOp::Add, sum, Reg::R2));
      asm_.emit(bpf::mov64(Reg::R2, 0));
    }
    load_word(Reg::R1, payload_word(id, i, true));
    if (i >= 2) asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, done);
    for (int32_t shift : {4, 2, 1}) {
      asm_.emit(bpf::mov64(Reg::R4, Reg::R1));
      asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R4, shift));
      asm_.emit(bpf::alu64(AluOp::Or, Reg::R1, Reg::R4));
    }
    asm_.emit(bpf::alu64(AluOp::And, Reg::R1, Reg::R3));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, Reg::R1));
  }
  asm_.bind(done);
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R2, Reg::R3));
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R2, 56));
  if (words > kWordsACount) asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, sum));
}

void Selector::text_byte(ValueId id) {
  const Inst& of = inst(id);
  const Reg dst = result_register(id, Reg::R1);
  if (static_cast<uint64_t>(of.imm) >= text_bound(of.operands[0])) {
    asm_.emit(bpf::mov64(dst, 0));
  } else {
    const auto [base, offset] = text_memory(of.operands[0], Reg::R2);
    asm_.emit(bpf::load(Size::B, dst, base, static_cast<int16_t>(offset + of.imm)));
  }
  store_result(id, dst);
}

/// Names lie in the read-only map, one behind the other.
void Selector::text_of_id(ValueId id) {
  const Inst& of = inst(id);
  const uint32_t stride = round_up8(of.max_bytes);
  const auto count = static_cast<uint32_t>(module_.strings.size());
  std::vector<uint8_t> names(size_t{count} * stride);
  for (uint32_t i = 0; i < count; ++i) {
    const std::string& name = module_.strings[i];
    std::memcpy(&names[size_t{i} * stride], name.data(),
                std::min<size_t>(name.size(), of.max_bytes));
  }
  load_word(Reg::R1, payload_word(of.operands[0], 0, false));
  asm_.jump_to_if(JumpOp::Ge, Reg::R1, static_cast<int32_t>(count),
                  body_out_);  // never: for the verifier
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R1, static_cast<int32_t>(stride)));
  const uint32_t map = unit_.read_only_map();
  asm_.load_map_value(Reg::R2, map, unit_.add_read_only(names));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, Reg::R1));
  for (uint32_t i = 0; i < stride / 8; ++i) {
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R2, static_cast<int16_t>(8 * i)));
    store_word(home_word(id, i), Reg::R1);
  }
}

/// R2 = the last digit of R1, which becomes the rest. Uses R4.
void Selector::next_digit() {
  asm_.emit(bpf::mov64(Reg::R2, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Div, Reg::R1, 10));
  asm_.emit(bpf::mov64(Reg::R4, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R4, 10));
  asm_.emit(bpf::alu64(AluOp::Sub, Reg::R2, Reg::R4));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, '0'));
}

/// Likewise; without a branch, which the verifier would follow at each digit.
void Selector::next_hex_digit() {
  constexpr int32_t kToLetters = 'a' - 10 - '0';
  asm_.emit(bpf::mov64(Reg::R2, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R1, 4));
  asm_.emit(bpf::alu64(AluOp::And, Reg::R2, 15));
  asm_.emit(bpf::mov64(Reg::R4, 9));
  asm_.emit(bpf::alu64(AluOp::Sub, Reg::R4, Reg::R2));
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R4, 63));  // 1 from 10 on
  asm_.emit(bpf::alu64(AluOp::Mul, Reg::R4, kToLetters));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, '0'));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, Reg::R4));
}

/// Digits are written from the right, ending at byte 48 of the home; three words from where they
/// begin are the text.
void Selector::text_of_int(ValueId id) {
  const Home& home = homes_.homes[id.index];
  KTAP_CHECK(home.payload.kind == Word::Kind::Scratch);
  constexpr int32_t kEnd = 48;
  const int32_t at = home.payload.offset;
  const bpf::Label done = asm_.make_label();
  load_word(Reg::R1, payload_word(inst(id).operands[0], 0, false));
  const int64_t base = inst(id).imm;
  if (base == 0) {
    asm_.emit(bpf::mov64(Reg::R3, Reg::R1));
    asm_.emit(bpf::alu64(AluOp::Arsh, Reg::R3, 63));
    asm_.emit(bpf::alu64(AluOp::Xor, Reg::R1, Reg::R3));
    asm_.emit(bpf::alu64(AluOp::Sub, Reg::R1, Reg::R3));
  } else {
    asm_.emit(bpf::mov64(Reg::R3, 0));  // no sign
  }
  for (int32_t i = 0; i < 3; ++i)
    asm_.emit(bpf::store(Size::DW, Reg::R7, static_cast<int16_t>(at + kEnd + 8 * i), 0));
  const int32_t digits = base == 16 ? 16 : base == 10 ? 20 : 19;
  for (int32_t digit = 1; digit <= digits; ++digit) {
    base == 16 ? next_hex_digit() : next_digit();
    asm_.emit(bpf::store(Size::B, Reg::R7, static_cast<int16_t>(at + kEnd - digit), Reg::R2));
    asm_.emit(bpf::mov64(Reg::R5, kEnd - digit - 1));  // the place before it
    if (digit < digits) asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, done);
  }
  asm_.bind(done);
  // Through memory, so that the verifier forgets which way came here.
  asm_.emit(bpf::store(Size::DW, Reg::R7, static_cast<int16_t>(at), Reg::R5));
  asm_.emit(bpf::load(Size::DW, Reg::R5, Reg::R7, static_cast<int16_t>(at)));
  asm_.emit(bpf::alu64(AluOp::And, Reg::R5, 63));
  asm_.emit(bpf::mov64(Reg::R4, Reg::R7));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, Reg::R5));
  asm_.emit(bpf::store(Size::B, Reg::R4, static_cast<int16_t>(at), '-'));
  // The text begins there, or one byte behind when there is no sign.
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R3, 63));
  asm_.emit(bpf::alu64(AluOp::Xor, Reg::R3, 1));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, Reg::R3));
  for (int32_t i = 0; i < 3; ++i) {
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R4, static_cast<int16_t>(at + 8 * i)));
    asm_.emit(bpf::store(Size::DW, Reg::R7, static_cast<int16_t>(at + 8 * i), Reg::R1));
  }
}

/// Each operand is stored behind the one before, words at odd places: its padding is overwritten by
/// the next one's bytes.
void Selector::text_join(ValueId id) {
  const Inst& of = inst(id);
  const Home& home = homes_.homes[id.index];
  KTAP_CHECK(home.payload.kind == Word::Kind::Scratch);
  const int32_t at = home.payload.offset;
  clear(home.payload, home.words);
  uint32_t most = 0;     // bytes before the operand, at most
  uint32_t known = 0;    // the sum of the literals among them ...
  bool is_known = true;  // ... that is all of them; else R5 has the number
  for (size_t k = 0; k < of.operands.size(); ++k) {
    const ValueId part = of.operands[k];
    const uint32_t bytes = text_bound(part);
    Reg base = Reg::R7;
    int32_t offset = at + static_cast<int32_t>(known);
    if (!is_known) {
      asm_.jump_to_if(JumpOp::Gt, Reg::R5, static_cast<int32_t>(most), body_out_);  // never
      asm_.emit(bpf::mov64(Reg::R4, Reg::R7));
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, Reg::R5));
      base = Reg::R4;
      offset = at;
    }
    for (uint32_t i = 0; i < round_up8(bytes) / 8; ++i)
      move_word_to(base, offset + 8 * static_cast<int32_t>(i), payload_word(part, i, true));
    most += bytes;
    if (k + 1 == of.operands.size()) break;
    if (inst(payload_owner(function_, part)).op == Op::ConstStr) {
      known += bytes;
      if (!is_known) asm_.emit(bpf::alu64(AluOp::Add, Reg::R5, static_cast<int32_t>(bytes)));
      continue;
    }
    text_length(part);
    if (is_known) {
      asm_.emit(bpf::mov64(Reg::R5, Reg::R2));
      if (known != 0) asm_.emit(bpf::alu64(AluOp::Add, Reg::R5, static_cast<int32_t>(known)));
      is_known = false;
    } else {
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R5, Reg::R2));
    }
  }
}

/// From a known place on: words are put together from two neighbours.
void Selector::text_slice(ValueId id) {
  const Inst& of = inst(id);
  const ValueId text = of.operands[0];
  const auto first = static_cast<uint32_t>(of.imm) / 8;
  const auto shift = static_cast<int32_t>(of.imm % 8) * 8;
  const uint32_t words = payload_words(of);
  for (uint32_t i = 0; i < words; ++i) {
    load_word(Reg::R1, payload_word(text, first + i, true));
    if (shift != 0) {
      asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R1, shift));
      load_word(Reg::R2, payload_word(text, first + i + 1, true));
      asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R2, 64 - shift));
      asm_.emit(bpf::alu64(AluOp::Or, Reg::R1, Reg::R2));
    }
    const auto tail = static_cast<int32_t>(8 * words - of.max_bytes) * 8;
    if (i + 1 == words && tail != 0) {
      asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R1, tail));
      asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R1, tail));
    }
    store_word(home_word(id, i), Reg::R1);
  }
}

/// From a computed place on: the kernel copies it.
void Selector::text_sub(ValueId id) {
  const Inst& of = inst(id);
  const Home& home = homes_.homes[id.index];
  const auto most = static_cast<int32_t>(of.max_bytes);
  const bpf::Label done = asm_.make_label();
  clear(home.payload, home.words);
  load_word(Reg::R5, payload_word(of.operands[1], 0, false));
  load_word(Reg::R2, payload_word(of.operands[2], 0, false));
  asm_.jump_to_if(JumpOp::Ge, Reg::R5, most, done);
  asm_.jump_to_if(JumpOp::Gt, Reg::R2, most, done);  // never
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, 1));     // with the NUL
  const auto [base, offset] = text_memory(of.operands[0], Reg::R3);
  if (base != Reg::R3) asm_.emit(bpf::mov64(Reg::R3, base));
  if (offset != 0) asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, offset));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R5));
  load_address(Reg::R1, home.payload);
  asm_.call_helper(Helper::ProbeReadKernelStr);
  asm_.bind(done);
}

/// Eight letters at a time. Without its highest bit a byte is at most 127, so that adding
/// 128 - 'a' carries into that bit from 'a' on, and 127 - 'z' from behind 'z' on; bytes over 127
/// are left out. The bit that tells big from small is two places below.
/// Source: Warren, "Hacker's Delight", SWAR comparisons.
void Selector::text_case(ValueId id) {
  const Inst& of = inst(id);
  const bool upper = of.imm != 0;
  asm_.load_const(Reg::R0, in_all_bytes(static_cast<uint8_t>(128 - (upper ? 'a' : 'A'))));
  asm_.load_const(Reg::R4, in_all_bytes(static_cast<uint8_t>(127 - (upper ? 'z' : 'Z'))));
  asm_.load_const(Reg::R5, in_all_bytes(0x7f));
  for (uint32_t i = 0; i < payload_words(of); ++i) {
    load_word(Reg::R1, payload_word(of.operands[0], i, true));
    asm_.emit(bpf::mov64(Reg::R2, Reg::R1));
    asm_.emit(bpf::alu64(AluOp::And, Reg::R2, Reg::R5));
    asm_.emit(bpf::mov64(Reg::R3, Reg::R2));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R0));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, Reg::R4));
    asm_.emit(bpf::alu64(AluOp::Xor, Reg::R3, Reg::R2));
    asm_.emit(bpf::mov64(Reg::R2, Reg::R1));
    asm_.emit(bpf::alu64(AluOp::Or, Reg::R2, Reg::R5));
    asm_.emit(bpf::alu64(AluOp::Xor, Reg::R2, -1));  // the highest bits of bytes up to 127
    asm_.emit(bpf::alu64(AluOp::And, Reg::R3, Reg::R2));
    asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R3, 2));
    asm_.emit(bpf::alu64(AluOp::Xor, Reg::R1, Reg::R3));
    store_word(home_word(id, i), Reg::R1);
  }
}

/// What the glob says of each string was decided here: a byte each in the read-only map.
void Selector::name_jump(ValueId id, bool sense, bpf::Label target) {
  const std::string& glob = module_.strings[static_cast<size_t>(inst(id).imm)];
  std::vector<uint8_t> matches;
  for (const std::string& name : module_.strings) matches.push_back(glob_match(glob, name) ? 1 : 0);
  const auto count = static_cast<int32_t>(matches.size());
  matches.resize(round_up8(static_cast<uint32_t>(count)));
  load_word(Reg::R1, payload_word(inst(id).operands[0], 0, false));
  asm_.jump_to_if(JumpOp::Ge, Reg::R1, count, body_out_);  // never: for the verifier
  const uint32_t map = unit_.read_only_map();
  asm_.load_map_value(Reg::R2, map, unit_.add_read_only(matches));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, Reg::R1));
  asm_.emit(bpf::load(Size::B, Reg::R1, Reg::R2, 0));
  asm_.jump_to_if(sense ? JumpOp::Ne : JumpOp::Eq, Reg::R1, 0, target);
}

/// The first word that differs decides, as a number whose first byte counts most.
void Selector::less_jump(ValueId id, bool sense, bpf::Label target) {
  const ValueId a = inst(id).operands[0], b = inst(id).operands[1];
  const uint32_t words = round_up8(std::max(text_bound(a), text_bound(b))) / 8;
  const bpf::Label differ = asm_.make_label(), done = asm_.make_label();
  if (words == 0) return jump_constant(!sense, target);
  for (uint32_t i = 0; i < words; ++i) {
    load_word(Reg::R1, payload_word(a, i, true));
    load_word(Reg::R2, payload_word(b, i, true));
    asm_.jump_to_if(JumpOp::Ne, Reg::R1, Reg::R2, differ);
  }
  asm_.jump_to(sense ? done : target);
  asm_.bind(differ);
  asm_.emit(bpf::to_big_endian64(Reg::R1));
  asm_.emit(bpf::to_big_endian64(Reg::R2));
  asm_.jump_to_if(sense ? JumpOp::Lt : JumpOp::Ge, Reg::R1, Reg::R2, target);
  asm_.bind(done);
}

// ---- globs by an automaton
// ----------------------------------------------------------------------------------

/// R5 = the automaton's table, R4 = its states that stay, R2 = where it starts.
void Selector::start_glob(const GlobBits& bits) {
  std::vector<uint8_t> table(sizeof bits.takes);
  std::memcpy(table.data(), bits.takes.data(), table.size());
  const uint32_t map = unit_.read_only_map();
  asm_.load_map_value(Reg::R5, map, unit_.add_read_only(table));
  if (bits.stay != 0) asm_.load_const(Reg::R4, static_cast<int64_t>(bits.stay));
  asm_.load_const(Reg::R2, static_cast<int64_t>(bits.start));
}

/// One byte, which is in R1. Uses R3.
void Selector::step_glob(const GlobBits& bits) {
  asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R1, 3));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, Reg::R5));
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R1, 0));
  if (bits.stay != 0) {
    asm_.emit(bpf::mov64(Reg::R3, Reg::R2));
    asm_.emit(bpf::alu64(AluOp::And, Reg::R3, Reg::R4));
  }
  asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R2, 1));
  asm_.emit(bpf::alu64(AluOp::And, Reg::R2, Reg::R1));
  if (bits.stay != 0) asm_.emit(bpf::alu64(AluOp::Or, Reg::R2, Reg::R3));
}

/// The whole text against a glob of any make.
void Selector::automaton_jump(ValueId id, bool sense, bpf::Label target) {
  const ValueId text = inst(id).operands[0];
  const std::string& glob = module_.strings[static_cast<size_t>(inst(id).imm)];
  const std::optional<GlobBits> bits = glob_bits(glob, false);
  if (!bits) return fail("a glob of more than 64 parts");
  const auto [base, offset] = memory_of(home_word(payload_owner(function_, text), 0));
  const bpf::Label end = asm_.make_label();
  start_glob(*bits);
  for (uint32_t i = 0; i < text_bound(text); ++i) {
    asm_.emit(
        bpf::load(Size::B, Reg::R1, base, static_cast<int16_t>(offset + static_cast<int32_t>(i))));
    asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, end);
    step_glob(*bits);
    // Nothing can match any more: R2 is 0 there.
    if (i % 4 == 3) asm_.jump_to_if(JumpOp::Eq, Reg::R2, 0, end);
  }
  asm_.bind(end);
  asm_.load_const(Reg::R3, static_cast<int64_t>(bits->accept));
  asm_.emit(bpf::alu64(AluOp::And, Reg::R2, Reg::R3));
  asm_.jump_to_if(sense ? JumpOp::Ne : JumpOp::Eq, Reg::R2, 0, target);
}

/// From the text's end to its begin with the glob turned round: the last place where it has matched
/// is the leftmost begin.
void Selector::text_find(ValueId id) {
  const Inst& of = inst(id);
  const ValueId text = of.operands[0];
  const std::string& glob = module_.strings[static_cast<size_t>(of.imm)];
  const bool is_glob = glob.find_first_of("*?[") != std::string::npos;
  const std::optional<GlobBits> bits = glob_bits(is_glob ? glob : glob_escape(glob), true);
  if (!bits) return fail("a glob of more than 64 parts");
  if ((bits->start & bits->accept) != 0) {  // nothing is found at once
    asm_.emit(bpf::mov64(Reg::R0, 1));
    return store_result(id, Reg::R0);
  }
  const auto [base, offset] = text_memory(text, Reg::R0);
  if (base == Reg::R0) return fail("a search in a string of the script");  // folded before
  asm_.emit(bpf::mov64(Reg::R0, 0));
  start_glob(*bits);
  for (uint32_t i = text_bound(text); i-- > 0;) {
    const bpf::Label next = asm_.make_label();
    asm_.emit(
        bpf::load(Size::B, Reg::R1, base, static_cast<int16_t>(offset + static_cast<int32_t>(i))));
    asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, next);
    step_glob(*bits);
    asm_.load_const(Reg::R3, static_cast<int64_t>(bits->accept));
    asm_.emit(bpf::alu64(AluOp::And, Reg::R3, Reg::R2));
    asm_.load_const(Reg::R1, static_cast<int64_t>(bits->start));
    asm_.emit(bpf::alu64(AluOp::Or, Reg::R2, Reg::R1));
    asm_.jump_to_if(JumpOp::Eq, Reg::R3, 0, next);
    asm_.emit(bpf::mov64(Reg::R0, static_cast<int32_t>(i) + 1));
    asm_.bind(next);
  }
  hide_from_verifier(Reg::R0);
  store_result(id, Reg::R0);
}

/// Adds a 0 that the verifier does not know, so that it follows what comes once, not once for each
/// value that the register may have. Uses R1.
void Selector::hide_from_verifier(Reg reg) {
  asm_.load_map_value(Reg::R1, unit_.unit.control_map, Control::kZero);
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R1, 0));
  asm_.emit(bpf::alu64(AluOp::Add, reg, Reg::R1));
}

}  // namespace ktap::backend
