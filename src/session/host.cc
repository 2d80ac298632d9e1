// Registrations are kept as they come; a computed event text that holds a filter is split and
// compiled here.
#include "session/host.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "base/interval.h"
#include "base/limits.h"
#include "bytecode/unsafe_uses.h"
#include "compiler/compiler.h"
#include "event/syscall_table.h"
#include "runtime/parse_number.h"
#include "syntax/parser.h"
#include "sys/clock.h"
#include "sys/shell.h"
#include "vm/names.h"
#include "vm/time_text.h"

namespace ktap::session {

namespace {

/// "12.345678: ", the form of -T.
std::string time_prefix(int64_t time_ns) {
  return fmt::format("{}.{:06}: ", time_ns / 1000000000, time_ns % 1000000000 / 1000);
}

utsname system_names() {
  utsname names{};
  uname(&names);
  return names;
}

/// All that is in the function comes from that place.
void put_at(bytecode::Function& function, const bytecode::Place& place) {
  function.place = place;
  std::fill(function.places.begin(), function.places.end(), place);
  for (const std::unique_ptr<bytecode::Function>& child : function.children) put_at(*child, place);
}

}  // namespace

void ScriptHost::write(std::string_view text) {
  // Nobody reads any more: what runs ends at its next loop or call, and the run with it.
  if (output_.broken()) vm_->interrupt();
  if (handler_time_ns_) return write_at(text, *handler_time_ns_);
  begins_line_ = text.empty() ? begins_line_ : text.back() == '\n';
  output_.write(text);
}

void ScriptHost::write_at(std::string_view text, int64_t time_ns) {
  if (!timestamps_) return output_.write(text);
  // A line that is printed in parts has one time; of a text of several, each has it.
  std::string stamped;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    if (begins_line_) stamped += time_prefix(time_ns);
    stamped += text.substr(0, end);
    begins_line_ = text[end - 1] == '\n';
    text.remove_prefix(end);
  }
  output_.write(stamped);
}

vm::Host::Canvas ScriptHost::canvas() {
  if (output_.has_picture_file()) return Canvas::Picture;
  return output_.shows_colours() ? Canvas::Colour : Canvas::Text;
}

Result<void> ScriptHost::write_file(const std::string& path, std::string_view text) {
  return output_.write_picture(path, text);
}

std::optional<vm::RuntimeError> ScriptHost::run_handler(const lower::Handler& handler,
                                                        vm::EventContext* event, int64_t time_ns,
                                                        bool filter) {
  vm::Budget budget{limits::kHandlerIterations, limits::kHandlerCallDepth, limits::kHandlerCalls};
  begin_handler(event, time_ns);
  std::optional<vm::RuntimeError> error;
  runtime::Value passed = runtime::Value::of(true);
  if (filter && !handler.filter.is_nil()) {
    error = vm_->call(handler.filter, {}, budget, &passed);
    budget.iterations_done = vm_->iterations_done();
  }
  if (!error && passed.truthy())
    error = vm_->call(handler.function, {runtime::Value::event()}, budget, nullptr);
  end_handler();
  return error;
}

void ScriptHost::begin_handler(vm::EventContext* event, int64_t time_ns) {
  event_ = event;
  handler_time_ns_ = time_ns;
}

void ScriptHost::end_handler() {
  event_ = nullptr;
  handler_time_ns_.reset();
}

std::string ScriptHost::register_handler(bytecode::HandlerKind kind, std::string_view event_text,
                                         runtime::Value filter, runtime::Value handler,
                                         const bytecode::Place& place) {
  if (frozen_) return "cannot register a handler inside a handler; register it in the main chunk";
  if (handler.type != runtime::Type::Function && handler.type != runtime::Type::Builtin) {
    return fmt::format("a handler must be a function, not {}", runtime::type_name(handler.type));
  }
  std::string text(event_text);
  // `trace tick-1s { }` is `tick-1s { }`.
  if (kind == bytecode::HandlerKind::Event && text.compare(0, 5, "tick-") == 0)
    kind = bytecode::HandlerKind::Tick;
  // A profile timer is an event like any other, on every CPU.
  if (kind == bytecode::HandlerKind::Profile) kind = bytecode::HandlerKind::Event;
  Registration registration;
  if (kind == bytecode::HandlerKind::Event || kind == bytecode::HandlerKind::Tick)
    split_filter(text, filter, place, kind == bytecode::HandlerKind::Tick,
                 registration.filter_mistakes);
  registration.kind = kind;
  registration.event_text = text;
  if (kind == bytecode::HandlerKind::Tick) {
    const Interval interval = parse_interval(text);
    if (!registration.filter_mistakes.has_errors()) registration.mistake = interval.error;
    registration.interval_ns = static_cast<int64_t>(interval.ns);
  }
  registration.handler.function = handler;
  registration.handler.filter = filter;
  registration.handler.at_end = kind == bytecode::HandlerKind::End;
  registration.handler.is_event = kind == bytecode::HandlerKind::Event;
  registration.handler.place = place;
  registrations_.push_back(std::move(registration));
  return "";
}

/// A computed event text may hold a filter: it is compiled here, with the script's global variables
/// in scope. It stands nowhere in the script, so what is wrong with it, now or later, is told where
/// the event text is. Like an event that is not there it ends nothing before the main chunk is
/// done.
void ScriptHost::split_filter(std::string& text, runtime::Value& filter,
                              const bytecode::Place& place, bool is_timer, diag::Sink& mistakes) {
  const syntax::EventTextSplit split = syntax::split_event_text(text);
  if (split.filter_end == 0 || !filter.is_nil()) return;
  const std::string filter_text =
      text.substr(split.filter_begin, split.filter_end - split.filter_begin);
  const std::string_view shown = runtime::trimmed(filter_text);
  if (!split.closed) {
    mistakes.report(diag::Code::UnclosedFilter, place.span,
                    fmt::format("the filter '/{}' has no closing slash", shown));
    return;
  }
  if (shown.empty()) {
    mistakes.report(diag::Code::EmptyFilter, place.span, "the filter is empty");
    return;
  }
  const diag::Source source(fmt::format("filter of {}:{}", source_.name(), place.line),
                            filter_text);
  diag::Sink sink;
  const syntax::ExprPtr expr = syntax::parse_filter(split.text, source, sink);
  const std::vector<std::string>& globals = chunk_.globals;
  std::string event_text(split.text);
  const syntax::Expr* left = expr.get();  // of the filter, once functions are found in it
  if (!sink.has_errors() && expr != nullptr) {
    compiler::TracedFunctions functions =
        compiler::traced_functions(split.text, *expr, [&](const std::string& name) {
          return std::find(globals.begin(), globals.end(), name) != globals.end();
        });
    if (!functions.event_text.empty()) {
      event_text = std::move(functions.event_text);
      left = functions.filter;
      if (left == nullptr) {
        text = std::move(event_text);
        return;
      }
    }
  }
  std::unique_ptr<bytecode::Function> compiled;
  if (!sink.has_errors() && expr != nullptr)
    compiled = compiler::compile_filter(*left, source, globals, is_timer, sink);
  for (const diag::Diagnostic* found : sink.in_source_order()) {
    if (found->severity != diag::Severity::Error) continue;
    diag::Diagnostic& told = mistakes.report(
        found->code, place.span, fmt::format("the filter '{}': {}", shown, found->text));
    told.hints = found->hints;
  }
  if (compiled == nullptr) return;
  if (!is_unsafe_ && !bytecode::find_unsafe_uses(*compiled).empty()) {
    diag::Diagnostic& told =
        mistakes.report(diag::Code::NeedsUnsafe, place.span,
                        fmt::format("the filter '{}' changes things outside of the script", shown));
    told.hints.push_back("ktap --unsafe allows it");
    return;
  }
  put_at(*compiled, place);
  filter = vm_->make_closure(*compiled);
  filters_.push_back(std::move(compiled));
  text = std::move(event_text);
}

void ScriptHost::request_exit(int64_t status, bool given) {
  exited_ = true;
  if (given) exit_status_ = static_cast<int>(status & 255);
}

int64_t ScriptHost::now_ns(vm::Clock clock) {
  return sys::clock_ns(clock == vm::Clock::Realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC);
}

std::string ScriptHost::local_time(std::string_view format, int64_t time_ns) {
  const time_t seconds =
      static_cast<time_t>(time_ns / 1000000000 - (time_ns % 1000000000 < 0 ? 1 : 0));
  tm local{};
  if (localtime_r(&seconds, &local) == nullptr) return "";
  return vm::time_text(format, local);
}

uint64_t ScriptHost::random_seed() {
  uint64_t seed = 0;
  // Early in the boot the kernel may have no randomness yet: then the clock has to do.
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) {
    seed = static_cast<uint64_t>(now_ns(vm::Clock::Realtime));
  }
  return seed;
}

Result<int64_t> ScriptHost::run_command(std::string_view command) {
  if (!is_unsafe_) return Host::run_command(command);
  output_.flush();
  return sys::run_shell(std::string(command), output_.fd());
}

int64_t ScriptHost::cpu_count() { return sysconf(_SC_NPROCESSORS_ONLN); }

std::string ScriptHost::machine() { return system_names().machine; }

std::string ScriptHost::kernel_release() { return system_names().release; }

namespace {

constexpr int64_t kLastSyscall = 1023;  // far above any there is

const lower::NumberNames& number_names() {
  static const lower::NumberNames names = [] {
    lower::NumberNames made{{}, vm::errno_names(), vm::signal_names()};
    for (int64_t number = 0; number <= kLastSyscall; ++number)
      made.syscalls.emplace_back(event::syscall_name(number));
    while (!made.syscalls.empty() && made.syscalls.back().empty()) made.syscalls.pop_back();
    return made;
  }();
  return names;
}

}  // namespace

lower::Machine ScriptHost::machine_facts(const schema::KernelTypes* user_types) {
  lower::Machine facts{cpu_count(), machine(), kernel_release(),
                       now_ns(vm::Clock::Realtime) - now_ns(vm::Clock::Monotonic), &number_names()};
  kernel_.put_into(facts);
  facts.user_types = user_types;
  return facts;
}

Result<schema::CType> ScriptHost::cast_target(std::string_view text) {
  return kernel_.cast_target(std::string(text));
}

Result<std::string> ScriptHost::enum_name(std::string_view type, int64_t value) {
  return kernel_.enum_name(std::string(type), value);
}

Result<int64_t> ScriptHost::kernel_symbol(std::string_view name) {
  return kernel_.symbol(std::string(name));
}

std::string ScriptHost::kernel_name(int64_t address) {
  return stack_names_.kernel_name(static_cast<uint64_t>(address));
}

std::string ScriptHost::user_name(int64_t pid, int64_t address) {
  return stack_names_.user_name(pid, static_cast<uint64_t>(address));
}

std::string ScriptHost::syscall_name(int64_t number) {
  return std::string(event::syscall_name(number));
}

void ScriptHost::mark(runtime::Heap& heap) const {
  for (const Registration& registration : registrations_) {
    heap.mark(registration.handler.function);
    heap.mark(registration.handler.filter);
  }
}

}  // namespace ktap::session
