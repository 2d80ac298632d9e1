// Common subexpressions by dominance: a value that was computed on every way here is used again.
// Reads of tables and variables are not shared (another CPU may write between them), reads of the
// event are.
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "ssa/dominators.h"

namespace ktap::passes {

namespace {

using ssa::BlockId;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

using Key = std::tuple<Op, ssa::Type, ssa::StrKind, uint32_t, int64_t, std::vector<ValueId>>;

bool is_shareable(Op op) {
  return (ssa::is_pure(op) && op != Op::Phi) || op == Op::EventVar || op == Op::EventField;
}

bool is_commutative(Op op) {
  switch (op) {
    case Op::Add:
    case Op::Mul:
    case Op::And:
    case Op::Or:
    case Op::Xor:
    case Op::Eq:
    case Op::Ne:
    case Op::StrEq:
    case Op::Min:
    case Op::Max:
      return true;
    default:
      return false;
  }
}

Key key_of(const Inst& inst, const Replacements& replacements) {
  std::vector<ValueId> operands;
  for (ValueId operand : inst.operands) operands.push_back(replacements.find(operand));
  if (is_commutative(inst.op) && operands[1] < operands[0]) std::swap(operands[0], operands[1]);
  return {inst.op, inst.type, inst.str_kind, inst.max_bytes, inst.imm, std::move(operands)};
}

}  // namespace

bool share_common(ssa::Function& function, const ssa::Module&) {
  const ssa::Dominators dominators(function);
  Replacements replacements(function);
  // Dominators come before what they dominate in this order. Blocks that compute the same, none
  // dominating the other, both stay in the list.
  std::map<Key, std::vector<std::pair<BlockId, ValueId>>> known;
  for (BlockId block : ssa::reverse_postorder(function)) {
    auto& insts = function.blocks[block.index].insts;
    std::vector<ValueId> kept;
    for (ValueId id : insts) {
      const Inst& inst = function[id];
      ValueId earlier;
      if (is_shareable(inst.op) || inst.op == Op::Phi) {
        auto& there = known[key_of(inst, replacements)];
        for (const auto& [where, value] : there) {
          // Phis belong to the ways into their own block.
          if (inst.op == Op::Phi ? where == block : dominators.dominates(where, block)) {
            earlier = value;
            break;
          }
        }
        if (!earlier.valid()) there.emplace_back(block, id);
      }
      if (earlier.valid()) {
        replacements.add(id, earlier);
      } else {
        kept.push_back(id);
      }
    }
    insts = std::move(kept);
  }
  replacements.apply(function);
  return !replacements.empty();
}

}  // namespace ktap::passes
