// See table_facts.h: one walk over all functions, with the ranges of their integers.
#include "backend/table_facts.h"

#include <algorithm>

#include "schema/builtin_vars.h"
#include "ssa/op_info.h"

namespace ktap::backend {

namespace {

using ssa::Inst;
using ssa::Op;

/// 2^32 samples of this in one generation would have to be counted before the sum wraps.
constexpr ssa::Range kSmallPositive{1, INT64_C(1) << 31};

bool is_current_thread(const ssa::Function& function, ssa::ValueId key) {
  const Inst& inst = function[key];
  return inst.op == Op::EventVar &&
         static_cast<schema::BuiltinVar>(inst.imm) == schema::BuiltinVar::Tid;
}

void note(TableUse& use, const Inst& inst, const ssa::TableInfo& info,
          const ssa::Function& function, const ssa::Ranges& ranges, ssa::BlockId block) {
  use.is_read |= inst.op == Op::TableGet;
  use.is_set |= inst.op == Op::TableSet;
  use.is_added |= inst.op == Op::TableAdd || inst.op == Op::TableMerge;
  use.is_deleted |= inst.op == Op::TableDelete;
  use.is_masked |= inst.op == Op::TableAnd || inst.op == Op::TableOr;
  use.is_toggled |= inst.op == Op::TableXor;
  use.is_raised |= inst.op == Op::TableRaise;
  const size_t parts = info.key.size();
  for (size_t i = 0; i < parts && i < inst.operands.size(); ++i) {
    ssa::Range range = ranges.at(inst.operands[i], block);
    if (info.bucket_count != 0 && i + 1 == parts) {
      range = {std::max(range.lo, int64_t{0}), std::min(range.hi, int64_t{info.bucket_count} - 1)};
    }
    if (use.is_used) {
      use.parts[i] = join(use.parts[i], range);
    } else {
      use.parts.push_back(range);
    }
  }
  use.is_used = true;
  use.by_thread &= parts == 1 && is_current_thread(function, inst.operands[0]);
  if (inst.op == Op::TableAdd || inst.op == Op::TableMerge) {
    const ssa::Range first = ranges.at(inst.operands[parts], block);
    use.first_word_is_positive &= info.words[0] == ssa::MergeOp::Add &&
                                  first.lo >= kSmallPositive.lo && first.hi <= kSmallPositive.hi;
  }
}

}  // namespace

size_t value_operands(const Inst& inst, const ssa::TableInfo& info) {
  if (inst.op == Op::TableMerge) return info.words.size();
  return ssa::has_table_value(inst.op) ? 1 : 0;
}

namespace {

/// Blocks that `from` leads to, by edges of `next`; `gate` and what is only behind it are none.
template <class Next>
std::vector<bool> reach(const ssa::Function& function, ssa::BlockId from, ssa::BlockId gate,
                        Next next) {
  std::vector<bool> reached(function.blocks.size());
  std::vector<ssa::BlockId> todo{from};
  while (!todo.empty()) {
    const ssa::BlockId block = todo.back();
    todo.pop_back();
    for (const ssa::BlockId to : next(function.blocks[block.index])) {
      if (to == gate || reached[to.index]) continue;
      reached[to.index] = true;
      todo.push_back(to);
    }
  }
  return reached;
}

bool adds_entries(Op op) { return op == Op::TableMerge || ssa::has_table_value(op); }

/// A place where an operation of walks stands: TableWalk begins one, TableSlot looks at a slot.
struct WalkPlace {
  int64_t table = 0;
  ssa::BlockId block;
};

/// Marks tables that grow in the rounds of a loop over them: on a way from where a slot is looked
/// at back to there, without beginning the walk anew.
void find_growth(const ssa::Function& function, const std::vector<ssa::BlockId>& blocks,
                 std::vector<TableUse>& uses) {
  std::vector<WalkPlace> begins, looks;
  for (const ssa::BlockId block : blocks) {
    for (const ssa::ValueId id : function.blocks[block.index].insts) {
      const Inst& inst = function[id];
      if (inst.op == Op::TableWalk) begins.push_back({inst.imm, block});
      if (inst.op == Op::TableSlot) looks.push_back({inst.imm, block});
    }
  }
  const auto grows = [&](const WalkPlace& begin, const WalkPlace& look) {
    const auto after = reach(function, look.block, begin.block,
                             [](const ssa::Block& block) { return block.succs; });
    const auto before = reach(function, look.block, begin.block,
                              [](const ssa::Block& block) { return block.preds; });
    return std::any_of(blocks.begin(), blocks.end(), [&](ssa::BlockId block) {
      const auto& insts = function.blocks[block.index].insts;
      return after[block.index] && before[block.index] &&
             std::any_of(insts.begin(), insts.end(), [&](ssa::ValueId id) {
               return function[id].imm == look.table && adds_entries(function[id].op);
             });
    });
  };
  for (const WalkPlace& begin : begins) {
    for (const WalkPlace& look : looks) {
      if (begin.table == look.table && grows(begin, look))
        uses[static_cast<size_t>(look.table)].grows_in_walk = true;
    }
  }
}

/// Those of raw_syscalls are the same two places.
bool is_of_system_calls(const ssa::EventGroup& group) {
  return schema::is_syscall(group.kind) ||
         (!group.events.empty() && group.events[0]->system == "raw_syscalls");
}

}  // namespace

std::vector<TableUse> find_table_uses(const std::vector<Job>& jobs,
                                      const std::vector<uint32_t>& programs,
                                      const ssa::Module& module, const bpf::KernelFacts& facts,
                                      const Options& options) {
  std::vector<TableUse> uses(module.tables.size());
  const ssa::RangeFacts range_facts{facts.cpu_count, options.cpu, options.only_tgid()};
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (programs[i] == kNoProgram) continue;
    const ssa::Function& function = *jobs[i].function;
    const ssa::Ranges ranges(function, *jobs[i].group, range_facts);
    const std::vector<ssa::BlockId> blocks = ssa::reverse_postorder(function);
    find_growth(function, blocks, uses);
    for (const ssa::BlockId block : blocks) {
      for (const ssa::ValueId id : function.blocks[block.index].insts) {
        const Inst& inst = function[id];
        if (ssa::is_whole_table_op(inst.op)) {
          TableUse& use = uses[static_cast<size_t>(inst.imm)];
          (inst.op == Op::TableLength ? use.is_measured : use.is_emptied) = true;
          continue;
        }
        if (ssa::is_walk_op(inst.op)) {
          uses[static_cast<size_t>(inst.imm)].is_walked = true;
          continue;
        }
        if (!ssa::is_table_op(inst.op)) continue;
        const auto table = static_cast<size_t>(inst.imm);
        note(uses[table], inst, module.tables[table], function, ranges, block);
        uses[table].programs.insert(programs[i]);
        uses[table].only_system_calls &= is_of_system_calls(*jobs[i].group);
      }
    }
  }
  return uses;
}

}  // namespace ktap::backend
