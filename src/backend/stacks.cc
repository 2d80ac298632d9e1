// stack() and ustack(): the kernel walks the frames and writes their addresses down (get_stack, in
// every kind of program that we make); docs/decisions/0023-raw-stacks.md tells why not by ids.
#include "backend/selector.h"
#include "base/user_stack.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::ProgramKind;
using bpf::Size;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

uint32_t own_stack_frames(ProgramKind kind, bool is_syscall, const bpf::KernelFacts& facts) {
  switch (kind) {
    case ProgramKind::RawTracepoint:
    case ProgramKind::TypedRawTracepoint:
      return is_syscall ? facts.raw_syscall_frames : facts.raw_tracepoint_frames;
    case ProgramKind::Tracepoint:
      return facts.tracepoint_frames;
    case ProgramKind::FunctionEntry:
    case ProgramKind::FunctionExit:
      return 2;  // the program and the trampoline
    case ProgramKind::Probe:
    case ProgramKind::KprobeMulti:
    case ProgramKind::UprobeMulti:
    case ProgramKind::PerfEvent:
      return 0;  // walked from the registers there
  }
  return 0;
}

/// The first word tells the owner, as user space has it (runtime/stack.h). Where there is no stack
/// the helper writes zeros.
void Selector::walk_stack(ValueId id) {
  const Inst& of = inst(id);
  const Home& home = homes_.homes[id.index];
  const bool is_user = of.op == Op::UserStack;
  const int64_t flags = is_user ? int64_t{bpf::kUserStack} : int64_t{frame_.own_frames} + of.imm;
  if (!facts_.has_recursion_guard && home.payload.kind == Word::Kind::Stack) clear_stack(of, home);
  load_address(Reg::R2, home.payload, 8);
  asm_.emit(bpf::mov64(Reg::R1, Reg::R6));
  asm_.emit(bpf::mov64(Reg::R3, static_cast<int32_t>(of.max_bytes - 8)));
  asm_.emit(bpf::mov64(Reg::R4, static_cast<int32_t>(flags)));
  asm_.call_helper(Helper::GetStack);
  if (!is_user) return store_word(home.payload, 0);
  load_owner();
  store_word(home.payload, Reg::R0);
  load_word(Reg::R1, home.payload);
  announce_process();
}

/// In raw tracepoints older kernels (5.10) say of the helper that it reads the memory that it
/// fills.
void Selector::clear_stack(const Inst& of, const Home& home) {
  const auto [base, offset] = memory_of(home.payload);
  for (int32_t at = 8; at < static_cast<int32_t>(of.max_bytes); at += 8)
    asm_.emit(bpf::store(Size::DW, base, static_cast<int16_t>(offset + at), 0));
}

/// R0 = whose user stacks are now, as word 0 of one tells it. With what tells the program that the
/// process runs from those before and after an exec: by helper calls, since for each typed pointer
/// that is followed the verifier takes 1 ms.
void Selector::load_owner() {
  const auto temp = static_cast<int16_t>(homes_.temp_offset);
  const auto process = static_cast<int16_t>(homes_.temp_offset + 8);
  const bpf::TaskLayout& task = facts_.task;
  asm_.call_helper(Helper::GetCurrentPidTgid);
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 32));
  asm_.load_const(Reg::R1, static_cast<int64_t>(kUserStackBit));
  asm_.emit(bpf::alu64(AluOp::Or, Reg::R0, Reg::R1));
  if (task.mm < 0 || task.stack_start < 0) return;
  asm_.emit(bpf::store(Size::DW, Reg::R10, process, Reg::R0));
  asm_.call_helper(Helper::GetCurrentTask);
  read_kernel(temp, 8, Reg::R0, task.mm);
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R10, temp));
  read_kernel(temp, 8, Reg::R3, task.stack_start);
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R10, temp));
  asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R1, int32_t{kStackStartShift}));
  asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R1, int32_t{kProgramMarkShift}));
  asm_.emit(bpf::load(Size::DW, Reg::R0, Reg::R10, process));
  asm_.emit(bpf::alu64(AluOp::Or, Reg::R0, Reg::R1));
}

/// Into the record, from `at` on: what user space unwinds (unit.h). The pieces are those that hold
/// the stack pointer and what is above it, as far as they are mapped.
void Selector::copy_user_stack(int32_t at) {
  const int32_t registers_at = at + int32_t{kStackCopyHeaderBytes};
  const int32_t bytes_at = registers_at + facts_.call_regs.sample_offset;
  const auto word = [at](int32_t number) { return static_cast<int16_t>(at + 8 * number); };
  const bpf::Label done = asm_.make_label();
  load_owner();
  asm_.emit(bpf::store(Size::DW, Reg::R8, word(0), Reg::R0));
  asm_.emit(bpf::mov64(Reg::R1, Reg::R0));
  announce_process();
  asm_.call_helper(Helper::KtimeGetNs);
  asm_.emit(bpf::store(Size::DW, Reg::R8, word(3), Reg::R0));
  asm_.emit(bpf::store(Size::DW, Reg::R8, word(1), 0));
  asm_.call_helper(Helper::GetCurrentTaskBtf);
  asm_.emit(bpf::mov64(Reg::R1, Reg::R0));
  asm_.call_helper(Helper::TaskPtRegs);
  asm_.emit(bpf::mov64(Reg::R1, Reg::R8));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, registers_at));
  asm_.emit(bpf::mov64(Reg::R2, facts_.call_regs.sample_offset));
  asm_.emit(bpf::mov64(Reg::R3, Reg::R0));
  asm_.call_helper(Helper::ProbeReadKernel);
  const auto pointer = static_cast<int16_t>(registers_at + facts_.call_regs.stack_offset);
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R8, pointer));
  asm_.emit(bpf::alu64(AluOp::And, Reg::R1, -static_cast<int32_t>(kStackPieceBytes)));
  asm_.emit(bpf::store(Size::DW, Reg::R8, word(2), Reg::R1));
  for (uint32_t piece = 0; piece < kStackCopyBytes / kStackPieceBytes; ++piece) {
    const auto from = static_cast<int32_t>(piece * kStackPieceBytes);
    asm_.emit(bpf::mov64(Reg::R1, Reg::R8));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, bytes_at + from));
    asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(kStackPieceBytes)));
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R8, word(2)));
    if (from != 0) asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, from));
    asm_.call_helper(Helper::ProbeReadUser);
    asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, done);
    const int32_t have = from + static_cast<int32_t>(kStackPieceBytes);
    asm_.emit(bpf::store(Size::DW, Reg::R8, word(1), have));
  }
  asm_.bind(done);
  copy_return_probes(bytes_at + static_cast<int32_t>(kStackCopyBytes));
}

/// Into the record: the return addresses that are not on the stack. What lies behind the last one
/// is read from address 0, which gives 0.
void Selector::copy_return_probes(int32_t at) {
  const auto pointer = static_cast<int16_t>(homes_.temp_offset);
  const bpf::TaskLayout& task = facts_.task;
  const bpf::Label done = asm_.make_label();
  const auto address = static_cast<int16_t>(at + 8);
  asm_.emit(bpf::store(Size::DW, Reg::R8, address, 0));
  if (task.utask < 0) return asm_.bind(done);
  asm_.call_helper(Helper::GetCurrentTask);
  read_kernel(pointer, 8, Reg::R0, task.utask);
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R10, pointer));
  asm_.jump_to_if(JumpOp::Eq, Reg::R3, 0, done);
  read_kernel(pointer, 8, Reg::R3, task.return_probes);
  for (uint32_t i = 0; i < kReturnProbes; ++i) {
    if (i > 0) {
      asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R10, pointer));
      read_kernel(pointer, 8, Reg::R3, task.return_next);
    }
    asm_.emit(bpf::mov64(Reg::R1, Reg::R8));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, at + static_cast<int32_t>(i * kReturnProbeBytes)));
    asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(kReturnProbeBytes)));
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R10, pointer));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, task.return_stack));
    asm_.call_helper(Helper::ProbeReadKernel);
  }
  asm_.bind(done);
}

/// Tells user space that it will have to name addresses of this process, which may end before: at
/// its 1st, 2nd, 4th, 8th … stack, since a young process goes on mapping code. Nothing is lost but
/// names where there is no room for it. R1: word 0 of a stack of it.
void Selector::announce_process() {
  constexpr int32_t kRecordBytes = 24;
  const auto key = static_cast<int16_t>(homes_.temp_offset);
  const auto value = static_cast<int16_t>(homes_.temp_offset + 8);
  const uint32_t map = unit_.processes_map();
  const bpf::Label is_new = asm_.make_label(), tell = asm_.make_label(), done = asm_.make_label();
  const auto with_key = [&] {
    asm_.load_map(Reg::R1, map);
    asm_.emit(bpf::mov64(Reg::R2, Reg::R10));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, key));
  };
  asm_.emit(bpf::store(Size::DW, Reg::R10, key, Reg::R1));
  with_key();
  asm_.call_helper(Helper::MapLookupElem);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, is_new);
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R0, 0));
  asm_.emit(bpf::mov64(Reg::R2, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, 1));
  asm_.emit(bpf::store(Size::DW, Reg::R0, 0, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::And, Reg::R2, Reg::R1));
  asm_.jump_to_if(JumpOp::Ne, Reg::R2, 0, done);
  asm_.jump_to(tell);
  asm_.bind(is_new);
  asm_.emit(bpf::store(Size::DW, Reg::R10, value, 1));
  with_key();
  asm_.emit(bpf::mov64(Reg::R3, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, value));
  asm_.emit(bpf::mov64(Reg::R4, bpf::kUpdateAny));
  asm_.call_helper(Helper::MapUpdateElem);
  asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, done);
  asm_.bind(tell);
  asm_.call_helper(Helper::KtimeGetNs);
  asm_.emit(bpf::store(Size::DW, Reg::R10, value, Reg::R0));
  asm_.load_map(Reg::R1, unit_.unit.ring_map);
  asm_.emit(bpf::mov64(Reg::R2, kRecordBytes));
  asm_.emit(bpf::mov64(Reg::R3, 0));
  asm_.call_helper(Helper::RingbufReserve);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, done);
  asm_.emit(bpf::store(Size::DW, Reg::R0, 0, kProcessSite));
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R10, key));
  asm_.emit(bpf::store(Size::DW, Reg::R0, 8, Reg::R1));
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R10, value));
  asm_.emit(bpf::store(Size::DW, Reg::R0, 16, Reg::R1));
  asm_.emit(bpf::mov64(Reg::R1, Reg::R0));
  asm_.emit(bpf::mov64(Reg::R2, bpf::kRingForceWakeup));
  asm_.call_helper(Helper::RingbufSubmit);
  asm_.bind(done);
}

}  // namespace ktap::backend
