// What every program does before its handler: is the run armed, is it this CPU, this process, one
// of our system calls. Cheapest first: what reads registers and the control page, then helper
// calls.
#include <algorithm>
#include <cstring>

#include "backend/selector.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;

void Selector::prologue() {
  bool is_syscall = !is_tracepoint();
  if (needs_.context) asm_.emit(bpf::mov64(Reg::R6, Reg::R1));
  asm_.load_map_value(Reg::R2, unit_.unit.control_map, 0);
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R2, Control::kArmed));
  asm_.jump_to_if(JumpOp::Ne, Reg::R3, 1, out_);
  if (options_.wait_for_exec) {
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R2, Control::kStarted));
    asm_.jump_to_if(JumpOp::Ne, Reg::R3, 1, out_);
  }
  if (is_syscall && !is_exit()) {
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R1, 8));
    dispatch(Reg::R3);
  }
  if (options_.cpu >= 0) {
    asm_.call_helper(Helper::GetSmpProcessorId);
    asm_.jump_to_if(JumpOp::Ne, Reg::R0, static_cast<int32_t>(options_.cpu), out_);
  }
  if (options_.target_tgid >= 0) {
    asm_.call_helper(Helper::GetCurrentPidTgid);
    asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 32));
    asm_.jump_to_if(JumpOp::Ne, Reg::R0, static_cast<int32_t>(options_.target_tgid), out_);
  }
  if (is_syscall && is_exit()) {
    // The number is in the saved registers alone.
    int32_t at = needs_.syscall_nr ? nr_offset_ : homes_.temp_offset;
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R6, 0));
    read_kernel(at, facts_.syscall_regs.nr_size_bytes, Reg::R3, facts_.syscall_regs.nr_offset);
    asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, out_);
    if (facts_.syscall_regs.nr_size_bytes == 4) {
      asm_.emit(bpf::load(Size::W, Reg::R3, Reg::R10, static_cast<int16_t>(at)));
      narrow(Reg::R3, 4, true);
      asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(at), Reg::R3));
    } else {
      asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R10, static_cast<int16_t>(at)));
    }
    dispatch(Reg::R3);
  }
  if (has_scratch_) enter_scratch();
}

/// Goes on when `number` is one of the group's system calls, and keeps the id of its name when that
/// is asked for.
void Selector::dispatch(Reg number) {
  const ssa::EventGroup& group = *job_.group;
  if (group.events.size() == 1) {
    auto only = static_cast<int32_t>(group.events[0]->syscall_nr);
    return asm_.jump_to_if(JumpOp::Ne, number, only, out_);
  }
  // u32 by number: 0 not ours, else the id of the name + 1.
  int64_t last = 0;
  for (const schema::EventPtr& event : group.events) last = std::max(last, event->syscall_nr);
  std::vector<uint8_t> table(round_up8(4 * static_cast<uint32_t>(last + 1)));
  for (size_t i = 0; i < group.events.size(); ++i) {
    if (group.events[i]->syscall_nr < 0) continue;
    uint32_t entry = i < group.name_ids.size() ? static_cast<uint32_t>(group.name_ids[i]) + 1 : 1;
    std::memcpy(&table[4 * static_cast<size_t>(group.events[i]->syscall_nr)], &entry, 4);
  }
  asm_.jump_to_if(JumpOp::Gt, number, static_cast<int32_t>(last), out_);
  uint32_t map = unit_.read_only_map();
  asm_.load_map_value(Reg::R4, map, unit_.add_read_only(table));
  asm_.emit(bpf::alu64(AluOp::Lsh, number, 2));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, number));
  asm_.emit(bpf::load(Size::W, number, Reg::R4, 0));
  asm_.jump_to_if(JumpOp::Eq, number, 0, out_);
  if (needs_.name_id) {
    asm_.emit(bpf::alu64(AluOp::Sub, number, 1));
    asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(name_offset_), number));
  }
}

/// R7 = this program's own bytes of the scratch map on this CPU. A program does not run twice at a
/// time on one CPU: the kernel counts that as a missed run. (Before 6.1 raw tracepoints in
/// interrupts were not so guarded: there run() asks for a classic one.)
void Selector::enter_scratch() {
  uint32_t entry = unit_.add_scratch(homes_.scratch_bytes);
  auto temp = static_cast<int16_t>(homes_.temp_offset);
  asm_.emit(bpf::store(Size::W, Reg::R10, temp, static_cast<int32_t>(entry)));
  asm_.load_map(Reg::R1, unit_.scratch_map());
  asm_.emit(bpf::mov64(Reg::R2, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, homes_.temp_offset));
  asm_.call_helper(Helper::MapLookupElem);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, out_);
  asm_.emit(bpf::mov64(Reg::R7, Reg::R0));
}

}  // namespace ktap::backend
