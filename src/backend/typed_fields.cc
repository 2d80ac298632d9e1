// Which field lies where. The names are the record's, the offsets the task's (BTF).
#include "backend/typed_fields.h"

#include <string_view>

namespace ktap::backend {

namespace {

enum class Member : uint8_t { Comm, Pid, Prio, Cpu, Itself };

struct Row {
  std::string_view system;
  std::string_view event;
  std::string_view field;
  uint32_t argument;
  Member member;
};

// sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next, …)
// sched_wakeup(struct task_struct *p)
// sys_enter(struct pt_regs *regs, long id), sys_exit(struct pt_regs *regs, long ret)
constexpr Row kRows[] = {
    {"sched", "sched_switch", "prev_comm", 1, Member::Comm},
    {"sched", "sched_switch", "prev_pid", 1, Member::Pid},
    {"sched", "sched_switch", "prev_prio", 1, Member::Prio},
    {"sched", "sched_switch", "next_comm", 2, Member::Comm},
    {"sched", "sched_switch", "next_pid", 2, Member::Pid},
    {"sched", "sched_switch", "next_prio", 2, Member::Prio},
    {"sched", "sched_wakeup", "comm", 0, Member::Comm},
    {"sched", "sched_wakeup", "pid", 0, Member::Pid},
    {"sched", "sched_wakeup", "prio", 0, Member::Prio},
    {"sched", "sched_wakeup", "target_cpu", 0, Member::Cpu},
    {"raw_syscalls", "sys_enter", "id", 1, Member::Itself},
    {"raw_syscalls", "sys_exit", "ret", 1, Member::Itself},
};

int32_t offset_of(Member member, const bpf::TaskLayout& task) {
  switch (member) {
    case Member::Comm:
      return task.comm % 8 == 0 ? task.comm : -1;
    case Member::Pid:
      return task.pid;
    case Member::Prio:
      return task.prio;
    case Member::Cpu:
      return task.cpu;
    case Member::Itself:
      return 0;
  }
  return -1;
}

}  // namespace

std::optional<TypedField> typed_field(const schema::Event& event, size_t field,
                                      const bpf::KernelFacts& facts) {
  if (field >= event.fields.size()) return std::nullopt;
  if (facts.typed_tracepoint(event.name) == 0) return std::nullopt;
  const schema::Field& asked = event.fields[field];
  for (const Row& row : kRows) {
    if (row.system != event.system || row.event != event.name || row.field != asked.name) continue;
    const bool is_comm = row.member == Member::Comm, is_itself = row.member == Member::Itself;
    const uint32_t size_bytes = is_comm ? 16 : is_itself ? 8 : 4;
    const bool is_as_known = asked.size_bytes == size_bytes &&
                             (is_comm ? asked.kind == schema::FieldKind::CharArray
                                      : asked.kind == schema::FieldKind::Int && asked.is_signed);
    const int32_t offset = offset_of(row.member, facts.task);
    if (!is_as_known || offset < 0) return std::nullopt;
    return TypedField{row.argument, offset, is_comm, is_itself};
  }
  return std::nullopt;
}

bool reads_record(const Job& job, const ssa::Module& module, const bpf::KernelFacts& facts) {
  if (job.group->events.empty()) return false;
  for (const ssa::Block& block : job.function->blocks) {
    for (ssa::ValueId id : block.insts) {
      const ssa::Inst& inst = (*job.function)[id];
      if (inst.op == ssa::Op::EventField &&
          !typed_field(*job.group->events[0], static_cast<size_t>(inst.imm), facts)) {
        return true;
      }
      if (inst.op == ssa::Op::Emit &&
          module.sites[static_cast<size_t>(inst.imm)].raw == ssa::RawEvent::Record) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace ktap::backend
