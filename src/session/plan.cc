// Placement by trial: lower every handler for the kernel; what refuses goes to user space, and
// takes the tables that it touches with it; then the same again, until nothing moves. Each trial
// starts from an empty module, so the result does not depend on the order of refusals.
#include "session/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/limits.h"
#include "lower/effects.h"
#include "lower/event_reads.h"
#include "passes/pipeline.h"
#include "runtime/closure.h"
#include "session/entry_arguments.h"
#include "session/spoil.h"
#include "session/target.h"
#include "session/used_variables.h"
#include "ssa/op_info.h"
#include "symbol/unwind.h"
#include "syntax/foreign.h"
#include "sys/clock.h"

namespace ktap::session {

namespace {

using bytecode::HandlerKind;

constexpr size_t kMostListed = 60;  // of the names that a struct or event has

/// Why handlers were sent to user space, by index in Plan.handlers.
using Exiles = std::map<uint32_t, lower::Refusal>;

class Planner {
 public:
  Planner(const PlanInput& input, std::vector<PlannedHandler> handlers, diag::Sink& sink)
      : input_(input), resolved_(std::move(handlers)), sink_(sink), facts_(*input.facts) {
    std::vector<lower::Handler> all;
    for (const Registration& registration : *input_.registrations)
      all.push_back(registration.handler);
    world_ = lower::freeze(all, *input_.globals, input_.global_names);
    for (const lower::Handler& handler : all)
      effects_.push_back(lower::effects_of(handler, *input_.globals));
  }

  Result<std::unique_ptr<Plan>> run(bool load, std::unique_ptr<engine::BpfEngine>* engine) {
    if (!check_all_names() || !check_counts()) return std::make_unique<Plan>();
    keep_order_of_probes();
    if (input_.options->placement == Placement::User) {
      for (uint32_t i = 0; i < resolved_.size(); ++i) {
        exile(i, lower::Refusal{"--placement=user asks for it", {}, 0});
      }
    }
    while (true) {
      plan_ = std::make_unique<Plan>();
      plan_->handlers = resolved_;
      // What was read of aggregates may have had its reader in who went.
      if (std::exchange(reads_less_, false)) shapes_.totals.clear();
      plan_->linkage.shapes = shapes_;
      const bool all_fit = lower_all();
      check_stack_copies();
      check_entry_arguments(*plan_, *input_.registrations, facts_, no_trampolines_, sink_);
      if (sink_.has_errors()) return std::move(plan_);
      lower::learn_names(plan_->linkage);
      const bool is_stale = plan_->linkage.shapes != shapes_;  // what came first took it for less
      shapes_ = plan_->linkage.shapes;
      if (!all_fit || is_stale) continue;
      if (tables_move() || variables_move()) continue;
      if (!emit_all()) continue;
      if (load) {
        if (input_.stop_fd >= 0 && sys::wait_readable(&input_.stop_fd, 1, 0) != 0)
          return Error{"stopped before anything was traced", EINTR};
        KTAP_ASSIGN(const bool loaded, load_all(engine));
        if (!loaded) continue;
      }
      warn();
      return std::move(plan_);
    }
  }

 private:
  /// Before anything is placed, so that a script is right or wrong wherever it will run.
  bool check_all_names() {
    for (const PlannedHandler& handler : resolved_) {
      for (const lower::EventMistake& mistake :
           lower::check_names(registration(handler).handler, world_, handler.events)) {
        report(mistake);
      }
    }
    return !sink_.has_errors();
  }

  /// One by one, thousands of functions take minutes to attach, and as long to let go of.
  bool check_counts() {
    if (facts_.has_kprobe_multi && facts_.has_attach_cookies) return true;
    for (const PlannedHandler& handler : resolved_) {
      const auto count = std::count_if(
          handler.events.begin(), handler.events.end(),
          [](const schema::EventPtr& event) { return schema::is_kernel_function(*event); });
      if (count <= limits::kFunctionsOneByOne) continue;
      sink_
          .report(diag::Code::EventUnavailable, registration(handler).handler.place.span,
                  fmt::format("these are {} functions, and this kernel takes a probe for each: it "
                              "has no links for many (Linux 5.18 with CONFIG_FPROBE)",
                              count))
          .hints.push_back(fmt::format("a glob for at most {}", limits::kFunctionsOneByOne));
    }
    return !sink_.has_errors();
  }

  /// A trampoline runs behind the links for many functions, wherever its handler stands in the
  /// script: a function that both kinds of handlers have is probed in one way. So is one that has
  /// several names, of which type information has some.
  void keep_order_of_probes() {
    std::set<std::string> alone;
    std::set<std::string> with_others;
    std::set<std::string> without_types;
    std::map<std::string, std::set<std::string>> names;
    const auto traces_kernel = [](const PlannedHandler& handler) {
      return std::any_of(
          handler.events.begin(), handler.events.end(),
          [](const schema::EventPtr& event) { return schema::is_kernel_function(*event); });
    };
    if (std::count_if(resolved_.begin(), resolved_.end(), traces_kernel) < 2) return;
    for (const PlannedHandler& handler : resolved_) {
      if (!traces_kernel(handler)) continue;
      ssa::Module scratch;
      for (const ssa::EventGroup& group : groups_of(handler, scratch)) {
        for (const schema::EventPtr& event : group.events) {
          if (!schema::is_kernel_function(*event)) continue;
          const std::string place = place_of(*event);
          (group.events.size() == 1 ? alone : with_others).insert(place);
          if (event->point.btf_id == 0) without_types.insert(place);
          names[place].insert(event->name);
        }
      }
    }
    const auto is_mixed = [&](const std::string& place) {
      return with_others.count(place) != 0 ||
             (names[place].size() > 1 && without_types.count(place) != 0);
    };
    if (std::any_of(alone.begin(), alone.end(), is_mixed))
      take_trampolines(
          "none is used where another handler traces the function among several, or by a name that "
          "has no types");
  }

  /// Of a function of the kernel, by whichever of its names.
  static std::string place_of(const schema::Event& event) {
    const schema::ProbePoint& point = event.point;
    if (point.address == 0) return event.name;
    return fmt::format("{:#x}{}", point.address, event.name.substr(point.symbol.size()));
  }

  void take_trampolines(const char* why) {
    facts_.has_trampolines = false;
    no_trampolines_ = why;
  }

  /// ustack("dwarf") is not to be had everywhere; what else there is, is another stack.
  void check_stack_copies() {
    std::string missing;
    if (symbol::kSavedRegistersBytes == 0) {
      missing = "programs of this machine do not carry the tables (.eh_frame) for it";
    } else if (!facts_.has_task_registers) {
      missing =
          "this kernel does not give the registers of user space to programs (Linux 5.15 with BTF)";
    }
    if (missing.empty()) return;
    std::set<uint32_t> told;
    for (const lower::CaptureSite& site : plan_->linkage.captures) {
      if (!site.copies_stack || !told.insert(site.stack_place.span.begin).second) continue;
      sink_
          .report(diag::Code::EventUnavailable, site.stack_place.span,
                  "ustack(\"dwarf\"): " + missing)
          .hints.push_back("ustack() follows frame pointers");
    }
  }

  void exile(uint32_t handler, lower::Refusal reason) {
    exiles_.emplace(handler, std::move(reason));
    reads_less_ = true;
  }

  const Registration& registration(const PlannedHandler& handler) const {
    return (*input_.registrations)[handler.registration];
  }

  std::vector<ssa::EventGroup> groups_of(const PlannedHandler& handler, ssa::Module& module) const {
    return lower::group_events(registration(handler).handler, world_, handler.events,
                               {facts_.has_attach_cookies, facts_.has_entry_probes}, module);
  }

  lower::Options lower_options(uint32_t index) const {
    lower::Options options;
    options.unfiltered = unfiltered_.count(index) != 0;
    options.timestamps = input_.options->timestamps;
    options.readers = &input_.readers;
    options.machine = input_.machine;
    return options;
  }

  /// False when handlers moved to user space and all must be done again.
  bool lower_all() {
    bool all_fit = true;
    for (uint32_t i = 0; i < plan_->handlers.size(); ++i) all_fit = lower_one(i) && all_fit;
    return all_fit;
  }

  bool lower_one(uint32_t index) {
    PlannedHandler& handler = plan_->handlers[index];
    const auto exiled = exiles_.find(index);
    if (exiled != exiles_.end()) {
      handler.in_kernel = false;
      handler.reason = exiled->second;
      if (!may_leave_kernel(handler)) return false;
    }
    const lower::Handler& function = registration(handler).handler;
    const auto lower_group = handler.in_kernel ? lower::lower_handler : lower::lower_capture;
    std::vector<ssa::EventGroup> groups = groups_of(handler, plan_->linkage.module);
    for (uint32_t g = 0; g < groups.size(); ++g) {
      lower::Lowered lowered =
          lower_group(function, index, world_, groups[g], lower_options(index), plan_->linkage);
      if (tell_mistakes()) return false;
      if (auto* refusal = std::get_if<lower::Refusal>(&lowered)) {
        exile(index, std::move(*refusal));
        return false;
      }
      plan_->owners.resize(plan_->linkage.module.sites.size(), SiteOwner{index, g});
      ssa::Function compiled = std::get<ssa::Function>(std::move(lowered));
      passes::optimize(compiled, plan_->linkage.module);
      handler.groups.push_back(PlannedGroup{std::move(groups[g]), std::move(compiled)});
    }
    return true;
  }

  /// An action works at the event itself: reports one that would have to wait.
  bool may_leave_kernel(const PlannedHandler& handler) {
    const std::set<bytecode::Builtin>& actions = effects_[handler.registration].actions;
    if (actions.empty()) return true;
    const bytecode::BuiltinInfo& action = bytecode::builtin_info(*actions.begin());
    const diag::Span at = handler.reason.span;
    sink_.report(diag::Code::ActsInKernel,
                 at.end > at.begin ? at : registration(handler).handler.place.span,
                 fmt::format("'{}' acts in the kernel alone, and this handler cannot run there: {}",
                             bytecode::full_name(action), handler.reason.text));
    return false;
  }

  /// What only lowering finds; true when there was something.
  bool tell_mistakes() {
    std::set<uint32_t> told;
    for (const lower::EventMistake& mistake : plan_->linkage.mistakes) {
      if (told.insert(mistake.span.begin).second) report(mistake);
    }
    plan_->linkage.mistakes.clear();
    return !told.empty();
  }

  /// Once for each place, however many groups and trials met it.
  void warn() {
    std::set<uint32_t> told;
    for (const lower::EventMistake& warning : plan_->linkage.warnings) {
      if (!told.insert(warning.span.begin).second) continue;
      diag::suggest(sink_.report(diag::Code::WordNearKnownName, warning.span, warning.text),
                    warning.word, warning.choices);
    }
  }

  void report(const lower::EventMistake& mistake) {
    diag::Diagnostic& diagnostic = sink_.report(mistake.code, mistake.span, mistake.text);
    const bool is_object = mistake.word == "this";  // of C++, not the `this->x` of other tracers
    if (!mistake.hint.empty()) {
      diagnostic.hints.push_back(mistake.hint);
    } else if (const std::string_view ktap = syntax::foreign_name(mistake.word);
               !ktap.empty() && !mistake.choices.empty() && !is_object) {
      diagnostic.hints.push_back(fmt::format("in ktap that is {}", ktap));
    } else {
      diag::suggest_last_word(diagnostic, mistake.word, mistake.choices, input_.source);
      if (is_event_text(*input_.registrations, mistake.span)) {
        diagnostic.fixes.clear();
        const bool is_near = !diag::nearest(mistake.word, mistake.choices).empty();
        if (mistake.code == diag::Code::NoSuchField && !is_near)
          diagnostic.hints.push_back(
              "a filter in a computed text knows global variables of the script, none that `var` "
              "declares");
      }
    }
    if (!mistake.whose.empty()) diagnostic.hints.push_back(mistake.whose);
    if (mistake.choices.empty() || mistake.choices.size() > kMostListed) return;
    if (!mistake.lists_choices) return;
    std::string all;
    for (const std::string& choice : mistake.choices) all += (all.empty() ? "" : ", ") + choice;
    diagnostic.hints.push_back(fmt::format("{}: {}", mistake.has, all));
  }

  /// What has its master in user space, with the line of the handler that wants it there.
  struct Masters {
    std::map<const runtime::Object*, uint32_t> lines;
    std::map<const runtime::Object*, uint32_t> changed;    ///< by timers
    std::map<const runtime::Object*, uint32_t> resampled;  ///< likewise, emptied or added to
    std::map<const runtime::Object*, uint32_t> drawn;      ///< by handlers in the kernel

    void add(const std::set<const runtime::Table*>& tables, uint32_t line) {
      for (const runtime::Table* table : tables) lines.emplace(table, line);
    }
    void add(const std::set<const runtime::Aggregate*>& aggregates, uint32_t line) {
      for (const runtime::Aggregate* aggregate : aggregates) lines.emplace(aggregate, line);
    }
  };

  /// A table that a handler in user space writes, or that an event handler there touches at all,
  /// has its master in user space: kernel handlers that use it follow. So has an aggregate that an
  /// event handler there touches; samples of ticks add up with the kernel's. True when one moved.
  bool tables_move() {
    Masters masters;
    for (size_t i = 0; i < effects_.size(); ++i) {
      const Registration& r = (*input_.registrations)[i];
      if (r.kind == HandlerKind::End || r.kind == HandlerKind::Event) continue;
      for (const runtime::Table* table : effects_[i].written)
        masters.changed.emplace(table, r.handler.place.line);
      for (const runtime::Object* object : effects_[i].resampled)
        masters.resampled.emplace(object, r.handler.place.line);
    }
    for (const PlannedHandler& handler : plan_->handlers) {
      const Registration& r = registration(handler);
      if (!handler.in_kernel) {
        masters.add(effects_[handler.registration].touched, r.handler.place.line);
        masters.add(effects_[handler.registration].aggregates, r.handler.place.line);
      } else {
        for (const runtime::Object* object : drawn_by(handler)) {
          masters.drawn.emplace(object, r.handler.place.line);
        }
      }
    }
    bool moved = false;
    for (uint32_t i = 0; i < plan_->handlers.size(); ++i) {
      if (!plan_->handlers[i].in_kernel) continue;
      for (uint32_t table : tables_of(plan_->handlers[i])) {
        std::string reason = why_in_user_space(table, masters);
        if (reason.empty()) reason = why_not_printed_later(plan_->handlers[i], table);
        if (reason.empty()) continue;
        const Registration& r = registration(plan_->handlers[i]);
        exile(i, lower::Refusal{reason, r.handler.place.span, r.handler.place.line});
        moved = true;
        break;
      }
    }
    return moved;
  }

  /// "" when the kernel may keep this table.
  std::string why_in_user_space(uint32_t table, const Masters& masters) const {
    const ssa::TableInfo& info = plan_->linkage.module.tables[table];
    std::vector<const runtime::Object*> objects{plan_->linkage.tables[table]};
    std::string what = "table";
    if (info.sample_of != 0) {
      const runtime::SampleParts& parts = plan_->linkage.samples[info.sample_of - 1];
      objects = samples_objects(parts);
      if (parts.aggregate != nullptr) what = "aggregate";
    }
    const lower::Totals::Key* total =
        plan_->linkage.shapes.totals.what(plan_->linkage.tables[table]);
    const bool is_of_samples = info.sample_of != 0 || total != nullptr;
    if (total != nullptr) {
      const runtime::Object* owner = total->first;
      objects = {owner};
      if (owner->type == runtime::Type::Aggregate) what = "aggregate";
      if (const auto at = masters.resampled.find(owner); at != masters.resampled.end()) {
        return fmt::format(
            "{} '{}' is read here, and changed by the timer at line {}, in user space", what,
            info.name, at->second);
      }
    }
    for (const runtime::Object* object : objects) {
      const auto by_timer = masters.changed.find(object);
      if (is_of_samples && by_timer != masters.changed.end()) {
        return fmt::format("{} '{}' is also stored into by the timer at line {}, in user space",
                           what, info.name, by_timer->second);
      }
      if (const auto at = masters.lines.find(object); at != masters.lines.end()) {
        return fmt::format("{} '{}' is also used by {}, which runs in user space", what, info.name,
                           at->second == 0 ? "another handler"
                                           : fmt::format("the handler at line {}", at->second));
      }
      const auto at = masters.drawn.find(object);
      if (info.sample_of != 0 && at != masters.drawn.end()) {
        return fmt::format("{} '{}' is printed by the handler at line {} as it is at its event",
                           what, info.name, at->second);
      }
    }
    return "";
  }

  /// print(t) delete(t): user space prints when it comes to it, and would find nothing. "" where
  /// what the handler prints of the table stays there.
  std::string why_not_printed_later(const PlannedHandler& handler, uint32_t table) const {
    bool removes = false;
    each_inst(handler, [&](const ssa::Inst& inst) {
      const bool is_removal = inst.op == ssa::Op::TableDelete || inst.op == ssa::Op::TableClear;
      removes = removes || (is_removal && inst.imm == int64_t{table});
    });
    if (!removes || drawn_by(handler).count(plan_->linkage.tables[table]) == 0) return "";
    return fmt::format("table '{}' is printed here as it is at the event, and entries are removed",
                       plan_->linkage.module.tables[table].name);
  }

  /// The table or aggregate, and the aggregates that the main chunk put into the table.
  static std::vector<const runtime::Object*> samples_objects(const runtime::SampleParts& parts) {
    if (parts.aggregate != nullptr) return {parts.aggregate};
    std::vector<const runtime::Object*> objects{parts.table};
    for (const auto& [key, value] : parts.table->entries()) {
      if (value.type == runtime::Type::Aggregate) objects.push_back(value.aggregate());
    }
    return objects;
  }

  /// Each instruction of the handler's programs.
  template <class Visit>
  static void each_inst(const PlannedHandler& handler, Visit visit) {
    for (const PlannedGroup& group : handler.groups) session::each_inst(group, visit);
  }

  /// The tables that the handler's output calls print, with the tables and aggregates in them.
  std::set<const runtime::Object*> drawn_by(const PlannedHandler& handler) const {
    std::set<const runtime::Object*> drawn;
    each_inst(handler, [&](const ssa::Inst& inst) {
      if (inst.op != ssa::Op::Emit) return;
      const ssa::Site& site = plan_->linkage.module.sites[static_cast<size_t>(inst.imm)];
      if (site.kind == ssa::SiteKind::Exit || site.kind == ssa::SiteKind::Capture) return;
      add_drawn(plan_->linkage.outputs[site.user_index].args, drawn);
    });
    return drawn;
  }

  static void add_drawn(const std::vector<lower::OutputArg>& args,
                        std::set<const runtime::Object*>& drawn) {
    for (const lower::OutputArg& arg : args) {
      if (arg.kind == lower::OutputArg::Kind::Table) add_drawn(arg.value, drawn);
      add_drawn(arg.args, drawn);
    }
  }

  static void add_drawn(runtime::Value value, std::set<const runtime::Object*>& drawn) {
    if (value.type == runtime::Type::Aggregate) drawn.insert(value.aggregate());
    if (value.type != runtime::Type::Table || !drawn.insert(value.table()).second) return;
    for (const auto& entry : value.table()->entries()) add_drawn(entry.second, drawn);
  }

  /// The VM runs behind the kernel: an event handler there and one in the kernel do not agree on a
  /// variable that one of them assigns and the other reads or assigns, unless both add to it. Then
  /// both run in user space. True when one moved.
  bool variables_move() {
    UsedInUser used;
    for (const PlannedHandler& handler : plan_->handlers) {
      if (handler.in_kernel) continue;
      const Registration& r = registration(handler);
      const lower::Effects& effects = effects_[handler.registration];
      for (const lower::Variable& v : effects.read) used.read.emplace(v, r.handler.place.line);
      for (const lower::Variable& v : effects.assigned)
        used.assigned.emplace(v, r.handler.place.line);
      for (const lower::Variable& v : effects.replaced)
        used.replaced.emplace(v, r.handler.place.line);
    }
    bool moved = false;
    for (uint32_t i = 0; i < plan_->handlers.size(); ++i) {
      if (!plan_->handlers[i].in_kernel) continue;
      if (const std::optional<lower::Refusal> reason = disagreement(i, used)) {
        exile(i, *reason);
        moved = true;
      }
    }
    return moved;
  }

  std::optional<lower::Refusal> disagreement(uint32_t index, const UsedInUser& used) const {
    const lower::Linkage& linkage = plan_->linkage;
    for (const PlannedGroup& group : plan_->handlers[index].groups) {
      for (const ssa::Block& block : group.function.blocks) {
        for (ssa::ValueId id : block.insts) {
          const ssa::Inst& inst = group.function[id];
          const auto number = static_cast<size_t>(inst.imm);
          const bool is_table = ssa::is_table_op(inst.op) && linkage.variables[number].valid();
          if (!is_table && !ssa::is_cell_op(inst.op)) continue;
          const lower::Variable variable =
              is_table ? linkage.variables[number]
                       : lower::Variable{linkage.cells[number], linkage.cell_globals[number]};
          const std::optional<uint32_t> line = used.against(inst.op, variable);
          if (!line) continue;
          return shares_variable(
              index, is_table ? linkage.module.tables[number].name : linkage.module.cells[number],
              *line);
        }
      }
    }
    // A read whose value goes nowhere is no instruction, but may have been a mistake of the script.
    for (const lower::Variable& variable : effects_[plan_->handlers[index].registration].read) {
      const auto at = used.assigned.find(variable);
      if (at == used.assigned.end()) continue;
      return shares_variable(index, name_of(variable, registration(plan_->handlers[index])),
                             at->second);
    }
    return std::nullopt;
  }

  /// As the handler calls it; "" when that is not known.
  std::string name_of(const lower::Variable& variable, const Registration& by) const {
    if (variable.cell == nullptr) {
      return input_.global_names == nullptr
                 ? ""
                 : (*input_.global_names)[static_cast<size_t>(variable.global)];
    }
    for (const runtime::Value root : {by.handler.function, by.handler.filter}) {
      if (root.type != runtime::Type::Function) continue;
      const runtime::Closure& closure = *root.closure();
      for (size_t i = 0; i < closure.upvalues.size(); ++i) {
        if (closure.upvalues[i] == variable.cell) return closure.function->upvalues[i].name;
      }
    }
    return "";
  }

  /// `name`: "" when it has none here.
  lower::Refusal shares_variable(uint32_t index, const std::string& name, uint32_t line) const {
    const Registration& r = registration(plan_->handlers[index]);
    const std::string what = name.empty() ? "a variable" : fmt::format("variable '{}'", name);
    return {fmt::format("{} is also used by the handler at line {}, which runs in user space", what,
                        line),
            r.handler.place.span, r.handler.place.line};
  }

  std::set<uint32_t> tables_of(const PlannedHandler& handler) const {
    std::set<uint32_t> tables;
    each_inst(handler, [&](const ssa::Inst& inst) {
      if (ssa::names_table(inst.op)) tables.insert(static_cast<uint32_t>(inst.imm));
    });
    // A loop over a table without a key is nothing in the kernel: another handler may fill it.
    const lower::Linkage& linkage = plan_->linkage;
    for (uint32_t table = 0; table < linkage.tables.size(); ++table) {
      if (linkage.module.tables[table].key.empty() &&
          effects_[handler.registration].touched.count(linkage.tables[table]) != 0)
        tables.insert(table);
    }
    return tables;
  }

  /// Ticks may remove entries while kernel handlers run. (Event handlers in user space never share
  /// a table with those, and a trace_end runs when they have ended.)
  void note_removals() {
    for (size_t i = 0; i < effects_.size(); ++i) {
      const HandlerKind kind = (*input_.registrations)[i].kind;
      if (kind == HandlerKind::End || kind == HandlerKind::Event) continue;
      for (size_t table = 0; table < plan_->linkage.tables.size(); ++table) {
        if (effects_[i].removed_from.count(plan_->linkage.tables[table]) == 0) continue;
        plan_->linkage.module.tables[table].is_removed_outside = true;
      }
    }
  }

  bool emit_all() {
    note_removals();
    plan_->jobs.clear();
    for (uint32_t i = 0; i < plan_->handlers.size(); ++i) {
      for (uint32_t g = 0; g < plan_->handlers[i].groups.size(); ++g) {
        const PlannedGroup& group = plan_->handlers[i].groups[g];
        plan_->jobs.push_back(
            backend::Job{&group.function, &group.group, i, g, by_callback_.count(i) != 0});
      }
    }
    find_stack_start();
    backend::Options options = input_.backend;
    options.fuse = fuse_;
    backend::EmitResult result = backend::emit(plan_->jobs, plan_->linkage.module, facts_, options);
    for (const backend::EmitFailure& failure : result.failures)
      refuse(plan_->jobs[failure.job].handler, failure.text, 0);
    plan_->unit = std::move(result.unit);
    spoil_one();
    return result.failures.empty();
  }

  /// By where its stack begins user space tells which program of a process a user stack was taken
  /// in (base/user_stack.h). Where there is such a stack, kernel types are read for that (2 ms).
  void find_stack_start() {
    bpf::TaskLayout& task = facts_.task;
    if (task.tgid < 0 || task.mm >= 0 || sizeof(void*) != 8 || !input_.machine.types) return;
    const schema::KernelTypes* types = takes_user_stacks(*plan_) ? input_.machine.types() : nullptr;
    if (types == nullptr) return;
    const auto offset = [&](const char* of, const char* name) {
      const Result<schema::CType> type = types->parse(of);
      if (!type.ok()) return -1;
      const std::optional<schema::CMember> member = types->member(type.value(), name);
      return member ? static_cast<int32_t>(member->offset_bits / 8) : -1;
    };
    task.mm = offset("struct task_struct", "mm");
    task.stack_start = offset("struct mm_struct", "start_stack");
    task.utask = offset("struct task_struct", "utask");
    task.return_probes = offset("struct uprobe_task", "return_instances");
    task.return_stack = offset("struct return_instance", "stack");
    task.return_next = offset("struct return_instance", "next");
    if (std::min({task.utask, task.return_probes, task.return_stack, task.return_next}) < 0 ||
        offset("struct return_instance", "orig_ret_vaddr") != task.return_stack + 8)
      task.utask = -1;
  }

  /// --spoil: of a handler that has somewhere to go.
  void spoil_one() {
    if (input_.options->spoil_line == 0) return;
    for (bpf::Program& program : plan_->unit.programs) {
      for (const uint32_t handler : program.handlers()) {
        if (plan_->handlers[handler].in_kernel && spoil(program, input_.options->spoil_line))
          return;
      }
    }
  }

  Result<bool> load_all(std::unique_ptr<engine::BpfEngine>* engine) {
    std::vector<engine::Rejection> rejections;
    KTAP_ASSIGN(*engine, engine::BpfEngine::load(plan_->unit, &rejections));
    for (const engine::Rejection& rejection : rejections) KTAP_TRY(take_away(rejection));
    if (rejections.empty()) plan_->verified_instructions = (*engine)->verified_instructions();
    if (!rejections.empty()) engine->reset();
    return rejections.empty();
  }

  /// Whom the verifier's refusal hits. Where it means all of a program that several handlers share,
  /// each gets one of its own first.
  Result<void> take_away(const engine::Rejection& rejection) {
    const std::vector<uint32_t> handlers = plan_->unit.programs[rejection.program].handlers();
    if (handlers.empty()) {
      return Error{"the kernel refuses a program of ktap's own (" +
                       plan_->unit.programs[rejection.program].name + "): " + rejection.reason,
                   0};
    }
    const bpf::ProgramKind kind = plan_->unit.programs[rejection.program].kind;
    if (!rejection.is_size &&
        (kind == bpf::ProgramKind::FunctionEntry || kind == bpf::ProgramKind::FunctionExit)) {
      if (!plan_->unit.programs[rejection.program].btf_module.empty() &&
          facts_.has_module_trampolines) {
        facts_.has_module_trampolines = false;
        return {};
      }
      take_trampolines("the kernel refuses one here");
      return {};
    }
    const bool is_one = handlers.size() == 1;
    const bool is_typed = kind == bpf::ProgramKind::TypedRawTracepoint;
    if (is_typed && is_one && exiles_.count(handlers.front()) != 0) {
      facts_.typed_tracepoints.clear();  // not even the capture program: the fault is ours
      return {};
    }
    if (!is_one && (rejection.is_size || rejection.handler == bpf::kNoHandler)) {
      fuse_ = false;
      return {};
    }
    if (is_one && rejection.is_size && may_call_back(handlers.front())) {
      by_callback_.insert(handlers.front());
      return {};
    }
    if (const std::string forbidden = forbidden_helper(rejection.reason); !forbidden.empty()) {
      refuse(rejection.handler == bpf::kNoHandler ? handlers.front() : rejection.handler, forbidden,
             rejection.line);
      return {};
    }
    const char* what = rejection.is_size ? "the program is too much for the kernel's verifier"
                                         : "the kernel's verifier refuses the program";
    const bool is_told = input_.options->verbose || rejection.is_for_user;
    refuse(is_one ? handlers.front() : rejection.handler,
           what + (is_told ? ": " + rejection.reason : std::string()), rejection.line);
    return {};
  }

  /// It has loops, and not tried this form of them yet.
  bool may_call_back(uint32_t handler) const {
    if (!facts_.has_bpf_loop || by_callback_.count(handler) != 0) return false;
    bool has_loops = false;
    each_inst(plan_->handlers[handler], [&](const ssa::Inst& inst) {
      has_loops = has_loops || inst.op == ssa::Op::LoopGuard;
    });
    return has_loops;
  }

  /// Helpers that change things are not everywhere; "" for another reason.
  static std::string forbidden_helper(const std::string& reason) {
    const bool is_helper = reason.find("cannot use helper") != std::string::npos ||
                           reason.find("unknown func") != std::string::npos;
    if (!is_helper) return "";
    if (reason.find("probe_write_user") != std::string::npos)
      return "this kernel lets no program write to processes (it is locked down)";
    if (reason.find("override_return") != std::string::npos)
      return "this kernel lets no program set results (it has no CONFIG_BPF_KPROBE_OVERRIDE)";
    if (reason.find("send_signal") != std::string::npos)
      return "this kernel lets no program of such an event send signals";
    return "";
  }

  /// Of a handler that is in user space already its capture program is at fault: without the filter
  /// there is not much left of it.
  void refuse(uint32_t handler, const std::string& text, uint32_t line) {
    if (!plan_->handlers[handler].in_kernel) {
      const Registration& r = registration(plan_->handlers[handler]);
      const bool has_filter = r.handler.filter.type == runtime::Type::Function;
      if (has_filter && unfiltered_.insert(handler).second) return;
      sink_.report(diag::Code::EventUnavailable, r.handler.place.span,
                   "the handler cannot be traced here: " + text);
      return;
    }
    exile(handler, lower::Refusal{text, {}, line});
  }

  const PlanInput& input_;
  std::vector<PlannedHandler> resolved_;
  diag::Sink& sink_;
  lower::World world_;
  std::vector<lower::Effects> effects_;  // by registration
  Exiles exiles_;
  bool reads_less_ = false;         // who may have read aggregates has moved since the last trial
  std::set<uint32_t> by_callback_;  // handlers whose loops are too much for the verifier else
  bpf::KernelFacts facts_;
  /// Why facts_ has none.
  std::string no_trampolines_ = "this kernel has none (Linux 5.5 with type information)";
  std::set<uint32_t> unfiltered_;  // in user space, their filters too
  bool fuse_ = true;
  lower::Shapes shapes_;
  std::unique_ptr<Plan> plan_;
};

void mark_args(runtime::Heap& heap, const std::vector<lower::OutputArg>& args) {
  for (const lower::OutputArg& arg : args) {
    heap.mark(arg.value);
    mark_args(heap, arg.args);
  }
}

}  // namespace

namespace {

uint8_t change_of(ssa::Op cell_op) {
  switch (cell_op) {
    case ssa::Op::CellGet:
      return 0;
    case ssa::Op::CellAdd:
      return KernelUses::kSum;
    case ssa::Op::CellAnd:
    case ssa::Op::CellOr:
      return KernelUses::kMask;
    case ssa::Op::CellXor:
      return KernelUses::kToggle;
    default:
      return KernelUses::kStore;
  }
}

}  // namespace

KernelUses kernel_uses(const Plan& plan) {
  KernelUses uses;
  uses.tables.resize(plan.linkage.module.tables.size());
  uses.cells.resize(plan.linkage.module.cells.size());
  uses.cell_changes.resize(uses.cells.size());
  for (const PlannedHandler& handler : plan.handlers) {
    for (const PlannedGroup& group : handler.groups) {
      for (const ssa::Block& block : group.function.blocks) {
        for (const ssa::ValueId id : block.insts) {
          const ssa::Inst& inst = group.function[id];
          const auto number = static_cast<size_t>(inst.imm);
          if (ssa::names_table(inst.op)) uses.tables[number] = true;
          if (!ssa::is_cell_op(inst.op)) continue;
          uses.cells[number] = true;
          uses.cell_changes[number] |= change_of(inst.op);
        }
      }
    }
  }
  return uses;
}

void Plan::mark(runtime::Heap& heap) const {
  for (const lower::OutputSite& output : linkage.outputs) mark_args(heap, output.args);
  for (runtime::Table* table : linkage.tables) heap.mark(table);
  for (const runtime::SampleParts& parts : linkage.samples) {
    heap.mark(parts.table);
    heap.mark(parts.aggregate);
  }
}

Result<std::unique_ptr<Plan>> make_plan(const PlanInput& input,
                                        std::vector<PlannedHandler> handlers, bool load,
                                        std::unique_ptr<engine::BpfEngine>* engine,
                                        diag::Sink& sink) {
  return Planner(input, std::move(handlers), sink).run(load, engine);
}

}  // namespace ktap::session
