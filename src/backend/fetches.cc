// Fields of events that give registers.
#include <fmt/format.h>

#include "backend/selector.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::Helper;
using bpf::Size;
using schema::EventKind;
using schema::Fetch;
using ssa::ValueId;

namespace {

/// Where in the context the word stands; -1: not there.
int32_t context_offset(const Fetch& from, EventKind kind, const bpf::CallRegs& regs) {
  switch (from.base) {
    case Fetch::Base::Argument:
      return from.at >= 0 && from.at < 8 ? regs.arg_offset[from.at] : -1;
    case Fetch::Base::Result:
      return regs.result_offset;
    case Fetch::Base::Address:  // of a probe there is more to it
      return regs.ip_offset;
    case Fetch::Base::Period:
      return kind == EventKind::Sample ? regs.sample_offset : -1;
    case Fetch::Base::Accessed:
      return kind == EventKind::Sample ? regs.sample_offset + 8 : -1;
    case Fetch::Base::None:
      break;
  }
  return -1;
}

}  // namespace

/// dst = the word, R6 is the context. May call helpers.
void Selector::fetch_word(const schema::Field& field, Reg dst) {
  const Fetch& from = field.fetch;
  // At a user function's first instruction the registers say where that is.
  const bool is_user_entry =
      job_.group->kind == EventKind::Probe && !job_.group->events[0]->point.path.empty();
  if (from.base == Fetch::Base::Address && job_.group->kind != EventKind::Sample &&
      !is_user_entry) {
    if (!facts_.has_uprobe_multi) return fail("this kernel does not say which function returns");
    asm_.emit(bpf::mov64(Reg::R1, Reg::R6));
    asm_.call_helper(Helper::GetFuncIp);
    if (dst != Reg::R0) asm_.emit(bpf::mov64(dst, Reg::R0));
    return;
  }
  const int32_t at = context_offset(from, job_.group->kind, facts_.call_regs);
  if (at < 0) return fail(fmt::format("field {} is in no register", field.name));
  asm_.emit(bpf::load(Size::DW, dst, Reg::R6, static_cast<int16_t>(at)));
}

void Selector::fetched_field(ValueId id) {
  const schema::Field& field = job_.group->events[0]->fields[static_cast<size_t>(inst(id).imm)];
  const Reg dst = result_register(id, Reg::R1);
  fetch_word(field, dst);
  narrow(dst, field.size_bytes, field.is_signed);
  store_result(id, dst);
}

/// A word for each field. R8 holds the record.
void Selector::raw_fetches(int32_t at) {
  for (const schema::Field& field : job_.group->events[0]->fields) {
    fetch_word(field, Reg::R1);
    asm_.emit(bpf::store(Size::DW, Reg::R8, static_cast<int16_t>(at), Reg::R1));
    at += 8;
  }
}

}  // namespace ktap::backend
