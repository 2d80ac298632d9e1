// What the task gives: by direct loads through its typed pointer, which is asked for once a run (3
// to 8 ns), where the kernel has it and the verifier does not meet them often; else by a helper
// call each (8 ns a number, 27 ns a user's, 38 ns the name).
#include "backend/current_task.h"
#include "backend/selector.h"
#include "base/check.h"
#include "ssa/op_info.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;
using schema::BuiltinVar;
using ssa::Inst;
using ssa::ValueId;

namespace {

bool follows_pointer(const Inst& of) {
  if (of.op != ssa::Op::EventVar) return false;
  const auto var = static_cast<BuiltinVar>(of.imm);
  return var == BuiltinVar::Ppid || var == BuiltinVar::Uid || var == BuiltinVar::Gid;
}

/// Ways out of the operation's code, in a rough count.
uint32_t ways_of(const Inst& of) {
  if (of.op == ssa::Op::Branch) return 1;
  if (ssa::names_table(of.op)) return 4;
  for (const ssa::Op text : {ssa::Op::StrEq, ssa::Op::StrGlob, ssa::Op::StrLess, ssa::Op::StrLen,
                             ssa::Op::StrFind, ssa::Op::StrJoin, ssa::Op::StrText}) {
    if (of.op == text) return 4;
  }
  return 0;
}

}  // namespace

/// Whoever follows a pointer of the task makes the verifier look three names up among all of the
/// kernel's types, which takes 1 ms, each time that it comes there (340 ms for one handler that
/// asked for `gid` behind two tables). Behind many ways, and in loops, helpers do it.
void Selector::find_far_reads() {
  constexpr uint32_t kFewWays = 3;  // guessed
  is_far_.assign(function_.values.size(), false);
  uint32_t ways = 0;
  for (const ssa::BlockId block : order_.blocks) {
    const bool in_loop = !loops_.loops.empty() && loops_.of_block[block.index] >= 0;
    for (const ValueId id : function_.blocks[block.index].insts) {
      if (!order_.needed[id.index]) continue;
      if (follows_pointer(inst(id))) is_far_[id.index] = in_loop || ways > kFewWays;
      ways += ways_of(inst(id));
    }
  }
}

bool Selector::comes_from_task(ValueId id) const {
  const Inst& of = inst(id);
  const bpf::TaskLayout& task = facts_.task;
  if (is_far_[id.index]) return false;
  if (of.op != ssa::Op::EventVar || !facts_.has_task_btf) return false;
  switch (static_cast<BuiltinVar>(of.imm)) {
    case BuiltinVar::Pid:
      return options_.only_tgid() < 0;
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
  load_current_task(asm_, unit_, facts_);
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
