// Each kind of error is told once with its place and source line, and counted; losses are summed
// over CPUs.
#include "session/report.h"

#include <fmt/format.h>

#include <cstdio>

namespace ktap::session {

namespace {

/// "-e:3", or "-e" when the line is not known.
std::string line_place(const diag::Source& source, uint32_t line) {
  return line == 0 ? source.name() : fmt::format("{}:{}", source.name(), line);
}

std::string render_located(const diag::Source& source, const diag::Span& span, uint32_t line,
                           const std::string& text) {
  if (span.end == 0) return fmt::format("{}: error: {}\n", line_place(source, line), text);
  diag::Diagnostic diagnostic{};
  diagnostic.code = diag::Code::RuntimeError;
  diagnostic.span = span;
  diagnostic.text = text;
  return diag::render(source, diagnostic);
}

}  // namespace

std::string render_runtime_error(const diag::Source& source, const vm::RuntimeError& error) {
  std::string text = render_located(source, error.place.span, error.place.line, error.text);
  constexpr size_t kFrames = 10;
  // The innermost frame is the place of the error itself.
  for (size_t i = 1; i < error.trace.size() && i <= kFrames; ++i) {
    const vm::RuntimeError::Frame& frame = error.trace[i];
    text += fmt::format("  called from {} in {}\n", line_place(source, frame.place.line),
                        frame.function.empty() ? "a function without a name" : frame.function);
  }
  if (error.trace.size() > kFrames + 1)
    text += fmt::format("  … {} more calls\n", error.trace.size() - kFrames - 1);
  return text;
}

void ErrorLog::add(const vm::RuntimeError& error) {
  uint64_t& count = counts_[Key{error.place.line, error.text}];
  if (count++ == 0) std::fputs(render_runtime_error(source_, error).c_str(), stderr);
}

void ErrorLog::set_kernel_count(uint32_t failure, const ssa::Failure& what, uint64_t count) {
  if (count == 0) return;
  auto [at, is_new] = kernel_counts_.try_emplace(failure, Key{what.line, what.text}, 0);
  if (is_new) std::fputs(render_located(source_, what.span, what.line, what.text).c_str(), stderr);
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
    text += fmt::format("ktap: {} error{} at {}: {}\n", count, count == 1 ? "" : "s",
                        line_place(source_, key.first), key.second);
  }
  return text;
}

std::string loss_report(const Plan& plan, const engine::BpfEngine& engine,
                        const std::vector<Registration>& registrations, const diag::Source& source,
                        bool verbose) {
  std::string text;
  const auto add = [&](const std::vector<uint64_t>& by_cpu, uint32_t line,
                       const std::string& cause) {
    uint64_t sum = 0;
    for (const uint64_t n : by_cpu) sum += n;
    if (sum == 0) return;
    text += fmt::format("ktap: lost {} {}: {}\n", sum, line_place(source, line), cause);
    if (!verbose) return;
    for (size_t cpu = 0; cpu < by_cpu.size(); ++cpu) {
      if (by_cpu[cpu] != 0) text += fmt::format("ktap:   {} of them on CPU {}\n", by_cpu[cpu], cpu);
    }
  };
  for (uint32_t row = 0; row < plan.unit.counters.size(); ++row) {
    const backend::Counter& counter = plan.unit.counters[row];
    if (counter.kind != backend::Counter::Kind::Loss) continue;
    const bool table = counter.cause == backend::LossCause::TableFull;
    add(engine.counter(row), counter.line,
        table ? fmt::format("table '{}' full (--table-size makes it larger)", counter.what)
              : fmt::format("ring buffer full ({})", counter.what));
  }
  const std::vector<uint64_t> missed = engine.missed_runs();
  std::map<uint32_t, uint64_t> by_handler;
  for (size_t i = 0; i < missed.size() && i < plan.unit.programs.size(); ++i) {
    const uint32_t handler = plan.unit.programs[i].handler;
    if (handler < plan.handlers.size()) by_handler[handler] += missed[i];
  }
  for (const auto& [handler, count] : by_handler) {
    add({count}, registrations[plan.handlers[handler].registration].place.line,
        "nested probe skipped by the kernel");
  }
  return text;
}

}  // namespace ktap::session
