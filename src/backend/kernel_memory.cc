// Memory at addresses that a script or a fetch argument follows, the kernel's or the process's. Of
// the current task's own structure by direct loads, where its pointer has a type: nothing to call,
// and they cannot fail. Everything else by probe_read_kernel (25 ns), since a direct load of a bad
// address gives 0, and the language nil.
#include <algorithm>

#include "backend/selector.h"
#include "base/check.h"
#include "ssa/kernel_access.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::KernelAccess;
using ssa::Op;
using ssa::ValueId;

namespace {

constexpr int32_t kMaxLoadOffset = INT16_MAX;

Size size_code(uint32_t size_bytes) {
  return size_bytes == 1   ? Size::B
         : size_bytes == 2 ? Size::H
         : size_bytes == 4 ? Size::W
                           : Size::DW;
}

bool is_task(const Inst& of) {
  return of.op == Op::EventVar &&
         static_cast<schema::BuiltinVar>(of.imm) == schema::BuiltinVar::Curtask;
}

}  // namespace

/// A number of the current task's structure. Pointers are read the other way: what is loaded of a
/// typed pointer is another one, and the verifier lets nobody compute with it.
bool Selector::is_direct_read(const Inst& of) const {
  if (of.op != Op::KernelRead || !facts_.has_task_btf || !is_task(inst(of.operands[0])))
    return false;
  const KernelAccess access = KernelAccess::unpack(of.imm);
  return !access.is_pointer && !access.is_user && access.offset_bytes >= 0 &&
         access.offset_bytes <= kMaxLoadOffset &&
         access.offset_bytes % static_cast<int32_t>(access.size_bytes) == 0;
}

/// `curtask` that only such reads use: they ask for the task themselves.
bool Selector::is_for_direct_reads(ValueId id) const {
  if (!is_task(inst(id)) || !facts_.has_task_btf) return false;
  for (ssa::BlockId block : order_.blocks) {
    for (ValueId user : function_.blocks[block.index].insts) {
      const Inst& by = inst(user);
      if (!order_.needed[user.index] || is_direct_read(by)) continue;
      if (std::find(by.operands.begin(), by.operands.end(), id) != by.operands.end()) return false;
    }
  }
  return true;
}

/// What was read into `reg` becomes the value: its bits, its sign, 1 for true.
void Selector::shape_number(Reg reg, const KernelAccess& access, bool is_bool) {
  if (access.width_bits != 0) {
    const auto above = static_cast<int32_t>(64 - access.shift_bits - access.width_bits);
    const auto below = static_cast<int32_t>(64 - access.width_bits);
    if (above != 0) asm_.emit(bpf::alu64(AluOp::Lsh, reg, above));
    if (below != 0) asm_.emit(bpf::alu64(access.is_signed ? AluOp::Arsh : AluOp::Rsh, reg, below));
  } else if (access.is_signed) {
    narrow(reg, access.size_bytes, true);
  }
  if (!is_bool) return;
  bpf::Label is_false = asm_.make_label();
  asm_.jump_to_if(JumpOp::Eq, reg, 0, is_false);
  asm_.emit(bpf::mov64(reg, 1));
  asm_.bind(is_false);
}

/// R3 = the operand's address; goes to `absent` where it is none. False: it always is one.
bool Selector::load_followed(ValueId address, bool is_user, bpf::Label absent) {
  const Inst& of = inst(address);
  load_word(Reg::R3, payload_word(address, 0, false));
  if (is_task(of)) return false;
  // Of what was read here the payload is 0 where it is nil; of the kernel that is looked at below.
  const bool has_tag = ssa::is_maybe(of.type) && (of.op != Op::KernelRead || is_user);
  if (has_tag) {
    load_tested(Reg::R1, tag_word(address));
    asm_.jump_to_if(JumpOp::Eq, Reg::R1, 0, absent);
  }
  if (is_user) return has_tag;  // the helper refuses addresses of the kernel
  // Some architectures read the process's memory there (arm64 without PAN).
  if (kKernelIsUpperHalf) {
    asm_.jump_to_if(JumpOp::SGe, Reg::R3, 0, absent);
  } else {
    asm_.jump_to_if(JumpOp::Eq, Reg::R3, 0, absent);
  }
  return true;
}

void Selector::kernel_memory(ValueId id) {
  switch (inst(id).op) {
    case Op::KernelRead:
      return kernel_read(id);
    case Op::KernelText:
      return kernel_text(id);
    default:
      return kernel_address(id);
  }
}

void Selector::kernel_read(ValueId id) {
  const Inst& of = inst(id);
  const KernelAccess access = KernelAccess::unpack(of.imm);
  const bool is_bool = ssa::sure_type(of.type) == ssa::Type::Bool;
  const Reg dst = result_register(id, Reg::R3);
  if (is_direct_read(of)) {
    load_task(Reg::R0);
    asm_.emit(bpf::load(size_code(access.size_bytes), dst, Reg::R0,
                        static_cast<int16_t>(access.offset_bytes)));
    shape_number(dst, access, is_bool);
    return store_result(id, dst);
  }
  const bool is_maybe = ssa::is_maybe(of.type);
  bpf::Label absent = asm_.make_label();
  const auto temp = static_cast<int16_t>(homes_.temp_offset);
  load_followed(of.operands[0], access.is_user, absent);
  asm_.emit(bpf::store(Size::DW, Reg::R10, temp, 0));
  read_memory(homes_.temp_offset, access.size_bytes, Reg::R3, access.offset_bytes, access.is_user);
  if (is_maybe) asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, absent);
  asm_.emit(bpf::load(size_code(access.size_bytes), dst, Reg::R10, temp));
  if (access.is_pointer && is_maybe) asm_.jump_to_if(JumpOp::Eq, dst, 0, absent);
  shape_number(dst, access, is_bool);
  if (is_maybe) return join_nil(id, dst, absent);
  asm_.bind(absent);
  store_result(id, dst);
}

/// The payload of nil stays 0.
void Selector::kernel_address(ValueId id) {
  const Inst& of = inst(id);
  const ValueId from = of.operands[0];
  const Reg dst = result_register(id, Reg::R3);
  bpf::Label absent = asm_.make_label();
  const bool may_be_nil = ssa::is_maybe(inst(from).type);
  if (may_be_nil) {
    load_tested(Reg::R2, tag_word(from));
    asm_.jump_to_if(JumpOp::Eq, Reg::R2, 0, absent);
  }
  load_word(dst, payload_word(from, 0, false));
  if (of.imm != 0) asm_.emit(bpf::alu64(AluOp::Add, dst, static_cast<int32_t>(of.imm)));
  if (may_be_nil) return join_nil(id, dst, absent);
  store_result(id, dst);
  set_word(homes_.homes[id.index].tag, 1);
}

void Selector::kernel_text(ValueId id) {
  const Inst& of = inst(id);
  const Home& home = homes_.homes[id.index];
  const ssa::TextAccess access = ssa::TextAccess::unpack(of.imm);
  const bool is_maybe = ssa::is_maybe(of.type);
  const bpf::Label absent = asm_.make_label(), done = asm_.make_label();
  uint32_t read = read_buffer_bytes(of.max_bytes);
  clear(home.payload, round_up8(read) / 8);
  // What is behind the array is not its.
  const bool is_whole = access.array_bytes != 0 && access.array_bytes <= of.max_bytes;
  if (is_whole) read = std::min(read, access.array_bytes + 1);
  const bool may_be_absent = load_followed(of.operands[0], access.is_user, absent);
  KTAP_CHECK(is_maybe || !may_be_absent);
  if (access.offset_bytes != 0) asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, access.offset_bytes));
  load_address(Reg::R1, home.payload);
  asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(read)));
  asm_.call_helper(access.is_user ? Helper::ProbeReadUserStr : Helper::ProbeReadKernelStr);
  if (is_maybe) {
    const bpf::Label known = asm_.make_label();
    const Reg tag = word_register(home.tag, Reg::R2);
    tag_of_length(tag);
    if (may_be_absent) {
      asm_.jump_to(known);
      asm_.bind(absent);
      set_register(tag, 0);
      asm_.emit(bpf::mov64(Reg::R0, 0));
    }
    asm_.bind(known);
    store_word(home.tag, tag);
  }
  if (!is_whole)
    cut_string(id, access.is_user ? "a string of the process" : "a string of the kernel", done);
  asm_.bind(done);
}

}  // namespace ktap::backend
