// Fields of events that give registers.
#include <fmt/format.h>

#include "backend/selector.h"
#include "base/check.h"
#include "ssa/kernel_access.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::Size;
using schema::EventKind;
using schema::Fetch;
using ssa::KernelAccess;
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
    case Fetch::Base::Register:
      return static_cast<int32_t>(from.at);
    case Fetch::Base::Constant:
    case Fetch::Base::Comm:
    case Fetch::Base::None:
      break;
  }
  return -1;
}

/// The high half of a kernel function's cookie is its index in the group.
constexpr int32_t kIndexShift = 32;

}  // namespace

std::vector<bpf::AttachPoint> attach_points(const ssa::EventGroup& group) {
  std::vector<bpf::AttachPoint> points;
  for (size_t i = 0; i < group.events.size(); ++i) {
    const bool is_kernel = schema::is_kernel_function(*group.events[i]);
    const uint64_t index = is_kernel ? uint64_t{i} << kIndexShift : 0;
    points.push_back({group.events[i], index | static_cast<uint32_t>(group.name_ids[i])});
  }
  return points;
}

/// R0 = the cookie of the point, as attach_points() gave it.
void Selector::load_cookie() {
  asm_.emit(bpf::mov64(Reg::R1, Reg::R6));
  asm_.call_helper(Helper::GetAttachCookie);
}

/// dst = where the kernel function is, as its symbol says: what the registers hold there differs
/// with the way in which a probe is set.
void Selector::function_address(Reg dst) {
  std::vector<uint8_t> addresses;
  for (const schema::EventPtr& event : job_.group->events) {
    const uint64_t address = event->point.address + event->point.offset_bytes;
    if (event->point.address == 0)
      return fail("the kernel hides where its functions are: kernel.kptr_restrict");
    if (job_.group->events.size() == 1) return asm_.load_const(dst, static_cast<int64_t>(address));
    const auto* bytes = reinterpret_cast<const uint8_t*>(&address);
    addresses.insert(addresses.end(), bytes, bytes + sizeof address);
  }
  const bpf::Label done = asm_.make_label();
  load_cookie();
  asm_.emit(bpf::alu64(bpf::AluOp::Rsh, Reg::R0, kIndexShift));
  asm_.emit(bpf::mov64(Reg::R1, Reg::R0));
  const auto count = static_cast<int32_t>(job_.group->events.size());
  asm_.jump_to_if(bpf::JumpOp::Ge, Reg::R1, count, done);  // never
  asm_.emit(bpf::alu64(bpf::AluOp::Lsh, Reg::R1, 3));
  asm_.load_map_value(Reg::R2, unit_.read_only_map(), unit_.add_read_only(addresses));
  asm_.emit(bpf::alu64(bpf::AluOp::Add, Reg::R2, Reg::R1));
  asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R2, 0));
  asm_.bind(done);
  if (dst != Reg::R1) asm_.emit(bpf::mov64(dst, Reg::R1));
}

/// At a return there is a way to tell of which function.
bool Selector::says_function() const {
  return is_kernel_function(*job_.group->events[0]) || facts_.has_uprobe_multi;
}

/// Pointers are copied out of the context by a helper: what is loaded from there has a type, and
/// the verifier lets nobody compute with it.
void Selector::trampoline_word(const schema::Field& field, Reg dst) {
  const uint32_t count = job_.group->events[0]->point.argument_count;
  const auto number =
      field.fetch.base == Fetch::Base::Result ? count : static_cast<uint32_t>(field.fetch.at);
  const auto at = static_cast<int32_t>(8 * number);
  if (field.kind != schema::FieldKind::Pointer)
    return asm_.emit(bpf::load(Size::DW, dst, Reg::R6, static_cast<int16_t>(at)));
  read_kernel(homes_.temp_offset, 8, Reg::R6, at);
  asm_.emit(bpf::load(Size::DW, dst, Reg::R10, static_cast<int16_t>(homes_.temp_offset)));
}

/// dst = the word, R6 is the context. May call helpers.
void Selector::fetch_word(const schema::Field& field, Reg dst) {
  const Fetch& from = field.fetch;
  if (from.base == Fetch::Base::Address && schema::is_kernel_function(*job_.group->events[0]))
    return function_address(dst);
  // At a user function's first instruction the registers say where that is.
  const bool is_user_entry =
      job_.group->kind == EventKind::Probe && !job_.group->events[0]->point.path.empty();
  if (from.base == Fetch::Base::Address && job_.group->kind != EventKind::Sample &&
      !is_user_entry) {
    if (!says_function()) return fail("this kernel does not say which function returns");
    asm_.emit(bpf::mov64(Reg::R1, Reg::R6));
    asm_.call_helper(Helper::GetFuncIp);
    if (dst != Reg::R0) asm_.emit(bpf::mov64(dst, Reg::R0));
    return;
  }
  if (frame_.is_trampoline) return trampoline_word(field, dst);
  const int32_t at = context_offset(from, job_.group->kind, facts_.call_regs);
  if (at < 0) return fail(fmt::format("field {} is in no register", field.name));
  const bool is_register = from.base != Fetch::Base::Period && from.base != Fetch::Base::Accessed;
  const Size size = is_register && facts_.call_regs.word_bytes == 4 ? Size::W : Size::DW;
  asm_.emit(bpf::load(size, dst, Reg::R6, static_cast<int16_t>(at)));
  if (from.index_at < 0) return;
  const Reg index = dst == Reg::R2 ? Reg::R1 : Reg::R2;
  asm_.emit(bpf::load(size, index, Reg::R6, static_cast<int16_t>(from.index_at)));
  if (from.index_scale != 1) asm_.emit(bpf::alu64(AluOp::Mul, index, from.index_scale));
  asm_.emit(bpf::alu64(AluOp::Add, dst, index));
}

void Selector::fetched_field(ValueId id) {
  const schema::Event& event = *job_.group->events[0];
  const auto index = static_cast<size_t>(inst(id).imm);
  const schema::Field& field = event.fields[index];
  if (index >= event.own_fields() && !frame_.is_trampoline)
    return fail(fmt::format("'{}' is gone when the function returns", field.name));
  const Reg dst = result_register(id, Reg::R1);
  fetch_word(field, dst);
  if (!field.fetch.steps.empty()) {
    // What is followed from there has the field's shape.
  } else if (field.fetch.width_bits != 0) {
    KernelAccess bits;
    bits.is_signed = field.is_signed;
    bits.shift_bits = field.fetch.shift_bits;
    bits.width_bits = field.fetch.width_bits;
    shape_number(dst, bits, false);
  } else {
    narrow(dst, field.size_bytes, field.is_signed);
  }
  // What is followed begins with an address.
  if (field.kind == schema::FieldKind::Bool && field.fetch.steps.empty()) {
    const bpf::Label is_false = asm_.make_label();
    asm_.jump_to_if(bpf::JumpOp::Eq, dst, 0, is_false);
    asm_.emit(bpf::mov64(dst, 1));
    asm_.bind(is_false);
  }
  store_result(id, dst);
}

/// A word for each field, before them the cookie where that says which event it is. R8 holds the
/// record.
void Selector::raw_fetches(int32_t at) {
  if (raw_event_has_cookie(*job_.group)) {
    load_cookie();
    asm_.emit(bpf::store(Size::DW, Reg::R8, static_cast<int16_t>(at), Reg::R0));
    at += 8;
  }
  const bool is_return = job_.group->kind == EventKind::ProbeReturn;
  const schema::Event& event = *job_.group->events[0];
  for (size_t i = 0; i < event.own_fields(); ++i) {
    const schema::Field& field = event.fields[i];
    const bool is_unknown =
        field.fetch.base == Fetch::Base::Address && is_return && !says_function();
    if (field.kind == schema::FieldKind::Opaque || field.fetch.is_followed() || is_unknown) {
      asm_.emit(bpf::mov64(Reg::R1, 0));  // no text of ours shows it
    } else {
      fetch_word(field, Reg::R1);
    }
    asm_.emit(bpf::store(Size::DW, Reg::R8, static_cast<int16_t>(at), Reg::R1));
    at += 8;
  }
}

}  // namespace ktap::backend
