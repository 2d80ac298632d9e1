// A block that only the true side of `branch c` leads to knows that c is true, and so does all that
// it dominates. Checks for nil and for zero that were made before vanish this way.
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

struct Fact {
  BlockId from;  ///< holds in all that this block dominates
  ValueId condition;
  bool value;
};

/// What the ends of branches tell.
std::vector<Fact> find_facts(const ssa::Function& f) {
  std::vector<Fact> facts;
  for (uint32_t b = 0; b < f.blocks.size(); ++b) {
    const ssa::Block& block = f.blocks[b];
    if (block.insts.empty() || f[block.insts.back()].op != Op::Branch ||
        block.succs[0] == block.succs[1])
      continue;
    for (size_t side = 0; side < 2; ++side) {
      if (f.blocks[block.succs[side].index].preds.size() != 1) continue;
      const ValueId condition = f[block.insts.back()].operands[0];
      facts.push_back({block.succs[side], condition, side == 0});
      if (f[condition].op == Op::Not)
        facts.push_back({block.succs[side], f[condition].operands[0], side != 0});
    }
  }
  return facts;
}

bool is_constant(const ssa::Function& f, ValueId id) { return f[id].op == Op::ConstBool; }

}  // namespace

bool use_known_conditions(ssa::Function& function, const ssa::Module&) {
  const std::vector<Fact> facts = find_facts(function);
  const ssa::Dominators dominators(function);
  bool changed = false;
  for (const Fact& fact : facts) {
    if (is_constant(function, fact.condition)) continue;
    ValueId known;
    const auto constant_there = [&] {
      if (known.valid()) return known;
      Inst inst{Op::ConstBool, ssa::Type::Bool};
      inst.imm = fact.value ? 1 : 0;
      known = ValueId(static_cast<uint32_t>(function.values.size()));
      function.values.push_back(std::move(inst));
      auto& insts = function.blocks[fact.from.index].insts;
      size_t at = 0;
      while (function[insts[at]].op == Op::Phi) ++at;
      insts.insert(insts.begin() + static_cast<ptrdiff_t>(at), known);
      return known;
    };
    for (uint32_t b = 0; b < function.blocks.size(); ++b) {
      if (!dominators.dominates(fact.from, BlockId(b))) continue;
      for (size_t i = 0; i < function.blocks[b].insts.size(); ++i) {
        const ValueId id = function.blocks[b].insts[i];
        if (function[id].op == Op::Phi)
          continue;  // its operands belong to the ends of other blocks
        for (size_t o = 0; o < function[id].operands.size(); ++o) {
          if (function[id].operands[o] != fact.condition) continue;
          const ValueId constant = constant_there();
          function[id].operands[o] = constant;
          changed = true;
        }
      }
      // Phis further on that are fed from here.
      for (BlockId succ : function.blocks[b].succs) {
        const ssa::Block& target = function.blocks[succ.index];
        for (size_t i = 0; i < target.insts.size(); ++i) {
          const ValueId id = target.insts[i];
          if (function[id].op != Op::Phi) break;
          for (size_t p = 0; p < target.preds.size(); ++p) {
            if (target.preds[p] != BlockId(b) || function[id].operands[p] != fact.condition)
              continue;
            const ValueId constant = constant_there();
            function[id].operands[p] = constant;
            changed = true;
          }
        }
      }
    }
  }
  return changed;
}

}  // namespace ktap::passes
