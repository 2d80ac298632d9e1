// SSA as stable text: blocks b0, b1…, values numbered in the order of their appearance, ids of the
// module spelled out. Golden tests and --dump=ssa show it; nothing reads it back.
#include <fmt/format.h>

#include <iterator>
#include <string>
#include <vector>

#include "schema/builtin_vars.h"
#include "ssa/function.h"
#include "ssa/kernel_access.h"
#include "ssa/op_info.h"

namespace ktap::ssa {

std::string_view type_name(Type type) {
  switch (type) {
    case Type::None:
      return "-";
    case Type::Int:
      return "int";
    case Type::Bool:
      return "bool";
    case Type::Str:
      return "str";
    case Type::MaybeInt:
      return "int?";
    case Type::MaybeStr:
      return "str?";
    case Type::MaybeBool:
      return "bool?";
    case Type::Stack:
      return "stack";
    case Type::MaybeStack:
      return "stack?";
    case Type::Union:
      return "union";
  }
  return "-";
}

namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

template <class List>
const typename List::value_type* at(const List& list, int64_t index) {
  if (index < 0 || static_cast<size_t>(index) >= list.size()) return nullptr;
  return &list[static_cast<size_t>(index)];
}

/// "+16 u32", "+8 bits 3..5 of u8", "+0 pointer".
std::string access_text(const KernelAccess& access) {
  const std::string number =
      access.is_pointer ? "pointer"
                        : fmt::format("{}{}", access.is_signed ? 's' : 'u', 8 * access.size_bytes);
  const std::string bits = access.width_bits == 0
                               ? ""
                               : fmt::format("bits {}..{} of ", access.shift_bits,
                                             access.shift_bits + access.width_bits - 1);
  return fmt::format("{}{:+} {}{}", access.is_user ? "user" : "", access.offset_bytes, bits,
                     number);
}

/// Where an operation on kernel memory reads what; "" of others.
std::string memory_text(const Inst& inst) {
  if (inst.op == Op::KernelAddress) return fmt::format(" +{}", inst.imm);
  if (inst.op == Op::KernelRead) return " " + access_text(KernelAccess::unpack(inst.imm));
  if (inst.op != Op::KernelText) return "";
  const TextAccess access = TextAccess::unpack(inst.imm);
  const std::string array =
      access.array_bytes == 0 ? "" : fmt::format(" char[{}]", access.array_bytes);
  return fmt::format(" {}{:+}{}", access.is_user ? "user" : "", access.offset_bytes, array);
}

/// What imm stands for, with a blank before it; "" when the operation has none.
std::string attribute(const Inst& inst, const Module& module) {
  if (names_table(inst.op)) {
    const TableInfo* table = at(module.tables, inst.imm);
    return fmt::format(" {}:{}", inst.imm, table ? table->name : "?");
  }
  switch (inst.op) {
    case Op::ConstInt:
      return fmt::format(" {}", inst.imm);
    case Op::ConstBool:
      return inst.imm != 0 ? " true" : " false";
    case Op::ConstStr:
    case Op::StrFind:
    case Op::IdGlob:
    case Op::StrGlob: {
      const std::string* text = at(module.strings, inst.imm);
      return text ? " " + quoted(*text) : fmt::format(" #{}", inst.imm);
    }
    case Op::EventVar:
      return fmt::format(" {}",
                         schema::builtin_var_name(static_cast<schema::BuiltinVar>(inst.imm)));
    case Op::EventField:
    case Op::NumberName:
      return fmt::format(" #{}", inst.imm);
    case Op::LinearBucket: {
      const LinearBounds* bounds = at(module.linear, inst.imm);
      return bounds ? fmt::format(" {}, {}, {}", bounds->lo, bounds->hi, bounds->step)
                    : fmt::format(" #{}", inst.imm);
    }
    case Op::StrByte:
    case Op::StrSlice:
      return fmt::format(" at {}", inst.imm);
    case Op::StrText:
      return inst.imm != 0 ? fmt::format(" unsigned base {}", inst.imm) : "";
    case Op::StrCase:
      return inst.imm != 0 ? " upper" : " lower";
    case Op::WriteUser:
      return fmt::format(" bytes {}", inst.imm);
    case Op::UserString:
    case Op::KernelString:
      return fmt::format(" max {}", inst.imm);
    case Op::KernelStack:
      return inst.imm == 0 ? std::string() : fmt::format(" skip {}", inst.imm);
    case Op::CellGet:
    case Op::CellSet:
    case Op::CellAdd:
    case Op::CellAnd:
    case Op::CellOr:
    case Op::CellXor: {
      const std::string* cell = at(module.cells, inst.imm);
      return fmt::format(" {}:{}", inst.imm, cell ? *cell : "?");
    }
    case Op::Emit:
      return fmt::format(" site {}", inst.imm);
    case Op::LoopGuard:
    case Op::LoopTurn:
    case Op::CallGuard:
    case Op::Fail: {
      const Failure* failure = at(module.failures, inst.imm);
      return failure ? " " + quoted(failure->text) : fmt::format(" #{}", inst.imm);
    }
    default:
      return memory_text(inst);
  }
}

std::string type_text(const Inst& inst) {
  if (inst.type == Type::None) return "";
  std::string text = fmt::format(" : {}", type_name(inst.type));
  if (inst.str_kind == StrKind::Id) text += " id";
  if (inst.str_kind == StrKind::Bytes) text += fmt::format(" bytes {}", inst.max_bytes);
  return text;
}

std::string block_list(const std::vector<BlockId>& blocks) {
  std::string out;
  for (BlockId block : blocks) out += fmt::format("{}b{}", out.empty() ? "" : ", ", block.index);
  return out;
}

}  // namespace

std::string print(const Function& function, const Module& module) {
  // Numbers first: a phi may name a value that appears further down.
  std::vector<int64_t> number(function.values.size(), -1);
  int64_t next = 0;
  for (const Block& block : function.blocks) {
    for (ValueId id : block.insts) {
      if (id.index < number.size() && function[id].type != Type::None) number[id.index] = next++;
    }
  }
  std::string out = fmt::format("function {}\n", function.name);
  for (size_t b = 0; b < function.blocks.size(); ++b) {
    const Block& block = function.blocks[b];
    if (block.insts.empty() && block.preds.empty() && b != 0) continue;
    out += fmt::format("b{}:", b);
    if (!block.preds.empty()) out += fmt::format("  ; from {}", block_list(block.preds));
    out += '\n';
    for (ValueId id : block.insts) {
      const Inst& inst = function[id];
      out += "  ";
      if (inst.type != Type::None) out += fmt::format("v{} = ", number[id.index]);
      out += op_name(inst.op);
      out += attribute(inst, module);
      for (size_t i = 0; i < inst.operands.size(); ++i) {
        const uint32_t operand = inst.operands[i].index;
        const int64_t n = operand < number.size() ? number[operand] : -1;
        out += i == 0 ? " " : ", ";
        out += n < 0 ? std::string("v?") : fmt::format("v{}", n);
      }
      if (is_control(inst.op) && !block.succs.empty()) out += " -> " + block_list(block.succs);
      out += type_text(inst);
      out += '\n';
    }
  }
  return out;
}

}  // namespace ktap::ssa
