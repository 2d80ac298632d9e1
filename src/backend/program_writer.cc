// Prologue, bodies, cold code. Cheapest first: the number of the system call is in the arguments,
// the control page is one load, the CPU and the process are helper calls.
#include "backend/program_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "backend/trampolines.h"
#include "backend/typed_fields.h"
#include "base/check.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::Helper;
using bpf::JumpOp;
using bpf::Size;

namespace {

constexpr size_t kMostBodies = 31;  // a bit each in a word that And masks with an immediate
constexpr size_t kFewNumbers = 4;   // as many compares cost less than a table
constexpr size_t kMostMaps = 64;    // of a program: MAX_USED_MAPS in the kernel's bpf_verifier.h

size_t count_maps(const bpf::Program& program) {
  std::set<uint32_t> maps;
  for (const bpf::MapRef& ref : program.maps) maps.insert(ref.map);
  return maps.size();
}

bool is_called_back(const Job& job, const bpf::KernelFacts& facts) {
  const bpf::KernelFacts of_loops = loop_facts(job, facts);
  if (of_loops.has_may_goto || of_loops.has_iter_num() || !of_loops.has_bpf_loop) return false;
  const ssa::Function& function = *job.function;
  return find_loops(function, order_blocks(function), of_loops).form == LoopForm::Callback;
}

/// Which bundle came last at each place: handlers of one place run in the order of the script, so
/// none joins a bundle that stands before another of its places. A function may have several names,
/// and may be traced as `probe:` and as `function:`: its place is where it lies.
class LastBundles {
 public:
  bool all_are(const ssa::EventGroup& group, size_t bundle) const {
    return std::all_of(group.events.begin(), group.events.end(), [&](const auto& event) {
      const auto at = last_.find(place(*event));
      return at == last_.end() || at->second == bundle;
    });
  }

  void add(const ssa::EventGroup& group, size_t bundle) {
    for (const schema::EventPtr& event : group.events) last_[place(*event)] = bundle;
  }

 private:
  using Place = std::tuple<schema::EventKind, std::string_view, std::string_view, uint64_t>;

  static Place place(const schema::Event& event) {
    const schema::ProbePoint& point = event.point;
    if (!point.path.empty()) return {event.kind, point.file, "", point.offset_bytes};
    if (point.address != 0) return {event.kind, "", "", point.address + point.offset_bytes};
    return {event.kind, event.system, event.name, 0};
  }

  std::map<Place, size_t> last_;
};

}  // namespace

std::vector<Bundle> bundle_jobs(const std::vector<Job>& jobs, const ssa::Module& module,
                                const bpf::KernelFacts& facts, const Options& options) {
  using Key = std::tuple<schema::EventKind, int32_t, bool, std::vector<schema::EventPtr>>;
  std::map<Key, size_t> open;  // the bundle that takes more
  std::vector<Bundle> bundles;
  LastBundles last;
  for (uint32_t i = 0; i < jobs.size(); ++i) {
    const ssa::EventGroup& group = *jobs[i].group;
    const bool is_tracepoint = group.kind == schema::EventKind::Tracepoint && !group.events.empty();
    // Probes are fused when they have all their points in common.
    const Key key{
        group.kind, is_tracepoint ? group.events[0]->tracefs_id : 0,
        is_tracepoint && reads_record(jobs[i], module, facts),
        schema::gives_registers(group.kind) ? group.events : std::vector<schema::EventPtr>()};
    const auto at = open.find(key);
    // Its function is called with what is left of the program's stack: no other body takes of it.
    const bool is_alone = is_called_back(jobs[i], facts);
    const bool joins = options.fuse && !group.events.empty() && !is_alone && at != open.end() &&
                       bundles[at->second].jobs.size() < kMostBodies &&
                       last.all_are(group, at->second);
    if (joins) {
      bundles[at->second].jobs.push_back(i);
    } else {
      if (is_alone) {
        open.erase(key);
      } else {
        open[key] = bundles.size();
      }
      bundles.push_back(Bundle{{i}});
    }
    last.add(group, joins ? at->second : bundles.size() - 1);
  }
  return bundles;
}

ProgramWriter::ProgramWriter(const std::vector<Job>& jobs, const Bundle& bundle, uint32_t number,
                             const ssa::Module& module, const bpf::KernelFacts& facts,
                             const Options& options, UnitBuilder& unit, bool has_gate)
    : jobs_(jobs),
      bundle_(bundle),
      module_(module),
      facts_(facts),
      options_(options),
      unit_(unit),
      has_gate_(has_gate) {
  for (size_t i = 0; i < body_count(); ++i) {
    bodies_.push_back(
        std::make_unique<Selector>(job(i), number, module, facts, options, unit, asm_, frame_));
  }
}

ProgramWriter::Outcome ProgramWriter::run(bpf::Program& program,
                                          std::vector<EmitFailure>& failures) {
  const size_t before = failures.size();
  prepare(failures);
  if (failures.size() != before) return Outcome::JobsFailed;
  frame_.end = asm_.make_label();
  prologue();
  write(failures);
  if (failures.size() != before) return Outcome::JobsFailed;

  const Job& first = job(0);
  const bool is_alone = body_count() == 1;
  program.attach_to = !is_syscall() ? group().events[0]->name
                      : is_exit()   ? "sys_exit"
                                    : "sys_enter";
  program.name = is_alone ? fmt::format("h{}_{}", first.handler, first.group_index)
                          : program.attach_to.substr(0, 15);
  if (gives_registers()) set_points(program);
  program.kind = kind();
  if (program.kind == bpf::ProgramKind::TypedRawTracepoint)
    program.btf_id = facts_.typed_tracepoint(program.attach_to);
  if (!is_syscall() && !gives_registers()) program.tracefs_id = group().events[0]->tracefs_id;
  if (frame_.is_record) program.tracefs_id = facts_.raw_syscalls_id[is_exit() ? 1 : 0];
  if (!asm_.finish(program).ok()) return Outcome::TooLong;
  return !is_alone && count_maps(program) > kMostMaps ? Outcome::TooLong : Outcome::Written;
}

/// Where a program of probes or samples goes.
void ProgramWriter::set_points(bpf::Program& program) const {
  const ssa::EventGroup& of = group();
  program.points = attach_points(of);
  program.attach_to = of.events.size() == 1
                          ? of.events[0]->name
                          : fmt::format("{} and {} more", of.events[0]->name, of.events.size() - 1);
  if (!frame_.is_trampoline) return;
  program.btf_id = of.events[0]->point.btf_id;
  program.btf_module = of.events[0]->point.btf_module;
}

bpf::ProgramKind ProgramWriter::kind_of_points() const {
  const ssa::EventGroup& of = group();
  if (frame_.is_trampoline) {
    return of.kind == schema::EventKind::Probe ? bpf::ProgramKind::FunctionEntry
                                               : bpf::ProgramKind::FunctionExit;
  }
  const bool is_traceable = of.events[0]->point.is_traceable;  // of all alike
  if (is_traceable && facts_.has_kprobe_multi && facts_.has_attach_cookies && !sets_result())
    return bpf::ProgramKind::KprobeMulti;
  const bool is_user = !of.events[0]->point.path.empty();
  if (is_user && facts_.has_uprobe_multi) return bpf::ProgramKind::UprobeMulti;
  return of.kind == schema::EventKind::Sample ? bpf::ProgramKind::PerfEvent
                                              : bpf::ProgramKind::Probe;
}

/// Known once the frame is laid out.
bpf::ProgramKind ProgramWriter::kind() const {
  if (frame_.is_typed) return bpf::ProgramKind::TypedRawTracepoint;
  if (gives_registers()) return kind_of_points();
  if (is_syscall())
    return frame_.is_record ? bpf::ProgramKind::Tracepoint : bpf::ProgramKind::RawTracepoint;
  const bool needs_guard =
      !facts_.has_recursion_guard && std::any_of(bodies_.begin(), bodies_.end(),
                                                 [](const auto& b) { return b->has_own_memory(); });
  // Of a single system call there is perf's tracepoint alone.
  const schema::Event& event = *group().events[0];
  const bool is_one_syscall = event.enters_syscall() || event.leaves_syscall();
  const bool lacks_stack = !facts_.has_raw_tracepoint_stacks &&
                           std::any_of(bodies_.begin(), bodies_.end(),
                                       [](const auto& b) { return b->needs().kernel_stack; });
  const bool by_perf = reads_record(job(0), module_, facts_) || needs_guard || is_one_syscall ||
                       lacks_stack || !facts_.has_steady_raw_tracepoints;
  return by_perf ? bpf::ProgramKind::Tracepoint : bpf::ProgramKind::RawTracepoint;
}

void ProgramWriter::prepare(std::vector<EmitFailure>& failures) {
  const auto each = [&](Result<void> (Selector::*step)()) {
    for (size_t i = 0; i < body_count(); ++i) {
      const Result<void> done = (*bodies_[i].*step)();
      if (!done.ok()) failures.push_back(EmitFailure{bundle_.jobs[i], done.error().message});
    }
  };
  const size_t before = failures.size();
  each(&Selector::find_needs);
  if (failures.size() != before) return;
  lay_out_frame();
  each(&Selector::find_places);
  frame_.own_frames = own_stack_frames(kind(), is_syscall(), facts_);
  for (const auto& body : bodies_)
    frame_.scratch_bytes = std::max(frame_.scratch_bytes, body->scratch_bytes());
  for (const auto& body : bodies_)
    frame_.walk_bytes = std::max(frame_.walk_bytes, body->walk_bytes());
}

int32_t ProgramWriter::frame_word() { return -8 * static_cast<int32_t>(++frame_.words); }

void ProgramWriter::lay_out_frame() {
  const bool is_several = body_count() > 1;
  bool has_context = false, reads_event = false, reads_number = false, reads_arguments = false;
  uint32_t task_reads = options_.target_tgid >= 0 && facts_.has_task_btf ? 1 : 0;
  if (options_.follow) frame_.process_offset = frame_word();
  size_t numbers = 0;
  for (size_t i = 0; i < body_count(); ++i) {
    const Needs& needs = bodies_[i]->needs();
    has_context = has_context || needs.context;
    reads_event = reads_event || needs.event;
    reads_number =
        reads_number || needs.syscall_nr || ((is_several || gives_registers()) && needs.name_id);
    reads_arguments = reads_arguments || needs.argument_reads != 0;
    task_reads += needs.task_reads;
    frame_.has_functions = frame_.has_functions || needs.calls_back;
    numbers = std::max(numbers, job(i).group->events.size());
  }
  frame_.is_record = is_syscall() && facts_.has_raw_syscalls_records();
  frame_.is_typed = is_syscall() && !frame_.is_record && (is_exit() || reads_arguments) &&
                    facts_.typed_tracepoint(is_exit() ? "sys_exit" : "sys_enter") != 0;
  // Fields of a tracepoint that its arguments have; all bodies are alike in that.
  if (!is_syscall() && !gives_registers()) {
    frame_.is_typed =
        reads_event && facts_.has_steady_raw_tracepoints && !reads_record(job(0), module_, facts_);
  }
  bool wants = false, may = facts_.has_trampolines;
  for (size_t i = 0; i < body_count() && may; ++i) {
    may = why_no_trampoline(job(i), module_, facts_).empty();
    wants = wants || (may && wants_trampoline(job(i), module_));
  }
  frame_.is_trampoline = may && wants;
  has_few_numbers_ = is_syscall() && numbers == 1 && body_count() <= kFewNumbers;
  const bool asks_again = is_syscall() && is_several;  // each body for its own number
  const bool asks_late = is_exit() && !frame_.is_typed && !frame_.is_record;
  frame_.keeps_context =
      has_context || has_gate_ || asks_late || (!is_tracepoint() && reads_number) || asks_again;
  if (task_reads > 1) frame_.task_offset = frame_word();
  if (asks_late) frame_.nr_offset = frame_word();
  if (asks_again && !has_few_numbers_) frame_.bodies_offset = frame_word();
}

void ProgramWriter::write(std::vector<EmitFailure>& failures) {
  const size_t before = failures.size();
  bool may_have_ended = false;
  for (size_t i = 0; i < body_count(); ++i) {
    Selector::Entry entry;
    entry.checks_armed = may_have_ended;
    entry.checks_number = is_syscall() && body_count() > 1;
    entry.bit = static_cast<uint32_t>(i);
    entry.has_name = is_syscall() && body_count() == 1 && job(i).group->events.size() > 1;
    const Result<void> done = bodies_[i]->body(entry);
    if (!done.ok()) failures.push_back(EmitFailure{bundle_.jobs[i], done.error().message});
    may_have_ended = may_have_ended || bodies_[i]->needs().can_end_run;
  }
  asm_.set_owner(bpf::kNoHandler, 0);
  asm_.bind(frame_.end);
  asm_.emit(bpf::mov64(Reg::R0, 0));
  asm_.emit(bpf::exit_insn());
  if (has_gate_) gate();
  if (runs_long() && facts_.may_have_private_stacks) leave_by_tail_call();
  if (failures.size() != before) return;
  for (size_t i = 0; i < body_count(); ++i) {
    const Result<void> done = bodies_[i]->cold_code();
    if (!done.ok()) failures.push_back(EmitFailure{bundle_.jobs[i], done.error().message});
  }
  for (const auto& body : bodies_) body->callbacks();
}

// ---- the prologue
// -------------------------------------------------------------------------------------------

void ProgramWriter::prologue() {
  asm_.set_owner(bpf::kNoHandler, 0);
  if (frame_.keeps_context) asm_.emit(bpf::mov64(Reg::R6, Reg::R1));
  reach_windows();
  if (runs_long() && facts_.may_have_private_stacks) stay_on_kernel_stack();
  if (has_gate_) {
    gate_ = asm_.make_label();
    armed_ = asm_.make_label();
    test_armed();
    asm_.bind(armed_);
  }
  if (is_syscall() && (!is_exit() || frame_.is_record)) {
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R1, kNumberOffset));
    test_number(Reg::R3);
  } else if (is_exit() && frame_.is_typed) {
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R1, 0));
    load_saved_number(asm_, facts_.syscall_regs, Reg::R3);
    test_number(Reg::R3);
  }
  if (!has_gate_) test_armed();
  test_scope();
  if (frame_.nr_offset != 0) number_at_exit();
}

/// Kernels that look back for where an index came from (as of 6.18) do not see that a helper has
/// written the stack: they go on to states in which it did not reach so far yet, and refuse the
/// program as a fault of their own ("total slots"). One store at the start takes the stack there.
void ProgramWriter::reach_windows() {
  int32_t lowest = 0;
  for (const auto& body : bodies_) lowest = std::min(lowest, body->window_offset());
  if (lowest != 0) asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(lowest), 0));
}

bool ProgramWriter::sets_result() const {
  return std::any_of(bodies_.begin(), bodies_.end(),
                     [](const auto& b) { return b->needs().sets_result; });
}

bool ProgramWriter::runs_long() const {
  return std::any_of(bodies_.begin(), bodies_.end(), [](const auto& b) { return b->runs_long(); });
}

/// Kernels from 6.15 on look at the clock once 65535 may_gotos are used up, and look for the time
/// of the first look in the wrong place when the program's stack is a private one (6.13 on, from 64
/// bytes on): arch/x86/net/bpf_timed_may_goto.S adds the offset to the kernel's frame pointer. So
/// the loop ends much too early, and foreign memory is read and perhaps written. A program that has
/// a tail call gets no private stack; this one is never done. R1 is the context still.
void ProgramWriter::stay_on_kernel_stack() {
  tail_call_ = asm_.make_label();
  asm_.load_map_value(Reg::R3, unit_.unit.control_map, Control::kZero);
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R3, 0));
  asm_.jump_to_if(JumpOp::Ne, Reg::R3, 0, tail_call_);
}

/// Behind the code, where nothing falls through.
void ProgramWriter::leave_by_tail_call() {
  asm_.bind(tail_call_);
  asm_.load_map(Reg::R2, unit_.add_programs_map());
  asm_.emit(bpf::mov64(Reg::R3, 0));
  asm_.call_helper(bpf::Helper::TailCall);
  asm_.jump_to(frame_.end);
}

void ProgramWriter::test_armed() {
  asm_.load_map_value(Reg::R2, unit_.unit.control_map, Control::kArmed);
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R2, 0));
  asm_.jump_to_if(JumpOp::Ne, Reg::R3, Control::kRunning, has_gate_ ? gate_ : frame_.end);
}

/// Goes on when `number` is one of a body's system calls.
void ProgramWriter::test_number(Reg number) {
  if (has_few_numbers_) return test_few_numbers(number);
  look_number_up(number);
}

void ProgramWriter::test_few_numbers(Reg number) {
  std::vector<int32_t> all;
  for (size_t i = 0; i < body_count(); ++i) {
    const auto one = static_cast<int32_t>(job(i).group->events[0]->syscall_nr);
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
  }
  const bpf::Label found = asm_.make_label();
  for (size_t i = 0; i + 1 < all.size(); ++i) asm_.jump_to_if(JumpOp::Eq, number, all[i], found);
  asm_.jump_to_if(JumpOp::Ne, number, all.back(), frame_.end);
  asm_.bind(found);
}

/// One load from a table by number. One body that asks for the event's name: the name's id; else
/// which bodies the number belongs to.
void ProgramWriter::look_number_up(Reg number) {
  const bool gives_name = body_count() == 1 && bodies_[0]->needs().name_id;
  const uint32_t entry_bytes = gives_name || body_count() > 8 ? 4 : 1;
  std::vector<uint8_t> table;
  if (gives_name) {
    table = name_table(group());
  } else {
    int64_t last = 0;
    for (size_t i = 0; i < body_count(); ++i) {
      for (const schema::EventPtr& event : job(i).group->events)
        last = std::max(last, event->syscall_nr);
    }
    table.resize(round_up8(entry_bytes * static_cast<uint32_t>(last + 1)));
    for (size_t i = 0; i < body_count(); ++i) {
      for (const schema::EventPtr& event : job(i).group->events) {
        if (event->syscall_nr < 0) continue;
        table[entry_bytes * static_cast<size_t>(event->syscall_nr) + i / 8] |=
            static_cast<uint8_t>(1U << (i % 8));
      }
    }
  }
  const auto entries = static_cast<int32_t>(table.size() / entry_bytes);
  asm_.jump_to_if(JumpOp::Gt, number, entries - 1, frame_.end);
  asm_.load_map_value(Reg::R4, unit_.read_only_map(), unit_.add_read_only(table));
  if (entry_bytes == 4) asm_.emit(bpf::alu64(AluOp::Lsh, number, 2));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, number));
  if (gives_name) {
    const Word& name = bodies_[0]->name();
    const Reg into = name.kind == Word::Kind::Reg ? name.reg : number;
    asm_.emit(bpf::load(Size::W, into, Reg::R4, 0));
    asm_.jump32_to_if(JumpOp::Eq, into, -1, frame_.end);
    if (name.kind == Word::Kind::Stack)
      asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(name.offset), into));
    return;
  }
  asm_.emit(bpf::load(entry_bytes == 4 ? Size::W : Size::B, number, Reg::R4, 0));
  asm_.jump_to_if(JumpOp::Eq, number, 0, frame_.end);
  if (frame_.bodies_offset != 0) {
    asm_.emit(bpf::store(Size::DW, Reg::R10, static_cast<int16_t>(frame_.bodies_offset), number));
  }
}

/// Where the arguments have no types, the number is read out of the saved registers by a helper
/// call: late.
void ProgramWriter::number_at_exit() {
  const bpf::SyscallRegs& regs = facts_.syscall_regs;
  const auto at = static_cast<int16_t>(frame_.nr_offset);
  if (regs.nr_size_bytes == 4) asm_.emit(bpf::store(Size::DW, Reg::R10, at, 0));
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R6, 0));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R3, regs.nr_offset));
  asm_.emit(bpf::mov64(Reg::R1, Reg::R10));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R1, at));
  asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(regs.nr_size_bytes)));
  asm_.call_helper(Helper::ProbeReadKernel);
  asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, frame_.end);
  if (regs.nr_size_bytes == 4) {
    asm_.emit(bpf::load(Size::W, Reg::R3, Reg::R10, at));
    asm_.emit(bpf::alu64(AluOp::Lsh, Reg::R3, 32));
    asm_.emit(bpf::alu64(AluOp::Arsh, Reg::R3, 32));
    asm_.emit(bpf::store(Size::DW, Reg::R10, at, Reg::R3));
  } else {
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R10, at));
  }
  test_number(Reg::R3);
}

/// Not armed: waiting for the target's exec, perhaps, and this is it. Its own system call is an
/// event already.
void ProgramWriter::gate() {
  asm_.bind(gate_);
  write_gate(asm_, facts_, options_, unit_, frame_.end);
  asm_.emit(bpf::mov64(Reg::R1, Reg::R6));
  asm_.jump_to(armed_);
}

void write_gate(bpf::Assembler& code, const bpf::KernelFacts& facts, const Options& options,
                const UnitBuilder& unit, bpf::Label out) {
  using Reg = bpf::Reg;
  const bpf::Label found = code.make_label();
  code.jump_to_if(JumpOp::Ne, Reg::R3, Control::kWaiting, out);
  // A long of the kernel in the record; a raw tracepoint's argument has 8 bytes everywhere.
  const bool is_narrow = facts.has_raw_syscalls_records() && facts.call_regs.word_bytes == 4;
  code.emit(bpf::load(is_narrow ? Size::W : Size::DW, Reg::R3, Reg::R6, kNumberOffset));
  code.jump_to_if(JumpOp::Eq, Reg::R3, facts.syscall_regs.execve_nr, found);
  code.jump_to_if(JumpOp::Ne, Reg::R3, facts.syscall_regs.execveat_nr, out);
  code.bind(found);
  code.call_helper(Helper::GetCurrentPidTgid);
  code.emit(bpf::alu64(AluOp::Rsh, Reg::R0, 32));
  code.jump_to_if(JumpOp::Ne, Reg::R0, static_cast<int32_t>(options.target_tgid), out);
  code.load_map_value(Reg::R1, unit.unit.control_map, Control::kArmed);
  code.emit(bpf::store(Size::DW, Reg::R1, 0, Control::kRunning));
}

}  // namespace ktap::backend
