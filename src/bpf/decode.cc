// Instruction ↔ its parts. Strict: fields that a form does not use must be 0, so that
// encode(decode(x)) is x.
#include "bpf/decode.h"

#include "base/check.h"

namespace ktap::bpf {
namespace {

std::optional<Decoded> decode_alu(const Insn& insn, bool is64) {
  Decoded d;
  if ((insn.code & 0xf0) == kAluEnd) {
    d.form = Form::BigEndian;
    d.dst = static_cast<Reg>(insn.dst);
    return insn == to_big_endian64(d.dst) ? std::optional(d) : std::nullopt;
  }
  d.is64 = is64;
  d.alu = static_cast<AluOp>(insn.code & 0xf0);
  if ((insn.code & 0xf0) > static_cast<uint8_t>(AluOp::Arsh)) return std::nullopt;
  d.dst = static_cast<Reg>(insn.dst);
  bool from_reg = (insn.code & kSourceReg) != 0;
  d.form = from_reg ? Form::AluReg : Form::AluImm;
  if (from_reg && (insn.imm != 0 || d.alu == AluOp::Neg)) return std::nullopt;
  if (!from_reg && insn.src != 0) return std::nullopt;
  d.src = static_cast<Reg>(insn.src);
  d.imm = insn.imm;
  if (insn.off == 0) return d;
  d.off = insn.off;
  const bool divides = d.alu == AluOp::Div || d.alu == AluOp::Mod;
  if (is64 && divides && insn.off == 1) {
    d.form = from_reg ? Form::SignedReg : Form::SignedImm;
    return d;
  }
  const bool extends = insn.off == 8 || insn.off == 16 || insn.off == 32;
  d.form = Form::MoveSigned;
  return is64 && from_reg && d.alu == AluOp::Mov && extends ? std::optional(d) : std::nullopt;
}

std::optional<Decoded> decode_jump(const Insn& insn, bool is64) {
  Decoded d;
  d.is64 = is64;
  d.jump = static_cast<JumpOp>(insn.code & 0xf0);
  if ((insn.code & 0xf0) > static_cast<uint8_t>(JumpOp::May)) return std::nullopt;
  d.dst = static_cast<Reg>(insn.dst);
  d.src = static_cast<Reg>(insn.src);
  d.off = insn.off;
  d.imm = insn.imm;
  bool from_reg = (insn.code & kSourceReg) != 0;
  bool plain = !from_reg && insn.dst == 0 && insn.src == 0 && is64;
  switch (d.jump) {
    case JumpOp::Always:
      d.form = Form::Jump;
      return plain && insn.imm == 0 ? std::optional(d) : std::nullopt;
    case JumpOp::May:
      d.form = Form::MayGoto;
      return plain && insn.imm == 0 ? std::optional(d) : std::nullopt;
    case JumpOp::Call:
      if (!from_reg && insn.src == kPseudoKernelCall && insn.dst == 0 && is64 && insn.off == 0) {
        d.form = Form::CallKernel;
        return d;
      }
      d.form = Form::Call;
      return plain && insn.off == 0 ? std::optional(d) : std::nullopt;
    case JumpOp::Exit:
      d.form = Form::Exit;
      return plain && insn.off == 0 && insn.imm == 0 ? std::optional(d) : std::nullopt;
    default:
      d.form = from_reg ? Form::JumpReg : Form::JumpImm;
      if (from_reg ? insn.imm != 0 : insn.src != 0) return std::nullopt;
      return d;
  }
}

bool is_atomic_op(int32_t imm) {
  switch (static_cast<AtomicOp>(imm)) {
    case AtomicOp::Add:
    case AtomicOp::Or:
    case AtomicOp::And:
    case AtomicOp::Xor:
    case AtomicOp::FetchAdd:
    case AtomicOp::Xchg:
    case AtomicOp::CmpXchg:
      return true;
  }
  return false;
}

std::optional<Decoded> decode_memory(const Insn& insn) {
  Decoded d;
  uint8_t mode = insn.code & 0xe0;
  d.size = static_cast<Size>(insn.code & 0x18);
  d.dst = static_cast<Reg>(insn.dst);
  d.src = static_cast<Reg>(insn.src);
  d.off = insn.off;
  d.imm = insn.imm;
  switch (insn.code & 7) {
    case kClassLdx:
      d.form = Form::Load;
      if (mode == kModeMemSigned) {
        d.form = Form::LoadSigned;
        return d.size != Size::DW && insn.imm == 0 ? std::optional(d) : std::nullopt;
      }
      return mode == kModeMem && insn.imm == 0 ? std::optional(d) : std::nullopt;
    case kClassSt:
      d.form = Form::StoreImm;
      return mode == kModeMem && insn.src == 0 ? std::optional(d) : std::nullopt;
    default:
      break;
  }
  if (mode == kModeMem) {
    d.form = Form::StoreReg;
    return insn.imm == 0 ? std::optional(d) : std::nullopt;
  }
  d.form = Form::Atomic;
  d.atomic = static_cast<AtomicOp>(insn.imm);
  bool sized = d.size == Size::W || d.size == Size::DW;
  return mode == kModeAtomic && sized && is_atomic_op(insn.imm) ? std::optional(d) : std::nullopt;
}

}  // namespace

std::optional<Decoded> decode(const Insn& insn) {
  if (insn.dst > 10) return std::nullopt;
  switch (insn.code & 7) {
    case kClassAlu:
      return insn.src > 10 ? std::nullopt : decode_alu(insn, false);
    case kClassAlu64:
      return insn.src > 10 ? std::nullopt : decode_alu(insn, true);
    case kClassJmp:
      return insn.src > 10 ? std::nullopt : decode_jump(insn, true);
    case kClassJmp32:
      return insn.src > 10 ? std::nullopt : decode_jump(insn, false);
    case kClassLd: {
      const bool is_known = insn.src <= kPseudoMapValue || insn.src == kPseudoFunction;
      if (insn.code != kLoadImm64 || insn.off != 0 || !is_known) return std::nullopt;
      Decoded d;
      d.form = Form::LoadImm64;
      d.dst = static_cast<Reg>(insn.dst);
      d.pseudo = insn.src;
      d.imm = insn.imm;
      return d;
    }
    default:
      return insn.src > 10 ? std::nullopt : decode_memory(insn);
  }
}

Insn encode(const Decoded& d) {
  switch (d.form) {
    case Form::AluReg:
      return d.is64 ? alu64(d.alu, d.dst, d.src) : alu32(d.alu, d.dst, d.src);
    case Form::AluImm:
      return d.is64 ? alu64(d.alu, d.dst, d.imm) : alu32(d.alu, d.dst, d.imm);
    case Form::SignedReg:
      return signed64(d.alu, d.dst, d.src);
    case Form::SignedImm:
      return signed64(d.alu, d.dst, d.imm);
    case Form::MoveSigned:
      return mov_signed(d.dst, d.src, d.off);
    case Form::LoadSigned:
      return load_signed(d.size, d.dst, d.src, d.off);
    case Form::BigEndian:
      return to_big_endian64(d.dst);
    case Form::Load:
      return load(d.size, d.dst, d.src, d.off);
    case Form::StoreReg:
      return store(d.size, d.dst, d.off, d.src);
    case Form::StoreImm:
      return store(d.size, d.dst, d.off, d.imm);
    case Form::Atomic:
      return atomic(d.atomic, d.size, d.dst, d.off, d.src);
    case Form::Jump:
      return jump(d.off);
    case Form::JumpReg:
      return d.is64 ? jump_if(d.jump, d.dst, d.src, d.off) : jump32_if(d.jump, d.dst, d.src, d.off);
    case Form::JumpImm:
      return d.is64 ? jump_if(d.jump, d.dst, d.imm, d.off) : jump32_if(d.jump, d.dst, d.imm, d.off);
    case Form::MayGoto:
      return may_goto(d.off);
    case Form::CallKernel:
      return call_kernel(static_cast<uint32_t>(d.imm));
    case Form::Call:
      return call(d.imm);
    case Form::Exit:
      return exit_insn();
    case Form::LoadImm64:
      return load_imm64_first(d.dst, d.pseudo, static_cast<uint32_t>(d.imm));
  }
  KTAP_UNREACHABLE();
}

}  // namespace ktap::bpf
