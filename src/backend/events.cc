// What the event and its task give: variables, fields of system calls and of tracepoint records,
// raw copies.
#include <fmt/format.h>

#include <algorithm>

#include "backend/current_task.h"
#include "backend/selector.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using schema::BuiltinVar;
using ssa::Inst;
using ssa::ValueId;

ArgumentWindow argument_window(const bpf::SyscallRegs& regs) {
  auto [low, high] = std::minmax_element(std::begin(regs.arg_offset), std::end(regs.arg_offset));
  return ArgumentWindow{*low, static_cast<uint32_t>(*high - *low) + 8};
}

/// Variables that one run knows beforehand, or that the prologue has kept.
bool Selector::immediate_event_var(const Inst& of, Word* word) const {
  switch (static_cast<BuiltinVar>(of.imm)) {
    case BuiltinVar::Pid:
      *word = Word{Word::Kind::Imm, options_.only_tgid(), Reg::R0, 0};
      return options_.only_tgid() >= 0;
    case BuiltinVar::Cpu:
      *word = Word{Word::Kind::Imm, options_.cpu, Reg::R0, 0};
      return options_.cpu >= 0;
    case BuiltinVar::Probename:
      if (needs_.name_id) {
        *word = name_;
      } else {
        KTAP_CHECK(!job_.group->name_ids.empty());
        *word = Word{Word::Kind::Imm, job_.group->name_ids[0], Reg::R0, 0};
      }
      return true;
    default:
      return false;
  }
}

void Selector::event_var(ValueId id) {
  const Home& home = homes_.homes[id.index];
  auto var = static_cast<BuiltinVar>(inst(id).imm);
  if (var == BuiltinVar::Execname && inst(id).str_kind != ssa::StrKind::Bytes)
    return fail("execname is no bytes here");
  if (comes_from_task(id)) return task_var(id);
  switch (var) {
    case BuiltinVar::Pid:
      asm_.call_helper(Helper::GetCurrentPidTgid);
      asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 32));
      break;
    case BuiltinVar::Tid:
      asm_.call_helper(Helper::GetCurrentPidTgid);
      narrow(Reg::R0, 4, false);
      break;
    case BuiltinVar::Ppid:
      return parent(id);
    case BuiltinVar::Uid:
      asm_.call_helper(Helper::GetCurrentUidGid);
      narrow(Reg::R0, 4, false);
      break;
    case BuiltinVar::Gid:
      asm_.call_helper(Helper::GetCurrentUidGid);
      asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 32));
      break;
    case BuiltinVar::Cpu:
      asm_.call_helper(Helper::GetSmpProcessorId);
      break;
    case BuiltinVar::Ns:
      asm_.call_helper(Helper::KtimeGetNs);
      break;
    case BuiltinVar::Curtask:
      if (is_for_direct_reads(id)) return;
      asm_.call_helper(Helper::GetCurrentTask);
      break;
    case BuiltinVar::InInterrupt:
      if (!facts_.has_preempt_count())
        return fail(
            "this kernel does not show where it counts interrupts, so there is no 'in_interrupt' "
            "(it "
            "takes type information, on x86-64 with Linux 6.15 or CONFIG_KALLSYMS_ALL); a table by "
            "'cpu' that irq:irq_handler_entry and irq:irq_handler_exit keep tells of hard ones");
      load_preempt_count(asm_, unit_, facts_);
      break;
    case BuiltinVar::Cgroup:
      asm_.call_helper(Helper::GetCurrentCgroupId);
      break;
    case BuiltinVar::Execname:
      clear(home.payload, home.words);  // Linux 5.19 to 6.2 writes nothing behind the NUL
      load_address(Reg::R1, home.payload);
      asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(home.words * 8)));
      asm_.call_helper(Helper::GetCurrentComm);
      return;
    default:
      return fail(fmt::format("{} is not there yet in the kernel", schema::builtin_var_name(var)));
  }
  store_result(id, Reg::R0);
}

void Selector::event_field(ValueId id) {
  auto index = static_cast<size_t>(inst(id).imm);
  if (index >= job_.group->events[0]->fields.size()) return fail("no such field");
  if (is_tracepoint()) return record_field(id);
  if (gives_registers()) return fetched_field(id);
  syscall_field(id);
}

void Selector::narrow(Reg reg, uint32_t size_bytes, bool is_signed) {
  if (size_bytes >= 8) return;
  if (!is_signed && size_bytes == 4) {
    asm_.emit(bpf::mov32(reg, reg));
    return;
  }
  if (is_signed && facts_.has_cpu_v4) {
    asm_.emit(bpf::mov_signed(reg, reg, static_cast<int16_t>(8 * size_bytes)));
    return;
  }
  auto bits = static_cast<int32_t>(64 - 8 * size_bytes);
  asm_.emit(bpf::alu64(AluOp::Lsh, reg, bits));
  asm_.emit(bpf::alu64(is_signed ? AluOp::Arsh : AluOp::Rsh, reg, bits));
}

/// Copies `size_bytes` from the kernel address in `address` + `extra` to the stack. R0 is 0, or an
/// error (then the bytes are 0).
void Selector::read_kernel(int32_t stack_offset, uint32_t size_bytes, Reg address, int32_t extra) {
  read_memory(stack_offset, size_bytes, address, extra, false);
}

/// The same of the process's memory where `is_user`.
void Selector::read_memory(int32_t stack_offset, uint32_t size_bytes, Reg address, int32_t extra,
                           bool is_user) {
  if (address != Reg::R3) asm_.emit(bpf::mov64(Reg::R3, address));
  if (extra != 0) asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, extra));
  asm_.emit(bpf::mov64(Reg::R1, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, stack_offset));
  asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(size_bytes)));
  asm_.call_helper(is_user ? Helper::ProbeReadUser : Helper::ProbeReadKernel);
}

/// All arguments at once, unless every way here has read them.
void Selector::read_window() {
  if (window_is_read_) return;
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R6, 0));
  read_kernel(window_offset_, window_.size_bytes, Reg::R3, window_.begin);
  window_is_read_ = true;
}

/// dst = argument `index` of the system call, from 0.
void Selector::load_argument(Reg dst, uint32_t index) {
  if (frame_.is_record) {
    const auto at = static_cast<int16_t>(kRecordArguments + 8 * static_cast<int32_t>(index));
    return asm_.emit(bpf::load(Size::DW, dst, Reg::R6, at));
  }
  const int32_t regs_offset = facts_.syscall_regs.arg_offset[index];
  if (frame_.is_typed) {
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R6, 0));
    return asm_.emit(bpf::load(Size::DW, dst, Reg::R3, static_cast<int16_t>(regs_offset)));
  }
  int32_t at = homes_.temp_offset;
  if (has_window_) {
    read_window();
    at = window_offset_ + regs_offset - window_.begin;
  } else {
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R6, 0));
    read_kernel(at, 8, Reg::R3, regs_offset);
  }
  asm_.emit(bpf::load(Size::DW, dst, Reg::R10, static_cast<int16_t>(at)));
}

/// dst = what the system call gave.
void Selector::load_result(Reg dst) {
  asm_.emit(bpf::load(Size::DW, dst, Reg::R6, frame_.is_record ? kRecordArguments : 8));
}

void Selector::syscall_field(ValueId id) {
  auto index = static_cast<uint32_t>(inst(id).imm);
  const schema::Field& field = job_.group->events[0]->fields[index];
  Reg dst = result_register(id, Reg::R1);
  if (index == 0) {
    load_number(dst);
  } else if (is_exit()) {
    load_result(dst);
    narrow(dst, field.size_bytes, field.is_signed);
  } else {
    if (index > 6) return fail("a system call has six arguments");
    load_argument(dst, index - 1);
    narrow(dst, field.size_bytes, field.is_signed);
  }
  store_result(id, dst);
}

// ---- tracepoint records
// -------------------------------------------------------------------------------------

/// A field out of a typed argument.
void Selector::argument_field(ValueId id, const TypedField& from) {
  const auto argument = static_cast<int16_t>(8 * from.argument);
  if (from.is_itself) {
    const Reg dst = result_register(id, Reg::R1);
    asm_.emit(bpf::load(Size::DW, dst, Reg::R6, argument));
    return store_result(id, dst);
  }
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R6, argument));
  if (!from.is_comm) {
    const Reg dst = result_register(id, Reg::R1);
    asm_.emit(bpf::load(Size::W, dst, Reg::R3, static_cast<int16_t>(from.offset_bytes)));
    narrow(dst, 4, true);
    return store_result(id, dst);
  }
  const Inst& of = inst(id);
  if (of.str_kind != ssa::StrKind::Bytes || of.max_bytes < 16)
    return fail("the name of a task is no string of 16 bytes here");
  const Home& home = homes_.homes[id.index];
  for (uint32_t i = 0; i < home.words; ++i) {
    if (i >= 2) {
      store_word(home_word(id, i), 0);
      continue;
    }
    const int32_t at = from.offset_bytes + 8 * static_cast<int32_t>(i);
    asm_.emit(bpf::load(Size::DW, Reg::R1, Reg::R3, static_cast<int16_t>(at)));
    store_word(home_word(id, i), Reg::R1);
  }
}

void Selector::record_field(ValueId id) {
  if (frame_.is_typed) {
    const auto from =
        typed_field(*job_.group->events[0], static_cast<size_t>(inst(id).imm), facts_);
    KTAP_CHECK(from.has_value());
    return argument_field(id, *from);
  }
  const schema::Field& field = job_.group->events[0]->fields[static_cast<size_t>(inst(id).imm)];
  switch (field.kind) {
    case schema::FieldKind::CharArray:
    case schema::FieldKind::DynString:
    case schema::FieldKind::RelString:
      return string_field(id, field);
    case schema::FieldKind::ByteArray:
      return bytes_field(id, field);
    case schema::FieldKind::Opaque:
    case schema::FieldKind::Text:
      return fail(fmt::format("field {} has no value", field.name));
    case schema::FieldKind::Int:
    case schema::FieldKind::Bool:
    case schema::FieldKind::Pointer:
      break;
  }
  uint32_t size = field.size_bytes;
  if ((size != 1 && size != 2 && size != 4 && size != 8)) {
    return fail(fmt::format("field {} has {} bytes", field.name, size));
  }
  // The kernel overwrites the first 8 bytes of the record before it runs us.
  if (field.offset_bytes < 8) return fail(fmt::format("field {} is not readable", field.name));
  Reg dst = result_register(id, Reg::R1);
  if (field.offset_bytes % size == 0) {
    Size code = size == 1 ? Size::B : size == 2 ? Size::H : size == 4 ? Size::W : Size::DW;
    const auto at = static_cast<int16_t>(field.offset_bytes);
    if (field.is_signed && size < 8 && facts_.has_cpu_v4) {
      asm_.emit(bpf::load_signed(code, dst, Reg::R6, at));
    } else {
      asm_.emit(bpf::load(code, dst, Reg::R6, at));
      if (field.is_signed) narrow(dst, size, true);
    }
  } else {
    asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(homes_.temp_offset), 0));
    read_kernel(homes_.temp_offset, size, Reg::R6, static_cast<int32_t>(field.offset_bytes));
    asm_.emit(bpf::load(Size::DW, dst, Reg::R10, static_cast<int16_t>(homes_.temp_offset)));
    narrow(dst, size, field.is_signed);
  }
  if (field.kind == schema::FieldKind::Bool) {
    bpf::Label is_false = asm_.make_label();
    asm_.jump_to_if(JumpOp::Eq, dst, 0, is_false);
    asm_.emit(bpf::mov64(dst, 1));
    asm_.bind(is_false);
  }
  store_result(id, dst);
}

/// All of an array, NULs too: records alone take it.
void Selector::bytes_field(ValueId id, const schema::Field& field) {
  const Inst& of = inst(id);
  const Home& home = homes_.homes[id.index];
  if (of.str_kind != ssa::StrKind::Bytes || of.max_bytes != field.size_bytes)
    return fail(fmt::format("field {} is no string of its size here", field.name));
  clear(home.payload, round_up8(of.max_bytes) / 8);
  asm_.emit(bpf::mov64(Reg::R3, Reg::R6));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, static_cast<int32_t>(field.offset_bytes)));
  load_address(Reg::R1, home.payload);
  asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(of.max_bytes)));
  asm_.call_helper(Helper::ProbeReadKernel);
}

void Selector::string_field(ValueId id, const schema::Field& field) {
  const Inst& of = inst(id);
  const Home& home = homes_.homes[id.index];
  if (of.str_kind != ssa::StrKind::Bytes || of.max_bytes == 0) {
    return fail(fmt::format("field {} is no string here", field.name));
  }
  auto offset = static_cast<int32_t>(field.offset_bytes);
  uint32_t read = read_buffer_bytes(of.max_bytes);
  clear(home.payload, round_up8(read) / 8);
  if (field.kind == schema::FieldKind::CharArray) {
    read = std::min(read, field.size_bytes + 1);  // what is behind the array is not its
    asm_.emit(bpf::mov64(Reg::R3, Reg::R6));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, offset));
  } else {
    asm_.emit(bpf::load(Size::W, Reg::R3, Reg::R6, static_cast<int16_t>(offset)));
    asm_.emit(bpf::alu64(AluOp::And, Reg::R3, 0xffff));
    if (field.kind == schema::FieldKind::RelString) {
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, offset + 4));
    }
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R6));
  }
  load_address(Reg::R1, home.payload);
  asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(read)));
  asm_.call_helper(Helper::ProbeReadKernelStr);
  if (read < read_buffer_bytes(of.max_bytes)) return;
  bpf::Label done = asm_.make_label();
  cut_string(id, "args." + field.name, done);
  asm_.bind(done);
}

// ---- raw copies for records (R8 holds the record)
// -----------------------------------------------------------

void Selector::raw_syscall(int32_t at) {
  auto put = [&](Reg from) {
    asm_.emit(bpf::store(Size::DW, Reg::R8, static_cast<int16_t>(at), from));
    at += 8;
  };
  if (is_exit()) {
    load_number(Reg::R1);
    put(Reg::R1);
    load_result(Reg::R1);
    return put(Reg::R1);
  }
  load_number(Reg::R1);
  put(Reg::R1);
  for (uint32_t i = 0; i < 6; ++i) {
    load_argument(Reg::R1, i);
    put(Reg::R1);
  }
}

/// u32 length, u32 0, the record's fixed part and as much of its dynamic part as there is and fits.
void Selector::raw_record(int32_t at, uint32_t room_bytes) {
  const schema::Event& event = *job_.group->events[0];
  uint32_t fixed = std::max(event.record_size_bytes, uint32_t{8});
  int32_t bytes_at = at + 8;
  auto read = [&] {  // of R2 bytes
    asm_.emit(bpf::mov64(Reg::R1, Reg::R8));
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, bytes_at));
    asm_.emit(bpf::mov64(Reg::R3, Reg::R6));
    asm_.call_helper(Helper::ProbeReadKernel);
  };
  auto put_length = [&](Reg length) {
    asm_.emit(bpf::store(Size::DW, Reg::R8, static_cast<int16_t>(at), length));
  };
  bpf::Label done = asm_.make_label();
  bool is_any_dynamic = false;
  for (const schema::Field& field : event.fields) is_any_dynamic |= is_dynamic(field);
  if (is_any_dynamic) {
    asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(fixed)));
    for (const schema::Field& field : event.fields) {
      if (!is_dynamic(field)) continue;
      // length << 16 | offset: where its bytes end
      bool is_relative = field.kind == schema::FieldKind::RelString ||
                         field.c_type.find("__rel_loc") != std::string::npos;
      bpf::Label shorter = asm_.make_label();
      auto offset = static_cast<int16_t>(field.offset_bytes);
      asm_.emit(bpf::load(Size::W, Reg::R3, Reg::R6, offset));
      asm_.emit(bpf::mov64(Reg::R4, Reg::R3));
      asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R4, 16));
      asm_.emit(bpf::alu64(AluOp::And, Reg::R3, 0xffff));
      asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, Reg::R4));
      if (is_relative) asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, offset + 4));
      asm_.jump_to_if(JumpOp::Le, Reg::R3, Reg::R2, shorter);
      asm_.emit(bpf::mov64(Reg::R2, Reg::R3));
      asm_.bind(shorter);
    }
    bpf::Label fits = asm_.make_label();
    auto room = static_cast<int32_t>(room_bytes);
    asm_.jump_to_if(JumpOp::Le, Reg::R2, room, fits);
    asm_.emit(bpf::mov64(Reg::R2, room));
    asm_.bind(fits);
    put_length(Reg::R2);
    read();
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, done);
  }
  asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(fixed)));
  put_length(Reg::R2);
  read();
  asm_.bind(done);
  raw_header(bytes_at);
}

/// The common fields, which the kernel has overwritten: type and pid. (Flags and preemption count
/// are lost: 0.)
void Selector::raw_header(int32_t at) {
  asm_.emit(bpf::store(Size::W, Reg::R8, static_cast<int16_t>(at),
                       job_.group->events[0]->tracefs_id & 0xffff));
  asm_.call_helper(Helper::GetCurrentPidTgid);
  asm_.emit(bpf::store(Size::W, Reg::R8, static_cast<int16_t>(at + 4), Reg::R0));
}

}  // namespace ktap::backend
