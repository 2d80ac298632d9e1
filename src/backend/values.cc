// Words of SSA values: where they are, in and out of registers, and the parallel moves of phis.
#include <cstring>

#include "backend/selector.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Size;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

Word Selector::home_word(ValueId id, uint32_t index) const {
  const Home& home = homes_.homes[id.index];
  KTAP_CHECK(index < home.words || home.words == 0);
  Word word = home.payload;
  word.offset += 8 * static_cast<int32_t>(index);
  return word;
}

/// 1 or 0 as a word: "there" and "nil". What is no Maybe is there.
Word Selector::tag_word(ValueId id) {
  const Inst& of = inst(id);
  if (of.op == Op::ConstNil) return Word{};
  const Home& home = homes_.homes[id.index];
  if (home.has_tag) return home.tag;
  return Word{Word::Kind::Imm, 1, Reg::R0, 0};
}

/// Word `index` of the value; `as_bytes`: a literal gives its characters, not its id. 0 past the
/// end.
Word Selector::payload_word(ValueId id, uint32_t index, bool as_bytes) {
  id = payload_owner(function_, id);
  const Inst& of = inst(id);
  if (auto it = immediates_.find(id.index); it != immediates_.end()) {
    if (as_bytes) fail("the event's name is used as text here");
    return index == 0 ? it->second : Word{};
  }
  switch (of.op) {
    case Op::ConstInt:
    case Op::ConstBool:
      return Word{Word::Kind::Imm, index == 0 ? of.imm : 0, Reg::R0, 0};
    case Op::ConstNil:
      return Word{};
    case Op::ConstStr: {
      if (!as_bytes) return Word{Word::Kind::Imm, index == 0 ? of.imm : 0, Reg::R0, 0};
      const std::string& text = module_.strings[static_cast<size_t>(of.imm)];
      int64_t bits = 0;
      if (size_t{index} * 8 < text.size()) {
        std::memcpy(&bits, text.data() + index * 8, std::min(text.size() - index * 8, size_t{8}));
      }
      return Word{Word::Kind::Imm, bits, Reg::R0, 0};
    }
    default:
      break;
  }
  if (of.op == Op::MakeUnion) return union_word(of, index);
  const ssa::Type type = ssa::sure_type(of.type);
  const bool is_text = type == ssa::Type::Str || type == ssa::Type::Stack;
  if (is_text && as_bytes != (of.str_kind == ssa::StrKind::Bytes)) {
    fail("a string of the script and one read from the event meet here");
    return Word{};
  }
  if (index >= homes_.homes[id.index].words) return Word{};
  return home_word(id, index);
}

/// Word `index` of what a MakeUnion makes.
Word Selector::union_word(const Inst& of, uint32_t index) {
  const ValueId operand = of.operands[0];
  const ssa::Type type = inst(operand).type;
  const bool is_text = type == ssa::Type::Str;
  constexpr uint32_t kNumber = ssa::kUnionWordOffset / 8, kText = ssa::kUnionTextOffset / 8;
  if (index == 0) {
    const int tag = type == ssa::Type::Bool ? ssa::kBoolTag : ssa::kIntTag;
    return Word{Word::Kind::Imm, is_text ? ssa::kStrTag : tag, Reg::R0, 0};
  }
  if (index == kNumber) return is_text ? Word{} : payload_word(operand, 0, false);
  if (!is_text) return Word{};
  const bool as_bytes = ssa::union_text(of.max_bytes).kind == ssa::KeyPart::Kind::Bytes;
  return payload_word(operand, index - kText, as_bytes);
}

/// What a Union is, or what it holds.
void Selector::read_union(ValueId id) {
  const ValueId operand = inst(id).operands[0];
  uint32_t first = 0;
  if (inst(id).op == Op::UnionWord) first = ssa::kUnionWordOffset / 8;
  if (inst(id).op == Op::UnionText) first = ssa::kUnionTextOffset / 8;
  const uint32_t words = homes_.homes[id.index].words;
  for (uint32_t i = 0; i < words; ++i) move_word(home_word(id, i), home_word(operand, first + i));
}

std::pair<bpf::Reg, int32_t> Selector::memory_of(const Word& word) const {
  KTAP_CHECK(word.kind == Word::Kind::Stack || word.kind == Word::Kind::Scratch);
  return {word.kind == Word::Kind::Stack ? Reg::R10 : Reg::R7, word.offset};
}

void Selector::load_address(Reg dst, const Word& word, int32_t extra) {
  auto [base, offset] = memory_of(word);
  asm_.emit(bpf::mov64(dst, base));
  if (offset + extra != 0) asm_.emit(bpf::alu64(AluOp::Add, dst, offset + extra));
}

void Selector::load_word(Reg dst, const Word& word) {
  switch (word.kind) {
    case Word::Kind::Imm:
      if (word.hidden) {
        load_hidden(dst, word.imm);
      } else {
        asm_.load_const(dst, word.imm);
      }
      break;
    case Word::Kind::Reg:
      if (word.reg != dst) asm_.emit(bpf::mov64(dst, word.reg));
      break;
    case Word::Kind::Stack:
    case Word::Kind::Scratch: {
      auto [base, offset] = memory_of(word);
      asm_.emit(bpf::load(Size::DW, dst, base, static_cast<int16_t>(offset)));
      break;
    }
  }
}

void Selector::store_word(const Word& word, Reg src) {
  KTAP_CHECK(word.kind != Word::Kind::Imm);
  if (word.kind == Word::Kind::Reg) {
    if (word.reg != src) asm_.emit(bpf::mov64(word.reg, src));
    return;
  }
  auto [base, offset] = memory_of(word);
  asm_.emit(bpf::store(Size::DW, base, static_cast<int16_t>(offset), src));
}

void Selector::store_word(const Word& word, int32_t imm) {
  KTAP_CHECK(word.kind != Word::Kind::Imm);
  if (word.kind == Word::Kind::Reg) {
    asm_.emit(bpf::mov64(word.reg, imm));
    return;
  }
  auto [base, offset] = memory_of(word);
  asm_.emit(bpf::store(Size::DW, base, static_cast<int16_t>(offset), imm));
}

void Selector::move_word(const Word& dst, const Word& src) {
  if (dst == src) return;
  if (src.hidden && src.kind != Word::Kind::Imm) {
    const Reg by = dst.kind == Word::Kind::Reg ? dst.reg : Reg::R1;
    if (src.ranged) {
      load_hidden(Reg::R2, 0);
      load_word(by, src);
      asm_.emit(bpf::alu64(AluOp::Add, by, Reg::R2));
    } else {
      load_word(by, src);
      untie(by);
    }
    store_word(dst, by);
  } else if (dst.kind == Word::Kind::Reg) {
    load_word(dst.reg, src);
  } else if (src.kind == Word::Kind::Reg) {
    store_word(dst, src.reg);
  } else if (src.kind == Word::Kind::Imm && !src.hidden &&
             src.imm == static_cast<int32_t>(src.imm)) {
    store_word(dst, static_cast<int32_t>(src.imm));
  } else {
    load_word(Reg::R1, src);
    store_word(dst, Reg::R1);
  }
}

/// *(u64*)(base + offset) = src. Uses R1.
void Selector::move_word_to(Reg base, int32_t offset, const Word& src) {
  auto at = static_cast<int16_t>(offset);
  if (src.kind == Word::Kind::Imm && src.imm == static_cast<int32_t>(src.imm)) {
    asm_.emit(bpf::store(Size::DW, base, at, static_cast<int32_t>(src.imm)));
  } else if (src.kind == Word::Kind::Reg) {
    asm_.emit(bpf::store(Size::DW, base, at, src.reg));
  } else {
    load_word(Reg::R1, src);
    asm_.emit(bpf::store(Size::DW, base, at, Reg::R1));
  }
}

void Selector::clear(const Word& first, uint32_t words) {
  auto [base, offset] = memory_of(first);
  for (uint32_t i = 0; i < words; ++i) {
    int32_t at = offset + 8 * static_cast<int32_t>(i);
    asm_.emit(bpf::store(Size::DW, base, static_cast<int16_t>(at), 0));
  }
}

bpf::Reg Selector::in_register(ValueId id, Reg temporary) {
  Word word = payload_word(id, 0, false);
  if (word.kind == Word::Kind::Reg) return word.reg;
  load_word(temporary, word);
  return temporary;
}

bool Selector::small_constant(ValueId id, int32_t* imm) {
  Word word = payload_word(id, 0, false);
  if (word.kind != Word::Kind::Imm || word.imm != static_cast<int32_t>(word.imm)) return false;
  *imm = static_cast<int32_t>(word.imm);
  return true;
}

/// Where to compute a one-word result: its own register, or `temporary`.
bpf::Reg Selector::result_register(ValueId id, Reg temporary) const {
  return word_register(home_word(id, 0), temporary);
}

void Selector::store_result(ValueId id, Reg reg) { store_word(home_word(id, 0), reg); }

/// What is in `payload` here, or nil for those who come by `absent`. Both are put together in
/// registers: a verifier takes a slot of the stack with a constant and one without for two states
/// (5.10), and follows each of them to the end. Uses R2.
void Selector::join_nil(ValueId id, Reg payload, bpf::Label absent) {
  const Word tag = homes_.homes[id.index].tag;
  const Reg reg = word_register(tag, Reg::R2);
  const bpf::Label done = asm_.make_label();
  set_register(reg, 1);
  asm_.jump_to(done);
  asm_.bind(absent);
  asm_.emit(bpf::mov64(payload, 0));
  set_register(reg, 0);
  asm_.bind(done);
  store_result(id, payload);
  store_word(tag, reg);
}

/// A reading helper's result in R0: the length with its NUL, or -EFAULT for nil.
void Selector::tag_of_length(Reg tag) {
  asm_.emit(bpf::mov64(tag, Reg::R0));
  asm_.emit(bpf::alu64(AluOp::Rsh, tag, 63));
  asm_.emit(bpf::alu64(AluOp::Xor, tag, 1));
}

/// The moves that successor number `successor` of `from` asks for: its phis take their operands,
/// all at once.
void Selector::edge_moves(ssa::BlockId from, uint32_t successor,
                          std::vector<std::pair<Word, Word>>& moves) {
  const ssa::Block& block = function_.blocks[from.index];
  ssa::BlockId to = block.succs[successor];
  const ssa::Block& target = function_.blocks[to.index];
  // A Branch whose arms both go to one block stands twice in its preds.
  uint32_t earlier = 0;
  for (uint32_t i = 0; i < successor; ++i) earlier += block.succs[i] == to ? 1 : 0;
  size_t which = target.preds.size();
  for (size_t i = 0; i < target.preds.size(); ++i) {
    if (target.preds[i] != from) continue;
    if (earlier == 0) {
      which = i;
      break;
    }
    --earlier;
  }
  KTAP_CHECK(which < target.preds.size());
  for (ValueId id : target.insts) {
    const Inst& phi = inst(id);
    if (phi.op != Op::Phi) break;
    if (!order_.needed[id.index]) continue;
    ValueId operand = phi.operands[which];
    const Home& home = homes_.homes[id.index];
    const bool hides = loops_.hides(from, to, id);
    const bool is_ranged = hides && may_have_range(operand, 0);
    auto move = [&](const Word& into, Word word) {
      word.hidden = hides;
      word.ranged = is_ranged;
      if (into != word) moves.emplace_back(into, word);
    };
    if (home.has_tag) move(home.tag, tag_word(operand));
    bool as_bytes = phi.str_kind == ssa::StrKind::Bytes;
    for (uint32_t i = 0; i < home.words; ++i) {
      move(home_word(id, i), payload_word(operand, i, as_bytes));
    }
  }
}

void Selector::parallel_moves(std::vector<std::pair<Word, Word>> moves) {
  std::erase_if(moves, [](const auto& move) { return move.first == move.second; });
  while (!moves.empty()) {
    size_t ready = moves.size();
    for (size_t i = 0; i < moves.size() && ready == moves.size(); ++i) {
      bool is_read = false;
      for (size_t j = 0; j < moves.size(); ++j) {
        is_read = is_read || (j != i && moves[j].second == moves[i].first);
      }
      if (!is_read) ready = i;
    }
    if (ready == moves.size()) {
      // Only cycles are left: what the first one overwrites waits in R0 (move_word uses R1).
      Word saved{Word::Kind::Reg, 0, Reg::R0, 0};
      Word overwritten = moves[0].first;
      load_word(Reg::R0, overwritten);
      for (auto& move : moves) {
        if (move.second == overwritten) move.second = saved;
      }
      ready = 0;
    }
    move_word(moves[ready].first, moves[ready].second);
    moves.erase(moves.begin() + static_cast<int64_t>(ready));
  }
}

}  // namespace ktap::backend
