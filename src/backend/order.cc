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

/// Looking for loops from each Branch is not worth while in larger functions (a guessed bound).
constexpr size_t kMaxBlocksForLoops = 256;

/// Whether some way leads from `from` to `to`.
bool reaches(const Function& function, BlockId from, BlockId to) {
  std::vector<bool> seen(function.blocks.size(), false);
  std::vector<BlockId> work{from};
  while (!work.empty()) {
    const BlockId block = work.back();
    work.pop_back();
    if (block == to) return true;
    if (seen[block.index]) continue;
    seen[block.index] = true;
    const auto& succs = function.blocks[block.index].succs;
    work.insert(work.end(), succs.begin(), succs.end());
  }
  return false;
}

/// Which successor follows its block: the first, unless it leaves the loop and the other does not.
/// What follows costs no jump in each round.
uint32_t preferred_successor(const Function& function, BlockId id) {
  const ssa::Block& block = function.blocks[id.index];
  if (block.succs.size() != 2 || function.blocks.size() > kMaxBlocksForLoops) return 0;
  return !reaches(function, block.succs[0], id) && reaches(function, block.succs[1], id) ? 1 : 0;
}

// Without recursion: a function can have many thousand blocks.
std::vector<BlockId> reverse_postorder(const Function& function) {
  struct Frame {
    uint32_t block;
    uint32_t preferred;
    size_t next;
  };
  std::vector<BlockId> order;
  std::vector<bool> seen(function.blocks.size(), false);
  std::vector<Frame> stack{{0, preferred_successor(function, BlockId(0)), 0}};
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
    // The preferred successor last: it then follows its block in the order.
    auto which = static_cast<uint32_t>(block.succs.size() - 1 - frame.next++);
    if (frame.preferred == 1) which = 1 - which;
    uint32_t to = block.succs[which].index;
    if ((only && *only != which) || seen[to]) continue;
    seen[to] = true;
    stack.push_back({to, preferred_successor(function, BlockId(to)), 0});
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
// 0 or 1 of them. Unions are put together where they are stored.
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
    for (ValueId id : insts) fused[id.index] = function[id].op == Op::MakeUnion;
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
