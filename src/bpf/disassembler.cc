// Text of instructions in the style of the kernel verifier's log, so that the two can be read side
// by side.
#include "bpf/disassembler.h"

#include <fmt/format.h>

#include <cstdlib>

#include "bpf/decode.h"
#include "bpf/helpers.h"

namespace ktap::bpf {
namespace {

std::string_view alu_symbol(AluOp op) {
  switch (op) {
    case AluOp::Add:
      return "+=";
    case AluOp::Sub:
      return "-=";
    case AluOp::Mul:
      return "*=";
    case AluOp::Div:
      return "/=";
    case AluOp::Or:
      return "|=";
    case AluOp::And:
      return "&=";
    case AluOp::Lsh:
      return "<<=";
    case AluOp::Rsh:
      return ">>=";
    case AluOp::Neg:
      return "= -";
    case AluOp::Mod:
      return "%=";
    case AluOp::Xor:
      return "^=";
    case AluOp::Mov:
      return "=";
    case AluOp::Arsh:
      return "s>>=";
  }
  return "?";
}

std::string_view jump_symbol(JumpOp op) {
  switch (op) {
    case JumpOp::Eq:
      return "==";
    case JumpOp::Gt:
      return ">";
    case JumpOp::Ge:
      return ">=";
    case JumpOp::Set:
      return "&";
    case JumpOp::Ne:
      return "!=";
    case JumpOp::SGt:
      return "s>";
    case JumpOp::SGe:
      return "s>=";
    case JumpOp::Lt:
      return "<";
    case JumpOp::Le:
      return "<=";
    case JumpOp::SLt:
      return "s<";
    case JumpOp::SLe:
      return "s<=";
    default:
      return "?";
  }
}

std::string_view size_name(Size size, bool is_signed) {
  switch (size) {
    case Size::B:
      return is_signed ? "s8" : "u8";
    case Size::H:
      return is_signed ? "s16" : "u16";
    case Size::W:
      return is_signed ? "s32" : "u32";
    case Size::DW:
      return is_signed ? "s64" : "u64";
  }
  return "?";
}

std::string reg_name(Reg reg, bool is64 = true) {
  return fmt::format("{}{}", is64 ? 'r' : 'w', static_cast<int>(reg));
}

std::string place(Size size, Reg base, int16_t off, bool is_signed = false) {
  return fmt::format("*({} *)({} {} {})", size_name(size, is_signed), reg_name(base),
                     off < 0 ? '-' : '+', std::abs(static_cast<int>(off)));
}

std::string atomic_text(const Decoded& d) {
  std::string at = place(d.size, d.dst, d.off);
  switch (d.atomic) {
    case AtomicOp::Add:
      return fmt::format("lock {} += {}", at, reg_name(d.src));
    case AtomicOp::Or:
      return fmt::format("lock {} |= {}", at, reg_name(d.src));
    case AtomicOp::And:
      return fmt::format("lock {} &= {}", at, reg_name(d.src));
    case AtomicOp::Xor:
      return fmt::format("lock {} ^= {}", at, reg_name(d.src));
    case AtomicOp::FetchAdd:
      return fmt::format("{} = fetch_add({}, {})", reg_name(d.src), at, reg_name(d.src));
    case AtomicOp::Xchg:
      return fmt::format("{} = xchg({}, {})", reg_name(d.src), at, reg_name(d.src));
    case AtomicOp::CmpXchg:
      return fmt::format("r0 = cmpxchg({}, r0, {})", at, reg_name(d.src));
  }
  return "?";
}

// `target`: where a jump goes, as text.
std::string text_of(const Decoded& d, const std::string& target) {
  switch (d.form) {
    case Form::AluReg:
      return fmt::format("{} {} {}", reg_name(d.dst, d.is64), alu_symbol(d.alu),
                         reg_name(d.src, d.is64));
    case Form::AluImm:
      if (d.alu == AluOp::Neg) {
        return fmt::format("{} = -{}", reg_name(d.dst, d.is64), reg_name(d.dst, d.is64));
      }
      return fmt::format("{} {} {}", reg_name(d.dst, d.is64), alu_symbol(d.alu), d.imm);
    case Form::SignedReg:
      return fmt::format("{} s{} {}", reg_name(d.dst), alu_symbol(d.alu), reg_name(d.src));
    case Form::SignedImm:
      return fmt::format("{} s{} {}", reg_name(d.dst), alu_symbol(d.alu), d.imm);
    case Form::MoveSigned:
      return fmt::format("{} = (s{}){}", reg_name(d.dst), d.off, reg_name(d.src));
    case Form::BigEndian:
      return fmt::format("{} = be64 {}", reg_name(d.dst), reg_name(d.dst));
    case Form::Load:
    case Form::LoadSigned:
      return fmt::format("{} = {}", reg_name(d.dst),
                         place(d.size, d.src, d.off, d.form == Form::LoadSigned));
    case Form::StoreReg:
      return fmt::format("{} = {}", place(d.size, d.dst, d.off), reg_name(d.src));
    case Form::StoreImm:
      return fmt::format("{} = {}", place(d.size, d.dst, d.off), d.imm);
    case Form::Atomic:
      return atomic_text(d);
    case Form::Jump:
      return fmt::format("goto {}", target);
    case Form::JumpReg:
      return fmt::format("if {} {} {} goto {}", reg_name(d.dst, d.is64), jump_symbol(d.jump),
                         reg_name(d.src, d.is64), target);
    case Form::JumpImm:
      return fmt::format("if {} {} {} goto {}", reg_name(d.dst, d.is64), jump_symbol(d.jump), d.imm,
                         target);
    case Form::MayGoto:
      return fmt::format("may_goto {}", target);
    case Form::CallKernel:
      return fmt::format("call kernel#{}", d.imm);
    case Form::Call: {
      std::string_view name = helper_name(d.imm);
      return name.empty() ? fmt::format("call #{}", d.imm) : fmt::format("call {}#{}", name, d.imm);
    }
    case Form::Exit:
      return "exit";
    case Form::LoadImm64:
      return fmt::format("{} = {:#x} ll", reg_name(d.dst), static_cast<uint32_t>(d.imm));
  }
  return "?";
}

std::string bad(const Insn& insn) {
  return fmt::format("bad code {:#04x} dst {} src {} off {} imm {}", insn.code,
                     static_cast<int>(insn.dst), static_cast<int>(insn.src), insn.off, insn.imm);
}

std::string load_text(const Program& program, size_t i, const std::vector<MapSpec>& maps) {
  auto dst = static_cast<Reg>(program.code[i].dst);
  for (const MapRef& ref : program.maps) {
    if (ref.insn != i) continue;
    std::string name = ref.map < maps.size() ? maps[ref.map].name : fmt::format("#{}", ref.map);
    return ref.value ? fmt::format("{} = map {}[{}]", reg_name(dst), name, ref.offset)
                     : fmt::format("{} = map {}", reg_name(dst), name);
  }
  if (program.code[i].src == kPseudoFunction) {
    return fmt::format("{} = function {}", reg_name(dst),
                       static_cast<int64_t>(i) + 1 + program.code[i].imm);
  }
  uint64_t high = i + 1 < program.code.size() ? static_cast<uint32_t>(program.code[i + 1].imm) : 0;
  uint64_t value = high << 32 | static_cast<uint32_t>(program.code[i].imm);
  return fmt::format("{} = {:#x} ll", reg_name(dst), value);
}

}  // namespace

std::string disassemble(const Insn& insn) {
  auto decoded = decode(insn);
  return decoded ? text_of(*decoded, fmt::format("{:+}", decoded->off)) : bad(insn);
}

std::string disassemble(const Program& program, const std::vector<MapSpec>& maps) {
  std::string out;
  uint32_t line = 0;
  for (size_t i = 0; i < program.code.size(); ++i) {
    auto decoded = decode(program.code[i]);
    size_t number = i;
    std::string text;
    if (!decoded) {
      text = bad(program.code[i]);
    } else if (decoded->form == Form::LoadImm64) {
      text = load_text(program, i, maps);
      ++i;
    } else {
      text = text_of(*decoded, fmt::format("{}", static_cast<int64_t>(i) + 1 + decoded->off));
    }
    uint32_t here = number < program.lines.size() ? program.lines[number] : 0;
    if (here != line && here != 0) {
      out += fmt::format("{:4}: {:<40}; line {}\n", number, text, here);
    } else {
      out += fmt::format("{:4}: {}\n", number, text);
    }
    line = here;
  }
  return out;
}

}  // namespace ktap::bpf
