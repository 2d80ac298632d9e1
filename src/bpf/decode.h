// An instruction taken apart: what the disassembler prints and the test interpreter runs. encode()
// is its inverse.
#pragma once

#include <cstdint>
#include <optional>

#include "bpf/insn.h"

namespace ktap::bpf {

enum class Form : uint8_t {
  AluReg,
  AluImm,
  SignedReg,  ///< division or remainder
  SignedImm,
  MoveSigned,  ///< of the lowest `off` bits
  BigEndian,   ///< dst = its 64 bits in big-endian order
  Load,
  LoadSigned,
  StoreReg,
  StoreImm,
  Atomic,
  Jump,  ///< unconditional
  JumpReg,
  JumpImm,
  MayGoto,
  Call,
  CallKernel,  ///< imm is a BTF id
  Exit,
  LoadImm64,  ///< the first of two slots
};

struct Decoded {
  Form form = Form::Exit;
  AluOp alu = AluOp::Add;
  JumpOp jump = JumpOp::Always;
  AtomicOp atomic = AtomicOp::Add;
  Size size = Size::DW;
  bool is64 = true;  ///< Alu, Jump: on whole registers
  Reg dst = Reg::R0;
  Reg src = Reg::R0;
  uint8_t pseudo = 0;  ///< LoadImm64: kPseudo…
  int16_t off = 0;
  int32_t imm = 0;
};

/// Nothing for an instruction that no maker of insn.h makes.
std::optional<Decoded> decode(const Insn& insn);
Insn encode(const Decoded& decoded);

}  // namespace ktap::bpf
