// Loops by bpf_loop(), where the kernel has neither may_goto nor iter_num (5.17 to 6.3). One
// function is the whole body; the kernel calls it until it says that it is done. It begins at the
// head of the loop that is next, and ends where a loop goes back to its head: a round each, of
// whichever loop. So nested loops, `break` and `return` are what they are without it.
//
// Each call has a stack and registers of its own. What lives from block to block lies in scratch,
// of which the verifier knows nothing: it looks at one call, and older kernels (before 6.7) take
// what they see there for all of them. What the program found before is copied from its stack.
#include "backend/selector.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::JumpOp;
using bpf::Size;

bpf::Label Selector::edge_label(ssa::BlockId from, ssa::BlockId to) const {
  if (!is_turn(from, to)) return block_labels_[to.index];
  return turn_labels_[static_cast<size_t>(loops_.of_block[to.index])];
}

/// In the program, in place of the body.
void Selector::call_turns() {
  turns_ = asm_.make_label();
  for (size_t i = 0; i < loops_.loops.size(); ++i) turn_labels_.push_back(asm_.make_label());
  const int32_t temp_offset = homes_.temp_offset;
  homes_.temp_offset = start_temp_offset_;
  body_out_ = out_;
  enter_scratch();
  if (walk_bytes_ != 0) enter_walks();
  if (keeps_area_) enter_areas();
  begin_loops();
  asm_.emit(bpf::store(Size::DW, Reg::R7, kNextHead, 0));
  if (frame_.keeps_context) {
    asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(context_offset_), Reg::R6));
  }
  asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(scratch_offset_), Reg::R7));
  asm_.emit(bpf::mov64(Reg::R1, bpf::kMostLoopRounds));
  asm_.load_function(Reg::R2, turns_);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
  asm_.emit(bpf::mov64(Reg::R4, 0));
  asm_.call_helper(bpf::Helper::Loop);
  count_if_cut_short();
  homes_.temp_offset = temp_offset;
}

/// Loops that the budget does not end, walks over tables in each other, may want more rounds than
/// the kernel does: told of the first of them.
void Selector::count_if_cut_short() {
  for (const ssa::BlockId block : order_.blocks) {
    for (const ssa::ValueId id : function_.blocks[block.index].insts) {
      if (inst(id).op != ssa::Op::LoopTurn) continue;
      set_line(inst(id));
      asm_.jump_to_if(JumpOp::Ne, Reg::R0, bpf::kMostLoopRounds, out_);
      bump_counter(unit_.loop_cut_row(job_.handler, inst(id).line, inst(id).span));
      return;
    }
  }
}

/// R2 is the end of the program's stack.
void Selector::enter_turn() {
  const auto at = [](int32_t offset) { return static_cast<int16_t>(offset); };
  if (frame_.keeps_context) {
    asm_.emit(bpf::load(Size::DW, Reg::R6, Reg::R2, at(context_offset_)));
  }
  asm_.emit(bpf::load(Size::DW, Reg::R7, Reg::R2, at(scratch_offset_)));
  std::vector<int32_t> copied;
  if (frame_.task_is_read && needs_.task_reads != 0) copied.push_back(frame_.task_offset);
  if (frame_.nr_offset != 0 && needs_.syscall_nr) copied.push_back(frame_.nr_offset);
  if (has_name_on_stack()) copied.push_back(name_.offset);
  if (keeps_area_) copied.push_back(area_offset_);
  if (walk_bytes_ != 0) copied.push_back(lists_offset_);
  for (const int32_t offset : copied) {
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R2, at(offset)));
    asm_.emit(bpf::store(Size::DW, Reg::R10, at(offset), Reg::R1));
  }
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R7, kNextHead));
  for (size_t i = 0; i < loops_.loops.size(); ++i) {
    asm_.jump_to_if(JumpOp::Eq, Reg::R1, static_cast<int32_t>(i + 1),
                    block_labels_[loops_.loops[i].head.index]);
  }
}

/// Behind the program: the function.
void Selector::write_turns() {
  asm_.set_owner(job_.handler, job_.group_index);
  asm_.set_line(0);
  body_out_ = asm_.make_label();
  asm_.begin_callback(turns_);
  enter_turn();
  select_blocks();
  asm_.set_line(0);
  asm_.bind(body_out_);
  asm_.emit(bpf::mov64(Reg::R0, bpf::kLoopEnds));
  asm_.emit(bpf::exit_insn());
  for (size_t i = 0; i < loops_.loops.size(); ++i) {
    asm_.bind(turn_labels_[i]);
    asm_.emit(bpf::store(Size::DW, Reg::R7, kNextHead, static_cast<int32_t>(i + 1)));
    asm_.emit(bpf::mov64(Reg::R0, bpf::kLoopGoesOn));
    asm_.emit(bpf::exit_insn());
  }
}

}  // namespace ktap::backend
