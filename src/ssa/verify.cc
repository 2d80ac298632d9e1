// The rules of SSA, checked: after lowering and after each pass. A breach is a mistake of ours,
// never the script's. One function a family of rules; the first breach found is told.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "schema/builtin_vars.h"
#include "ssa/dominators.h"
#include "ssa/function.h"
#include "ssa/kernel_access.h"
#include "ssa/op_info.h"

namespace ktap::ssa {

namespace {

Type rule_type(ResultRule rule) {
  switch (rule) {
    case ResultRule::Int:
      return Type::Int;
    case ResultRule::Bool:
      return Type::Bool;
    case ResultRule::Str:
      return Type::Str;
    case ResultRule::MaybeInt:
      return Type::MaybeInt;
    case ResultRule::MaybeStr:
      return Type::MaybeStr;
    case ResultRule::None:
    case ResultRule::Any:
      return Type::None;
  }
  return Type::None;
}

bool is_string_type(Type type) {
  return sure_type(type) == Type::Str || sure_type(type) == Type::Stack || type == Type::Union;
}

class Verifier {
 public:
  Verifier(const Function& function, const Module& module) : f_(function), m_(module) {}

  std::string run() {
    if (f_.blocks.empty()) return "no blocks";
    std::string wrong = edges();
    if (wrong.empty()) wrong = placement();
    if (wrong.empty()) wrong = instructions();
    if (wrong.empty()) wrong = dominance();
    return wrong;
  }

 private:
  std::string at(uint32_t block, ValueId id, std::string_view text) const {
    return fmt::format("b{}: {} (value {}): {}", block, op_name(f_[id].op), id.index, text);
  }

  bool exists(BlockId block) const { return block.index < f_.blocks.size(); }

  /// preds and succs name each other, edge by edge; the entry has no preds.
  std::string edges() const {
    if (!f_.blocks[0].preds.empty()) return "b0: the entry has predecessors";
    for (uint32_t b = 0; b < f_.blocks.size(); ++b) {
      for (BlockId succ : f_.blocks[b].succs) {
        if (!exists(succ)) return fmt::format("b{}: no such successor", b);
        const auto& back = f_.blocks[succ.index].preds;
        const auto& there = f_.blocks[b].succs;
        if (std::count(back.begin(), back.end(), BlockId(b)) !=
            std::count(there.begin(), there.end(), succ)) {
          return fmt::format("b{}: successor b{} does not name it as predecessor", b, succ.index);
        }
      }
      for (BlockId pred : f_.blocks[b].preds) {
        if (!exists(pred)) return fmt::format("b{}: no such predecessor", b);
        const auto& there = f_.blocks[pred.index].succs;
        if (std::find(there.begin(), there.end(), BlockId(b)) == there.end()) {
          return fmt::format("b{}: predecessor b{} does not lead to it", b, pred.index);
        }
      }
    }
    return "";
  }

  /// Every value in one place; phis first; one control operation, last, with its number of
  /// successors.
  std::string placement() {
    block_of_.assign(f_.values.size(), BlockId());
    position_.assign(f_.values.size(), 0);
    for (uint32_t b = 0; b < f_.blocks.size(); ++b) {
      const Block& block = f_.blocks[b];
      if (block.insts.empty()) {
        if (b == 0 || !block.preds.empty()) return fmt::format("b{}: has no control operation", b);
        continue;  // erased
      }
      bool past_phis = false;
      for (size_t i = 0; i < block.insts.size(); ++i) {
        const ValueId id = block.insts[i];
        if (id.index >= f_.values.size()) return fmt::format("b{}: no such value", b);
        if (block_of_[id.index].valid()) return at(b, id, "placed twice");
        block_of_[id.index] = BlockId(b);
        position_[id.index] = static_cast<uint32_t>(i);
        const bool is_phi = f_[id].op == Op::Phi;
        if (is_phi && past_phis) return at(b, id, "a phi after other operations");
        past_phis = past_phis || !is_phi;
        const bool last = i + 1 == block.insts.size();
        if (is_control(f_[id].op) != last) {
          return last ? at(b, id, "the block does not end with a control operation")
                      : at(b, id, "a control operation before the block's end");
        }
      }
      const Op control = f_[block.insts.back()].op;
      const size_t want = control == Op::Jump ? 1 : control == Op::Branch ? 2 : 0;
      if (block.succs.size() != want) {
        return at(b, block.insts.back(), fmt::format("{} successors", block.succs.size()));
      }
    }
    return "";
  }

  std::string instructions() const {
    for (uint32_t b = 0; b < f_.blocks.size(); ++b) {
      for (ValueId id : f_.blocks[b].insts) {
        std::string wrong = one(f_[id], f_.blocks[b]);
        if (!wrong.empty()) return at(b, id, wrong);
      }
    }
    return "";
  }

  Type type_of(ValueId id) const { return f_[id].type; }

  std::string one(const Inst& inst, const Block& block) const {
    const OpInfo& info = op_info(inst.op);
    for (ValueId operand : inst.operands) {
      if (operand.index >= f_.values.size() || !block_of_[operand.index].valid()) {
        return "an operand is in no block";
      }
      if (type_of(operand) == Type::None) return "an operand has no value";
    }
    if (info.operands != kVariableOperands &&
        inst.operands.size() != static_cast<size_t>(info.operands)) {
      return fmt::format("{} operands, wants {}", inst.operands.size(), info.operands);
    }
    if (info.result == ResultRule::Any) {
      if (inst.type == Type::None) return "has no type";
    } else if (inst.type != rule_type(info.result)) {
      return fmt::format("has type {}", type_name(inst.type));
    }
    const bool is_string = is_string_type(inst.type);
    if (is_string != (inst.str_kind != StrKind::None)) {
      return is_string ? "a string without a kind" : "a string kind on a value that is no string";
    }
    if ((inst.str_kind == StrKind::Bytes) != (inst.max_bytes != 0)) {
      return "max_bytes and string kind disagree";
    }
    return rule(inst, block);
  }

  std::string want(const Inst& inst, size_t operand, Type type) const {
    if (type_of(inst.operands[operand]) == type) return "";
    return fmt::format("operand {} is {}, wants {}", operand,
                       type_name(type_of(inst.operands[operand])), type_name(type));
  }

  std::string want_all(const Inst& inst, Type type) const {
    for (size_t i = 0; i < inst.operands.size(); ++i) {
      std::string wrong = want(inst, i, type);
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  template <class List>
  static std::string want_index(const List& list, int64_t index, std::string_view what) {
    if (index >= 0 && static_cast<size_t>(index) < list.size()) return "";
    return fmt::format("no such {}: {}", what, index);
  }

  /// The rules of single operations, beyond counts and result types.
  std::string rule(const Inst& inst, const Block& block) const {
    if (is_text_op(inst.op)) return text(inst);
    if (is_table_op(inst.op)) return table(inst);
    if (is_cell_op(inst.op))
      return first(want_all(inst, Type::Int), want_index(m_.cells, inst.imm, "cell"));
    switch (inst.op) {
      case Op::ConstBool:
        return inst.imm == 0 || inst.imm == 1 ? "" : "imm is neither 0 nor 1";
      case Op::ConstStr:
        return inst.str_kind == StrKind::Id ? want_index(m_.strings, inst.imm, "string")
                                            : "a constant string is an Id";
      case Op::ConstNil:
        return ssa::is_maybe(inst.type) ? "" : "nil of a sure type";
      case Op::Phi:
        return phi(inst, block);
      case Op::Add:
      case Op::Sub:
      case Op::Mul:
      case Op::DivS:
      case Op::ModS:
      case Op::And:
      case Op::Or:
      case Op::Xor:
      case Op::Shl:
      case Op::Sar:
      case Op::Lt:
      case Op::Le:
      case Op::Min:
      case Op::Max:
      case Op::RequestExit:
      case Op::SendSignal:
      case Op::OverrideReturn:
      case Op::WriteUser:
      case Op::UserString:
      case Op::KernelString:
      case Op::ReadBytes:
      case Op::Log2Bucket:
      case Op::LogLinearBucket:
      case Op::LinearBucket:
        return integers(inst);
      case Op::Eq:
      case Op::Ne:
        return want_all(inst, type_of(inst.operands[0]) == Type::Bool ? Type::Bool : Type::Int);
      case Op::Not:
      case Op::Branch:
        return want_all(inst, Type::Bool);
      case Op::StrEq:
        return string_equality(inst);
      case Op::StrGlob:
      case Op::StrFind:
        return first(text(inst), want_index(m_.strings, inst.imm, "string"));
      case Op::IdGlob:
        if (f_[inst.operands[0]].str_kind != StrKind::Id) return "operand is no Id";
        return first(want_all(inst, Type::Str), want_index(m_.strings, inst.imm, "string"));
      case Op::NumberName:
        return number_name(inst);
      case Op::IsNil:
        return is_maybe(inst.operands[0]) ? "" : "operand cannot be nil";
      case Op::IsTrue:
        return want_all(inst, Type::MaybeBool);
      case Op::Unwrap:
      case Op::Wrap:
        return wrapping(inst);
      default:
        return rule_of_state(inst);
    }
  }

  /// Of operations that read or change what lies outside of the function.
  std::string rule_of_state(const Inst& inst) const {
    switch (inst.op) {
      case Op::EventVar:
        return event_var(inst);
      case Op::EventField:
        return event_field(inst);
      case Op::KernelRead:
      case Op::KernelText:
      case Op::KernelAddress:
        return kernel_memory(inst);
      case Op::KernelStack:
      case Op::UserStack:
        return inst.type == Type::Stack && inst.max_bytes % 8 == 0 && inst.max_bytes > 8 &&
                       inst.imm >= 0
                   ? ""
                   : "not the words of a stack";
      case Op::MakeUnion:
        return make_union(inst);
      case Op::UnionTag:
      case Op::UnionWord:
      case Op::UnionText:
        return of_union(inst);
      case Op::TableLength:
      case Op::TableClear:
        return want_index(m_.tables, inst.imm, "table");
      case Op::TableWalk:
      case Op::TableSlot:
      case Op::TableSlotKey:
        return table_slot(inst);
      case Op::WriteText:
        return first(want(inst, 0, Type::Int),
                     first(want(inst, 1, Type::Str), want(inst, 2, Type::Int)));
      case Op::Emit:
        return emit(inst);
      case Op::LoopGuard:
      case Op::LoopTurn:
      case Op::CallGuard:
      case Op::Fail:
        return want_index(m_.failures, inst.imm, "failure");
      default:
        return "";
    }
  }

  std::string kernel_memory(const Inst& inst) const {
    if (sure_type(type_of(inst.operands[0])) != Type::Int) return "the address is no Int";
    const Type type = sure_type(inst.type);
    if (inst.op == Op::KernelAddress) return "";
    if (inst.op == Op::KernelText)
      return type == Type::Str && inst.str_kind == StrKind::Bytes && inst.max_bytes != 0
                 ? ""
                 : "text is Bytes";
    const KernelAccess access = KernelAccess::unpack(inst.imm);
    const uint32_t size = access.size_bytes;
    if (size != 1 && size != 2 && size != 4 && size != 8) return "no size of a number";
    if (access.shift_bits + access.width_bits > 8 * size) return "a bit field beyond its number";
    return type == Type::Int || type == Type::Bool ? "" : "neither Int nor Bool";
  }

  /// Int operands, and what else goes with the operation.
  std::string integers(const Inst& inst) const {
    std::string wrong = want_all(inst, Type::Int);
    if (!wrong.empty()) return wrong;
    if (inst.op == Op::LinearBucket) return want_index(m_.linear, inst.imm, "linear histogram");
    if ((inst.op == Op::UserString || inst.op == Op::KernelString) &&
        (inst.str_kind != StrKind::Bytes || inst.imm != inst.max_bytes)) {
      return "the bound and max_bytes disagree";
    }
    if (inst.op == Op::ReadBytes && inst.str_kind != StrKind::Bytes) return "makes no Bytes";
    return "";
  }

  static std::string first(std::string a, std::string b) { return a.empty() ? b : a; }

  bool is_maybe(ValueId id) const { return ssa::is_maybe(type_of(id)); }

  std::string number_name(const Inst& inst) const {
    if (inst.imm < 0 || static_cast<size_t>(inst.imm) >= m_.names.size()) return "no such names";
    if (inst.str_kind != StrKind::Bytes) return "makes no Bytes";
    for (const std::string& name : m_.names[static_cast<size_t>(inst.imm)]) {
      if (name.size() > inst.max_bytes) return "max_bytes is too small";
    }
    return want_all(inst, Type::Int);
  }

  static bool is_text_op(Op op) {
    switch (op) {
      case Op::StrLess:
      case Op::StrLen:
      case Op::StrByte:
      case Op::StrBytes:
      case Op::StrText:
      case Op::StrJoin:
      case Op::StrSlice:
      case Op::StrSub:
      case Op::StrCase:
        return true;
      default:
        return false;
    }
  }

  /// Operations on the characters of strings.
  std::string text(const Inst& inst) const {
    const bool makes = inst.type == Type::Str;
    if (makes && inst.str_kind != StrKind::Bytes) return "makes no Bytes";
    if (inst.op == Op::StrText) {
      if (inst.imm != 0 && inst.imm != 10 && inst.imm != 16) return "no such base";
      return inst.max_bytes == kIntTextBytes ? want_all(inst, Type::Int) : "not of 20 bytes";
    }
    if (inst.op == Op::StrBytes) {
      return f_[inst.operands[0]].str_kind == StrKind::Id ? want_all(inst, Type::Str)
                                                          : "operand is no Id";
    }
    if (inst.operands.empty()) return "joins nothing";
    uint32_t bytes = 0;
    const size_t texts = inst.op == Op::StrSub ? 1 : inst.operands.size();
    for (size_t i = 0; i < texts; ++i) {
      const ValueId operand = inst.operands[i];
      std::string wrong = want(inst, i, Type::Str);
      if (!wrong.empty()) return wrong;
      if (!held_as(operand, StrKind::Bytes, UINT32_MAX)) return "operand is not Bytes";
      bytes += f_[operand].op == Op::ConstStr
                   ? static_cast<uint32_t>(m_.strings[static_cast<size_t>(f_[operand].imm)].size())
                   : f_[operand].max_bytes;
    }
    for (size_t i = texts; i < inst.operands.size(); ++i) {
      std::string wrong = want(inst, i, Type::Int);
      if (!wrong.empty()) return wrong;
    }
    const bool is_whole = inst.op == Op::StrJoin || inst.op == Op::StrCase;
    if (is_whole && inst.max_bytes < bytes) return "max_bytes is too small";
    if ((inst.op == Op::StrByte || inst.op == Op::StrSlice) && inst.imm < 0)
      return "imm is below 0";
    return "";
  }

  /// A place for strings of this kind takes the value. Bytes take shorter ones, nil and literals
  /// too.
  bool held_as(ValueId id, StrKind kind, uint32_t max_bytes) const {
    const Inst* from = &f_[id];
    if (from->op == Op::Wrap) return held_as(from->operands[0], kind, max_bytes);
    if (from->op == Op::ConstNil) return is_string_type(from->type) == (kind != StrKind::None);
    if (kind != StrKind::Bytes) return from->str_kind == kind;
    if (from->op == Op::ConstStr) {
      const std::string& text = m_.strings[static_cast<size_t>(from->imm)];
      return text.size() <= max_bytes && text.find('\0') == std::string::npos;
    }
    return from->str_kind == StrKind::Bytes && from->max_bytes <= max_bytes;
  }

  std::string phi(const Inst& inst, const Block& block) const {
    if (inst.operands.size() != block.preds.size()) {
      return fmt::format("{} operands, {} predecessors", inst.operands.size(), block.preds.size());
    }
    for (ValueId operand : inst.operands) {
      if (!held_as(operand, inst.str_kind, inst.max_bytes)) return "strings of two kinds meet";
    }
    return want_all(inst, inst.type);
  }

  std::string string_equality(const Inst& inst) const {
    const bool are_stacks = type_of(inst.operands[0]) == Type::Stack;
    std::string wrong = want_all(inst, are_stacks ? Type::Stack : Type::Str);
    if (!wrong.empty()) return wrong;
    const Inst& a = f_[inst.operands[0]];
    const Inst& b = f_[inst.operands[1]];
    if (a.str_kind == b.str_kind) return "";
    const Inst& id = a.str_kind == StrKind::Id ? a : b;
    return id.op == Op::ConstStr ? "" : "Bytes against an Id that is no constant";
  }

  std::string wrapping(const Inst& inst) const {
    const Inst& from = f_[inst.operands[0]];
    const Inst& maybe = inst.op == Op::Wrap ? inst : from;
    const Inst& sure = inst.op == Op::Wrap ? from : inst;
    if (!ssa::is_maybe(maybe.type) || sure_type(maybe.type) != sure.type)
      return "operand and result do not belong together";
    if (inst.op == Op::Wrap) {
      return held_as(inst.operands[0], inst.str_kind, inst.max_bytes) ? "" : "strings of two kinds";
    }
    return maybe.str_kind == sure.str_kind && maybe.max_bytes == sure.max_bytes
               ? ""
               : "strings of two kinds";
  }

  std::string make_union(const Inst& inst) const {
    if (inst.type != Type::Union || inst.max_bytes <= kUnionTextOffset) return "makes no Union";
    const Type type = type_of(inst.operands[0]);
    if (type == Type::Int || type == Type::Bool) return "";
    return fits_part(inst.operands[0], union_text(inst.max_bytes)) ? ""
                                                                   : "the operand does not fit";
  }

  std::string of_union(const Inst& inst) const {
    std::string wrong = want_all(inst, Type::Union);
    if (!wrong.empty() || inst.op != Op::UnionText) return wrong;
    const Inst shape = shape_of(union_text(f_[inst.operands[0]].max_bytes));
    return inst.str_kind == shape.str_kind && inst.max_bytes == shape.max_bytes
               ? ""
               : "not the string that it holds";
  }

  static std::string event_field(const Inst& inst) {
    const bool is_good =
        inst.type == Type::Int || inst.type == Type::Bool || inst.str_kind == StrKind::Bytes;
    return is_good ? "" : "neither Int, Bool nor Bytes";
  }

  static std::string event_var(const Inst& inst) {
    using schema::BuiltinVar;
    switch (static_cast<BuiltinVar>(inst.imm)) {
      case BuiltinVar::Pid:
      case BuiltinVar::Tid:
      case BuiltinVar::Ppid:
      case BuiltinVar::Uid:
      case BuiltinVar::Gid:
      case BuiltinVar::Cpu:
      case BuiltinVar::Ns:
      case BuiltinVar::Cgroup:
      case BuiltinVar::Curtask:
      case BuiltinVar::InInterrupt:
        return inst.type == Type::Int ? "" : "not an Int";
      case BuiltinVar::Execname:
        return inst.type == Type::Str && inst.str_kind == StrKind::Bytes ? "" : "not Bytes";
      case BuiltinVar::Probename:
        return inst.type == Type::Str && inst.str_kind == StrKind::Id ? "" : "not an Id";
      default:
        return "not a variable that an event gives by itself";
    }
  }

  bool fits_part(ValueId id, const KeyPart& part) const {
    const Inst shape = shape_of(part);
    const bool is_union = part.kind == KeyPart::Kind::Union;
    if (is_union && f_[id].max_bytes != shape.max_bytes) return false;
    return f_[id].type == shape.type && held_as(id, shape.str_kind, shape.max_bytes);
  }

  /// Keys by TableInfo; a string constant fits a Bytes part.
  std::string table(const Inst& inst) const {
    std::string wrong = want_index(m_.tables, inst.imm, "table");
    if (!wrong.empty()) return wrong;
    const TableInfo& info = m_.tables[static_cast<size_t>(inst.imm)];
    const bool is_plain = info.words == std::vector<MergeOp>{MergeOp::Add};
    if (info.words.empty()) return "the table's entries have no words";
    if (inst.op != Op::TableMerge && !is_plain) return "the table has other words than one sum";
    const bool has_value = has_table_value(inst.op);
    const size_t values = inst.op == Op::TableMerge ? info.words.size() : has_value ? 1 : 0;
    if (inst.operands.size() != info.key.size() + values) {
      return fmt::format("{} operands, the key has {} parts", inst.operands.size(),
                         info.key.size());
    }
    for (size_t i = 0; i < info.key.size(); ++i) {
      const bool fits = fits_part(inst.operands[i], info.key[i]);
      if (!fits) return fmt::format("operand {} does not fit the key's part", i);
    }
    if (inst.op == Op::TableGet) {
      const Inst shape = shape_of(info.value);
      return inst.type == maybe_type(shape.type) && inst.str_kind == shape.str_kind &&
                     inst.max_bytes == shape.max_bytes
                 ? ""
                 : "not a value of the table";
    }
    if (inst.op == Op::TableSet)
      return fits_part(inst.operands.back(), info.value) ? "" : "the value does not fit";
    const bool is_update = inst.op != Op::TableMerge && inst.op != Op::TableRaise;
    const bool has_integers = info.value.kind == KeyPart::Kind::Int ||
                              (is_update && info.value.kind == KeyPart::Kind::Union);
    if (values != 0 && !has_integers) return "the table holds no integers";
    for (size_t i = info.key.size(); i < inst.operands.size(); ++i) {
      std::string value = want(inst, i, Type::Int);
      if (!value.empty()) return value;
    }
    return "";
  }

  /// The index is an Int; what is read has the type of the table's value or the key's part.
  std::string table_slot(const Inst& inst) const {
    std::string wrong = first(want_index(m_.tables, inst.imm, "table"), want_all(inst, Type::Int));
    if (!wrong.empty()) return wrong;
    if (f_[inst.operands[0]].op != Op::ConstInt) return "the walk is not a constant";
    if (inst.op == Op::TableWalk) return "";
    const TableInfo& info = m_.tables[static_cast<size_t>(inst.imm)];
    const auto is_held_as = [&inst](const Inst& shape, Type type) {
      return inst.type == type && inst.str_kind == shape.str_kind &&
             inst.max_bytes == shape.max_bytes;
    };
    if (inst.op == Op::TableSlot) {
      const Inst shape = shape_of(info.value);
      return is_held_as(shape, maybe_type(shape.type)) ? "" : "not a value of the table";
    }
    const Inst& part = f_[inst.operands[2]];
    if (part.op != Op::ConstInt) return "the part is not a constant";
    wrong = want_index(info.key, part.imm, "part of the key");
    if (!wrong.empty()) return wrong;
    const Inst shape = shape_of(info.key[static_cast<size_t>(part.imm)]);
    return is_held_as(shape, shape.type) ? "" : "the result does not fit the key's part";
  }

  std::string emit(const Inst& inst) const {
    std::string wrong = want_index(m_.sites, inst.imm, "site");
    if (!wrong.empty()) return wrong;
    const Site& site = m_.sites[static_cast<size_t>(inst.imm)];
    if (site.args.size() != inst.operands.size()) {
      return fmt::format("{} operands, the site has {} arguments", inst.operands.size(),
                         site.args.size());
    }
    for (size_t i = 0; i < site.args.size(); ++i) {
      const Inst& arg = f_[inst.operands[i]];
      if (arg.type != site.args[i].type ||
          !held_as(inst.operands[i], site.args[i].str_kind, site.args[i].max_bytes)) {
        return fmt::format("operand {} does not fit the site's argument", i);
      }
    }
    return "";
  }

  /// Every operand is computed on every way to its use; a phi's at the end of its predecessor.
  std::string dominance() const {
    const Dominators dominators(f_);
    for (uint32_t b = 0; b < f_.blocks.size(); ++b) {
      if (!dominators.reachable(BlockId(b))) continue;
      for (ValueId id : f_.blocks[b].insts) {
        const Inst& inst = f_[id];
        for (size_t i = 0; i < inst.operands.size(); ++i) {
          const ValueId operand = inst.operands[i];
          const BlockId def = block_of_[operand.index];
          bool fine;
          if (inst.op == Op::Phi) {
            const BlockId pred = f_.blocks[b].preds[i];
            fine = !dominators.reachable(pred) || dominators.dominates(def, pred);
          } else if (def == BlockId(b)) {
            fine = position_[operand.index] < position_[id.index];
          } else {
            fine = dominators.dominates(def, BlockId(b));
          }
          if (!fine)
            return at(b, id, fmt::format("operand {} is not computed on every way here", i));
        }
      }
    }
    return "";
  }

  const Function& f_;
  const Module& m_;
  std::vector<BlockId> block_of_;
  std::vector<uint32_t> position_;
};

}  // namespace

std::string verify(const Function& function, const Module& module) {
  return Verifier(function, module).run();
}

}  // namespace ktap::ssa
