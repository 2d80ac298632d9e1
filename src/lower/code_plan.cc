// Dominators, natural loops and live registers over bytecode. See code_plan.h.
#include "lower/code_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "bytecode/register_use.h"
#include "lower/code_walk.h"

namespace ktap::lower {

namespace {

using bytecode::Function;
using bytecode::Op;

constexpr size_t kMaxLoopCode = 4000;  // guessed: instructions of a function that has loops
constexpr size_t kMaxLoops = 200;      // guessed

class Planner {
 public:
  explicit Planner(const Function& function) : function_(function), size_(function.code.size()) {}

  CodePlan run() {
    plan_.captured.assign(256, false);
    for (const auto& child : function_.children) {
      for (const bytecode::UpvalueDesc& upvalue : child->upvalues) {
        if (upvalue.from_parent_register) plan_.captured[upvalue.index] = true;
      }
    }
    bool goes_back = false;
    std::vector<uint32_t> ways(size_, 0);
    plan_.is_leader.assign(size_, false);
    succs_.resize(size_);
    preds_.resize(size_);
    for (size_t pc = 0; pc < size_; ++pc) {
      std::vector<size_t> nexts = successors(function_, pc);
      // Past a slot of a table in the kernel that is empty, even where the body never comes back.
      if (function_.code[pc].op() == Op::IterNext) nexts.push_back(pc);
      for (size_t next : nexts) {
        if (next >= size_) continue;
        succs_[pc].push_back(next);
        preds_[next].push_back(pc);
        if (next != pc + 1) plan_.is_leader[next] = true;
        goes_back = goes_back || next <= pc;
      }
    }
    plan_.loop.assign(size_, -1);
    plan_.rank.resize(size_);
    for (size_t pc = 0; pc < size_; ++pc) plan_.rank[pc] = static_cast<uint32_t>(pc);
    if (!goes_back) return std::move(plan_);
    if (size_ > kMaxLoopCode) {
      plan_.problem = "too much code for one handler";
      return std::move(plan_);
    }
    walk_depth_first();
    find_dominators();
    find_loops();
    if (plan_.problem.empty()) find_order();
    if (plan_.problem.empty()) find_live();
    return std::move(plan_);
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  void walk_depth_first() {
    position_.assign(size_, kNone);
    std::vector<bool> seen(size_, false);
    std::vector<std::pair<size_t, size_t>> stack{{0, 0}};
    seen[0] = true;
    while (!stack.empty()) {
      auto& [pc, next] = stack.back();
      if (next == succs_[pc].size()) {
        order_.push_back(pc);
        stack.pop_back();
        continue;
      }
      const size_t to = succs_[pc][next++];
      if (seen[to]) continue;
      seen[to] = true;
      stack.emplace_back(to, 0);
    }
    std::reverse(order_.begin(), order_.end());
    for (size_t i = 0; i < order_.size(); ++i) position_[order_[i]] = i;
  }

  void find_dominators() {
    above_.assign(size_, kNone);
    above_[0] = 0;
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t pc : order_) {
        if (pc == 0) continue;
        size_t best = kNone;
        for (size_t pred : preds_[pc]) {
          if (position_[pred] == kNone || above_[pred] == kNone) continue;
          size_t other = pred;
          while (best != kNone && best != other) {
            if (position_[best] > position_[other]) {
              best = above_[best];
            } else {
              other = above_[other];
            }
          }
          best = other;
        }
        changed = changed || above_[pc] != best;
        above_[pc] = best;
      }
    }
  }

  bool dominates(size_t a, size_t b) const {
    while (position_[b] > position_[a]) b = above_[b];
    return a == b;
  }

  void find_loops() {
    std::vector<std::vector<size_t>> latches(size_);
    for (size_t pc : order_) {
      for (size_t to : succs_[pc]) {
        if (position_[to] > position_[pc]) continue;
        if (!dominates(to, pc)) {
          plan_.problem = "a loop that is entered in two places";
          return;
        }
        latches[to].push_back(pc);
      }
    }
    // Outer loops have their heads first.
    for (size_t head : order_) {
      if (latches[head].empty()) continue;
      if (plan_.loops.size() == kMaxLoops) {
        plan_.problem = "too many loops";
        return;
      }
      CodeLoop loop;
      loop.head = head;
      loop.parent = plan_.loop[head];
      const int number = static_cast<int>(plan_.loops.size());
      for (int outer = loop.parent; outer >= 0;) {
        CodeLoop& around = plan_.loops[static_cast<size_t>(outer)];
        around.has_inner = true;
        outer = around.parent;
      }
      std::vector<bool> inside(size_, false);
      std::vector<size_t> work = std::move(latches[head]);
      inside[head] = true;
      while (!work.empty()) {
        const size_t pc = work.back();
        work.pop_back();
        if (inside[pc]) continue;
        inside[pc] = true;
        for (size_t pred : preds_[pc]) {
          if (position_[pred] != kNone) work.push_back(pred);
        }
      }
      for (size_t pc = 0; pc < size_; ++pc) {
        if (!inside[pc]) continue;
        ++loop.size;
        const Op op = function_.code[pc].op();
        loop.has_call = loop.has_call || op == Op::Call || op == Op::TailCall;
        plan_.loop[pc] = number;
      }
      plan_.is_leader[head] = true;
      plan_.loops.push_back(std::move(loop));
    }
  }

  /// First an order in which forward ways lead forward, in the order of the text where it is free;
  /// then each loop's instructions gathered at its head.
  void find_order() {
    std::vector<uint32_t> missing(size_, 0);
    const auto leads_forward = [&](size_t from, size_t to) { return !dominates(to, from); };
    for (size_t pc : order_) {
      for (size_t to : succs_[pc]) missing[to] += leads_forward(pc, to) ? 1 : 0;
    }
    std::vector<uint32_t> turn(size_, UINT32_MAX);
    std::set<size_t> ready{0};
    for (uint32_t count = 0; !ready.empty(); ++count) {
      const size_t pc = *ready.begin();
      ready.erase(ready.begin());
      turn[pc] = count;
      for (size_t to : succs_[pc]) {
        if (leads_forward(pc, to) && --missing[to] == 0) ready.insert(to);
      }
    }
    std::vector<std::pair<std::vector<uint32_t>, size_t>> keys;
    for (size_t pc : order_) {
      std::vector<uint32_t> key{turn[pc]};
      for (int loop = plan_.loop[pc]; loop >= 0;) {
        const CodeLoop& around = plan_.loops[static_cast<size_t>(loop)];
        key.push_back(turn[around.head]);
        loop = around.parent;
      }
      std::reverse(key.begin(), key.end());
      keys.emplace_back(std::move(key), pc);
    }
    std::sort(keys.begin(), keys.end());
    plan_.rank.assign(size_, UINT32_MAX);
    for (size_t i = 0; i < keys.size(); ++i) plan_.rank[keys[i].second] = static_cast<uint32_t>(i);
  }

  // ---- live registers ------------------------------------------------------------------------

  using Set = std::vector<bool>;

  void find_live() {
    const size_t count = function_.register_count;
    std::vector<Set> live(size_, Set(count, false));
    for (bool changed = true; changed;) {
      changed = false;
      for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
        Set now(count, false);
        for (size_t to : succs_[*it]) {
          for (size_t r = 0; r < count; ++r) now[r] = now[r] || live[to][r];
        }
        before(*it, now);
        changed = changed || now != live[*it];
        live[*it] = std::move(now);
      }
    }
    for (CodeLoop& loop : plan_.loops) loop.live = live[loop.head];
  }

  /// What is live before the instruction, from what is behind it. What a closure captures is never
  /// dead.
  void before(size_t pc, Set& live) const {
    const bytecode::RegisterUse use = bytecode::register_use(function_, pc);
    mark(live, use.writes, false);
    for (const bytecode::RegisterRange& range : use.reads) mark(live, range, true);
  }
  static void mark(Set& live, const bytecode::RegisterRange& range, bool is_live) {
    for (int i = 0; i < range.count; ++i) live[static_cast<size_t>(range.first + i)] = is_live;
  }

  const Function& function_;
  const size_t size_;
  CodePlan plan_;
  std::vector<std::vector<size_t>> succs_, preds_;
  std::vector<size_t> order_;     // reverse postorder
  std::vector<size_t> position_;  // in order_
  std::vector<size_t> above_;     // the nearest dominator
};

}  // namespace

bool CodePlan::is_inside(size_t pc, int wanted) const {
  for (int at = loop[pc]; at >= 0; at = loops[static_cast<size_t>(at)].parent) {
    if (at == wanted) return true;
  }
  return false;
}

int CodePlan::loop_at(size_t pc) const {
  const int at = loop[pc];
  return at >= 0 && loops[static_cast<size_t>(at)].head == pc ? at : -1;
}

CodePlan plan_code(const Function& function) { return Planner(function).run(); }

}  // namespace ktap::lower
