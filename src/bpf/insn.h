// eBPF instructions in the kernel's layout, with makers for each form that we emit
// (Documentation/bpf/ standardization/instruction-set.rst). First stop of the code that `backend`
// writes; the assembler strings them together. Left out: byte swaps, calls between programs.
#pragma once

#include <cstdint>

namespace ktap::bpf {

struct Insn {
  uint8_t code = 0;
  uint8_t dst : 4;
  uint8_t src : 4;
  int16_t off = 0;
  int32_t imm = 0;

  friend constexpr bool operator==(const Insn& a, const Insn& b) {
    return a.code == b.code && a.dst == b.dst && a.src == b.src && a.off == b.off && a.imm == b.imm;
  }
};
static_assert(sizeof(Insn) == 8);

/// R0 result, R1–R5 arguments and temporaries, R6–R9 survive calls, R10 the end of the stack.
enum class Reg : uint8_t { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 };

constexpr uint8_t kClassLd = 0x00, kClassLdx = 0x01, kClassSt = 0x02, kClassStx = 0x03;
constexpr uint8_t kClassAlu = 0x04, kClassJmp = 0x05, kClassJmp32 = 0x06, kClassAlu64 = 0x07;
constexpr uint8_t kModeImm = 0x00, kModeMem = 0x60, kModeMemSigned = 0x80, kModeAtomic = 0xc0;
constexpr uint8_t kSourceImm = 0x00, kSourceReg = 0x08;

/// What the 64-bit immediate of a two-slot load means: its `src` field.
constexpr uint8_t kPseudoNone = 0, kPseudoMapFd = 1, kPseudoMapValue = 2;
constexpr uint8_t kPseudoVariable = 3;  ///< one of the kernel's, by its number in BTF
constexpr uint8_t kPseudoFunction = 4;  ///< one of the program's own: its distance from here

enum class AluOp : uint8_t {
  Add = 0x00,
  Sub = 0x10,
  Mul = 0x20,
  Div = 0x30,  ///< unsigned; by 0 gives 0
  Or = 0x40,
  And = 0x50,
  Lsh = 0x60,
  Rsh = 0x70,
  Neg = 0x80,
  Mod = 0x90,  ///< unsigned; by 0 gives the dividend
  Xor = 0xa0,
  Mov = 0xb0,
  Arsh = 0xc0,
};

constexpr uint8_t kAluEnd = 0xd0;  ///< byte order; only to_big_endian64() makes it

enum class JumpOp : uint8_t {
  Always = 0x00,
  Eq = 0x10,
  Gt = 0x20,
  Ge = 0x30,
  Set = 0x40,
  Ne = 0x50,
  SGt = 0x60,
  SGe = 0x70,
  Call = 0x80,
  Exit = 0x90,
  Lt = 0xa0,
  Le = 0xb0,
  SLt = 0xc0,
  SLe = 0xd0,
  May = 0xe0,  ///< may_goto: taken when a hidden counter has run out (6.9)
};

enum class Size : uint8_t { W = 0x00, H = 0x08, B = 0x10, DW = 0x18 };

/// The operation of an atomic instruction: its immediate.
enum class AtomicOp : int32_t {
  Add = 0x00,
  Or = 0x40,
  And = 0x50,
  Xor = 0xa0,
  FetchAdd = 0x01,
  Xchg = 0xe1,
  CmpXchg = 0xf1
};

constexpr uint32_t size_bytes(Size size) {
  return size == Size::B ? 1 : size == Size::H ? 2 : size == Size::W ? 4 : 8;
}

constexpr Insn make_insn(uint8_t code, Reg dst, Reg src, int16_t off, int32_t imm) {
  Insn insn{};
  insn.code = code;
  insn.dst = static_cast<uint8_t>(dst) & 15;
  insn.src = static_cast<uint8_t>(src) & 15;
  insn.off = off;
  insn.imm = imm;
  return insn;
}

// ---- arithmetic
// ---------------------------------------------------------------------------------------------

constexpr Insn alu64(AluOp op, Reg dst, Reg src) {
  return make_insn(static_cast<uint8_t>(kClassAlu64 | kSourceReg | static_cast<uint8_t>(op)), dst,
                   src, 0, 0);
}
constexpr Insn alu64(AluOp op, Reg dst, int32_t imm) {
  return make_insn(static_cast<uint8_t>(kClassAlu64 | kSourceImm | static_cast<uint8_t>(op)), dst,
                   Reg::R0, 0, imm);
}
/// On the lower half; the upper half becomes 0.
constexpr Insn alu32(AluOp op, Reg dst, Reg src) {
  return make_insn(static_cast<uint8_t>(kClassAlu | kSourceReg | static_cast<uint8_t>(op)), dst,
                   src, 0, 0);
}
constexpr Insn alu32(AluOp op, Reg dst, int32_t imm) {
  return make_insn(static_cast<uint8_t>(kClassAlu | kSourceImm | static_cast<uint8_t>(op)), dst,
                   Reg::R0, 0, imm);
}
constexpr Insn mov64(Reg dst, Reg src) { return alu64(AluOp::Mov, dst, src); }
constexpr Insn mov64(Reg dst, int32_t imm) { return alu64(AluOp::Mov, dst, imm); }
constexpr Insn mov32(Reg dst, Reg src) { return alu32(AluOp::Mov, dst, src); }
constexpr Insn mov32(Reg dst, int32_t imm) { return alu32(AluOp::Mov, dst, imm); }
/// Signed, op Div or Mod (cpu v4): by 0 like the unsigned ones, INT64_MIN / -1 wraps.
constexpr Insn signed64(AluOp op, Reg dst, Reg src) {
  return make_insn(static_cast<uint8_t>(kClassAlu64 | kSourceReg | static_cast<uint8_t>(op)), dst,
                   src, 1, 0);
}
constexpr Insn signed64(AluOp op, Reg dst, int32_t imm) {
  return make_insn(static_cast<uint8_t>(kClassAlu64 | kSourceImm | static_cast<uint8_t>(op)), dst,
                   Reg::R0, 1, imm);
}
/// dst = the lowest 8, 16 or 32 bits of src, sign extended (cpu v4).
constexpr Insn mov_signed(Reg dst, Reg src, int16_t bits) {
  return make_insn(
      static_cast<uint8_t>(kClassAlu64 | kSourceReg | static_cast<uint8_t>(AluOp::Mov)), dst, src,
      bits, 0);
}
/// The bytes of all 64 bits from the most significant one on: big-endian.
constexpr Insn to_big_endian64(Reg dst) {
  return make_insn(kClassAlu | kSourceReg | kAluEnd, dst, Reg::R0, 0, 64);
}
constexpr Insn neg64(Reg dst) { return alu64(AluOp::Neg, dst, 0); }

// ---- memory
// -------------------------------------------------------------------------------------------------

/// dst = *(size*)(src + off), zero extended.
constexpr Insn load(Size size, Reg dst, Reg src, int16_t off) {
  return make_insn(static_cast<uint8_t>(kClassLdx | kModeMem | static_cast<uint8_t>(size)), dst,
                   src, off, 0);
}
/// The same, sign extended (cpu v4): size B, H or W.
constexpr Insn load_signed(Size size, Reg dst, Reg src, int16_t off) {
  return make_insn(static_cast<uint8_t>(kClassLdx | kModeMemSigned | static_cast<uint8_t>(size)),
                   dst, src, off, 0);
}
/// *(size*)(dst + off) = src
constexpr Insn store(Size size, Reg dst, int16_t off, Reg src) {
  return make_insn(static_cast<uint8_t>(kClassStx | kModeMem | static_cast<uint8_t>(size)), dst,
                   src, off, 0);
}
/// *(size*)(dst + off) = imm, sign extended to 8 bytes.
constexpr Insn store(Size size, Reg dst, int16_t off, int32_t imm) {
  return make_insn(static_cast<uint8_t>(kClassSt | kModeMem | static_cast<uint8_t>(size)), dst,
                   Reg::R0, off, imm);
}
/// Size W or DW. CmpXchg compares with R0 and leaves the old value there; the other fetching ones
/// leave it in src.
constexpr Insn atomic(AtomicOp op, Size size, Reg dst, int16_t off, Reg src) {
  return make_insn(static_cast<uint8_t>(kClassStx | kModeAtomic | static_cast<uint8_t>(size)), dst,
                   src, off, static_cast<int32_t>(op));
}

// ---- control
// ------------------------------------------------------------------------------------------------

constexpr Insn jump(int16_t off) { return make_insn(kClassJmp, Reg::R0, Reg::R0, off, 0); }
constexpr Insn jump_if(JumpOp op, Reg dst, Reg src, int16_t off) {
  return make_insn(static_cast<uint8_t>(kClassJmp | kSourceReg | static_cast<uint8_t>(op)), dst,
                   src, off, 0);
}
constexpr Insn jump_if(JumpOp op, Reg dst, int32_t imm, int16_t off) {
  return make_insn(static_cast<uint8_t>(kClassJmp | kSourceImm | static_cast<uint8_t>(op)), dst,
                   Reg::R0, off, imm);
}
/// Compares the lower halves.
constexpr Insn jump32_if(JumpOp op, Reg dst, Reg src, int16_t off) {
  return make_insn(static_cast<uint8_t>(kClassJmp32 | kSourceReg | static_cast<uint8_t>(op)), dst,
                   src, off, 0);
}
constexpr Insn jump32_if(JumpOp op, Reg dst, int32_t imm, int16_t off) {
  return make_insn(static_cast<uint8_t>(kClassJmp32 | kSourceImm | static_cast<uint8_t>(op)), dst,
                   Reg::R0, off, imm);
}
constexpr Insn call(int32_t helper) {
  return make_insn(static_cast<uint8_t>(kClassJmp | static_cast<uint8_t>(JumpOp::Call)), Reg::R0,
                   Reg::R0, 0, helper);
}
constexpr Insn may_goto(int16_t off) {
  return make_insn(static_cast<uint8_t>(kClassJmp | static_cast<uint8_t>(JumpOp::May)), Reg::R0,
                   Reg::R0, off, 0);
}
/// A function of the kernel itself, by its BTF id.
constexpr uint8_t kPseudoKernelCall = 2;
constexpr Insn call_kernel(uint32_t btf_id) {
  return make_insn(static_cast<uint8_t>(kClassJmp | static_cast<uint8_t>(JumpOp::Call)), Reg::R0,
                   static_cast<Reg>(kPseudoKernelCall), 0, static_cast<int32_t>(btf_id));
}
constexpr Insn exit_insn() {
  return make_insn(static_cast<uint8_t>(kClassJmp | static_cast<uint8_t>(JumpOp::Exit)), Reg::R0,
                   Reg::R0, 0, 0);
}

/// Flags of get_stack, beside the number of innermost frames to leave out.
constexpr int32_t kUserStack = 1 << 8;
constexpr int32_t kMostSkippedFrames = 255;

// ---- the two-slot load
// --------------------------------------------------------------------------------------

constexpr uint8_t kLoadImm64 = kClassLd | kModeImm | static_cast<uint8_t>(Size::DW);

/// First slot: the lower half. `pseudo` is one of kPseudo…
constexpr Insn load_imm64_first(Reg dst, uint8_t pseudo, uint32_t low) {
  return make_insn(kLoadImm64, dst, static_cast<Reg>(pseudo), 0, static_cast<int32_t>(low));
}
/// Second slot: the upper half (kPseudoMapValue: the offset in the value).
constexpr Insn load_imm64_second(uint32_t high) {
  return make_insn(0, Reg::R0, Reg::R0, 0, static_cast<int32_t>(high));
}

}  // namespace ktap::bpf
