// How a body is entered: is it this body's system call, which name has it, scratch memory.
#include <algorithm>
#include <cstring>

#include "backend/selector.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;

/// Leaves the body when the number is another body's.
void Selector::check_number(const Entry& entry) {
  if (!entry.checks_number) return;
  if (frame_.bodies_offset != 0) {
    asm_.emit(bpf::load(Size::W, Reg::R3, Reg::R10, static_cast<int16_t>(frame_.bodies_offset)));
    asm_.emit(bpf::alu64(AluOp::And, Reg::R3, static_cast<int32_t>(uint32_t{1} << entry.bit)));
    return asm_.jump_to_if(JumpOp::Eq, Reg::R3, 0, out_);
  }
  load_number(Reg::R3);
  asm_.jump_to_if(JumpOp::Ne, Reg::R3, static_cast<int32_t>(job_.group->events[0]->syscall_nr),
                  out_);
}

/// dst = the number of the system call, as the program has it from the prologue on.
void Selector::load_number(Reg dst) {
  if (!is_exit() || frame_.is_record) {
    asm_.emit(bpf::load(Size::DW, dst, Reg::R6, kNumberOffset));
  } else if (frame_.nr_offset != 0) {
    asm_.emit(bpf::load(Size::DW, dst, Reg::R10, static_cast<int16_t>(frame_.nr_offset)));
  } else {
    asm_.emit(bpf::load(Size::DW, dst, Reg::R6, 0));
    load_saved_number(asm_, facts_.syscall_regs, dst);
  }
}

/// Keeps the id of the event's name. The number is known to be one of the group's.
void Selector::find_name() {
  if (gives_registers()) {  // each point has the id as its cookie
    load_cookie();
    asm_.emit(bpf::mov32(Reg::R0, Reg::R0));  // above it is a kernel function's index
    return store_word(name_, Reg::R0);
  }
  const std::vector<uint8_t> names = name_table(*job_.group);
  load_number(Reg::R3);
  asm_.jump_to_if(JumpOp::Gt, Reg::R3, static_cast<int32_t>(names.size() / 4 - 1), out_);
  asm_.load_map_value(Reg::R4, unit_.read_only_map(), unit_.add_read_only(names));
  asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R3, 2));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, Reg::R3));
  asm_.emit(bpf::load(Size::W, Reg::R3, Reg::R4, 0));
  store_word(name_, Reg::R3);
}

std::vector<uint8_t> name_table(const ssa::EventGroup& group) {
  int64_t last = 0;
  for (const schema::EventPtr& event : group.events) last = std::max(last, event->syscall_nr);
  std::vector<uint8_t> table(round_up8(4 * static_cast<uint32_t>(last + 1)), 0xff);
  for (size_t i = 0; i < group.events.size(); ++i) {
    if (group.events[i]->syscall_nr < 0) continue;
    const auto entry = i < group.name_ids.size() ? static_cast<uint32_t>(group.name_ids[i]) : 0;
    std::memcpy(&table[4 * static_cast<size_t>(group.events[i]->syscall_nr)], &entry, 4);
  }
  return table;
}

void load_saved_number(bpf::Assembler& code, const bpf::SyscallRegs& regs, bpf::Reg reg) {
  const auto offset = static_cast<int16_t>(regs.nr_offset);
  if (regs.nr_size_bytes == 8) return code.emit(bpf::load(Size::DW, reg, reg, offset));
  code.emit(bpf::load(Size::W, reg, reg, offset));
  code.emit(bpf::alu64(AluOp::Lsh, reg, 32));
  code.emit(bpf::alu64(AluOp::Arsh, reg, 32));
}

/// R7 = this program's own bytes of the scratch map on this CPU. A program does not run twice at a
/// time on one CPU: the kernel counts that as a missed run. (Before 6.1 raw tracepoints in
/// interrupts were not so guarded: there run() asks for a classic one.)
void Selector::enter_scratch() {
  if (frame_.scratch_entry == UINT32_MAX)
    frame_.scratch_entry = unit_.add_scratch(frame_.scratch_bytes);
  auto temp = static_cast<int16_t>(homes_.temp_offset);
  asm_.emit(bpf::store(Size::W, Reg::R10, temp, static_cast<int32_t>(frame_.scratch_entry)));
  asm_.load_map(Reg::R1, unit_.scratch_map());
  asm_.emit(bpf::mov64(Reg::R2, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, homes_.temp_offset));
  asm_.call_helper(Helper::MapLookupElem);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, out_);
  asm_.emit(bpf::mov64(Reg::R7, Reg::R0));
}

}  // namespace ktap::backend
