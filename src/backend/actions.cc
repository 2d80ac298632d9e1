// What changes something outside of the script: a signal to the event's process, its memory, the
// result of a kernel function. Results are the helpers': 0, or minus an errno.
#include "backend/selector.h"

namespace ktap::backend {

using bpf::JumpOp;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

void Selector::action(ValueId id) {
  const Inst& of = inst(id);
  if (of.op == Op::SendSignal) {
    load_word(Reg::R1, payload_word(of.operands[0], 0, false));
    asm_.call_helper(bpf::Helper::SendSignal);
  } else if (of.op == Op::OverrideReturn) {
    load_word(Reg::R2, payload_word(of.operands[0], 0, false));
    asm_.emit(bpf::mov64(Reg::R1, Reg::R6));
    asm_.call_helper(bpf::Helper::OverrideReturn);
  } else if (of.op == Op::WriteUser) {
    Word room;
    room.kind = Word::Kind::Stack;
    room.offset = homes_.temp_offset;
    move_word(room, payload_word(of.operands[1], 0, false));
    load_word(Reg::R1, payload_word(of.operands[0], 0, false));
    load_address(Reg::R2, room);
    asm_.emit(bpf::mov64(Reg::R3, static_cast<int32_t>(of.imm)));
    asm_.call_helper(bpf::Helper::ProbeWriteUser);
  } else {
    write_text(id);
  }
  if (homes_.homes[id.index].words != 0) store_result(id, Reg::R0);
}

/// R0 = 0 where there is nothing to write.
void Selector::write_text(ValueId id) {
  const Inst& of = inst(id);
  const bpf::Label done = asm_.make_label();
  load_word(Reg::R1, payload_word(of.operands[0], 0, false));
  load_word(Reg::R3, payload_word(of.operands[2], 0, false));
  asm_.emit(bpf::mov64(Reg::R0, 0));
  // Kernels before 6.8 learn nothing from a test for 0. The second is for the verifier alone.
  asm_.jump_to_if(JumpOp::Lt, Reg::R3, 1, done);
  asm_.jump_to_if(JumpOp::Gt, Reg::R3, static_cast<int32_t>(text_bound(of.operands[1])), done);
  const auto [base, offset] = text_memory(of.operands[1], Reg::R2);
  if (base != Reg::R2) asm_.emit(bpf::mov64(Reg::R2, base));
  if (offset != 0) asm_.emit(bpf::alu64(bpf::AluOp::Add, Reg::R2, offset));
  asm_.call_helper(bpf::Helper::ProbeWriteUser);
  asm_.bind(done);
}

}  // namespace ktap::backend
