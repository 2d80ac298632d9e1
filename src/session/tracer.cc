// One thread does it all: it sleeps until a wake-up, a tick or the polling clock, takes the records
// that are there, runs what is due, and goes back to sleep. While records come it looks every few
// milliseconds and no record wakes it (a wake-up costs 1 to 6 us); when none have come it says so
// in the control page, and the next record wakes it.
#include "session/tracer.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/limits.h"
#include "runtime/string.h"
#include "session/interrupt.h"
#include "session/record.h"

namespace ktap::session {

using runtime::Value;

namespace {

constexpr int64_t kBusyPollNs =
    2'000'000;  // guessed: a tenth of the ring at a million records a second
constexpr int64_t kIdlePollNs = 50'000'000;     // a record that missed that we sleep waits as long
constexpr uint32_t kRecordsBetweenLooks = 256;  // guessed: well below a millisecond of handlers
constexpr int64_t kCheckNs =
    100'000'000;  // how soon the first run-time error of kernel code is told

/// True when kernel code may send a record or call exit(): then the loop must look often.
bool sends(const Plan& plan) {
  if (!plan.linkage.module.sites.empty()) return true;
  for (const PlannedHandler& handler : plan.handlers) {
    for (const PlannedGroup& group : handler.groups) {
      for (const ssa::Block& block : group.function.blocks) {
        for (const ssa::ValueId id : block.insts) {
          if (group.function[id].op == ssa::Op::RequestExit) return true;
        }
      }
    }
  }
  return false;
}

}  // namespace

Tracer::Tracer(TracerParts parts)
    : parts_(parts), sends_(parts.plan != nullptr && sends(*parts.plan)) {
  const int64_t now = parts_.host.now_ns(vm::Clock::Monotonic);
  for (Registration& registration : parts_.host.registrations()) {
    if (registration.kind != bytecode::HandlerKind::Tick) continue;
    const bool kept = registration.next_ns > now;
    ticks_.push_back(
        Tick{&registration, kept ? registration.next_ns : now + registration.interval_ns});
  }
  make_writers();
}

/// -T puts the time before each line: that is left to the host.
void Tracer::make_writers() {
  if (parts_.plan == nullptr || parts_.options.timestamps) return;
  const Plan& plan = *parts_.plan;
  const ssa::Module& module = plan.linkage.module;
  writers_.resize(module.sites.size());
  for (size_t i = 0; i < module.sites.size(); ++i) {
    const ssa::Site& site = module.sites[i];
    if (site.kind != ssa::SiteKind::Print && site.kind != ssa::SiteKind::Printf) continue;
    writers_[i] =
        SiteWriter::make(site, plan.unit.sites[i], plan.linkage.outputs[site.user_index], module);
  }
}

void Tracer::mark(runtime::Heap& heap) const {
  if (view_ != nullptr) view_->mark(heap);
}

void Tracer::run(sys::Signals& signals) {
  wait(signals, -1);
  finish();
}

Tracer::Waited Tracer::wait(sys::Signals& signals, int input_fd) {
  bool busy = true;
  int fds[4] = {signals.fd(), -1, -1, input_fd};
  interactive_ = input_fd >= 0;
  if (parts_.engine != nullptr) fds[1] = parts_.engine->wake_fd();
  signals_ = &signals;
  take_signals();
  while (!should_stop()) {
    parts_.output.flush();
    fds[2] = parts_.tree != nullptr && parts_.tree->fd() >= 0 ? parts_.tree->fd()
             : parts_.target != nullptr                       ? parts_.target->fd()
                                                              : -1;
    // The next record shall wake us; what came before it could know that is looked for once more.
    if (!busy && parts_.engine != nullptr) {
      parts_.engine->set_sleeping(true);
      busy = drain() > 0;
    }
    const uint32_t ready = sys::wait_readable(fds, 4, wait_ns(busy));
    if ((ready & 1) != 0) take_signals();
    if (parts_.engine != nullptr) parts_.engine->set_sleeping(false);
    busy = drain() > 0;
    run_due_ticks();
    check_failures();
    if (std::exchange(interrupted_, false)) return Waited::Interrupted;
    if ((ready & 8) != 0 && !should_stop()) return Waited::Input;
  }
  return Waited::Ended;
}

void Tracer::finish() {
  for (Tick& tick : ticks_) tick.registration->next_ns = tick.next_ns;
  if (parts_.engine != nullptr) {
    parts_.engine->disarm();
    disarmed_ = true;
    while (drain() > 0) {
    }
    next_check_ns_ = 0;
    check_failures();
  }
  parts_.output.flush();
}

int64_t Tracer::wait_ns(bool busy) const {
  int64_t wait = -1;
  if (parts_.engine != nullptr) wait = busy ? kBusyPollNs : sends_ ? kIdlePollNs : kCheckNs;
  const int64_t now = parts_.host.now_ns(vm::Clock::Monotonic);
  for (const Tick& tick : ticks_) {
    const int64_t left = std::max<int64_t>(tick.next_ns - now, 0);
    wait = wait < 0 ? left : std::min(wait, left);
  }
  return wait;
}

void Tracer::take_signals() {
  while (const std::optional<int> signal = signals_->take()) {
    if (*signal == SIGINT && interactive_) {
      interrupted_ = true;
    } else if (*signal != SIGCHLD) {
      note_signal();
      stopping_ = true;
    }
  }
}

/// With --follow the target is all that descends from it.
bool Tracer::target_ended() {
  const bool ended = (parts_.child != nullptr && parts_.child->try_wait().has_value()) ||
                     (parts_.target != nullptr && parts_.target->ended());
  return ended && (parts_.tree == nullptr || parts_.tree->ended());
}

bool Tracer::should_stop() {
  if (target_ended()) stopping_ = true;
  if (parts_.options.strict && (met_error_ || !parts_.errors.empty())) stopping_ = true;
  int64_t status = 0;
  if (!kernel_exit_ && parts_.engine != nullptr && parts_.engine->exit_requested(&status)) {
    kernel_exit_ = true;
    if (!parts_.host.exited()) parts_.host.request_exit(status, true);
  }
  return stopping_ || parts_.host.exited() || parts_.output.broken();
}

size_t Tracer::drain() {
  if (parts_.engine == nullptr) return 0;
  parts_.host.stack_names().take_records();
  return parts_.engine->drain([this](const engine::Record& record) { deliver(record); });
}

void Tracer::deliver(const engine::Record& record) {
  // A full ring takes the VM a second: ticks and Ctrl-C do not wait for its end.
  if (++records_since_look_ >= kRecordsBetweenLooks && !disarmed_) {
    records_since_look_ = 0;
    take_signals();
    if (!stopping_) run_due_ticks();
  }
  if (record.site == backend::kProcessSite) {
    uint64_t told[2] = {};
    if (record.size_bytes >= backend::kRecordHeaderBytes + sizeof told)
      std::memcpy(told, record.data + backend::kRecordHeaderBytes, sizeof told);
    return parts_.host.stack_names().remember(told[0], told[1]);
  }
  const ssa::Site& site = parts_.plan->linkage.module.sites[record.site];
  switch (site.kind) {
    case ssa::SiteKind::Print:
    case ssa::SiteKind::Printf:
    case ssa::SiteKind::Warn:
    case ssa::SiteKind::PrintHist:
    case ssa::SiteKind::System:
    case ssa::SiteKind::Error:
      deliver_output(record, site);
      return;
    case ssa::SiteKind::Capture:
      deliver_capture(record);
      return;
    case ssa::SiteKind::Exit:
      return;  // the control page says it; the record only keeps the order
  }
}

Value Tracer::output_value(const engine::Record& record, const lower::OutputArg& arg,
                           const std::vector<Value>& values, std::optional<std::string>& error) {
  const Plan& plan = *parts_.plan;
  switch (arg.kind) {
    case lower::OutputArg::Kind::Record:
      return values[arg.index];
    case lower::OutputArg::Kind::Constant:
    case lower::OutputArg::Kind::Table:
      return arg.value;
    case lower::OutputArg::Kind::EventText:
    case lower::OutputArg::Kind::EventTextLine: {
      const backend::SiteLayout& layout = plan.unit.sites[record.site];
      const SiteOwner& owner = plan.owners[record.site];
      const ssa::EventGroup& group = plan.handlers[owner.handler].groups[owner.group].group;
      const schema::Event* event = raw_event(group, layout, record.data);
      std::string text = event == nullptr ? std::string()
                                          : render_raw(*parts_.catalog, group, *event, layout,
                                                       record.data, record.size_bytes, record.cpu);
      if (arg.kind == lower::OutputArg::Kind::EventTextLine) text += '\n';
      return parts_.vm.heap().string(text);
    }
    case lower::OutputArg::Kind::Call: {
      std::vector<Value> args;
      for (const lower::OutputArg& part : arg.args)
        args.push_back(output_value(record, part, values, error));
      if (arg.value.builtin == static_cast<uint16_t>(bytecode::Builtin::Buf))
        return buffer_of(args[0], args[1], parts_.vm.heap());
      Value result;
      // Nothing is collected while a built-in function runs: what was made so far stays.
      const std::optional<vm::RuntimeError> failed =
          parts_.vm.call(arg.value, args, vm::Budget(), &result);
      if (failed && !error) error = failed->text;
      return result;
    }
  }
  KTAP_UNREACHABLE();
}

void Tracer::deliver_output(const engine::Record& record, const ssa::Site& site) {
  if (record.site < writers_.size() && writers_[record.site] &&
      parts_.output.append(
          [&](std::string& out) { return writers_[record.site]->append(record.data, out); })) {
    return;
  }
  const Plan& plan = *parts_.plan;
  const backend::SiteLayout& layout = plan.unit.sites[record.site];
  const lower::OutputSite& output = plan.linkage.outputs[site.user_index];
  runtime::Heap& heap = parts_.vm.heap();
  const std::vector<Value> values =
      decode_args(site, layout, record.data, plan.linkage.module, heap);
  std::vector<Value> args;
  std::optional<std::string> error;  // for want of memory alone: what can fail is no output value
  bool reads_table = false;
  for (const lower::OutputArg& arg : output.args) {
    args.push_back(output_value(record, arg, values, error));
    reads_table = reads_table || arg.kind == lower::OutputArg::Kind::Table;
  }
  if (reads_table) parts_.engine->next_run();
  std::string text;
  if (site.kind == ssa::SiteKind::System) {
    if (!error) error = run_command(args[0]);
  } else if (site.kind == ssa::SiteKind::Error) {
    if (!error) error = std::string(args[0].string()->view());
    return parts_.errors.add(error_of(plan.linkage.module.failures[output.failure], *error));
  } else if (!error) {
    error = parts_.vm.format_output(output.builtin, args, &text);
  }
  if (error) {
    vm::RuntimeError runtime_error;
    runtime_error.text = *error;
    runtime_error.place = bytecode::Place{site.span, site.line};
    parts_.errors.add(runtime_error);
    return;
  }
  if (site.kind == ssa::SiteKind::System) return;
  if (text.empty() && site.kind == ssa::SiteKind::PrintHist) return;  // it went to a file
  if (site.kind == ssa::SiteKind::Warn) return parts_.host.write_warning(text);
  parts_.host.write_at(text, parts_.options.timestamps && !values.empty() ? values[0].integer : 0);
}

/// Nothing once exit() was called or the output has gone.
std::optional<std::string> Tracer::run_command(Value command) {
  if (parts_.output.broken()) return std::nullopt;
  const Result<int64_t> status = parts_.host.run_command(command.string()->view());
  if (!status.ok()) return status.error().message;
  return std::nullopt;
}

void Tracer::deliver_capture(const engine::Record& record) {
  if (parts_.host.exited()) return;  // no handler starts after exit()
  const Plan& plan = *parts_.plan;
  const PlannedHandler& planned = plan.handlers[plan.owners[record.site].handler];
  const Registration& registration = parts_.host.registrations()[planned.registration];
  view_ = std::make_unique<EventView>(plan, parts_.catalog, parts_.vm.heap(), record,
                                      parts_.options.timestamps, parts_.host.stack_names(),
                                      [this](const std::string& what) {
                                        ++cuts_[{parts_.vm.place().line, what}];
                                      });
  run_handler(registration, *view_, view_->time_ns(), !view_->filter_ran());
  view_.reset();
}

void Tracer::run_handler(const Registration& registration, vm::EventContext& view, int64_t time_ns,
                         bool filter) {
  if (parts_.options.strict && !parts_.errors.empty()) return;
  if (parts_.engine != nullptr) parts_.engine->next_run();
  const std::optional<vm::RuntimeError> error =
      parts_.host.run_handler(registration.handler, &view, time_ns, filter);
  if (error && !parts_.output.broken()) add_error(*error, registration);
  const bool ends = parts_.host.exited() || (parts_.options.strict && error);
  if (ends && parts_.engine != nullptr) parts_.engine->disarm();
}

void Tracer::run_due_ticks() {
  for (Tick& tick : ticks_) {
    const int64_t now = parts_.host.now_ns(vm::Clock::Monotonic);
    if (now < tick.next_ns || parts_.host.exited()) continue;
    // A tick that is late runs once, not once for each beat that it missed.
    const int64_t interval = tick.registration->interval_ns;
    const int64_t missed = (now - tick.next_ns) / interval;
    tick.missed += static_cast<uint64_t>(missed);
    tick.next_ns += (missed + 1) * interval;
    TickView view(parts_.vm.heap(), tick.registration->event_text);
    run_handler(*tick.registration, view, now, true);
  }
}

void Tracer::check_failures() {
  if (parts_.engine == nullptr) return;
  const int64_t now = parts_.host.now_ns(vm::Clock::Monotonic);
  if (now < next_check_ns_ && !parts_.options.strict) return;
  next_check_ns_ = now + kCheckNs;
  const std::vector<backend::Counter>& counters = parts_.plan->unit.counters;
  std::vector<uint64_t> sums(parts_.plan->linkage.module.failures.size(), 0);
  for (uint32_t row = 0; row < counters.size(); ++row) {
    if (counters[row].kind != backend::Counter::Kind::Failure) continue;
    for (const uint64_t n : parts_.engine->counter(row)) sums[counters[row].failure] += n;
  }
  for (uint32_t failure = 0; failure < sums.size(); ++failure) {
    met_error_ = met_error_ || sums[failure] > 0;
    parts_.errors.set_kernel_count(failure, parts_.plan->linkage.module.failures[failure],
                                   sums[failure]);
  }
}

std::string Tracer::missed_ticks() const {
  std::string text;
  for (const Tick& tick : ticks_) {
    if (tick.missed == 0) continue;
    const uint32_t line = tick.registration->handler.place.line;
    text += fmt::format("ktap: {} {}{}: beats of {} came late and fell together with the next\n",
                        tick.missed, parts_.source.name(),
                        line == 0 ? "" : fmt::format(":{}", line), tick.registration->event_text);
  }
  return text;
}

void Tracer::run_ends(const InterruptGuard& guard) {
  const bool exited_before = parts_.host.take_exit();
  run_each_end(guard);
  if (exited_before) parts_.host.request_exit(0, false);
}

void Tracer::run_each_end(const InterruptGuard& guard) {
  const vm::Budget budget{-1, limits::kMainCallDepth};
  // Whatever filled the memory, what was gathered can still be shown.
  parts_.vm.set_memory_limit_bytes(
      last_memory_limit_bytes(parts_.options, parts_.vm.heap().live_bytes()));
  for (const Registration& registration : parts_.host.registrations()) {
    if (registration.kind != bytecode::HandlerKind::End) continue;
    if (parts_.host.exited()) return;  // exit() in an earlier trace_end
    if (parts_.engine != nullptr) parts_.engine->next_run();
    const std::optional<vm::RuntimeError> error =
        parts_.vm.call(registration.handler.function, {}, budget, nullptr);
    if (parts_.output.broken() || guard.interrupted()) return;
    if (error) add_error(*error, registration);
  }
}

/// A built-in function that is itself the handler has no place of its own: its event's is told.
void Tracer::add_error(vm::RuntimeError error, const Registration& registration) {
  if (error.trace.empty()) error.place = registration.handler.place;
  parts_.errors.add(error);
}

}  // namespace ktap::session
