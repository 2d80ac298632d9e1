// Natural loops, and how often they run. See loops.h.
#include "backend/loops.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "backend/unit.h"
#include "base/limits.h"
#include "ssa/dominators.h"
#include "ssa/fold.h"
#include "ssa/op_info.h"

namespace ktap::backend {
namespace {

using ssa::BlockId;
using ssa::Function;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

// The verifier takes about 1 µs for an instruction, and an operation is 4 or so of them.
constexpr uint64_t kMaxPlainRounds = 64;       // guessed: where may_goto's price is not felt
constexpr uint64_t kMaxPlainOperations = 500;  // guessed: 2 ms
constexpr uint64_t kMaxPlainArithmetic =
    2000;  // guessed: as long, as these are one instruction each
// Where the kernel has nothing else.
constexpr uint64_t kMaxForcedRounds = 4096;       // guessed
constexpr uint64_t kMaxForcedOperations = 16000;  // guessed: 50 ms, a tenth of what verifiers take

// Of 500 random functions full of table operations the verifier gives up 3 without, 2 with 150,
// none with 60. A round of as many takes some 40 ns, of which memory is a tenth.
constexpr uint64_t kManyBlindOperations = 60;

// BPF_MAX_TIMED_LOOPS is 0xffff.
constexpr uint64_t kMaxTimelessSteps = 60000;

constexpr uint64_t kMany = std::numeric_limits<uint64_t>::max();

uint64_t times(uint64_t a, uint64_t b) { return b != 0 && a > kMany / b ? kMany : a * b; }
uint64_t plus(uint64_t a, uint64_t b) { return a > kMany - b ? kMany : a + b; }

class Finder {
 public:
  Finder(const Function& function, const Order& order, const std::vector<Table>* tables)
      : function_(function),
        order_(order),
        tables_(tables),
        dominators_(function),
        block_of_(function.values.size()) {
    for (BlockId block : order.blocks) {
      for (ValueId id : function.blocks[block.index].insts) block_of_[id.index] = block;
    }
  }

  Loops run(const bpf::KernelFacts& facts) {
    out_.of_block.assign(function_.blocks.size(), -1);
    std::vector<bool> is_placed(function_.blocks.size(), false);
    for (BlockId block : order_.blocks) is_placed[block.index] = true;
    for (BlockId head : order_.blocks) {
      std::vector<BlockId> latches;
      for (BlockId pred : function_.blocks[head.index].preds) {
        if (is_placed[pred.index] && dominators_.dominates(head, pred)) latches.push_back(pred);
      }
      if (!latches.empty()) add_loop(head, latches);
    }
    if (out_.loops.empty()) return std::move(out_);
    for (Loop& loop : out_.loops) count_rounds(loop);
    find_sizes(facts.has_may_goto || facts.has_iter_num());
    choose(facts);
    count_guards();
    return std::move(out_);
  }

 private:
  void add_loop(BlockId head, const std::vector<BlockId>& latches) {
    Loop loop;
    loop.head = head;
    loop.parent = out_.of_block[head.index];
    std::vector<BlockId> work = latches;
    std::vector<bool> inside(function_.blocks.size(), false);
    inside[head.index] = true;
    while (!work.empty()) {
      const BlockId block = work.back();
      work.pop_back();
      if (inside[block.index]) continue;
      inside[block.index] = true;
      for (BlockId pred : function_.blocks[block.index].preds) {
        if (dominators_.reachable(pred)) work.push_back(pred);
      }
    }
    for (uint32_t b = 0; b < inside.size(); ++b) {
      if (inside[b]) out_.of_block[b] = static_cast<int>(out_.loops.size());
    }
    out_.loops.push_back(loop);
  }

  std::optional<int64_t> constant(ValueId id) const {
    if (function_[id].op == Op::ConstInt) return function_[id].imm;
    return std::nullopt;
  }

  bool is_inside(BlockId block, const Loop& loop) const {
    return out_.is_inside(block, static_cast<int>(&loop - out_.loops.data()));
  }

  /// A phi that takes a step a round.
  struct Counter {
    ValueId phi, next;
    int64_t first, step;
  };

  /// A phi between constants, one constant added a round, and a way out that every round asks for.
  void count_rounds(Loop& loop) {
    const ssa::Block& head = function_.blocks[loop.head.index];
    if (head.preds.size() != 2) return;
    const size_t back = is_inside(head.preds[0], loop) ? 0 : 1;
    for (ValueId id : head.insts) {
      const Inst& phi = function_[id];
      if (phi.op != Op::Phi) break;
      const Inst& next = function_[phi.operands[back]];
      const auto first = constant(phi.operands[1 - back]);
      const std::optional<int64_t> step = step_of(next, id);
      if (!first || !step) continue;
      for (BlockId block : order_.blocks) {
        if (!is_inside(block, loop) || !dominators_.dominates(block, head.preds[back])) continue;
        std::vector<BlockId> test_blocks;
        const Counter counter{id, phi.operands[back], *first, *step};
        const uint64_t rounds = rounds_by(block, loop, counter, &test_blocks);
        if (rounds == 0 || (loop.rounds != 0 && loop.rounds <= rounds)) continue;
        loop.rounds = rounds;
        loop.counter = id;
        loop.test_blocks = std::move(test_blocks);
      }
    }
  }

  /// What `next` adds to `counter`, when it is a constant.
  std::optional<int64_t> step_of(const Inst& next, ValueId counter) const {
    if (next.op == Op::Sub && next.operands[0] == counter) {
      const auto less = constant(next.operands[1]);
      return less ? ssa::fold(Op::Sub, 0, *less) : std::nullopt;
    }
    if (next.op != Op::Add) return std::nullopt;
    const size_t at = next.operands[0] == counter ? 1 : 0;
    return next.operands[1 - at] == counter ? constant(next.operands[at]) : std::nullopt;
  }

  /// Rounds until the block's branch leaves the loop, by doing them; 0: it does not.
  uint64_t rounds_by(BlockId block, const Loop& loop, const Counter& counter,
                     std::vector<BlockId>* test_blocks) const {
    const ssa::Block& b = function_.blocks[block.index];
    if (function_[b.insts.back()].op != Op::Branch) return 0;
    const bool out_when = !is_inside(b.succs[0], loop);
    if (!out_when && is_inside(b.succs[1], loop)) return 0;
    if (out_when && !is_inside(b.succs[1], loop)) return 0;
    ValueId condition = function_[b.insts.back()].operands[0];
    bool sense = out_when;
    test_blocks->push_back(block_of_[condition.index]);
    while (function_[condition].op == Op::Not) {
      condition = function_[condition].operands[0];
      test_blocks->push_back(block_of_[condition.index]);
      sense = !sense;
    }
    const Inst& test = function_[condition];
    if (test.operands.size() != 2) return 0;
    const auto counts = [&](ValueId id) { return id == counter.phi || id == counter.next; };
    const size_t at = counts(test.operands[0]) ? 1 : 0;
    const auto limit = constant(test.operands[at]);
    if (!limit || !counts(test.operands[1 - at])) return 0;
    int64_t now = counter.first;
    if (test.operands[1 - at] == counter.next) now = *ssa::fold(Op::Add, now, counter.step);
    for (uint64_t round = 1; round <= static_cast<uint64_t>(limits::kHandlerIterations); ++round) {
      const auto holds =
          at == 1 ? ssa::fold(test.op, now, *limit) : ssa::fold(test.op, *limit, now);
      if (!holds) return 0;
      if ((*holds != 0) == sense) return round;
      now = *ssa::fold(Op::Add, now, counter.step);
    }
    return 0;
  }

  void find_sizes(bool has_choice) {
    for (BlockId block : order_.blocks) {
      const int loop = out_.of_block[block.index];
      if (loop < 0) continue;
      for (ValueId id : function_.blocks[block.index].insts) {
        if (!order_.needed[id.index] || is_constant(function_[id].op)) continue;
        Loop& around = out_.loops[static_cast<size_t>(loop)];
        around.size += has_choice ? weight_of(function_[id]) : 1;
        around.is_arithmetic = around.is_arithmetic && is_light(function_[id].op);
      }
    }
    for (const Loop& loop : out_.loops) {
      if (loop.parent >= 0) out_.loops[static_cast<size_t>(loop.parent)].is_arithmetic = false;
    }
  }

  /// In operations of 4 instructions, by what the verifier was seen to walk.
  uint32_t weight_of(const Inst& inst) const {
    if (ssa::is_table_op(inst.op) && tables_ != nullptr) {
      switch ((*tables_)[static_cast<size_t>(inst.imm)].layout) {
        case TableLayout::Direct:
          return 2;
        case TableLayout::Hash:
        case TableLayout::DeltaHash:
          return 15;
        default:
          return 200;  // places are tried one by one
      }
    }
    uint32_t bytes = 0;
    for (const ValueId operand : inst.operands)
      bytes = std::max(bytes, function_[operand].max_bytes);
    switch (inst.op) {
      case Op::StrGlob:
      case Op::StrFind:
        return 1 + 2 * bytes;
      case Op::StrEq:
      case Op::StrLess:
      case Op::StrLen:
      case Op::StrJoin:
        return 1 + bytes / 2;
      case Op::StrText:
        return 50;
      default:
        return 1;
    }
  }

  static bool is_light(Op op) {
    switch (op) {
      case Op::Phi:
      case Op::Add:
      case Op::Sub:
      case Op::Mul:
      case Op::And:
      case Op::Or:
      case Op::Xor:
      case Op::Shl:
      case Op::Sar:
      case Op::Eq:
      case Op::Ne:
      case Op::Lt:
      case Op::Le:
      case Op::Jump:
      case Op::Branch:
      case Op::LoopGuard:
        return true;
      default:
        return false;
    }
  }

  void choose(const bpf::KernelFacts& facts) {
    if (facts.has_may_goto) {
      out_.form = LoopForm::MayGoto;
    } else if (facts.has_iter_num()) {
      out_.form = LoopForm::IterNum;
    } else if (facts.has_bpf_loop) {
      out_.form = LoopForm::Callback;
    }
    const bool forced = out_.form == LoopForm::Plain;
    bool all_plain = true;
    // Inner loops first: what is walked again and again inside counts for the outer one.
    for (size_t i = out_.loops.size(); i-- > 0;) {
      Loop& loop = out_.loops[i];
      const uint64_t walked = times(loop.size, loop.rounds);
      loop.is_plain = loop.rounds != 0 &&
                      loop.rounds <= (forced ? kMaxForcedRounds : kMaxPlainRounds) &&
                      walked <= (forced               ? kMaxForcedOperations
                                 : loop.is_arithmetic ? kMaxPlainArithmetic
                                                      : kMaxPlainOperations) &&
                      verifier_sees_test(loop);
      all_plain = all_plain && loop.is_plain;
      if (loop.parent < 0) continue;
      uint32_t& around = out_.loops[static_cast<size_t>(loop.parent)].size;
      around = static_cast<uint32_t>(
          std::min<uint64_t>(plus(around, loop.is_plain ? walked : loop.size), UINT32_MAX));
    }
    // In a loop that is not plain the verifier hardly takes two ways for one: no walk there.
    for (Loop& loop : out_.loops) {
      if (loop.parent >= 0 && !out_.loops[static_cast<size_t>(loop.parent)].is_plain)
        loop.is_plain = false;
    }
    if (all_plain) out_.form = LoopForm::Plain;
    uint64_t blind = 0;
    for (const Loop& loop : out_.loops) blind += loop.is_plain ? 0 : loop.size;
    out_.in_memory = out_.form == LoopForm::Callback ||
                     (out_.form != LoopForm::Plain && blind >= kManyBlindOperations);
    if (out_.in_memory) {
      for (Loop& loop : out_.loops) loop.is_plain = false;
    }
    if (!all_plain && forced) {
      out_.problem =
          "a loop of many rounds, or of a number that is not known, for which this kernel has "
          "nothing (may_goto is in 6.9, iter_num in 6.4, bpf_loop in 5.17)";
    }
  }

  /// What a test was is hidden from the verifier when an inner loop that is not plain has made it.
  bool verifier_sees_test(const Loop& loop) const {
    for (const BlockId block : loop.test_blocks) {
      int at = out_.of_block[block.index];
      for (; at >= 0 && &out_.loops[static_cast<size_t>(at)] != &loop;
           at = out_.loops[static_cast<size_t>(at)].parent) {
        if (!out_.loops[static_cast<size_t>(at)].is_plain) return false;
      }
    }
    return true;
  }

  /// How often the guards can be passed, all together.
  void count_guards() {
    uint64_t total = 0;
    uint64_t steps = 0;
    for (BlockId block : order_.blocks) {
      uint64_t rounds = 1;
      for (int loop = out_.of_block[block.index]; loop >= 0;) {
        const Loop& around = out_.loops[static_cast<size_t>(loop)];
        rounds = times(rounds, around.rounds == 0 ? kMany : around.rounds);
        loop = around.parent;
      }
      for (ValueId id : function_.blocks[block.index].insts) {
        if (function_[id].op == Op::LoopGuard) total = plus(total, rounds);
        if (function_[id].op == Op::LoopTurn) steps = kMany;
        if (function_[id].op == Op::CallGuard) out_.counts_calls = true;
      }
    }
    out_.counts = total > static_cast<uint64_t>(limits::kHandlerIterations);
    out_.runs_long = out_.form == LoopForm::MayGoto && plus(total, steps) > kMaxTimelessSteps;
  }

  const Function& function_;
  const Order& order_;
  const std::vector<Table>* const tables_;
  const ssa::Dominators dominators_;
  std::vector<BlockId> block_of_;  // by value
  Loops out_;
};

}  // namespace

bool Loops::is_inside(BlockId block, int loop) const {
  for (int at = of_block[block.index]; at >= 0; at = loops[static_cast<size_t>(at)].parent) {
    if (at == loop) return true;
  }
  return false;
}

bool Loops::goes_back(BlockId from, BlockId to) const {
  const int loop = of_block[to.index];
  return loop >= 0 && loops[static_cast<size_t>(loop)].head == to && is_inside(from, loop);
}

bool Loops::is_blind(BlockId block) const {
  if (form == LoopForm::Callback) return false;
  const int loop = of_block[block.index];
  return loop >= 0 && !loops[static_cast<size_t>(loop)].is_plain;
}

bool Loops::hides(BlockId from, BlockId to, ValueId phi) const {
  const int loop = of_block[to.index];
  if (in_memory) return false;
  if (loop < 0) return form != LoopForm::Plain;
  const Loop& inner = loops[static_cast<size_t>(loop)];
  if (inner.is_plain) return inner.head == to && inner.counter != phi && !is_inside(from, loop);
  return true;
}

bpf::KernelFacts loop_facts(const Job& job, const bpf::KernelFacts& facts) {
  bpf::KernelFacts left = facts;
  if (job.by_callback && facts.has_bpf_loop) {
    left.has_may_goto = false;
    left.iter_num_new = left.iter_num_next = left.iter_num_destroy = 0;
  }
  return left;
}

Loops find_loops(const Function& function, const Order& order, const bpf::KernelFacts& facts,
                 const std::vector<Table>* tables) {
  return Finder(function, order, tables).run(facts);
}

}  // namespace ktap::backend
