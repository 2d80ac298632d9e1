// Live intervals and linear scan.
#include "backend/homes.h"

#include <algorithm>
#include <utility>

#include "backend/layout.h"
#include "backend/sharing.h"
#include "base/check.h"

namespace ktap::backend {
namespace {

using ssa::BlockId;
using ssa::Function;
using ssa::Inst;
using ssa::Op;
using ssa::Type;
using ssa::ValueId;

struct Interval {
  uint32_t value = 0;
  uint32_t begin = UINT32_MAX;
  uint32_t end = 0;
};

// Words of memory that making the value takes.
uint32_t buffer_words(const Inst& inst) {
  // The text, digits from their end on, nothing behind them; as far as 6 bits of offset reach.
  if (inst.op == Op::StrText) return 11;
  if (inst.op == Op::StrJoin) return round_up8(inst.max_bytes + 7) / 8;
  bool is_read = inst.op == Op::EventField || inst.op == Op::UserString ||
                 inst.op == Op::KernelString || inst.op == Op::KernelText || inst.op == Op::StrSub;
  if (is_read && inst.str_kind == ssa::StrKind::Bytes) {
    return round_up8(read_buffer_bytes(inst.max_bytes)) / 8;
  }
  return payload_words(inst);
}

/// Live intervals by block-wise backward data flow; positions count instructions in code order.
class Liveness {
 public:
  Liveness(const Function& function, const Order& order, const HomeRequest& request)
      : function_(function), order_(order), request_(request) {
    intervals_.resize(function.values.size());
    live_in_.assign(function.blocks.size(), std::vector<bool>(function.values.size(), false));
  }

  std::vector<Interval> run() {
    uint32_t position = 0;
    first_.resize(function_.blocks.size());
    last_.resize(function_.blocks.size());
    for (BlockId block : order_.blocks) {
      first_[block.index] = position;
      position += static_cast<uint32_t>(function_.blocks[block.index].insts.size()) + 1;
      last_[block.index] = position - 1;
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (auto it = order_.blocks.rbegin(); it != order_.blocks.rend(); ++it) {
        changed = scan_block(*it) || changed;
      }
    }
    share();
    std::vector<Interval> out;
    for (uint32_t i = 0; i < intervals_.size(); ++i) {
      if (intervals_[i].begin == UINT32_MAX || shared_with_[i].index != i) continue;
      intervals_[i].value = i;
      out.push_back(intervals_[i]);
    }
    std::sort(out.begin(), out.end(), [](const Interval& a, const Interval& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.value < b.value;
    });
    return out;
  }

  /// By value: the one whose home it has.
  const std::vector<ValueId>& shared_with() const { return shared_with_; }

  /// The last position of each block, ascending.
  std::vector<uint32_t> block_ends() const {
    std::vector<uint32_t> out;
    for (BlockId block : order_.blocks) out.push_back(last_[block.index]);
    return out;
  }

  /// Where instructions use the volatile registers themselves, ascending.
  std::vector<uint32_t> clobbers() const {
    std::vector<uint32_t> out;
    for (BlockId block : order_.blocks) {
      const auto& insts = function_.blocks[block.index].insts;
      for (uint32_t i = 0; i < insts.size(); ++i) {
        if (request_.is_clobber[insts[i].index]) out.push_back(first_[block.index] + i);
      }
    }
    return out;
  }

 private:
  /// What share a home are one interval: that of the value that stands for them.
  void share() {
    std::vector<bool> has_word_home;
    for (uint32_t i = 0; i < intervals_.size(); ++i) has_word_home.push_back(is_word(ValueId(i)));
    shared_with_ =
        share_homes({function_, order_, live_in_, has_word_home, request_.phi_may_share});
    for (uint32_t i = 0; i < intervals_.size(); ++i) {
      if (shared_with_[i].index == i) continue;
      cover(shared_with_[i].index, intervals_[i].begin);
      cover(shared_with_[i].index, intervals_[i].end);
    }
  }

  bool is_word(ValueId id) const {
    const Inst& inst = function_[id];
    return (inst.type == Type::Int || inst.type == Type::Bool) && order_.needed[id.index] &&
           !order_.fused[id.index] && !is_constant(inst.op) && !request_.immediate[id.index] &&
           payload_owner(function_, id) == id && intervals_[id.index].begin != UINT32_MAX;
  }

  void cover(uint32_t value, uint32_t position) {
    intervals_[value].begin = std::min(intervals_[value].begin, position);
    intervals_[value].end = std::max(intervals_[value].end, position);
  }

  void use(ValueId id, uint32_t position, std::vector<bool>& live) {
    if (order_.fused[id.index]) {  // its operands are read where it is tested
      for (ValueId operand : function_[id].operands) use(operand, position, live);
      return;
    }
    ValueId owner = payload_owner(function_, id);
    if (is_constant(function_[owner].op) || request_.immediate[owner.index]) return;
    live[owner.index] = true;
    cover(owner.index, position);
  }

  // The phis of a successor are written at this block's end, and their operands read there.
  void edge(BlockId from, BlockId to, std::vector<bool>& live) {
    const ssa::Block& target = function_.blocks[to.index];
    std::vector<bool> in = live_in_[to.index];
    for (ValueId id : target.insts) {
      if (function_[id].op != Op::Phi) break;
      in[id.index] = false;
      if (!order_.needed[id.index]) continue;
      cover(id.index, last_[from.index]);
      for (size_t i = 0; i < target.preds.size(); ++i) {
        if (target.preds[i] == from) use(function_[id].operands[i], last_[from.index], live);
      }
    }
    for (size_t i = 0; i < in.size(); ++i) {
      if (in[i]) live[i] = true;
    }
  }

  bool scan_block(BlockId block) {
    const ssa::Block& b = function_.blocks[block.index];
    std::vector<bool> live(function_.values.size(), false);
    auto only = constant_successor(function_, b);
    for (uint32_t i = 0; i < b.succs.size(); ++i) {
      if (!only || *only == i) edge(block, b.succs[i], live);
    }
    for (uint32_t i = 0; i < live.size(); ++i) {
      if (live[i]) cover(i, last_[block.index]);
    }
    for (size_t i = b.insts.size(); i-- > 0;) {
      ValueId id = b.insts[i];
      const Inst& inst = function_[id];
      auto position = first_[block.index] + static_cast<uint32_t>(i);
      if (!order_.needed[id.index]) continue;
      bool has_home = inst.type != Type::None && !order_.fused[id.index] &&
                      payload_owner(function_, id) == id && !is_constant(inst.op) &&
                      !request_.immediate[id.index];
      if (has_home) {
        cover(id.index, position);
        live[id.index] = false;
      }
      if (inst.op == Op::Phi || order_.fused[id.index]) continue;
      if (inst.op == Op::Wrap || inst.op == Op::Unwrap) continue;
      for (ValueId operand : inst.operands) use(operand, position, live);
    }
    for (ValueId id : b.insts) {  // a phi's home is taken from the block's start on
      if (function_[id].op != Op::Phi) break;
      if (order_.needed[id.index]) cover(id.index, first_[block.index]);
    }
    for (uint32_t i = 0; i < live.size(); ++i) {
      if (live[i]) cover(i, first_[block.index]);
    }
    bool changed = live != live_in_[block.index];
    live_in_[block.index] = std::move(live);
    return changed;
  }

  const Function& function_;
  const Order& order_;
  const HomeRequest& request_;
  std::vector<Interval> intervals_;
  std::vector<std::vector<bool>> live_in_;
  std::vector<uint32_t> first_, last_;
  std::vector<ValueId> shared_with_;
};

/// Runs of 8-byte words, each taken until a position.
class Slots {
 public:
  /// First run of `count` words that are free from `begin` on; grows when there is none.
  uint32_t take(uint32_t count, uint32_t begin, uint32_t end) {
    uint32_t run = 0;
    for (uint32_t i = 0;; ++i) {
      if (i == free_from_.size()) free_from_.push_back(0);
      run = free_from_[i] <= begin ? run + 1 : 0;
      if (run < count) continue;
      for (uint32_t word = i + 1 - count; word <= i; ++word) free_from_[word] = end + 1;
      return i + 1 - count;
    }
  }
  uint32_t size() const { return static_cast<uint32_t>(free_from_.size()); }

 private:
  std::vector<uint32_t> free_from_;
};

class Scan {
 public:
  Scan(const Function& function, const HomeRequest& request, std::vector<uint32_t> clobbers,
       std::vector<uint32_t> block_ends)
      : function_(function),
        request_(request),
        clobbers_(std::move(clobbers)),
        block_ends_(std::move(block_ends)) {
    out_.homes.resize(function.values.size());
  }

  Homes run(const std::vector<Interval>& intervals) {
    for (uint32_t i = 0; i < request_.fixed_words; ++i) {
      out_.fixed_offset.push_back(stack_offset(stack_.take(1, 0, UINT32_MAX - 1), 1));
    }
    scratch_.take(request_.fixed_scratch_words, 0, UINT32_MAX - 1);
    for (const Interval& interval : intervals) place(interval);
    out_.stack_bytes = stack_.size() * 8 + round_up8(request_.temp_bytes);
    out_.temp_offset = -static_cast<int32_t>(out_.stack_bytes);
    out_.scratch_temp_offset = scratch_.size() * 8;
    out_.scratch_bytes = out_.scratch_temp_offset + round_up8(request_.scratch_temp_bytes);
    return std::move(out_);
  }

 private:
  // The stack grows down: word 0 is the highest.
  static int32_t stack_offset(uint32_t word, uint32_t count) {
    return -8 * static_cast<int32_t>(word + count);
  }

  bool goes_to_scratch(const Interval& interval) const {
    return request_.crosses_in_scratch &&
           *std::lower_bound(block_ends_.begin(), block_ends_.end(), interval.begin) < interval.end;
  }

  Word take_scratch(uint32_t words, const Interval& interval) {
    const uint32_t word = scratch_.take(words, interval.begin, interval.end);
    return Word{Word::Kind::Scratch, 0, bpf::Reg::R0, static_cast<int32_t>(word * 8)};
  }

  Word take_word(const Interval& interval) {
    if (goes_to_scratch(interval)) return take_scratch(1, interval);
    const auto next = std::lower_bound(clobbers_.begin(), clobbers_.end(), interval.begin);
    if (next == clobbers_.end() || *next > interval.end) {
      for (const bpf::Reg reg : request_.volatile_registers) {
        if (take_register(reg, interval)) return Word{Word::Kind::Reg, 0, reg, 0};
      }
    }
    for (const bpf::Reg reg : request_.registers) {
      if (take_register(reg, interval)) return Word{Word::Kind::Reg, 0, reg, 0};
    }
    if (request_.words_in_scratch) return take_scratch(1, interval);
    uint32_t word = stack_.take(1, interval.begin, interval.end);
    return Word{Word::Kind::Stack, 0, bpf::Reg::R0, stack_offset(word, 1)};
  }

  bool take_register(bpf::Reg reg, const Interval& interval) {
    uint32_t& free_from = register_free_[static_cast<size_t>(reg)];
    if (free_from > interval.begin) return false;
    free_from = interval.end + 1;
    return true;
  }

  void place(const Interval& interval) {
    const Inst& inst = function_.values[interval.value];
    Home& home = out_.homes[interval.value];
    home.words = payload_words(inst);
    home.has_tag = ssa::is_maybe(inst.type);
    if (home.has_tag) home.tag = take_word(interval);
    if (inst.str_kind != ssa::StrKind::Bytes) {
      home.payload = take_word(interval);
      return;
    }
    uint32_t words = buffer_words(inst);
    if (words * 8 <= request_.stack_string_bytes && !wants_scratch(inst.op) &&
        !goes_to_scratch(interval)) {
      uint32_t word = stack_.take(words, interval.begin, interval.end);
      home.payload = Word{Word::Kind::Stack, 0, bpf::Reg::R0, stack_offset(word, words)};
    } else {
      home.payload = take_scratch(words, interval);
    }
  }

  const Function& function_;
  const HomeRequest& request_;
  const std::vector<uint32_t> clobbers_, block_ends_;
  uint32_t register_free_[11] = {};  // by register: from which position on
  Slots stack_, scratch_;
  Homes out_;
};

}  // namespace

bool is_constant(Op op) {
  return op == Op::ConstInt || op == Op::ConstBool || op == Op::ConstStr || op == Op::ConstNil;
}

bool wants_scratch(Op op) { return op == Op::StrText || op == Op::StrJoin; }

ValueId payload_owner(const Function& function, ValueId value) {
  while (function[value].op == Op::Wrap || function[value].op == Op::Unwrap) {
    value = function[value].operands[0];
  }
  return value;
}

uint32_t payload_words(const Inst& inst) {
  return inst.str_kind == ssa::StrKind::Bytes ? round_up8(inst.max_bytes) / 8 : 1;
}

Homes find_homes(const Function& function, const Order& order, const HomeRequest& request) {
  KTAP_CHECK(request.immediate.size() == function.values.size());
  KTAP_CHECK(request.is_clobber.size() == function.values.size());
  Liveness liveness(function, order, request);
  const std::vector<Interval> intervals = liveness.run();
  Homes homes = Scan(function, request, liveness.clobbers(), liveness.block_ends()).run(intervals);
  for (size_t i = 0; i < homes.homes.size(); ++i) {
    homes.homes[i] = homes.homes[liveness.shared_with()[i].index];
  }
  return homes;
}

}  // namespace ktap::backend
