// The loops of a function, and in which form the kernel's verifier gets each. Between order and
// homes. A loop of few rounds that are known stays as it is: the verifier walks all of them. In any
// other the constants that variables start from are hidden from the verifier (added to a zero that
// it does not know), so that one round looks to it like the next, and each round takes a step that
// it knows to end: `may_goto` (6.9), else the kernel's own counter `bpf_iter_num` (6.4). Where
// neither is (5.17 to 6.3), a function does a round and `bpf_loop` calls it: see turns.cc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/homes.h"
#include "bpf/kernel_facts.h"
#include "ssa/function.h"

namespace ktap::backend {

struct Job;
struct Table;

enum class LoopForm : uint8_t {
  Plain,  ///< every loop is as it is, or there is none
  MayGoto,
  IterNum,
  Callback,  ///< bpf_loop: no loop is plain
};

struct Loop {
  ssa::BlockId head;
  int parent = -1;                        ///< the loop around it
  uint64_t rounds = 0;                    ///< at most that many; 0: not known
  ssa::ValueId counter;                   ///< the phi that the rounds are known by
  std::vector<ssa::BlockId> test_blocks;  ///< where the test is made that ends them
  bool is_plain = false;
  bool is_arithmetic = true;  ///< nothing but numbers, tests of them, and no loop inside
  /// Operations, those of inner loops as often as they run when plain; what has many ways through
  /// it counts for as many as the verifier walks, where a loop need not be plain.
  uint32_t size = 0;
};

struct Loops {
  std::vector<Loop> loops;    ///< outer ones first
  std::vector<int> of_block;  ///< the innermost loop, or -1
  LoopForm form = LoopForm::Plain;
  bool counts = false;        ///< all rounds together might be more than the run's budget
  bool counts_calls = false;  ///< there is a CallGuard, and a loop
  /// So much is in loops that are not plain that values are kept where the verifier knows nothing
  /// of them: else it walks each combination of ways.
  bool in_memory = false;
  bool runs_long = false;  ///< more may_gotos than a kernel does without a look at its clock
  std::string problem;     ///< why this kernel cannot run it, else ""

  bool is_inside(ssa::BlockId block, int loop) const;
  /// The block belongs to a loop that is not plain: rounds have to take a step that the verifier
  /// knows to end, and it takes two ways that meet there for one only when it knows exactly the
  /// same of both. None but such loops are inside of it.
  bool is_blind(ssa::BlockId block) const;
  /// Constants that `phi` gets on this edge are to be hidden from the verifier: in loops that are
  /// not plain, and what enters others; not the counter of a plain one.
  bool hides(ssa::BlockId from, ssa::BlockId to, ssa::ValueId phi) const;
  /// Somewhere in the function constants are hidden.
  bool hides_constants() const {
    return (form == LoopForm::MayGoto || form == LoopForm::IterNum) && !in_memory;
  }
  /// The edge is the way back to a loop's head.
  bool goes_back(ssa::BlockId from, ssa::BlockId to) const;
};

/// What the job's loops may use of what the kernel has.
bpf::KernelFacts loop_facts(const Job& job, const bpf::KernelFacts& facts);

/// `tables`: the module's, where their layout is known.
Loops find_loops(const ssa::Function& function, const Order& order, const bpf::KernelFacts& facts,
                 const std::vector<Table>* tables = nullptr);

}  // namespace ktap::backend
