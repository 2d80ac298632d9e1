// Records of the ring buffer and the counters of what was lost. The record is reserved, filled and
// submitted with nothing in between that could end the run.
#include "backend/selector.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::ValueId;

void Selector::emit_record(ValueId id) {
  const Inst& of = inst(id);
  auto number = static_cast<uint32_t>(of.imm);
  const ssa::Site& site = module_.sites[number];
  const SiteLayout& layout = unit_.unit.sites[number];
  if (of.operands.size() != site.args.size()) return fail("a record with another number of values");

  bpf::Label done = asm_.make_label();
  asm_.load_map(Reg::R1, unit_.unit.ring_map);
  asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(layout.size_bytes)));
  asm_.emit(bpf::mov64(Reg::R3, 0));
  asm_.call_helper(Helper::RingbufReserve);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, count_and_resume(unit_.ring_full_row(number), done));
  asm_.emit(bpf::mov64(Reg::R8, Reg::R0));
  asm_.emit(bpf::store(Size::DW, Reg::R8, 0, static_cast<int32_t>(number)));
  if (layout.raw_offset_bytes != 0) {
    asm_.call_helper(Helper::GetSmpProcessorId);
    asm_.emit(bpf::store(Size::W, Reg::R8, 4, Reg::R0));
  }
  for (size_t i = 0; i < site.args.size(); ++i) {
    record_argument(site.args[i], of.operands[i], static_cast<int32_t>(layout.arg_offset_bytes[i]));
  }
  if (layout.raw_offset_bytes != 0) {
    auto at = static_cast<int32_t>(layout.raw_offset_bytes);
    if (is_tracepoint()) {
      raw_record(at, layout.size_bytes - layout.raw_offset_bytes - 8);
    } else if (gives_registers()) {
      raw_fetches(at);
    } else {
      raw_syscall(at);
    }
  }
  if (layout.stack_offset_bytes != 0)
    copy_user_stack(static_cast<int32_t>(layout.stack_offset_bytes));
  wake_flag(site.kind == ssa::SiteKind::Exit);
  asm_.emit(bpf::mov64(Reg::R1, Reg::R8));
  asm_.call_helper(Helper::RingbufSubmit);
  asm_.bind(done);
}

/// R2 = how to submit the record: without a wake-up, unless the reader sleeps. Who wakes it takes
/// the word back: one wake-up in all.
void Selector::wake_flag(bool always) {
  if (always) return asm_.emit(bpf::mov64(Reg::R2, bpf::kRingForceWakeup));
  static_assert(bpf::kRingNoWakeup == 1 && bpf::kRingForceWakeup == 2);
  const bpf::Label awake = asm_.make_label();
  asm_.load_map_value(Reg::R1, unit_.unit.control_map, Control::kSleeping);
  asm_.emit(bpf::load(Size::DW, Reg::R2, Reg::R1, 0));
  asm_.jump_to_if(JumpOp::Eq, Reg::R2, 0, awake);
  asm_.emit(bpf::store(Size::DW, Reg::R1, 0, 0));
  asm_.bind(awake);
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, bpf::kRingNoWakeup));
}

void Selector::record_argument(const ssa::SiteArg& arg, ValueId value, int32_t at) {
  if (ssa::is_maybe(arg.type)) {
    move_word_to(Reg::R8, at, tag_word(value));
    at += 8;
  }
  bool as_bytes = arg.str_kind == ssa::StrKind::Bytes;
  uint32_t words = as_bytes ? round_up8(arg.max_bytes) / 8 : 1;
  for (uint32_t i = 0; i < words; ++i) {
    move_word_to(Reg::R8, at + 8 * static_cast<int32_t>(i), payload_word(value, i, as_bytes));
  }
}

/// A place to jump to that adds 1 to the counter and goes on at `resume`. Nothing in R0 to R5
/// survives it.
bpf::Label Selector::count_and_resume(uint32_t row, bpf::Label resume, bool disarms) {
  cold_.push_back(Cold{asm_.make_label(), resume, row, unit_.unit.counters[row].line, disarms});
  return cold_.back().label;
}

void Selector::bump_counter(uint32_t row) {
  add_to_counter(asm_, unit_.unit.counter_map, row, static_cast<int16_t>(homes_.temp_offset));
}

void add_to_counter(bpf::Assembler& code, uint32_t counter_map, uint32_t row, int16_t temp) {
  using bpf::Reg;
  const bpf::Label none = code.make_label();
  code.emit(bpf::store(Size::W, Reg::R10, temp, static_cast<int32_t>(row)));
  code.load_map(Reg::R1, counter_map);
  code.emit(bpf::mov64(Reg::R2, Reg::R10));
  code.emit(bpf::alu64(AluOp::Add, Reg::R2, temp));
  code.call_helper(Helper::MapLookupElem);
  code.jump_to_if(JumpOp::Eq, Reg::R0, 0, none);
  code.emit(bpf::mov64(Reg::R1, 1));
  code.emit(bpf::atomic(bpf::AtomicOp::Add, Size::DW, Reg::R0, 0, Reg::R1));
  code.bind(none);
}

}  // namespace ktap::backend
