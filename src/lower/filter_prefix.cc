// A filter that the VM has to run, as far as the kernel can say no before: `pid == 7 && state[tid]`
// keeps other processes' events in the kernel. The filter is lowered up to the first instruction on
// each way that has no kernel form, reads what handlers change or changes something; there the
// event is sent, and the VM runs all of the filter.
#include "lower/attempt.h"
#include "lower/lowerer.h"
#include "ssa/op_info.h"

namespace ktap::lower {

void Lowerer::run_filter_prefix(runtime::Value filter) {
  is_prefix_ = true;
  run_filter(filter);
  is_prefix_ = false;
  if (stopped() || left_.empty()) return;
  const ssa::BlockId send = new_block();
  if (reachable()) left_.push_back(current_);
  for (const ssa::BlockId block : left_) {
    emit_in(block, {ssa::Op::Jump});
    connect(block, send);
  }
  left_.clear();
  current_ = send;
}

Lowerer::Mark Lowerer::mark() const {
  Mark mark;
  mark.block = current_;
  mark.insts = function_.blocks[current_.index].insts.size();
  mark.blocks = function_.blocks.size();
  mark.values = function_.values.size();
  mark.left = left_.size();
  return mark;
}

bool Lowerer::may_stay(const Mark& mark) const {
  if (stopped()) return false;
  for (size_t i = mark.values; i < function_.values.size(); ++i) {
    const ssa::Inst& inst = function_.values[i];
    if (reads_what_handlers_change(inst)) return false;
    if (ssa::op_info(inst.op).effect == ssa::Effect::Write) return false;
  }
  return true;
}

/// As if nothing had been lowered since the mark: the event is sent from there.
void Lowerer::leave(const Mark& mark) {
  stop_.reset();
  function_.values.erase(function_.values.begin() + static_cast<ptrdiff_t>(mark.values),
                         function_.values.end());
  function_.blocks.erase(function_.blocks.begin() + static_cast<ptrdiff_t>(mark.blocks),
                         function_.blocks.end());
  ssa::Block& block = function_.blocks[mark.block.index];
  block.insts.resize(mark.insts);
  block.succs.clear();
  left_.resize(mark.left);
  left_.push_back(mark.block);
  current_ = {};
}

void Lowerer::step_of_prefix(Frame& frame, size_t pc) {
  const Mark before = mark();
  Attempt attempt(linkage_);
  step(frame, pc);
  if (may_stay(before)) return;
  attempt.take_back();
  leave(before);
}

}  // namespace ktap::lower
