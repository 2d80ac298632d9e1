// Block order, needed values, and which conditions melt into their branch.
#include <algorithm>

#include "backend/homes.h"
#include "base/check.h"
#include "ssa/op_info.h"

namespace ktap::backend {
namespace {

using ssa::BlockId;
using ssa::Function;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

bool can_fuse(Op op) {
  switch (op) {
    case Op::Eq:
    case Op::Ne:
    case Op::Lt:
    case Op::Le:
    case Op::Not:
    case Op::IsNil:
    case Op::IsTrue:
    case Op::StrEq:
    case Op::StrGlob:
    case Op::StrLess:
    case Op::IdGlob:
      return true;
    default:
      return false;
  }
}

// Without recursion: a function can have many thousand blocks.
std::vector<BlockId> reverse_postorder(const Function& function) {
  struct Frame {
    uint32_t block;
    size_t next;
  };
  std::vector<BlockId> order;
  std::vector<bool> seen(function.blocks.size(), false);
  std::vector<Frame> stack{{0, 0}};
  seen[0] = true;
  while (!stack.empty()) {
    Frame& frame = stack.back();
    const ssa::Block& block = function.blocks[frame.block];
    auto only = constant_successor(function, block);
    if (frame.next == block.succs.size()) {
      order.emplace_back(frame.block);
      stack.pop_back();
      continue;
    }
    // The last successor first: the first one then follows its block in the order.
    auto which = static_cast<uint32_t>(block.succs.size() - 1 - frame.next++);
    uint32_t to = block.succs[which].index;
    if ((only && *only != which) || seen[to]) continue;
    seen[to] = true;
    stack.push_back({to, 0});
  }
  std::reverse(order.begin(), order.end());
  return order;
}

std::vector<bool> find_needed(const Function& function, const std::vector<BlockId>& blocks) {
  std::vector<bool> needed(function.values.size(), false);
  std::vector<ValueId> work;
  for (BlockId block : blocks) {
    for (ValueId id : function.blocks[block.index].insts) {
      ssa::Effect effect = ssa::op_info(function[id].op).effect;
      if (effect == ssa::Effect::Write || effect == ssa::Effect::Control) work.push_back(id);
    }
  }
  while (!work.empty()) {
    ValueId id = work.back();
    work.pop_back();
    if (needed[id.index]) continue;
    needed[id.index] = true;
    for (ValueId operand : function[id].operands) work.push_back(operand);
  }
  return needed;
}

// Conditions with one use, by the Branch of their own block (or by a fused Not): no need to make a
// 0 or 1 of them.
std::vector<bool> find_fused(const Function& function, const Order& order) {
  std::vector<uint32_t> uses(function.values.size(), 0);
  for (BlockId block : order.blocks) {
    for (ValueId id : function.blocks[block.index].insts) {
      if (!order.needed[id.index]) continue;
      for (ValueId operand : function[id].operands) ++uses[operand.index];
    }
  }
  std::vector<bool> fused(function.values.size(), false);
  for (BlockId block : order.blocks) {
    const auto& insts = function.blocks[block.index].insts;
    if (insts.empty() || function[insts.back()].op != Op::Branch) continue;
    ValueId condition = function[insts.back()].operands[0];
    while (uses[condition.index] == 1 && can_fuse(function[condition].op) &&
           std::find(insts.begin(), insts.end(), condition) != insts.end()) {
      fused[condition.index] = true;
      if (function[condition].op != Op::Not) break;
      condition = function[condition].operands[0];
    }
  }
  return fused;
}

}  // namespace

std::optional<uint32_t> constant_successor(const Function& function, const ssa::Block& block) {
  if (block.insts.empty()) return std::nullopt;
  const Inst& last = function[block.insts.back()];
  if (last.op != Op::Branch) return std::nullopt;
  const Inst& condition = function[last.operands[0]];
  if (condition.op != Op::ConstBool) return std::nullopt;
  return condition.imm != 0 ? 0 : 1;
}

Order order_blocks(const Function& function) {
  KTAP_CHECK(!function.blocks.empty());
  Order order;
  order.blocks = reverse_postorder(function);
  order.needed = find_needed(function, order.blocks);
  order.fused = find_fused(function, order);
  return order;
}

}  // namespace ktap::backend
