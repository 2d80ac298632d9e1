// Rounds of loops: the run's budget, and the step of each round that the verifier knows to end.
#include "backend/selector.h"
#include "base/limits.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

namespace {

/// The most that bpf_iter_num_new() takes (BPF_MAX_LOOPS); the budget comes long before.
constexpr int32_t kMostRounds = 8 << 20;

}  // namespace

/// dst = `value`, in a way that tells the verifier nothing of it. Uses R2 where it is wide.
void Selector::load_hidden(Reg dst, int64_t value) {
  asm_.load_map_value(dst, unit_.unit.control_map, Control::kZero);
  asm_.emit(bpf::load(Size::DW, dst, dst, 0));
  if (value == 0) return;
  if (value == static_cast<int32_t>(value)) {
    asm_.emit(bpf::alu64(AluOp::Add, dst, static_cast<int32_t>(value)));
    return;
  }
  asm_.load_const(Reg::R2, value);
  asm_.emit(bpf::alu64(AluOp::Add, dst, Reg::R2));
}

/// Whether the verifier may know that the value is one of few.
bool Selector::may_have_range(ValueId id, int depth) const {
  const Inst& of = inst(id);
  if (is_constant(of.op)) return true;
  constexpr int kMaxDepth = 8;  // guessed: deeper ones are taken for ranged
  if (depth > kMaxDepth) return true;
  switch (of.op) {
    case Op::Phi:
      return !loops_.is_blind(block_of_[id.index]);
    case Op::Wrap:
    case Op::Unwrap:
      return may_have_range(of.operands[0], depth + 1);
    case Op::Add:
    case Op::Sub:
    case Op::Xor:
      return may_have_range(of.operands[0], depth + 1) && may_have_range(of.operands[1], depth + 1);
    case Op::TableGet:
    case Op::CellGet:
      return false;
    default:  // of Mul, Or and Shl it may know some bits, whatever it knows of the operands
      return of.str_kind != ssa::StrKind::Bytes;
  }
}

void Selector::set_word(const Word& word, int32_t imm) {
  if (!loops_.hides_constants()) return store_word(word, imm);
  load_hidden(Reg::R1, imm);
  store_word(word, Reg::R1);
}

void Selector::set_register(Reg reg, int32_t imm) {
  if (loops_.hides_constants()) return load_hidden(reg, imm);
  asm_.emit(bpf::mov64(reg, imm));
}

bpf::Reg Selector::tested(const Word& word, Reg temporary) {
  const bool is_blind = loops_.is_blind(block_);
  if (word.kind == Word::Kind::Reg && !is_blind) return word.reg;
  load_word(temporary, word);
  if (is_blind && word.kind != Word::Kind::Imm) untie(temporary);
  return temporary;
}

/// Before the first block.
void Selector::begin_loops() {
  const auto set = [this](const Word& word, int32_t value) {
    if (is_called_back()) return store_word(word, value);
    load_hidden(Reg::R1, value);
    store_word(word, Reg::R1);
  };
  if (loops_.counts) set(budget_, limits::kHandlerIterations);
  if (loops_.counts_calls) set(calls_, limits::kHandlerCalls - 1);  // the first is the handler
  if (loops_.form != LoopForm::IterNum) return;
  asm_.emit(bpf::mov64(Reg::R1, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, iterator_offset_));
  asm_.emit(bpf::mov64(Reg::R2, 0));
  asm_.emit(bpf::mov64(Reg::R3, kMostRounds));
  asm_.call_kernel(facts_.iter_num_new);
}

/// Where the handler's ways out meet.
void Selector::end_loops() {
  asm_.bind(body_out_);
  if (loops_.form != LoopForm::IterNum) return;
  asm_.emit(bpf::mov64(Reg::R1, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, iterator_offset_));
  asm_.call_kernel(facts_.iter_num_destroy);
}

void Selector::load_tested(Reg dst, const Word& word) {
  load_word(dst, word);
  if (loops_.is_blind(block_) && word.kind != Word::Kind::Imm) untie(dst);
}

/// Where `row` is counted and the handler's run ends; one place for all that jump there.
bpf::Label Selector::end_of_run(uint32_t row, bool disarms) {
  auto [it, is_new] = failures_.emplace(row, bpf::Label{});
  if (is_new) it->second = count_and_resume(row, body_out_, disarms);
  return it->second;
}

bpf::Label Selector::failure_label(int64_t failure) {
  return end_of_run(unit_.failure_row(static_cast<uint32_t>(failure), job_.handler),
                    options_.strict);
}

bpf::Label Selector::cut_label(ValueId id) {
  return end_of_run(unit_.loop_cut_row(job_.handler, inst(id).line, inst(id).span), false);
}

void Selector::loop_guard(ValueId id) {
  const bool steps = loops_.is_blind(block_);
  const bool counts = loops_.counts && inst(id).op == Op::LoopGuard;
  if (!steps && !counts) return;
  // The kernel's own bound is none of the budget: steps over empty places of a table count there.
  if (steps && loops_.form == LoopForm::MayGoto) asm_.may_goto(cut_label(id));
  if (steps && loops_.form == LoopForm::IterNum) {
    asm_.emit(bpf::mov64(Reg::R1, Reg::R10));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, iterator_offset_));
    asm_.call_kernel(facts_.iter_num_next);
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, cut_label(id));
  }
  if (counts) count_down(budget_, failure_label(inst(id).imm));
}

/// A way without loops is too short to use up the calls.
void Selector::call_guard(ValueId id) {
  if (loops_.counts_calls) count_down(calls_, failure_label(inst(id).imm));
}

/// One less of a budget.
void Selector::count_down(const Word& budget, bpf::Label over) {
  load_word(Reg::R1, budget);
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, -1));
  store_word(budget, Reg::R1);
  asm_.jump_to_if(JumpOp::SLt, Reg::R1, 0, over);
}

}  // namespace ktap::backend
