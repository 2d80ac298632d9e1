// A session is one VM and one text that grows: each entry is compiled at its end, so that places,
// lines and messages are those of any script. Handlers are armed together, as always; therefore an
// entry that may change anything first brings the kernel's tables and variables home (disarm,
// drain, copy), and when it has run everything that is registered is planned and armed anew. What
// that costs, and what was rejected: docs/decisions/0008-interactive-freeze.md.
#include "session/interactive.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "compiler/compiler.h"
#include "diag/json.h"
#include "engine/bpf_engine.h"
#include "event/provider.h"
#include "session/host.h"
#include "session/interrupt.h"
#include "session/line_source.h"
#include "session/link.h"
#include "session/plan.h"
#include "session/report.h"
#include "session/target.h"
#include "session/tracer.h"
#include "syntax/incomplete.h"
#include "syntax/parser.h"
#include "sys/clock.h"
#include "vm/vm.h"

namespace ktap::session {

namespace {

constexpr int kMistake = 2;

constexpr const char* kHelp =
    "Statements run as they are entered; the value of an expression is printed. `trace EVENT { "
    "}`,\n"
    "`tick-1s { }` and `trace_end { }` register handlers, which are armed at once and stay.\n"
    "Every top-level variable is global. An entry goes on while a bracket is open; an empty line "
    "ends it.\n"
    "  .list       the handlers, and where they run\n"
    "  .drop N     takes handler N away\n"
    "  .help       this text\n"
    "  .quit       ends, as Ctrl-D does: the trace_ends run\n"
    "Ctrl-C ends what runs, or drops what is being entered.\n";

void say(const std::string& text) { std::fputs(text.c_str(), stderr); }

/// An expression that calls nothing only looks: handlers may go on beside it.
bool only_looks(const bytecode::Chunk& entry) {
  for (const bytecode::Insn insn : entry.main->code) {
    if (insn.op() == bytecode::Op::Call || insn.op() == bytecode::Op::TailCall) return false;
  }
  return true;
}

class Interactive {
 public:
  explicit Interactive(const Options& options)
      : options_(options), source_(options.source_name, ""), errors_(source_, options.json) {
    chunk_.source_name = options.source_name;
    chunk_.globals = {"arg"};
  }

  int run() {
    Result<std::unique_ptr<Output>> output = Output::open(options_.output_path);
    if (!output.ok()) return fail(output.error());
    output_ = std::move(output).value();
    std::signal(SIGPIPE, SIG_IGN);
    Result<Target> target = open_target(options_);
    if (!target.ok()) return fail(target.error());
    target_ = std::move(target).value();
    host_ = std::make_unique<ScriptHost>(chunk_, source_, *output_, options_.timestamps);
    if (options_.unsafe) host_->allow_unsafe();
    vm_ = std::make_unique<vm::Vm>(chunk_, *host_, options_.args);
    vm_->set_memory_limit_bytes(memory_limit_bytes(options_));
    vm_->expect_later_readers();
    host_->set_vm(vm_.get());
    host_->freeze();
    vm_->add_roots([this](runtime::Heap& heap) { mark_roots(heap); });
    Result<std::unique_ptr<LineSource>> lines = LineSource::open([this] { return wait(); });
    if (!lines.ok()) return fail(lines.error());
    lines_ = std::move(lines).value();
    output_->around_writing([this] { lines_->hide_prompt(); }, [this] { lines_->show_prompt(); });
    errors_.before_telling([this] {
      output_->flush();
      lines_->hide_prompt();
    });
    errors_.after_telling([this] { lines_->show_prompt(); });
    if (!listen()) return kMistake;
    if (lines_->is_terminal() && !options_.quiet)
      std::puts("ktap " KTAP_VERSION "; .help tells what can be entered, Ctrl-D ends");
    std::fflush(stdout);
    while (!over() && next_entry()) {
    }
    return end();
  }

 private:
  using Kind = bytecode::HandlerKind;

  /// Behind what the script has printed.
  void complain(const std::string& text) {
    if (text.empty()) return;
    if (output_ != nullptr) output_->flush();
    say(text);
  }

  int fail(const Error& error) {
    complain(render_error(error.message, options_.json));
    return kMistake;
  }

  void tell(const diag::Sink& sink) {
    complain(options_.json ? diag::render_all_json(source_, sink)
                           : diag::render_all(source_, sink));
  }

  bool over() const { return ended_ || host_->exited() || output_->broken(); }

  // ---- input ----

  /// From here on signals are looked at when the session waits.
  bool listen() {
    Result<sys::Signals> signals = sys::Signals::create();
    if (!signals.ok()) {
      fail(signals.error());
      return false;
    }
    signals_.emplace(std::move(signals).value());
    return true;
  }

  /// Waits for input, with the handlers running.
  LineEditor::Wait wait() {
    if (tracer_ == nullptr) return wait_without_handlers();
    switch (tracer_->wait(*signals_, STDIN_FILENO)) {
      case Tracer::Waited::Input:
        return LineEditor::Wait::Input;
      case Tracer::Waited::Interrupted:
        return LineEditor::Wait::Interrupted;
      case Tracer::Waited::Ended:
        break;
    }
    ended_ = true;
    return LineEditor::Wait::Ended;
  }

  LineEditor::Wait wait_without_handlers() {
    output_->flush();
    const int fds[3] = {signals_->fd(), STDIN_FILENO, target_.process ? target_.process->fd() : -1};
    while (true) {
      const uint32_t ready = sys::wait_readable(fds, 3, -1);
      while (const std::optional<int> signal = signals_->take()) {
        if (*signal == SIGINT && lines_->is_terminal()) return LineEditor::Wait::Interrupted;
        if (*signal == SIGCHLD) continue;
        note_signal();
        ended_ = true;
      }
      if (target_.process && target_.process->ended()) ended_ = true;
      if (ended_) return LineEditor::Wait::Ended;
      if ((ready & 2) != 0) return LineEditor::Wait::Input;
    }
  }

  /// Reads an entry and does what it says. False at the end of the input.
  bool next_entry() {
    std::string entry;
    std::string line;
    while (true) {
      const LineEditor::Got got = lines_->read(entry.empty() ? "ktap> " : "  ... ", &line);
      if (got == LineEditor::Got::Interrupted) return true;
      if (got == LineEditor::Got::End) {
        if (!entry.empty() && !over()) run_entry(entry);
        return false;
      }
      if (entry.empty() && line.find_first_not_of(" \t\r") != std::string::npos &&
          line[line.find_first_not_of(" \t")] == '.') {
        return command(line);
      }
      entry += line + '\n';
      const bool blank = line.find_first_not_of(" \t\r") == std::string::npos;
      if (blank || !syntax::is_incomplete(std::string_view(entry).substr(0, entry.size() - 1)))
        break;
    }
    run_entry(entry);
    return true;
  }

  // ---- commands ----

  /// False when the session is to end.
  bool command(const std::string& line) {
    const size_t begin = line.find('.');
    const size_t end = line.find_first_of(" \t\r", begin);
    const std::string word = line.substr(begin, end - begin);
    std::string rest = end == std::string::npos ? "" : line.substr(end);
    rest.erase(0, rest.find_first_not_of(" \t\r"));
    rest.erase(rest.find_last_not_of(" \t\r") + 1);
    if (word == ".quit") return false;
    if (word == ".help") {
      output_->write(kHelp);
    } else if (word == ".list") {
      list();
    } else if (word == ".drop") {
      drop(rest);
    } else {
      const std::string near = diag::did_you_mean(word, {".help", ".list", ".drop", ".quit"});
      fail(Error{fmt::format("there is no command '{}'; {}", diag::printable(word),
                             near.empty() ? ".help lists them" : near),
                 0});
    }
    output_->flush();
    return true;
  }

  void list() {
    const std::vector<Registration>& registrations = host_->registrations();
    if (registrations.empty()) output_->write("no handlers\n");
    for (size_t i = 0; i < registrations.size(); ++i) {
      const Registration& registration = registrations[i];
      const bool is_event = registration.kind == Kind::Event;
      const std::string text = registration.kind == Kind::End ? "trace_end"
                               : is_event                     ? "trace " + registration.event_text
                                                              : registration.event_text;
      output_->write(fmt::format("{:3}  line {:<4} {:<10} {}\n", i + 1,
                                 registration.handler.place.line,
                                 is_kernel_handler(i) ? "kernel" : "user space", text));
    }
  }

  bool is_kernel_handler(size_t registration) const {
    if (plan_ == nullptr) return false;
    for (const PlannedHandler& handler : plan_->handlers) {
      if (handler.registration == registration) return handler.in_kernel;
    }
    return false;
  }

  void drop(const std::string& text) {
    std::vector<Registration>& registrations = host_->registrations();
    size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 1 ||
        number > registrations.size()) {
      fail(Error{fmt::format(".drop takes the number of a handler, {}; .list shows them",
                             registrations.empty() ? "and there is none"
                                                   : fmt::format("1 to {}", registrations.size())),
                 0});
      return;
    }
    disarm();
    registrations.erase(registrations.begin() + static_cast<std::ptrdiff_t>(number) - 1);
    arm();
  }

  // ---- entries ----

  void run_entry(const std::string& text) {
    const auto begin = static_cast<uint32_t>(source_.text().size());
    source_ = diag::Source(source_.name(), std::string(source_.text()) + text);
    bool is_call = false;
    bool is_expression = false;
    const bytecode::Chunk* entry = compile(begin, &is_expression, &is_call);
    if (entry == nullptr) return;
    if (is_expression && only_looks(*entry)) {
      if (engine_ != nullptr) engine_->next_run();  // of tables a snapshot, as in a tick
      call(*entry, is_expression, is_call);
      return output_->flush();
    }
    disarm();
    if (over()) return;  // exit() in a handler that was still to run
    const size_t registered = host_->registrations().size();
    vm_->globals().resize(chunk_.globals.size());
    host_->thaw();
    const bool ran = call(*entry, is_expression, is_call);
    host_->freeze();
    if (!ran) host_->registrations().resize(registered);
    if (!over() && !arm()) {
      host_->registrations().resize(registered);
      arm();
    }
    output_->flush();  // who reads it may count on the handlers again
  }

  /// The entry as a function that gives the value of an expression; null when it was refused.
  const bytecode::Chunk* compile(uint32_t begin, bool* is_expression, bool* is_call) {
    diag::Sink sink;
    syntax::Script script;
    {
      diag::Sink unheard;
      syntax::ExprPtr expr = syntax::parse_entry_expression(source_, begin, unheard);
      *is_expression = !unheard.has_errors() && expr != nullptr;
      if (*is_expression) {
        *is_call = std::holds_alternative<syntax::Call>(expr->node);
        syntax::Return made;
        const diag::Span span = expr->span;
        made.values.push_back(std::move(*expr));
        script.body.statements.push_back({span, std::move(made)});
      }
    }
    if (!*is_expression) script = syntax::parse_entry(source_, begin, sink);
    std::unique_ptr<bytecode::Chunk> made;
    if (!sink.has_errors())
      made = compiler::compile_entry(std::move(script), source_, chunk_.globals, sink);
    if (made != nullptr) check_unsafe(*made, source_, options_, sink);
    tell(sink);
    if (made == nullptr || sink.has_errors()) return nullptr;
    chunk_.globals = made->globals;
    return entries_.emplace_back(std::move(made)).get();
  }

  /// False when it failed or was interrupted.
  bool call(const bytecode::Chunk& entry, bool is_expression, bool is_call) {
    const InterruptGuard guard(*vm_);
    signals_->let_through();
    runtime::Value result;
    const std::optional<vm::RuntimeError> error =
        vm_->call(vm_->make_closure(*entry.main), {}, vm::Budget{}, &result);
    std::string text;
    const bool shows = is_expression && !error && !(is_call && result.is_nil());
    if (shows && !vm_->format_output(bytecode::Builtin::Print, {result}, &text))
      output_->write(text);
    if (!listen()) ended_ = true;
    if (guard.interrupted()) {
      vm_->clear_interrupt();
      ended_ = ended_ || guard.terminated();
      complain("interrupted\n");
      return false;
    }
    if (error && !output_->broken()) complain(render_runtime_error(source_, *error, options_.json));
    return !error;
  }

  // ---- arming ----

  bool has(Kind kind) const {
    for (const Registration& registration : host_->registrations()) {
      if (registration.kind == kind) return true;
    }
    return false;
  }

  void report(const Error& error) {
    diag::Sink sink;
    if (report_unattached(*plan_, host_->registrations(), *engine_, error, sink)) {
      tell(sink);
    } else {
      fail(error);
    }
  }

  /// Plans and arms all handlers. False when it could not be done, which was told: then none is.
  bool arm() {
    if (!has(Kind::Event) && !has(Kind::Tick) && !has(Kind::Profile)) return true;
    diag::Sink sink;
    check_registrations(host_->registrations(), source_, sink);
    if (!sink.has_errors() && has(Kind::Event)) plan_events(sink);
    tell(sink);
    if (sink.has_errors() || (has(Kind::Event) && plan_ == nullptr)) {
      forget_plan();
      return false;
    }
    if (plan_ == nullptr) plan_ = std::make_unique<Plan>();
    if (engine_ != nullptr) {
      watch_programs();
      Result<void> done = link(*plan_, *engine_, *vm_, backings_);
      if (done.ok()) done = engine_->attach();
      if (done.ok() && options_.follow) {
        tree_.emplace(*engine_, target_.process->pid());
        done = tree_->gather();
      }
      if (!done.ok()) {
        report(done.error());
        bring_home(*plan_, *engine_, *vm_, backings_);
        forget_plan();
        return false;
      }
    }
    tracer_ = std::make_unique<Tracer>(
        TracerParts{options_, source_, *vm_, *host_, *output_, errors_, plan_.get(), engine_.get(),
                    catalog_.get(), nullptr, target_.process ? &*target_.process : nullptr,
                    tree_ ? &*tree_ : nullptr});
    if (engine_ != nullptr) engine_->arm();
    if (options_.verbose && engine_ != nullptr)
      say(explain(*plan_, host_->registrations(), source_));
    return true;
  }

  /// From the first time on that addresses of programs may be printed: of all, as later entries may
  /// ask for others.
  void watch_programs() {
    bool names_any = takes_user_stacks(*plan_);
    for (const auto& entry : entries_) {
      names_any = names_any || bytecode::names_builtin(*entry->main, bytecode::Builtin::Usym);
    }
    if (!names_any || host_->stack_names().is_watching()) return;
    const Result<void> watched = host_->stack_names().watch({});
    if (!watched.ok() && options_.verbose)
      say(fmt::format("ktap: what ends soon may go without names: {}\n", watched.error().message));
  }

  /// plan_ and engine_, loaded; null when that failed, which is told or in the sink.
  void plan_events(diag::Sink& sink) {
    if (catalog_ == nullptr) {
      catalog_ = event::Catalog::open_what_is_there();
      catalog_->set_kernel_types(host_->shared_types());
      if (options_.target_pid > 0) catalog_->set_target(static_cast<pid_t>(options_.target_pid));
    }
    std::vector<PlannedHandler> handlers;
    resolve_events(host_->registrations(), source_, *catalog_, options_.quiet, handlers, sink);
    if (sink.has_errors()) return;
    if (!facts_) {
      Result<bpf::KernelFacts> facts = engine::probe_kernel(options_.without);
      if (!facts.ok()) return unavailable(facts.error(), sink);
      facts_ = std::move(facts).value();
    }
    backend::Options target;
    target.table_size = options_.table_size;
    target.strict = options_.strict;
    if (const Result<void> put = put_scope(options_, target_, catalog_.get(), target); !put.ok()) {
      fail(put.error());
      return;
    }
    const PlanInput input{&host_->registrations(),
                          &vm_->globals(),
                          &chunk_.globals,
                          &*facts_,
                          &options_,
                          target,
                          any_readers(),
                          host_->machine_facts(catalog_->user_types())};
    Result<std::unique_ptr<Plan>> plan =
        make_plan(input, std::move(handlers), true, &engine_, sink);
    if (!plan.ok()) {
      fail(plan.error());
    } else if (!sink.has_errors()) {
      plan_ = std::move(plan).value();
    }
  }

  /// What later entries will ask of aggregates is not known.
  static bytecode::ReaderUses any_readers() {
    bytecode::ReaderUses readers = bytecode::ReaderUses::all();
    readers.linear.computed = true;
    return readers;
  }

  void unavailable(const Error& error, diag::Sink& sink) const {
    for (const Registration& registration : host_->registrations()) {
      if (registration.kind != Kind::Event) continue;
      sink.report(diag::Code::EventUnavailable, registration.handler.place.span, error.message);
      return;
    }
  }

  /// Ends tracing for the time of an entry; what the kernel holds comes home.
  void disarm() {
    if (tracer_ == nullptr) return;
    tracer_->finish();
    if (engine_ != nullptr) {
      bring_home(*plan_, *engine_, *vm_, backings_);
      losses_.add(*plan_, *engine_, tracer_->cuts(), host_->registrations());
      errors_.keep_kernel_counts();
    }
    if (options_.verbose) say(tracer_->missed_ticks());
    forget_plan();
  }

  void forget_plan() {
    tracer_.reset();
    tree_.reset();
    backings_ = {};
    engine_.reset();
    plan_.reset();
  }

  int end() {
    disarm();
    if (!output_->broken()) {
      Tracer ends(TracerParts{options_, source_, *vm_, *host_, *output_, errors_});
      const InterruptGuard guard(*vm_);
      signals_->let_through();
      ends.run_ends(guard);
    }
    output_->flush();
    say(errors_.summary());
    losses_.add_map_records(host_->stack_names().lost_records());
    say(losses_.report(source_, options_.verbose, options_.json));
    if (!options_.quiet) say(early_ends_report(host_->stack_names().early_ends(), options_.json));
    return end_output(*output_, exit_status_of(*host_, errors_), options_.json);
  }

  void mark_roots(runtime::Heap& heap) {
    host_->mark(heap);
    if (tracer_ != nullptr) tracer_->mark(heap);
    if (plan_ != nullptr) plan_->mark(heap);
  }

  const Options& options_;
  diag::Source source_;  ///< all that was entered
  ErrorLog errors_;
  LossLog losses_;
  bytecode::Chunk chunk_;  ///< the session's: its globals, without code
  std::vector<std::unique_ptr<bytecode::Chunk>> entries_;
  std::unique_ptr<Output> output_;
  std::unique_ptr<ScriptHost> host_;
  std::unique_ptr<vm::Vm> vm_;
  std::unique_ptr<LineSource> lines_;
  std::unique_ptr<event::Catalog> catalog_;
  std::optional<bpf::KernelFacts> facts_;
  std::optional<sys::Signals> signals_;
  Target target_;
  std::optional<ProcessTree> tree_;  // --follow, while the engine is attached
  std::unique_ptr<Plan> plan_;
  std::unique_ptr<engine::BpfEngine> engine_;
  Backings backings_;
  std::unique_ptr<Tracer> tracer_;
  bool ended_ = false;
};

}  // namespace

int run_interactive(const Options& options) { return Interactive(options).run(); }

}  // namespace ktap::session
