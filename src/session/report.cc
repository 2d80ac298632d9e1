// Each kind of error is told once with its place and source line, and counted; losses are summed
// over CPUs.
#include "session/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "diag/json.h"

namespace ktap::session {

namespace {

constexpr std::ptrdiff_t kTextsOfAPlace = 5;  // guessed: a text may hold a value

/// "-e:3", or "-e" when the line is not known.
std::string line_place(const diag::Source& source, uint32_t line) {
  return line == 0 ? source.name() : fmt::format("{}:{}", source.name(), line);
}

/// "-e:3:7", as far as the places go.
std::string column_place(const diag::Source& source, const bytecode::Place& place) {
  if (place.span.end == 0) return line_place(source, place.line);
  return fmt::format("{}:{}", line_place(source, place.line),
                     source.line_column(place.span.begin).column);
}

/// What each JSON object about the running script begins with.
diag::JsonObject json_head(const char* kind, const std::string& text) {
  const bool loss = std::string_view(kind) == "loss";
  diag::JsonObject object;
  object.text("kind", kind);
  if (!loss) object.text("code", diag::code_name(diag::Code::RuntimeError));
  object.text("severity", loss ? "warning" : "error").text("message", text);
  return object;
}

diag::JsonObject& add_line(diag::JsonObject& object, const diag::Source& source, uint32_t line) {
  object.text("file", source.name());
  return line == 0 ? object : object.number("line", line);
}

diag::JsonObject& add_place(diag::JsonObject& object, const diag::Source& source,
                            const diag::Span& span, uint32_t line) {
  return span.end == 0 ? add_line(object, source, line) : object.place(source, span);
}

std::string render_located(const diag::Source& source, const diag::Span& span, uint32_t line,
                           const std::string& text) {
  if (span.end == 0)
    return fmt::format("{}: error: {}\n", line_place(source, line), diag::printable(text));
  diag::Diagnostic diagnostic{};
  diagnostic.code = diag::Code::RuntimeError;
  diagnostic.span = span;
  diagnostic.text = text;
  return diag::render(source, diagnostic);
}

std::string function_name(const vm::RuntimeError::Frame& frame) {
  return frame.function.empty() ? "a function without a name" : frame.function;
}

/// A stripped script has no lines: the function is what there is to say.
std::string what_failed(const vm::RuntimeError& error) {
  if (error.place.line != 0 || error.trace.empty()) return error.text;
  return fmt::format("{} (in {})", error.text, function_name(error.trace.front()));
}

constexpr size_t kFrames = 10;  // of a call trace that are shown

std::string runtime_error_json(const diag::Source& source, const vm::RuntimeError& error) {
  diag::JsonObject object = json_head("runtime-error", what_failed(error));
  add_place(object, source, error.place.span, error.place.line);
  std::string trace;
  for (size_t i = 1; i < error.trace.size() && i <= kFrames; ++i) {
    const vm::RuntimeError::Frame& frame = error.trace[i];
    diag::JsonObject call;
    call.text("function", frame.function);
    add_place(call, source, frame.place.span, frame.place.line);
    trace += (trace.empty() ? "" : ",") + call.value();
  }
  object.raw("trace", "[" + trace + "]");
  if (error.trace.size() > kFrames + 1)
    object.number("more_calls", error.trace.size() - kFrames - 1);
  return object.line();
}

/// What makes the table of that name larger.
const char* size_giver(const Plan& plan, const std::string& name) {
  const std::vector<ssa::TableInfo>& tables = plan.linkage.module.tables;
  for (const ssa::TableInfo& table : tables) {
    if (table.name == name && table.max_entries != 0) return "table.new";
  }
  return "--table-size";
}

std::string cause_text(const Plan& plan, const backend::Counter& counter) {
  switch (counter.cause) {
    case backend::LossCause::RingFull:
      return fmt::format("ring buffer full ({})", counter.what);
    case backend::LossCause::TableFull:
      return fmt::format("table '{}' full ({} makes it larger)", counter.what,
                         size_giver(plan, counter.what));
    case backend::LossCause::TornRead:
      return fmt::format("'{}' changed each time it was read", counter.what);
    case backend::LossCause::StringCut:
      return fmt::format("string cut ({})", counter.what);
    case backend::LossCause::LoopCut:
      return "runs that ended early: their loops took longer than the kernel lets a program "
             "(8 million rounds, a quarter of a second)";
    case backend::LossCause::ProcessesFull:
      return "processes that are not followed: too many at a time";
  }
  KTAP_UNREACHABLE();
}

}  // namespace

std::string render_error(const std::string& text, bool json, const std::string& program) {
  if (!json) return fmt::format("{}: error: {}\n", program, text);
  return diag::JsonObject()
      .text("kind", "error")
      .text("severity", "error")
      .text("message", text)
      .line();
}

std::string render_warning(const std::string& text, bool json) {
  if (!json) return fmt::format("ktap: warning: {}\n", text);
  return diag::JsonObject()
      .text("kind", "warning")
      .text("severity", "warning")
      .text("message", text)
      .line();
}

std::string render_runtime_error(const diag::Source& source, const vm::RuntimeError& error,
                                 bool json) {
  if (json) return runtime_error_json(source, error);
  std::string text = render_located(source, error.place.span, error.place.line, what_failed(error));
  // The innermost frame is the place of the error itself.
  for (size_t i = 1; i < error.trace.size() && i <= kFrames; ++i) {
    const vm::RuntimeError::Frame& frame = error.trace[i];
    text += fmt::format("  called from {} in {}\n", column_place(source, frame.place),
                        function_name(frame));
  }
  if (error.trace.size() > kFrames + 1)
    text += fmt::format("  … {} more calls\n", error.trace.size() - kFrames - 1);
  return text;
}

int exit_status_of(const ScriptHost& host, const ErrorLog& errors) {
  const int wanted = host.exited() ? host.exit_status() : 0;
  return wanted != 0 ? wanted : errors.empty() ? 0 : 1;
}

int end_output(Output& output, int status, bool json) {
  output.begin();
  output.flush();
  const std::string missing = status == 0 ? output.missing_picture() : "";
  const std::string& problem = output.failure().empty() ? missing : output.failure();
  if (problem.empty()) return status;
  std::fputs(render_error(problem, json).c_str(), stderr);
  return status != 0 ? status : 1;
}

void ErrorLog::tell(const std::string& text) const {
  if (flush_) flush_();
  std::fputs(text.c_str(), stderr);
  if (then_) then_();
}

const std::string& ErrorLog::counted_as(uint32_t place, const std::string& text) {
  static const std::string others = "others there, each with a text of its own";
  const auto first = told_.lower_bound(Place{place, ""});
  const auto end = told_.lower_bound(Place{place + 1, ""});
  if (std::distance(first, end) < kTextsOfAPlace || told_.count(Place{place, text}) != 0)
    return text;
  return others;
}

void ErrorLog::add(const vm::RuntimeError& error) {
  const uint32_t place = error.place.span.begin;
  const std::string& text = counted_as(place, error.text);
  ++counts_[Key{error.place.line, text}];
  if (&text == &error.text && told_.insert(Place{place, text}).second)
    tell(render_runtime_error(source_, error, json_));
}

vm::RuntimeError error_of(const ssa::Failure& failure, const std::string& text) {
  vm::RuntimeError error{text, {failure.span, failure.line}, {}};
  for (const ssa::CodePlace& call : failure.trace)
    error.trace.push_back({call.function, {call.span, call.line}});
  return error;
}

void ErrorLog::set_kernel_count(uint32_t failure, const ssa::Failure& what, uint64_t count) {
  if (count == 0 || what.is_told) return;
  auto [at, is_new] = kernel_counts_.try_emplace(failure, Key{what.line, what.text}, 0);
  if (is_new && told_.insert(Place{what.span.begin, what.text}).second) {
    tell(render_runtime_error(source_, error_of(what, what.text), json_));
  }
  at->second.second = count;
}

uint64_t ErrorLog::total() const {
  uint64_t sum = 0;
  for (const auto& [key, count] : counts_) sum += count;
  for (const auto& [failure, entry] : kernel_counts_) sum += entry.second;
  return sum;
}

std::string ErrorLog::summary() const {
  std::map<Key, uint64_t> all = counts_;
  for (const auto& [failure, entry] : kernel_counts_) all[entry.first] += entry.second;
  std::string text;
  for (const auto& [key, count] : all) {
    if (json_) {
      diag::JsonObject object = json_head("error-count", key.second);
      text += add_line(object, source_, key.first).number("count", count).line();
      continue;
    }
    text += fmt::format("ktap: {} error{} at {}: {}\n", count, count == 1 ? "" : "s",
                        line_place(source_, key.first), diag::printable(key.second));
  }
  return text;
}

void ErrorLog::keep_kernel_counts() {
  for (const auto& [failure, entry] : kernel_counts_) counts_[entry.first] += entry.second;
  kernel_counts_.clear();
}

bool report_unattached(const Plan& plan, const std::vector<Registration>& registrations,
                       const engine::BpfEngine& engine, const Error& error, diag::Sink& sink) {
  const uint32_t handler = engine.unattached_handler();
  if (handler == bpf::kNoHandler) return false;
  sink.report(diag::Code::EventUnavailable,
              registrations[plan.handlers[handler].registration].handler.place.span, error.message);
  return true;
}

std::string early_ends_report(const std::vector<std::pair<std::string, uint64_t>>& ends,
                              bool json) {
  std::string text;
  for (const auto& [what, count] : ends) {
    const std::string message =
        fmt::format("stack{} early: {}", count == 1 ? " ends" : "s end", what);
    if (json) {
      text += diag::JsonObject()
                  .text("kind", "early-end")
                  .text("severity", "warning")
                  .text("message", message)
                  .number("count", count)
                  .line();
    } else {
      text += fmt::format("ktap: {} {}\n", count, message);
    }
  }
  return text;
}

void LossLog::add(const std::vector<uint64_t>& by_cpu, uint32_t line, const std::string& cause) {
  std::vector<uint64_t>& sums = losses_[{line, cause}];
  sums.resize(std::max(sums.size(), by_cpu.size()), 0);
  for (size_t cpu = 0; cpu < by_cpu.size(); ++cpu) sums[cpu] += by_cpu[cpu];
}

void LossLog::add(const Plan& plan, const engine::BpfEngine& engine, const Cuts& cuts,
                  const std::vector<Registration>& registrations) {
  // One line for each cause and place, however many programs count it.
  for (uint32_t row = 0; row < plan.unit.counters.size(); ++row) {
    const backend::Counter& counter = plan.unit.counters[row];
    if (counter.kind == backend::Counter::Kind::Loss)
      add(engine.counter(row), counter.line, cause_text(plan, counter));
  }
  for (const auto& [place, count] : cuts) add({count}, place.first, place.second);
  const std::vector<uint64_t> skipped = engine.missed_runs();
  const std::vector<uint64_t> missed = engine.missed_hits();
  for (size_t i = 0; i < skipped.size() && i < plan.unit.programs.size(); ++i) {
    const bpf::Program& program = plan.unit.programs[i];
    const bool is_return =
        !program.points.empty() && program.points[0].event->kind == schema::EventKind::ProbeReturn;
    // A run that the kernel skips is one of each handler in the program, as far as it is known.
    for (const uint32_t handler : program.handlers()) {
      if (handler >= plan.handlers.size()) continue;
      const uint32_t line = registrations[plan.handlers[handler].registration].handler.place.line;
      add({skipped[i]}, line, "nested probe skipped by the kernel");
      if (i >= missed.size()) continue;
      add({missed[i]}, line,
          is_return ? "return missed by the kernel (too many calls at once, or inside a probe)"
                    : "nested probe skipped by the kernel");
    }
  }
}

void LossLog::add_map_records(uint64_t count) {
  if (count != 0) add({count}, 0, "what programs had mapped (names of user stacks are missing)");
}

std::string LossLog::report(const diag::Source& source, bool verbose, bool json) const {
  std::string text;
  for (const auto& [what, by_cpu] : losses_) {
    uint64_t sum = 0;
    for (const uint64_t n : by_cpu) sum += n;
    if (sum == 0) continue;
    if (json) {
      diag::JsonObject object = json_head("loss", what.second);
      add_line(object, source, what.first).number("count", sum);
      if (by_cpu.size() > 1) object.raw("by_cpu", fmt::format("[{}]", fmt::join(by_cpu, ",")));
      text += object.line();
      continue;
    }
    text += fmt::format("ktap: lost {} {}: {}\n", sum, line_place(source, what.first), what.second);
    if (!verbose || by_cpu.size() < 2) continue;
    for (size_t cpu = 0; cpu < by_cpu.size(); ++cpu) {
      if (by_cpu[cpu] != 0) text += fmt::format("ktap:   {} of them on CPU {}\n", by_cpu[cpu], cpu);
    }
  }
  return text;
}

}  // namespace ktap::session
