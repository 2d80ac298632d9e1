// Fields of events that give registers which are more than a register: constants, and memory that
// is followed from a word. Each step is a read that fails alone: a bad address is nil, and so is
// what is behind it.
#include <utility>

#include "base/limits.h"
#include "lower/lowerer.h"
#include "ssa/kernel_access.h"

namespace ktap::lower {

using schema::Fetch;

ssa::ValueId Lowerer::follow_fetch(uint32_t field, bool is_bool) {
  const schema::Field& f = event().fields[field];
  const Fetch& fetch = f.fetch;
  if (fetch.base == Fetch::Base::Comm) return read_var(schema::BuiltinVar::Execname);
  ssa::ValueId word;
  if (fetch.base == Fetch::Base::Constant) {
    if (fetch.steps.empty() && is_bool) return const_bool(fetch.at != 0);
    word = const_int(fetch.at);
  } else {
    ssa::Inst base{ssa::Op::EventField, ssa::Type::Int};
    base.imm = field;
    word = emit(std::move(base));
  }
  for (size_t i = 0; i < fetch.steps.size(); ++i) {
    const schema::FetchStep& step = fetch.steps[i];
    auto offset = static_cast<int32_t>(step.offset_bytes);
    if (offset != step.offset_bytes) {  // only of the first step: the event's maker sees to it
      word = op2(ssa::Op::Add, ssa::Type::Int, word, const_int(step.offset_bytes));
      offset = 0;
    }
    const bool is_last = i + 1 == fetch.steps.size();
    if (is_last && f.kind == schema::FieldKind::Text) {
      ssa::Inst text{ssa::Op::KernelText, ssa::Type::MaybeStr, ssa::StrKind::Bytes};
      text.max_bytes = limits::kStringBytes;
      text.imm = ssa::TextAccess{offset, 0, step.is_user}.pack();
      text.operands = {word};
      return emit(std::move(text));
    }
    ssa::KernelAccess access;
    access.offset_bytes = offset;
    access.is_user = step.is_user;
    access.size_bytes = is_last ? f.size_bytes : step.size_bytes;
    access.is_signed = is_last && f.is_signed;
    if (is_last) {
      access.shift_bits = fetch.shift_bits;
      access.width_bits = fetch.width_bits;
    }
    ssa::Inst read{ssa::Op::KernelRead,
                   is_last && is_bool ? ssa::Type::MaybeBool : ssa::Type::MaybeInt};
    read.imm = access.pack();
    read.operands = {word};
    word = emit(std::move(read));
  }
  return word;
}

}  // namespace ktap::lower
