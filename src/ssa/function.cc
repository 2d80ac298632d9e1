// The containers of SSA and the operation table. See function.h; printing and checking have files
// of their own.
#include "ssa/function.h"

#include <iterator>
#include <utility>

#include "ssa/op_info.h"

namespace ktap::ssa {

namespace {

constexpr OpInfo kOps[] = {
#define KTAP_SSA_OP(name, result, operands, effect, meaning) \
  {#name, ResultRule::result, operands, Effect::effect},
#include "ssa/ops.def"
#undef KTAP_SSA_OP
};

}  // namespace

const OpInfo& op_info(Op op) {
  KTAP_CHECK(static_cast<size_t>(op) < std::size(kOps));
  return kOps[static_cast<size_t>(op)];
}

bool is_table_op(Op op) {
  return op == Op::TableGet || op == Op::TableDelete || op == Op::TableMerge || has_table_value(op);
}

bool is_walk_op(Op op) {
  return op == Op::TableWalk || op == Op::TableSlot || op == Op::TableSlotKey;
}

bool is_whole_table_op(Op op) { return op == Op::TableLength || op == Op::TableClear; }

bool names_table(Op op) { return is_table_op(op) || is_walk_op(op) || is_whole_table_op(op); }

bool has_table_value(Op op) {
  switch (op) {
    case Op::TableSet:
    case Op::TableAdd:
    case Op::TableAnd:
    case Op::TableOr:
    case Op::TableXor:
    case Op::TableRaise:
      return true;
    default:
      return false;
  }
}

bool is_cell_op(Op op) {
  switch (op) {
    case Op::CellGet:
    case Op::CellSet:
    case Op::CellAdd:
    case Op::CellAnd:
    case Op::CellOr:
    case Op::CellXor:
      return true;
    default:
      return false;
  }
}

std::string_view op_name(Op op) { return op_info(op).name; }
bool is_control(Op op) { return op_info(op).effect == Effect::Control; }
bool is_pure(Op op) { return op_info(op).effect == Effect::Pure; }

ValueId Function::append(BlockId block, Inst inst) {
  KTAP_CHECK(block.index < blocks.size());
  ValueId id(static_cast<uint32_t>(values.size()));
  values.push_back(std::move(inst));
  blocks[block.index].insts.push_back(id);
  return id;
}

Inst shape_of(const KeyPart& part) {
  Inst shape{Op::Phi};
  switch (part.kind) {
    case KeyPart::Kind::Int:
    case KeyPart::Kind::Address:
    case KeyPart::Kind::Pointer:
      shape.type = Type::Int;
      break;
    case KeyPart::Kind::Bool:
      shape.type = Type::Bool;
      break;
    case KeyPart::Kind::StrId:
      shape.type = Type::Str;
      shape.str_kind = StrKind::Id;
      break;
    case KeyPart::Kind::Bytes:
      shape.type = Type::Str;
      shape.str_kind = StrKind::Bytes;
      shape.max_bytes = part.max_bytes;
      break;
    case KeyPart::Kind::Stack:
      shape.type = Type::Stack;
      shape.str_kind = StrKind::Bytes;
      shape.max_bytes = part.max_bytes;
      break;
    case KeyPart::Kind::Union:
      shape.type = Type::Union;
      shape.str_kind = StrKind::Bytes;
      shape.max_bytes = part.max_bytes;
      break;
  }
  return shape;
}

int64_t Module::intern(std::string_view text) {
  if (ids.size() != strings.size()) {
    ids.clear();
    for (size_t i = 0; i < strings.size(); ++i) ids.emplace(strings[i], static_cast<int64_t>(i));
  }
  const auto [place, is_new] =
      ids.try_emplace(std::string(text), static_cast<int64_t>(strings.size()));
  if (is_new) strings.emplace_back(text);
  return place->second;
}

}  // namespace ktap::ssa
