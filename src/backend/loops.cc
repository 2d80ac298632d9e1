// Natural loops, and how often they run. See loops.h.
#include "backend/loops.h"

#include <algorithm>
#include <limits>
#include <optional>

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
  Finder(const Function& function, const Order& order)
      : function_(function), order_(order), dominators_(function) {}

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
    find_sizes();
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
      if (!first || next.op != Op::Add) continue;
      const size_t at = next.operands[0] == id ? 1 : 0;
      const auto step = constant(next.operands[at]);
      if (!step || next.operands[1 - at] != id) continue;
      for (BlockId block : order_.blocks) {
        if (!is_inside(block, loop) || !dominators_.dominates(block, head.preds[back])) continue;
        const uint64_t rounds = rounds_by(block, loop, id, *first, *step);
        if (rounds == 0 || (loop.rounds != 0 && loop.rounds <= rounds)) continue;
        loop.rounds = rounds;
        loop.counter = id;
      }
    }
  }

  /// Rounds until the block's branch leaves the loop, by doing them; 0: it does not.
  uint64_t rounds_by(BlockId block, const Loop& loop, ValueId counter, int64_t now,
                     int64_t step) const {
    const ssa::Block& b = function_.blocks[block.index];
    if (function_[b.insts.back()].op != Op::Branch) return 0;
    const bool out_when = !is_inside(b.succs[0], loop);
    if (!out_when && is_inside(b.succs[1], loop)) return 0;
    if (out_when && !is_inside(b.succs[1], loop)) return 0;
    ValueId condition = function_[b.insts.back()].operands[0];
    bool sense = out_when;
    while (function_[condition].op == Op::Not) {
      condition = function_[condition].operands[0];
      sense = !sense;
    }
    const Inst& test = function_[condition];
    if (test.operands.size() != 2) return 0;
    const size_t at = test.operands[0] == counter ? 1 : 0;
    const auto limit = constant(test.operands[at]);
    if (!limit || test.operands[1 - at] != counter) return 0;
    for (uint64_t round = 1; round <= static_cast<uint64_t>(limits::kHandlerIterations); ++round) {
      const auto holds =
          at == 1 ? ssa::fold(test.op, now, *limit) : ssa::fold(test.op, *limit, now);
      if (!holds) return 0;
      if ((*holds != 0) == sense) return round;
      now = *ssa::fold(Op::Add, now, step);
    }
    return 0;
  }

  void find_sizes() {
    for (BlockId block : order_.blocks) {
      const int loop = out_.of_block[block.index];
      if (loop < 0) continue;
      for (ValueId id : function_.blocks[block.index].insts) {
        if (!order_.needed[id.index] || is_constant(function_[id].op)) continue;
        Loop& around = out_.loops[static_cast<size_t>(loop)];
        ++around.size;
        around.is_arithmetic = around.is_arithmetic && is_light(function_[id].op);
      }
    }
    for (const Loop& loop : out_.loops) {
      if (loop.parent >= 0) out_.loops[static_cast<size_t>(loop.parent)].is_arithmetic = false;
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
                                                      : kMaxPlainOperations);
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
  const ssa::Dominators dominators_;
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

Loops find_loops(const Function& function, const Order& order, const bpf::KernelFacts& facts) {
  return Finder(function, order).run(facts);
}

}  // namespace ktap::backend
