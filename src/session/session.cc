// The stages of a run in order, each a method; a stage that ends the run returns its exit status.
#include "session/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/printable.h"
#include "bpf/disassembler.h"
#include "bytecode/field_reads.h"
#include "compiler/compiler.h"
#include "diag/json.h"
#include "engine/bpf_engine.h"
#include "event/provider.h"
#include "session/compiled.h"
#include "session/host.h"
#include "session/interactive.h"
#include "session/interrupt.h"
#include "session/link.h"
#include "session/live.h"
#include "session/plan.h"
#include "session/process_tree.h"
#include "session/report.h"
#include "session/target.h"
#include "session/tracer.h"
#include "syntax/parser.h"
#include "syntax/print.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "vm/vm.h"

namespace ktap::session {

namespace {

constexpr int kOk = 0;
constexpr int kRuntimeError = 1;
constexpr int kMistake = 2;

void say(const std::string& text) { std::fputs(text.c_str(), stderr); }

/// "program h0_0 on raw tracepoint sched_switch", above its code.
std::string program_head(const bpf::Program& program) {
  return fmt::format("program {} on {} {}\n", program.name, bpf::kind_name(program.kind),
                     program.attach_to);
}

class Session {
 public:
  /// `chunk` is null when `source` has to be compiled first.
  Session(const Options& options, diag::Source source, std::unique_ptr<bytecode::Chunk> chunk)
      : options_(options),
        source_(std::move(source)),
        errors_(source_, options.json),
        chunk_(std::move(chunk)) {}

  int run() {
    if (const std::optional<int> status = compile()) return *status;
    if (const std::optional<int> status = main_chunk()) return *status;
    if (const std::optional<int> status = plan()) return *status;
    return trace();
  }

 private:
  using Kind = bytecode::HandlerKind;

  /// Tells what the sink holds; the status when there were errors.
  std::optional<int> tell(const diag::Sink& sink) {
    say(options_.json ? diag::render_all_json(source_, sink) : diag::render_all(source_, sink));
    if (sink.has_errors()) return kMistake;
    return std::nullopt;
  }

  /// The lexer mends a number or an escape that it refuses, so the names behind it can be checked
  /// in the same run.
  static bool breaks_tree(const diag::Sink& sink) {
    for (const diag::Diagnostic& diagnostic : sink.diagnostics()) {
      const bool mended = diagnostic.code >= diag::Code::UnknownEscape &&
                          diagnostic.code <= diag::Code::DurationTooLarge;
      if (diagnostic.severity == diag::Severity::Error && !mended) return true;
    }
    return false;
  }

  int fail(const Error& error) {
    say(render_error(error.message, options_.json,
                     options_.mode == Mode::Compile ? "ktapc" : "ktap"));
    return kMistake;
  }

  std::optional<int> compile() {
    if (chunk_ != nullptr) {
      diag::Sink sink;
      check_unsafe(*chunk_, source_, options_, sink);
      if (const std::optional<int> status = tell(sink)) return status;
      return compiled_mode();
    }
    if (options_.mode == Mode::Tokens) {
      std::fputs(syntax::print_tokens(source_).c_str(), stdout);
      return kOk;
    }
    diag::Sink sink;
    syntax::Script script = syntax::parse(source_, sink);
    if (options_.mode == Mode::Ast && !sink.has_errors()) {
      std::fputs(syntax::print_ast(script).c_str(), stdout);
      return kOk;
    }
    if (!breaks_tree(sink)) {
      diag::Sink more;
      // In the live view top-level variables are global: it shows them by their names.
      chunk_ = options_.live ? compiler::compile_entry(std::move(script), source_, {"arg"}, more)
                             : compiler::compile(script, source_, more);
      sink.add(more);
    }
    if (chunk_ != nullptr && options_.mode != Mode::Compile)
      check_unsafe(*chunk_, source_, options_, sink);
    if (const std::optional<int> status = tell(sink)) return status;
    if (options_.mode == Mode::Compile) {
      const Result<void> written = write_compiled(*chunk_, source_, options_);
      return written.ok() ? kOk : fail(written.error());
    }
    return compiled_mode();
  }

  /// The modes that end with the chunk.
  std::optional<int> compiled_mode() {
    switch (options_.mode) {
      case Mode::Check:
        return kOk;
      case Mode::Bytecode:
        // A stripped script has no lines to show.
        std::fputs(bytecode::disassemble(*chunk_, &source_).c_str(), stdout);
        return kOk;
      case Mode::Tokens:
      case Mode::Ast:
        return fail(
            Error{fmt::format("{}: --dump={} shows source text, and this is compiled; give "
                              "the .kp file",
                              options_.source_name, options_.mode == Mode::Ast ? "ast" : "tokens"),
                  0});
      case Mode::Compile:
        return fail(Error{
            fmt::format("{}: it is compiled already; give the .kp file", options_.source_name), 0});
      default:
        return std::nullopt;
    }
  }

  void tell_unread_arguments() {
    const std::vector<std::string>& args = options_.args;
    if (args.size() < 2 || bytecode::reads_arguments(*chunk_->main)) return;
    const std::string hint =
        args[1].substr(0, 1) == "-" ? "; options of ktap stand before the script" : "";
    say(render_warning(fmt::format("the script reads no arguments: '{}' changes nothing{}",
                                   printable(args[1]), hint),
                       options_.json));
  }

  std::optional<int> main_chunk() {
    tell_unread_arguments();
    Result<std::unique_ptr<Output>> output = Output::open(options_.output_path);
    if (!output.ok()) return fail(output.error());
    output_ = std::move(output).value();
    std::signal(SIGPIPE, SIG_IGN);
    host_ = std::make_unique<ScriptHost>(*chunk_, source_, *output_, options_.timestamps);
    if (options_.unsafe) host_->allow_unsafe();
    vm_ = std::make_unique<vm::Vm>(*chunk_, *host_, options_.args);
    vm_->set_memory_limit_bytes(memory_limit_bytes(options_));
    host_->set_vm(vm_.get());
    vm_->add_roots([this](runtime::Heap& heap) { mark_roots(heap); });
    errors_.before_telling([this] { output_->flush(); });
    if (const std::optional<int> status = check_target()) return status;
    const InterruptGuard guard(*vm_);
    const std::optional<vm::RuntimeError> error = vm_->run_main();
    host_->freeze();
    output_->flush();
    if (output_->broken() || guard.interrupted()) return finish_output(host_->exit_status());
    if (error) {
      say(render_runtime_error(source_, *error, options_.json));
      return host_->exited() && host_->exit_status() != 0 ? host_->exit_status() : kRuntimeError;
    }
    if (host_->exited()) return finish_output(host_->exit_status());
    return std::nullopt;
  }

  std::optional<int> check_target() {
    Result<Target> target = open_target(options_);
    if (!target.ok()) return fail(target.error());
    target_ = std::move(target).value();
    return std::nullopt;
  }

  void mark_roots(runtime::Heap& heap) {
    host_->mark(heap);
    if (tracer_ != nullptr) tracer_->mark(heap);
    if (plan_ != nullptr) plan_->mark(heap);
  }

  bool has(Kind kind) const {
    for (const Registration& registration : host_->registrations()) {
      if (registration.kind == kind) return true;
    }
    return false;
  }

  std::optional<int> plan() {
    Result<sys::Signals> signals = sys::Signals::create();
    if (!signals.ok()) return fail(signals.error());
    signals_.emplace(std::move(signals).value());
    backend::Options target;
    target.table_size = options_.table_size;
    target.strict = options_.strict;
    std::vector<PlannedHandler> handlers;
    diag::Sink sink;
    check_registrations(host_->registrations(), source_, sink);
    if (const std::optional<int> status = tell(sink)) return status;
    if (has(Kind::Event)) {
      catalog_ = event::Catalog::open_what_is_there();
      catalog_->set_kernel_types(host_->shared_types());
      if (options_.target_pid > 0) catalog_->set_target(static_cast<pid_t>(options_.target_pid));
      catalog_->set_fields_are_read(fields_are_read());
      std::vector<std::string> notes;
      resolve_events(host_->registrations(), source_, *catalog_, options_.quiet, handlers, sink,
                     &notes);
      for (const std::string& note : notes) {
        if (options_.verbose) say(fmt::format("ktap: {}\n", note));
      }
      if (sink.has_errors()) {
        find_more_mistakes(std::move(handlers), sink);
        return tell(sink);
      }
      tell(sink);  // warnings
    }
    if (const std::optional<int> status = find_target(target)) return status;
    if (has(Kind::Event)) {
      if (const std::optional<int> status = place(std::move(handlers), target)) return status;
    } else {
      plan_ = std::make_unique<Plan>();
    }
    return planned_mode();
  }

  /// Without events or privileges none of the handlers can be traced: said at the first.
  void report_unavailable(const Error& error, diag::Sink& sink) const {
    for (const Registration& registration : host_->registrations()) {
      if (registration.kind != Kind::Event) continue;
      sink.report(diag::Code::EventUnavailable, registration.handler.place.span, error.message);
      return;
    }
  }

  /// With a mistake in one event text, the fields that the other handlers ask for are still
  /// checked, where the kernel says what it has.
  void find_more_mistakes(std::vector<PlannedHandler> handlers, diag::Sink& sink) {
    std::erase_if(handlers, [](const PlannedHandler& handler) { return handler.events.empty(); });
    const Result<bpf::KernelFacts> facts =
        engine::probe_kernel(options_.without, give_registers(handlers), trace_kernel(handlers));
    if (!facts.ok()) return;
    const PlanInput input{&host_->registrations(),
                          &vm_->globals(),
                          &chunk_->globals,
                          &facts.value(),
                          &options_,
                          {},
                          reader_uses(),
                          host_->machine_facts(catalog_->user_types()),
                          -1,
                          &source_};
    diag::Sink more;
    std::unique_ptr<engine::BpfEngine> no_engine;
    if (!make_plan(input, std::move(handlers), false, &no_engine, more).ok()) return;
    sink.add(more);
  }

  /// Handlers → programs, loaded unless only looked at.
  std::optional<int> place(std::vector<PlannedHandler> handlers, const backend::Options& target) {
    // What no event of the script asks for is not looked for: a millisecond less.
    const bool all = options_.verbose;
    Result<bpf::KernelFacts> facts = engine::probe_kernel(
        options_.without, all || give_registers(handlers), all || trace_kernel(handlers));
    if (!facts.ok()) {
      diag::Sink sink;
      report_unavailable(facts.error(), sink);
      return tell(sink);
    }
    if (options_.verbose && (options_.mode == Mode::Run || options_.mode == Mode::Explain))
      say(fmt::format("ktap: this kernel has {}\n", bpf::describe(facts.value())));
    const PlanInput input{&host_->registrations(),
                          &vm_->globals(),
                          &chunk_->globals,
                          &facts.value(),
                          &options_,
                          target,
                          reader_uses(),
                          host_->machine_facts(catalog_->user_types()),
                          signals_->fd(),
                          &source_};
    const bool dump = options_.mode == Mode::DumpSsa || options_.mode == Mode::DumpBpf;
    diag::Sink sink;
    Result<std::unique_ptr<Plan>> plan =
        make_plan(input, std::move(handlers), !dump, &engine_, sink);
    if (!plan.ok() && plan.error().sys_errno == EINTR) {
      say(fmt::format("ktap: {}\n", plan.error().message));
      return kOk;
    }
    if (!plan.ok()) return fail(plan.error());
    if (const std::optional<int> status = tell(sink)) return status;
    plan_ = std::move(plan).value();
    return std::nullopt;
  }

  std::optional<int> find_target(backend::Options& backend) {
    // Tables that are kept several times over may have a sixteenth of the machine's memory.
    const auto pages = static_cast<uint64_t>(std::max(sysconf(_SC_PHYS_PAGES), 0L));
    const uint64_t memory_bytes = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    backend.max_table_bytes = std::min(backend.max_table_bytes, memory_bytes / 16);
    const bool only_looks = options_.mode != Mode::Run;
    if (const Result<void> put = put_scope(options_, target_, catalog_.get(), backend); !put.ok())
      return fail(put.error());
    if (!options_.command.empty() && !only_looks) {
      const bool is_to_be_mapped = catalog_ != nullptr && catalog_->wants_process();
      Result<sys::Child> child =
          sys::Child::start(options_.command, is_to_be_mapped ? sys::Child::Held::BehindExec
                                                              : sys::Child::Held::BeforeExec);
      if (!child.ok()) return fail(child.error());
      child_.emplace(std::move(child).value());
      if (is_to_be_mapped) {
        if (const Result<void> set = catalog_->set_process(child_->pid()); !set.ok())
          return fail(set.error());
      }
      backend.target_tgid = child_->pid();
      backend.wait_for_exec = !is_to_be_mapped;
    }
    return std::nullopt;
  }

  /// What a mode shows, whatever -o says. SIGPIPE is ignored by now: a reader that went away is no
  /// error here either.
  int print(const std::string& text) {
    std::fflush(stdout);
    const Result<void> written = Output::write_standard(text);
    return written.ok() || written.error().sys_errno == EPIPE ? kOk : fail(written.error());
  }

  /// The modes that end once the plan stands.
  std::optional<int> planned_mode() {
    std::string text;
    switch (options_.mode) {
      case Mode::Explain:
        return print((host_->registrations().empty()
                          ? "no handlers: the script ends with its main chunk\n"
                          : "") +
                     explain(*plan_, host_->registrations(), source_));
      case Mode::DumpSsa:
        for (const PlannedHandler& handler : plan_->handlers) {
          for (const PlannedGroup& group : handler.groups)
            text += ssa::print(group.function, plan_->linkage.module);
        }
        return print(text);
      case Mode::DumpBpf:
        for (const bpf::Program& program : plan_->unit.programs)
          text += program_head(program) + bpf::disassemble(program, plan_->unit.maps);
        return print(text);
      case Mode::DryRun:
        return print(dry_run_report(*plan_, host_->registrations(), source_));
      default:
        if (options_.verbose) say(explain(*plan_, host_->registrations(), source_));
        return std::nullopt;
    }
  }

  void take_kernel_side_away() {
    if (plan_ != nullptr && engine_ != nullptr) unlink(*plan_, backings_);
  }

  Result<void> gather_tree() {
    const pid_t root = child_ ? child_->pid() : target_.process ? target_.process->pid() : 0;
    if (engine_ == nullptr || !options_.follow || root == 0) return {};
    tree_.emplace(*engine_, root);
    return tree_->gather();
  }

  /// Before anything that is traced can start, or end.
  /// Whether it holds of the main chunk or of a filter that the script has made of a text.
  template <class Predicate>
  bool any_code(Predicate holds) const {
    const auto& filters = host_->computed_filters();
    return holds(*chunk_->main) || std::any_of(filters.begin(), filters.end(),
                                               [&](const auto& filter) { return holds(*filter); });
  }

  /// A handler that takes the event may read whatever the event has.
  bool fields_are_read() const {
    const std::vector<Registration>& all = host_->registrations();
    const auto takes_event = [](const Registration& registration) {
      const runtime::Value& handler = registration.handler.function;
      return registration.handler.is_event && (handler.type != runtime::Type::Function ||
                                               handler.closure()->function->param_count != 0);
    };
    return any_code(bytecode::reads_event_fields) ||
           std::any_of(all.begin(), all.end(), takes_event);
  }

  void watch_programs() {
    const bool names_any = any_code([](const bytecode::Function& code) {
      return bytecode::names_builtin(code, bytecode::Builtin::Usym);
    });
    if (!names_any && !takes_user_stacks(*plan_)) return;
    const pid_t child = child_ ? child_->pid() : 0;
    const Result<void> watched = host_->stack_names().watch(
        names_any ? symbol::WatchedProcesses{} : watched_processes(options_, target_, child));
    if (!watched.ok() && options_.verbose)
      say(fmt::format("ktap: what ends soon may go without names: {}\n", watched.error().message));
    // What it has mapped by now nobody tells any more.
    if (child && catalog_ != nullptr && catalog_->wants_process())
      host_->stack_names().remember(child);
  }

  Result<void> run_tracer() {
    if (live_ == nullptr) {
      tracer_->run(*signals_);
      return {};
    }
    return live_->run(*tracer_, *signals_);
  }

  /// What of samples is kept: the live view shows aggregates as print_table does.
  bytecode::ReaderUses reader_uses() const {
    bytecode::ReaderUses uses = bytecode::find_reader_uses(*chunk_->main);
    for (const auto& filter : host_->computed_filters())
      uses.add(bytecode::find_reader_uses(*filter));
    if (options_.live) uses.whole_sum = uses.least = uses.greatest = true;
    return uses;
  }

  int trace() {
    const bool waits = has(Kind::Event) || has(Kind::Tick) || !options_.command.empty() ||
                       (target_.process && has(Kind::End));
    if (engine_ != nullptr) {
      watch_programs();
      if (const Result<void> linked = link(*plan_, *engine_, *vm_, backings_); !linked.ok())
        return fail(linked.error());
      if (const Result<void> attached = engine_->attach(); !attached.ok()) {
        diag::Sink sink;
        if (!report_unattached(*plan_, host_->registrations(), *engine_, attached.error(), sink))
          return fail(attached.error());
        return *tell(sink);
      }
    }
    if (const Result<void> gathered = gather_tree(); !gathered.ok()) return fail(gathered.error());
    tracer_ = std::make_unique<Tracer>(
        TracerParts{options_, source_, *vm_, *host_, *output_, errors_, plan_.get(), engine_.get(),
                    catalog_.get(), child_ ? &*child_ : nullptr,
                    target_.process ? &*target_.process : nullptr, tree_ ? &*tree_ : nullptr});
    if (waits) {
      if (options_.live) {
        live_ = std::make_unique<Live>(
            Live::Parts{*chunk_, *vm_, *host_, *output_, errors_, engine_.get()},
            options_.source_name);
      }
      output_->begin();
      if (engine_ != nullptr) engine_->arm();
      if (!options_.quiet && !options_.json && (has(Kind::Event) || has(Kind::Tick)))
        say("Tracing... Hit Ctrl-C to end.\n");
      if (child_) {
        if (const Result<void> released = child_->release(); !released.ok())
          return fail(released.error());
      }
      if (const Result<void> ran = run_tracer(); !ran.ok()) return fail(ran.error());
    }
    if (engine_ != nullptr) bring_variables_home(*plan_, *engine_, *vm_);
    {
      const InterruptGuard guard(*vm_);
      signals_.reset();  // in this order: no signal finds the process without a handler
      tracer_->run_ends(guard);
    }
    return finish();
  }

  int finish() {
    output_->flush();
    say(errors_.summary());
    if (options_.verbose) say(tracer_->missed_ticks());
    if (engine_ != nullptr) {
      LossLog losses;
      losses.add(*plan_, *engine_, tracer_->cuts(), host_->registrations());
      losses.add_map_records(host_->stack_names().lost_records());
      say(losses.report(source_, options_.verbose, options_.json));
      if (!options_.quiet) say(early_ends_report(host_->stack_names().early_ends(), options_.json));
    }
    take_kernel_side_away();
    return finish_output(exit_status_of(*host_, errors_));
  }

  int finish_output(int status) { return end_output(*output_, status, options_.json); }

  const Options& options_;
  const diag::Source source_;
  ErrorLog errors_;
  std::unique_ptr<bytecode::Chunk> chunk_;
  std::unique_ptr<Output> output_;
  std::unique_ptr<ScriptHost> host_;
  std::unique_ptr<vm::Vm> vm_;
  std::unique_ptr<event::Catalog> catalog_;
  std::optional<sys::Signals> signals_;
  std::optional<sys::Child> child_;
  Target target_;
  std::unique_ptr<Plan> plan_;
  std::unique_ptr<engine::BpfEngine> engine_;
  std::optional<ProcessTree> tree_;
  Backings backings_;
  std::unique_ptr<Tracer> tracer_;
  std::unique_ptr<Live> live_;  ///< null: not asked for
};

}  // namespace

int run(const Options& options) {
  if (options.mode == Mode::Interactive) return run_interactive(options);
  if (!options.is_compiled) {
    return Session(options, diag::Source(options.source_name, options.source_text), nullptr).run();
  }
  Result<LoadedScript> loaded = load_compiled(options);
  if (!loaded.ok()) {
    say(render_error(loaded.error().message, options.json));
    return kMistake;
  }
  LoadedScript script = std::move(loaded).value();
  return Session(options, std::move(script.source), std::move(script.chunk)).run();
}

}  // namespace ktap::session
