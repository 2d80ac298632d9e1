// What the task gives: by direct loads through its typed pointer, which is asked for once a run (8
// ns), where the kernel has it; else by a helper call each (8 ns a number, 38 ns the name).
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

bool Selector::comes_from_task(const Inst& of) const {
  const bpf::TaskLayout& task = facts_.task;
  if (of.op != ssa::Op::EventVar || !facts_.has_task_btf) return false;
  switch (static_cast<BuiltinVar>(of.imm)) {
    case BuiltinVar::Pid:
      return options_.target_tgid < 0;
    case BuiltinVar::Tid:
      return true;
    case BuiltinVar::Ppid:
      return task.real_parent >= 0;
    case BuiltinVar::Uid:
    case BuiltinVar::Gid:
      return task.cred >= 0 && task.cred_uid >= 0 && task.cred_gid >= 0;
    case BuiltinVar::Execname:
      return task.comm >= 0 && task.comm % 8 == 0;
    default:
      return false;
  }
}

/// dst = the task. Changes R0 to R5 when it was not read on every way here.
void Selector::load_task(Reg dst) {
  const auto at = static_cast<int16_t>(frame_.task_offset);
  if (task_is_read_) return asm_.emit(bpf::load(Size::DW, dst, Reg::R10, at));
  asm_.call_helper(Helper::GetCurrentTaskBtf);
  if (frame_.task_offset != 0) {
    asm_.emit(bpf::store(Size::DW, Reg::R10, at, Reg::R0));
    task_is_read_ = true;
  }
  if (dst != Reg::R0) asm_.emit(bpf::mov64(dst, Reg::R0));
}

void Selector::task_var(ValueId id) {
  const bpf::TaskLayout& task = facts_.task;
  const auto load = [this](Size size, Reg dst, int32_t offset) {
    asm_.emit(bpf::load(size, dst, Reg::R0, static_cast<int16_t>(offset)));
  };
  load_task(Reg::R0);
  const auto var = static_cast<BuiltinVar>(inst(id).imm);
  if (var == BuiltinVar::Execname) {
    for (uint32_t i = 0; i < homes_.homes[id.index].words; ++i) {
      if (i < 2) {
        load(Size::DW, Reg::R1, task.comm + 8 * static_cast<int32_t>(i));
        store_word(home_word(id, i), Reg::R1);
      } else {
        store_word(home_word(id, i), 0);
      }
    }
    return;
  }
  const Reg dst = result_register(id, Reg::R1);
  switch (var) {
    case BuiltinVar::Pid:
      load(Size::W, dst, task.tgid);
      break;
    case BuiltinVar::Tid:
      load(Size::W, dst, task.pid);
      break;
    case BuiltinVar::Ppid:
      load(Size::DW, Reg::R0, task.real_parent);
      load(Size::W, dst, task.tgid);
      break;
    default:
      load(Size::DW, Reg::R0, task.cred);
      load(Size::W, dst, var == BuiltinVar::Uid ? task.cred_uid : task.cred_gid);
      break;
  }
  store_result(id, dst);
}

/// `ppid` where the task's pointer has no type: two reads by helper calls.
void Selector::parent(ValueId id) {
  if (facts_.task.real_parent < 0 || facts_.task.tgid < 0)
    return fail("ppid is not known here: the kernel does not describe its tasks (BTF)");
  const auto temp = static_cast<int16_t>(homes_.temp_offset);
  asm_.call_helper(Helper::GetCurrentTask);
  read_kernel(homes_.temp_offset, 8, Reg::R0, facts_.task.real_parent);
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R10, temp));
  read_kernel(homes_.temp_offset, 4, Reg::R3, facts_.task.tgid);
  const Reg dst = result_register(id, Reg::R1);
  asm_.emit(bpf::load(Size::W, dst, Reg::R10, temp));
  store_result(id, dst);
}

}  // namespace ktap::backend
