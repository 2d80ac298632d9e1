// Whom to trace: the part of the prologue that lets events of other CPUs, processes, users and
// cgroups pass, and the programs that keep the set of processes of --follow. The set is one of the
// kernel's hash maps, with the tgid as key: the target puts a process that it forks there before
// that runs, and nothing runs in a process whose last task is freed. Left out: what a look-up would
// save by asking for the target itself first.
#include <fmt/format.h>

#include "backend/current_task.h"
#include "backend/program_writer.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Reg;
using bpf::Size;

void ProgramWriter::test_scope() {
  if (options_.cpu >= 0) {
    asm_.call_helper(Helper::GetSmpProcessorId);
    asm_.jump_to_if(JumpOp::Ne, Reg::R0, static_cast<int32_t>(options_.cpu), frame_.end);
  }
  if (options_.target_tgid >= 0) test_process();
  if (options_.uid >= 0) {
    asm_.call_helper(Helper::GetCurrentUidGid);
    asm_.jump32_to_if(JumpOp::Ne, Reg::R0, static_cast<int32_t>(options_.uid), frame_.end);
  }
  if (unit_.unit.cgroup_map != Unit::kNoMap) {
    asm_.load_map(Reg::R1, unit_.unit.cgroup_map);
    asm_.emit(bpf::mov64(Reg::R2, 0));
    asm_.call_helper(Helper::CurrentTaskUnderCgroup);
    asm_.jump_to_if(JumpOp::Ne, Reg::R0, 1, frame_.end);  // below 0: an error
  }
}

void ProgramWriter::test_process() {
  const auto target = static_cast<int32_t>(options_.target_tgid);
  Reg tgid = Reg::R0;
  if (facts_.has_task_btf) {
    load_current_task(asm_, unit_, facts_);
    tgid = Reg::R1;
    asm_.emit(bpf::load(Size::W, tgid, Reg::R0, static_cast<int16_t>(facts_.task.tgid)));
  } else {
    asm_.call_helper(Helper::GetCurrentPidTgid);
    asm_.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 32));
  }
  const auto keep_task = [&] {
    if (!facts_.has_task_btf || frame_.task_offset == 0) return;
    const auto at = static_cast<int16_t>(frame_.task_offset);
    asm_.emit(bpf::store(Size::DW, Reg::R10, at, Reg::R0));
    frame_.task_is_read = true;
  };
  if (!options_.follow) {
    asm_.jump_to_if(JumpOp::Ne, tgid, target, frame_.end);
    return keep_task();
  }
  keep_task();  // the look-up takes the register
  asm_.emit(bpf::store(Size::W, Reg::R10, static_cast<int16_t>(frame_.process_offset), tgid));
  asm_.load_map(Reg::R1, unit_.unit.followed_map);
  asm_.emit(bpf::mov64(Reg::R2, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R2, frame_.process_offset));
  asm_.call_helper(Helper::MapLookupElem);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, frame_.end);
}

namespace {

constexpr int16_t kProcess = -4, kOther = -8, kValue = -16;  // on the stack

/// One of the two programs. Their tracepoints give the task: a pointer to it as raw argument
/// `argument`, or a number of it in the field `field` of the record.
class Follower {
 public:
  Follower(UnitBuilder& unit, const bpf::KernelFacts& facts) : unit_(unit), facts_(facts) {
    code_.set_owner(bpf::kNoHandler, 0);
    code_.emit(bpf::mov64(Reg::R6, Reg::R1));
    is_raw_ = facts.has_steady_raw_tracepoints && facts.task.tgid >= 0 && facts.task.pid >= 0;
    out_ = code_.make_label();
  }

  /// The parent is the current task. A thread is in the set with its process.
  void forked(const schema::EventPtr& event) {
    code_.call_helper(Helper::GetCurrentPidTgid);
    code_.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 32));
    code_.emit(bpf::store(Size::W, Reg::R10, kProcess, Reg::R0));
    of_set(Helper::MapLookupElem, kProcess);
    code_.jump_to_if(JumpOp::Eq, Reg::R0, 0, out_);
    read_number(kOther, 1, facts_.task.tgid, event, "child_pid");
    code_.emit(bpf::load(Size::W, Reg::R1, Reg::R10, kProcess));
    code_.emit(bpf::load(Size::W, Reg::R2, Reg::R10, kOther));
    code_.jump_to_if(JumpOp::Eq, Reg::R1, Reg::R2, out_);
    code_.emit(bpf::store(Size::DW, Reg::R10, kValue, 1));
    code_.emit(bpf::mov64(Reg::R3, Reg::R10));
    code_.emit(bpf::alu64(AluOp::Add, Reg::R3, kValue));
    code_.emit(bpf::mov64(Reg::R4, bpf::kUpdateAny));
    of_set(Helper::MapUpdateElem, kOther);
    code_.jump_to_if(JumpOp::Eq, Reg::R0, 0, out_);
    add_to_counter(code_, unit_.unit.counter_map, unit_.unit.lost_children_row, kOther);
    finish("followed_fork", "sched_process_fork", event);
  }

  /// The last task of a process to go is its first, which has its number.
  void freed(const schema::EventPtr& event) {
    read_number(kOther, 0, facts_.task.pid, event, "pid");
    of_set(Helper::MapDeleteElem, kOther);
    finish("followed_free", "sched_process_free", event);
  }

 private:
  void read_number(int16_t to, int argument, int32_t in_task, const schema::EventPtr& event,
                   const char* field) {
    if (!is_raw_) {
      KTAP_CHECK(event != nullptr);
      const int index = event->find_field(field);
      KTAP_CHECK(index >= 0);
      const auto at = static_cast<int16_t>(event->fields[static_cast<size_t>(index)].offset_bytes);
      code_.emit(bpf::load(Size::W, Reg::R1, Reg::R6, at));
      return code_.emit(bpf::store(Size::W, Reg::R10, to, Reg::R1));
    }
    code_.emit(bpf::load(Size::DW, Reg::R3, Reg::R6, static_cast<int16_t>(8 * argument)));
    if (in_task != 0) code_.emit(bpf::alu64(AluOp::Add, Reg::R3, in_task));
    code_.emit(bpf::mov64(Reg::R1, Reg::R10));
    code_.emit(bpf::alu64(AluOp::Add, Reg::R1, to));
    code_.emit(bpf::mov64(Reg::R2, 4));
    code_.call_helper(Helper::ProbeReadKernel);
    code_.jump_to_if(JumpOp::Ne, Reg::R0, 0, out_);
  }

  void of_set(Helper helper, int16_t key) {
    code_.load_map(Reg::R1, unit_.unit.followed_map);
    code_.emit(bpf::mov64(Reg::R2, Reg::R10));
    code_.emit(bpf::alu64(AluOp::Add, Reg::R2, key));
    code_.call_helper(helper);
  }

  void finish(const char* name, const char* tracepoint, const schema::EventPtr& event) {
    code_.bind(out_);
    code_.emit(bpf::mov64(Reg::R0, 0));
    code_.emit(bpf::exit_insn());
    bpf::Program program;
    program.name = name;
    program.attach_to = tracepoint;
    if (event != nullptr) program.tracefs_id = event->tracefs_id;
    if (!is_raw_) program.kind = bpf::ProgramKind::Tracepoint;
    KTAP_CHECK(code_.finish(program).ok());
    unit_.unit.programs.push_back(std::move(program));
  }

  UnitBuilder& unit_;
  const bpf::KernelFacts& facts_;
  bpf::Assembler code_;
  bpf::Label out_;
  bool is_raw_ = false;
};

}  // namespace

void add_followers(UnitBuilder& unit, const bpf::KernelFacts& facts, const Options& options) {
  Follower(unit, facts).forked(options.forked);
  Follower(unit, facts).freed(options.freed);
}

}  // namespace ktap::backend
