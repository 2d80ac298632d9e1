// The updates of one sample are lost as a whole: where one finds its table full, the code goes on
// behind the last, and one loss is counted.
#include "backend/selector.h"

namespace ktap::backend {

using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

namespace {

bool updates_table(Op op) { return op == Op::TableAdd || op == Op::TableMerge; }

bool same_place(const Inst& a, const Inst& b) {
  return a.span.begin == b.span.begin && a.span.end == b.span.end && a.line == b.line;
}

}  // namespace

/// The last of the updates that belong to the sample of `first`. Only what has no code stands
/// between them.
ValueId Selector::last_update(ValueId first) const {
  const uint32_t sample = module_.tables[static_cast<size_t>(inst(first).imm)].sample_of;
  ValueId last = first;
  if (sample == 0) return last;
  std::vector<int64_t> tables{inst(first).imm};
  const std::vector<ValueId>& insts = function_.blocks[block_.index].insts;
  size_t at = 0;
  while (insts[at] != first) ++at;
  for (++at; at < insts.size(); ++at) {
    const Inst& next = inst(insts[at]);
    if (!order_.needed[insts[at].index] || is_constant(next.op) || next.op == Op::MakeUnion)
      continue;
    if (!updates_table(next.op) || !same_place(next, inst(first)) ||
        module_.tables[static_cast<size_t>(next.imm)].sample_of != sample) {
      break;
    }
    for (int64_t table : tables) {
      if (table == next.imm) return last;  // another sample of the same place
    }
    tables.push_back(next.imm);
    last = insts[at];
  }
  return last;
}

/// Where the run's area is looked for: not in the middle of a sample's updates, part of which a
/// loss leaves out.
bool Selector::is_before_areas(ValueId id) const {
  if (last_update_.valid()) return false;
  if (!updates_table(inst(id).op)) return id == area_before_;
  const std::vector<ValueId>& insts = function_.blocks[block_.index].insts;
  const ValueId last = last_update(id);
  for (size_t at = 0, inside = 0; at < insts.size(); ++at) {
    if (insts[at] == id) inside = 1;
    if (inside != 0 && insts[at] == area_before_) return true;
    if (insts[at] == last) break;
  }
  return false;
}

/// Before the code of an update: where a loss goes on is update_done_.
void Selector::begin_update(ValueId id) {
  if (last_update_.valid()) return;  // in the middle of a sample's
  last_update_ = last_update(id);
  update_done_ = asm_.make_label();
}

void Selector::end_update(ValueId id) {
  if (id != last_update_) return;
  asm_.bind(update_done_);
  last_update_ = {};
}

}  // namespace ktap::backend
