// See sides.h. What a session does between the main chunk and its end, with events made by hand.
#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "bpf/disassembler.h"
#include "bytecode/reader_uses.h"
#include "handlers/engines.h"
#include "session/event_view.h"
#include "session/explain.h"
#include "session/interrupt.h"
#include "session/link.h"
#include "session/plan.h"
#include "session/tracer.h"
#include "sys/bpf.h"

namespace ktap::differential {
namespace {

// Small maps are made quickly; no program here has so many keys or records.
constexpr uint32_t kRingBytes = 1 << 17;
constexpr uint32_t kTableEntries = 512;

/// What this thread has worked so far.
int64_t thread_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

/// Losses but for strings that were cut: the generator makes those on purpose.
std::string without_cuts(const std::string& losses) {
  std::istringstream lines(losses);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(": string cut (") == std::string::npos) out += line + "\n";
  }
  return out;
}

class Placed {
 public:
  Placed(const std::string& script, Side side, const Ground& ground, const bpf::KernelFacts& facts)
      : script_(script), side_(side), ground_(ground), facts_(facts), run_(script) {
    run_.options.table_size = kTableEntries;
  }
  ~Placed() {
    if (plan_ != nullptr) session::unlink(*plan_, backings_);
  }
  Placed(const Placed&) = delete;
  Placed& operator=(const Placed&) = delete;

  PlacedRun go(bool with_code) {
    result_.mistakes = run_.start();
    if (result_.mistakes.empty()) plan();
    if (!result_.mistakes.empty()) return std::move(result_);
    verify();
    if (with_code) result_.code = code();
    make_engine();
    if (engine_ != nullptr) trace();
    return std::move(result_);
  }

 private:
  void plan() {
    backend::Options target;
    target.ring_bytes = kRingBytes;
    target.table_size = kTableEntries;
    target.cpu = run_.options.cpu;
    target.strict = run_.options.strict;
    const std::vector<session::Registration>& all = run_.host->registrations();
    std::vector<session::PlannedHandler> handlers;
    for (uint32_t i = 0; i < all.size(); ++i) {
      if (all[i].kind != bytecode::HandlerKind::Event) continue;
      session::PlannedHandler handler;
      handler.registration = i;
      handler.events = match_events(all[i].event_text);
      if (handler.events.empty()) result_.mistakes = "no event: " + all[i].event_text + "\n";
      handlers.push_back(std::move(handler));
    }
    if (!result_.mistakes.empty()) return;
    const session::PlanInput input{&all,
                                   &run_.vm->globals(),
                                   &run_.chunk->globals,
                                   &facts_,
                                   &run_.options,
                                   target,
                                   bytecode::find_reader_uses(*run_.chunk->main),
                                   run_.host->machine_facts(nullptr)};
    diag::Sink sink;
    std::unique_ptr<engine::BpfEngine> none;
    const int64_t started_ns = thread_ns();
    Result<std::unique_ptr<session::Plan>> made =
        session::make_plan(input, std::move(handlers), false, &none, sink);
    result_.plan_ns = thread_ns() - started_ns;
    if (!made.ok()) {
      result_.mistakes = made.error().message + "\n";
    } else if (sink.has_errors()) {
      result_.mistakes = diag::render_all(run_.source, sink);
    } else {
      plan_ = std::move(made).value();
    }
  }

  void verify() {
    for (const backend::Table& table : plan_->unit.tables)
      result_.layouts.push_back(session::layout_name(table.layout));
    for (const session::PlannedHandler& handler : plan_->handlers) {
      result_.places.push_back({handler.in_kernel, handler.reason.text});
      if (!handler.in_kernel) result_.has_user_handlers = true;
      for (const session::PlannedGroup& group : handler.groups) {
        const std::string wrong = ssa::verify(group.function, plan_->linkage.module);
        if (!wrong.empty()) result_.refused += "ssa::verify: " + wrong + "\n";
      }
    }
  }

  std::string code() const {
    std::string text;
    for (const session::PlannedHandler& handler : plan_->handlers) {
      for (const session::PlannedGroup& group : handler.groups)
        text += ssa::print(group.function, plan_->linkage.module);
    }
    for (const bpf::Program& program : plan_->unit.programs)
      text += bpf::disassemble(program, plan_->unit.maps);
    return text;
  }

  void make_engine() {
    if (!result_.refused.empty()) return;
    const int64_t started_ns = thread_ns();
    engine_ = side_ == Side::Machine ? make_machine_engine(plan_->unit, facts_, ground_)
                                     : make_kernel_engine(plan_->unit, ground_, &result_.refused);
    if (side_ != Side::Machine) result_.load_ns = thread_ns() - started_ns;
  }

  void trace() {
    const Result<void> linked = session::link(*plan_, *engine_, *run_.vm, backings_);
    if (!linked.ok()) {
      result_.outcome.trouble = linked.error().message + "\n";
      return;
    }
    tracer_ = std::make_unique<session::Tracer>(session::TracerParts{
        run_.options, run_.source, *run_.vm, *run_.host, *run_.output, run_.errors, plan_.get(),
        engine_.get(), ground_.catalog.get(), nullptr, nullptr});
    run_.vm->add_roots([this](runtime::Heap& heap) {
      tracer_->mark(heap);
      plan_->mark(heap);
    });
    if (side_ == Side::Attached) {
      const Result<void> attached = engine_->attach();
      if (!attached.ok()) {
        result_.outcome.trouble = attached.error().message + "\n";
        return;
      }
    }
    engine_->arm();
    ground_.actors->reset();
    for (const Happening& happening :
         happenings_of(script_, ground_.kernel_paths(), side_ == Side::Attached))
      happen(happening);
    tracer_->finish();
    look_for_exit();
    {
      const session::InterruptGuard guard(*run_.vm);
      tracer_->run_ends(guard);
    }
    std::string trouble = std::move(result_.outcome.trouble);
    session::LossLog losses;
    losses.add(*plan_, *engine_, {}, run_.host->registrations());
    const std::string lost = losses.report(run_.source, false, false);
    result_.ring_was_full = lost.find(": ring buffer full (") != std::string::npos;
    trouble += without_cuts(lost);
    result_.outcome = run_.outcome();
    result_.outcome.trouble += trouble;
  }

  /// As the tracer's loop does.
  void look_for_exit() {
    int64_t status = 0;
    if (engine_->exit_requested(&status) && !run_.host->exited())
      run_.host->request_exit(status, true);
  }

  void happen(const Happening& happening) {
    if (happening.kind == Happening::Kind::Thread)
      return ground_.actors->choose_thread(happening.words[0]);
    if (happening.kind == Happening::Kind::Cpu)
      return ground_.actors->choose_cpu(happening.words[0]);
    if (run_.over()) return;
    if (happening.event == nullptr) return beat();
    const bool enters = happening.kind == Happening::Kind::Enter;
    if (side_ == Side::Attached) {
      if (enters) make_call(happening);
      return;
    }
    fill_regs(happening, enters);
    const char* point = enters ? "sys_enter" : "sys_exit";
    const std::vector<uint64_t> arguments = {ground_.regs_address,
                                             enters ? happening.words[0] : happening.words[1]};
    for (size_t i = 0; i < plan_->unit.programs.size(); ++i) {
      if (plan_->unit.programs[i].attach_to != point) continue;
      result_.outcome.trouble += engine_->run(i, arguments);
    }
    // Handlers in user space run when their record is read: exit() in one ends what follows.
    if (result_.has_user_handlers) drain();
  }

  /// Enters and exits.
  void make_call(const Happening& happening) {
    const uint64_t* words = happening.words;
    ground_.actors->run([&] {
      syscall(static_cast<long>(words[0]), words[1], words[2], words[3], words[4], words[5],
              words[6]);
    });
    if (result_.has_user_handlers) drain();
  }

  void fill_regs(const Happening& happening, bool enters) const {
    const bpf::SyscallRegs& layout = facts_.syscall_regs;
    std::memset(ground_.regs, 0, Ground::kRegsBytes);
    std::memcpy(ground_.regs + layout.nr_offset, &happening.words[0], layout.nr_size_bytes);
    if (!enters) return;
    for (size_t i = 0; i < 6; ++i)
      std::memcpy(ground_.regs + layout.arg_offset[i], &happening.words[i + 1], sizeof(uint64_t));
  }

  void drain() {
    tracer_->finish();
    look_for_exit();
    if (!run_.over()) engine_->arm();
  }

  /// The product runs ticks with its handlers armed, so that a snapshot flips and waits for
  /// programs. That wait is long: only scripts that ask for it get it.
  void beat() {
    drain();
    if (script_.find("#live\n") == std::string::npos) engine_->disarm();
    for (const session::Registration& registration : run_.host->registrations()) {
      if (registration.kind != bytecode::HandlerKind::Tick || run_.over()) continue;
      session::TickView view(run_.vm->heap(), registration.event_text);
      engine_->next_run();
      run_.call(registration, view, true);
    }
    if (run_.over()) {
      engine_->disarm();
    } else {
      engine_->arm();
    }
  }

  const std::string& script_;
  const Side side_;
  const Ground& ground_;
  const bpf::KernelFacts& facts_;
  ScriptRun run_;
  PlacedRun result_;
  std::unique_ptr<session::Plan> plan_;
  std::unique_ptr<JudgedEngine> engine_;
  session::Backings backings_;
  std::unique_ptr<session::Tracer> tracer_;
};

void put_paths(const Ground& ground) {
  const std::string all = joined_paths();
  KTAP_CHECK(Ground::kRegsBytes + all.size() <= Ground::kBytes);
  std::memcpy(ground.regs + Ground::kRegsBytes, all.data(), all.size());
}

}  // namespace

Result<std::unique_ptr<Ground>> prepare(bool kernel) {
  auto ground = std::make_unique<Ground>();
  ground->actors = std::make_unique<Actors>();
  if (!kernel) {
    static uint8_t regs[Ground::kBytes];
    ground->regs = regs;
    ground->regs_address = 0xffff888000000000;
    ground->facts.cpu_count = ground->actors->cpu_count();
    ground->facts.has_may_goto = ground->facts.has_bpf_loop = true;
    ground->facts.has_for_each_map_elem = true;
    ground->facts.iter_num_new = 1;
    ground->facts.iter_num_next = 2;
    ground->facts.iter_num_destroy = 3;
    put_paths(*ground);
    Result<std::unique_ptr<event::Catalog>> catalog = event::Catalog::open();
    if (catalog.ok()) ground->catalog = std::move(catalog).value();  // a record's text asks it
    return ground;
  }
  KTAP_ASSIGN(ground->facts, engine::probe_kernel());
  // Beside may_goto nobody looks for them: for the masks.
  KTAP_ASSIGN(const bpf::KernelFacts older, engine::probe_kernel({"may_goto"}));
  ground->facts.iter_num_new = older.iter_num_new;
  ground->facts.iter_num_next = older.iter_num_next;
  ground->facts.iter_num_destroy = older.iter_num_destroy;
  KTAP_ASSIGN(ground->catalog, event::Catalog::open());
  bpf::MapSpec spec;
  spec.name = "regs";
  spec.value_size_bytes = Ground::kBytes;
  spec.mmapable = true;
  KTAP_ASSIGN(sys::Map map, sys::Map::create(spec));
  KTAP_ASSIGN(ground->regs_address, kernel_address_of(map));
  static sys::MappedArray memory;
  KTAP_ASSIGN(memory, sys::MappedArray::map(map));
  ground->regs = memory.data();
  put_paths(*ground);
  return ground;
}

PlacedRun run_placed(const std::string& script, Side side, const Ground& ground,
                     const bpf::KernelFacts& facts, bool with_code) {
  return Placed(script, side, ground, facts).go(with_code);
}

}  // namespace ktap::differential
