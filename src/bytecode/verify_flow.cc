// Data flow over one function, forwards: at each place where ways meet, one byte a register says
// what all of them agree on. Iterators and the three hidden registers of a counting loop are kinds
// of their own, which no instruction but their own reads; what was never written, and what lies in
// the window of a call that came back, is nothing. So the machine needs no check at run time, a
// script can never see an iterator, and what a stack slot held before is never looked at.
//
// A register that a closure has captured can change at any call. It is marked as open until a
// Close, and may hold nothing but plain values meanwhile; nor may it lie in the window of a call,
// where another function's registers would be.
#include "bytecode/verify_flow.h"

#include <fmt/format.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "bytecode/register_use.h"

namespace ktap::bytecode {

namespace {

enum class Holds : uint8_t { Nothing, Value, Table, Iterator, LoopValue, LoopLimit, LoopStep };

struct Register {
  Holds holds = Holds::Nothing;
  bool open = false;  // captured, perhaps
  bool operator==(const Register&) const = default;
};
using State = std::vector<Register>;

constexpr size_t kMaxStateBytes = size_t{128} << 20;
constexpr size_t kMaxRounds = 64;  // guessed: nested loops of real code need a handful

const char* describe(Holds holds) {
  switch (holds) {
    case Holds::Nothing:
      return "holds nothing on some way here";
    case Holds::Value:
    case Holds::Table:
      return "holds a value of the script";
    case Holds::Iterator:
      return "holds an iterator";
    case Holds::LoopValue:
    case Holds::LoopLimit:
    case Holds::LoopStep:
      return "belongs to a counting loop";
  }
  return "";
}

/// What is known where both ways meet.
Register meet(Register a, Register b) {
  Register both{a.holds, a.open || b.open};
  const auto plain = [](Holds holds) { return holds == Holds::Value || holds == Holds::Table; };
  if (a.holds != b.holds) {
    both.holds = plain(a.holds) && plain(b.holds) ? Holds::Value : Holds::Nothing;
  }
  if (both.open && plain(both.holds)) both.holds = Holds::Value;
  return both;
}

class Flow {
 public:
  explicit Flow(const Function& function) : function_(function), code_(function.code) {}

  std::optional<FlowProblem> run() {
    find_leaders();
    if (size_t{leader_count_} * function_.register_count * sizeof(Register) > kMaxStateBytes)
      return FlowProblem{0, "too many jumps to verify"};
    leaders_.resize(leader_count_);
    State entry(function_.register_count);
    for (size_t r = 0; r < function_.param_count; ++r) entry[r].holds = Holds::Value;
    reach(0, entry);
    size_t steps_left = (code_.size() + 1000) * kMaxRounds;
    while (!waiting_.empty() && !problem_) {
      pc_ = waiting_.back();
      waiting_.pop_back();
      Leader& leader = leaders_[leader_at_[pc_]];
      leader.is_waiting = false;
      state_ = leader.state;
      do {
        if (steps_left-- == 0) return FlowProblem{pc_, "too tangled to verify"};
        const size_t at = pc_;
        step(code_[at]);
        pc_ = go_on(code_[at], at);
      } while (pc_ != kNowhere && !problem_);
    }
    return problem_;
  }

 private:
  static constexpr size_t kNowhere = SIZE_MAX;
  static constexpr uint32_t kNoLeader = UINT32_MAX;

  /// An instruction where ways meet.
  struct Leader {
    State state;
    bool is_reached = false;
    bool is_waiting = false;
  };

  size_t target(size_t pc, int offset) const {
    return static_cast<size_t>(static_cast<int64_t>(pc) + 1 + offset);
  }

  void find_leaders() {
    std::vector<bool> is_leader(code_.size(), false);
    is_leader[0] = true;
    for (size_t pc = 0; pc < code_.size(); ++pc) {
      const Insn insn = code_[pc];
      if (insn.op() == Op::Jmp) is_leader[target(pc, insn.j())] = true;
      if (insn.op() == Op::ForPrep || insn.op() == Op::ForLoop)
        is_leader[target(pc, insn.s())] = true;
      if (is_test(insn.op())) is_leader[pc + 2] = true;
    }
    leader_at_.assign(code_.size(), kNoLeader);
    for (size_t pc = 0; pc < code_.size(); ++pc) {
      if (is_leader[pc]) leader_at_[pc] = leader_count_++;
    }
  }

  /// A way comes to the leader `pc` with `state`.
  void reach(size_t pc, const State& state) {
    Leader& leader = leaders_[leader_at_[pc]];
    State& known = leader.state;
    bool changed = !leader.is_reached;
    if (changed) {
      known = state;
      leader.is_reached = true;
    } else {
      for (size_t r = 0; r < known.size(); ++r) {
        const Register both = meet(known[r], state[r]);
        changed = changed || both != known[r];
        known[r] = both;
      }
    }
    if (!changed || leader.is_waiting) return;
    leader.is_waiting = true;
    waiting_.push_back(pc);
  }

  /// Sends the state along the edges out of `insn`; where the walk goes on, or kNowhere.
  size_t go_on(Insn insn, size_t pc) {
    if (problem_) return kNowhere;
    switch (insn.op()) {
      case Op::Return:
      case Op::TailCall:
        return kNowhere;
      case Op::Jmp:
        reach(target(pc, insn.j()), state_);
        return kNowhere;
      case Op::ForPrep: {
        State empty = state_;
        for (int i = 0; i < 4; ++i) empty[insn.a() + static_cast<size_t>(i)].holds = Holds::Value;
        reach(target(pc, insn.s()), empty);
        return next(pc);
      }
      case Op::ForLoop: {
        State more = state_;
        more[insn.a() + size_t{3}].holds = Holds::Value;
        reach(target(pc, insn.s()), more);
        return next(pc);
      }
      case Op::IterNext:
        reach(pc + 2, state_);
        write(insn.a() + 2, insn.b());
        return next(pc);
      default:
        if (is_test(insn.op())) reach(pc + 2, state_);
        return next(pc);
    }
  }

  size_t next(size_t pc) {
    if (leader_at_[pc + 1] == kNoLeader) return pc + 1;
    reach(pc + 1, state_);
    return kNowhere;
  }

  // ---- registers ----

  void fail(std::string text) {
    if (!problem_) problem_ = FlowProblem{pc_, std::move(text)};
  }

  Register& reg(int r) { return state_[static_cast<size_t>(r)]; }

  void read(int first, int count = 1) {
    for (int r = first; r < first + count; ++r) {
      const Holds holds = reg(r).holds;
      if (holds != Holds::Value && holds != Holds::Table)
        return fail(fmt::format("register {} {}", r, describe(holds)));
    }
  }

  void need(int r, Holds wanted, const char* what) {
    if (reg(r).holds != wanted)
      fail(fmt::format("register {} is to be {}; it {}", r, what, describe(reg(r).holds)));
  }

  void write(int first, int count = 1) {
    for (int r = first; r < first + count; ++r) reg(r).holds = Holds::Value;
  }

  /// A register that only its own instructions use from now on.
  void hide(int r, Holds holds) {
    if (reg(r).open) return fail(fmt::format("register {} is captured", r));
    reg(r).holds = holds;
  }

  void call(Insn insn) {
    const int a = insn.a();
    for (const RegisterRange& range : register_use(function_, pc_).reads)
      read(range.first, range.count);
    for (int r = a; r < function_.register_count; ++r) {
      if (reg(r).open) return fail(fmt::format("register {} is captured, in a call's window", r));
      reg(r).holds = Holds::Nothing;
    }
    write(a, insn.c() - 1);
  }

  void closure(Insn insn) {
    for (const UpvalueDesc& upvalue : function_.children[insn.d()]->upvalues) {
      if (!upvalue.from_parent_register) continue;
      // A function that calls itself captures the register that it is about to be put into.
      if (upvalue.index != insn.a()) read(upvalue.index);
      if (problem_) return;
      reg(upvalue.index) = {Holds::Value, true};
    }
    write(insn.a());
  }

  void loop(Insn insn) {
    const int a = insn.a();
    if (insn.op() == Op::ForPrep) {
      read(a, 3);
      hide(a, Holds::LoopValue);
      hide(a + 1, Holds::LoopLimit);
      hide(a + 2, Holds::LoopStep);
      return write(a + 3);
    }
    need(a, Holds::LoopValue, "the value of a counting loop");
    need(a + 1, Holds::LoopLimit, "the limit of a counting loop");
    need(a + 2, Holds::LoopStep, "the step of a counting loop");
  }

  /// What an instruction reads must be values of the script, and it writes some. Those that know
  /// of more than that have their own rules.
  void step(Insn insn) {
    const int a = insn.a();
    switch (insn.op()) {
      case Op::NewTable:
        reg(a).holds = reg(a).open ? Holds::Value : Holds::Table;
        return;
      case Op::SetList:
        need(a, Holds::Table, "the table that is being built");
        return use_registers();
      case Op::ForPrep:
      case Op::ForLoop:
        return loop(insn);
      case Op::IterPrep:
        read(a, 2);
        return hide(a, Holds::Iterator);
      case Op::IterNext:
        return need(a, Holds::Iterator, "an iterator");
      case Op::Closure:
        return closure(insn);
      case Op::Close:
        for (int r = a; r < function_.register_count; ++r) reg(r).open = false;
        return;
      case Op::Call:
        return call(insn);
      default:
        return use_registers();
    }
  }

  void use_registers() {
    const RegisterUse use = register_use(function_, pc_);
    for (const RegisterRange& range : use.reads) read(range.first, range.count);
    write(use.writes.first, use.writes.count);
  }

  const Function& function_;
  const std::vector<Insn>& code_;
  std::vector<uint32_t> leader_at_;  // by pc
  uint32_t leader_count_ = 0;
  std::vector<Leader> leaders_;
  std::vector<size_t> waiting_;  // pcs of leaders whose state has changed
  State state_;
  size_t pc_ = 0;
  std::optional<FlowProblem> problem_;
};

}  // namespace

std::optional<FlowProblem> check_flow(const Function& function) { return Flow(function).run(); }

}  // namespace ktap::bytecode
