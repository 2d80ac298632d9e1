// A short way to write SSA by hand: blocks, edges and instructions with their usual types. Used by
// tests of every folder that takes SSA; `lower` has its own.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ssa/function.h"
#include "ssa/op_info.h"

namespace ktap::ssa {

/// Appends to the block chosen by at(). Nothing is checked here: verify() is for that.
class Builder {
 public:
  explicit Builder(std::string name = "test") { function.name = std::move(name); }

  BlockId block() {
    function.blocks.emplace_back();
    return BlockId(static_cast<uint32_t>(function.blocks.size() - 1));
  }
  Builder& at(BlockId block) {
    current_ = block;
    return *this;
  }
  BlockId current() const { return current_; }
  /// The type is the operation's own; for Any it must be given.
  ValueId op(Op op, std::vector<ValueId> operands = {}, int64_t imm = 0, Type type = Type::None) {
    Inst inst{op};
    inst.operands = std::move(operands);
    inst.imm = imm;
    inst.type = type;
    switch (op_info(op).result) {
      case ResultRule::Int:
        inst.type = Type::Int;
        break;
      case ResultRule::Bool:
        inst.type = Type::Bool;
        break;
      case ResultRule::Str:
        inst.type = Type::Str;
        break;
      case ResultRule::MaybeInt:
        inst.type = Type::MaybeInt;
        break;
      case ResultRule::MaybeStr:
        inst.type = Type::MaybeStr;
        break;
      case ResultRule::None:
        inst.type = Type::None;
        break;
      case ResultRule::Any:
        if (op == Op::TableGet && type == Type::None) inst.type = Type::MaybeInt;
        break;
    }
    if (op == Op::ConstStr) inst.str_kind = StrKind::Id;
    return function.append(current_, std::move(inst));
  }
  ValueId bytes(Op op, uint32_t max_bytes, int64_t imm = 0, std::vector<ValueId> operands = {},
                Type type = Type::Str) {
    Inst inst{op};
    inst.operands = std::move(operands);
    inst.imm = imm;
    inst.type = type;
    inst.str_kind = StrKind::Bytes;
    inst.max_bytes = max_bytes;
    return function.append(current_, std::move(inst));
  }
  ValueId integer(int64_t value) { return op(Op::ConstInt, {}, value); }
  ValueId boolean(bool value) { return op(Op::ConstBool, {}, value ? 1 : 0); }

  void jump(BlockId to) {
    op(Op::Jump);
    edge(to);
  }
  void branch(ValueId condition, BlockId yes, BlockId no) {
    op(Op::Branch, {condition});
    edge(yes);
    edge(no);
  }
  void ret() { op(Op::Return); }

  Function function;

 private:
  void edge(BlockId to) {
    function.blocks[current_.index].succs.push_back(to);
    function.blocks[to.index].preds.push_back(current_);
  }

  BlockId current_;
};

}  // namespace ktap::ssa
