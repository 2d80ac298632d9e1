// See live.h. The tracer waits for events as always; a key and the second's beat are its input, and
// between two looks at it the view is drawn.
#include "session/live.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "runtime/heap.h"
#include "runtime/shared_variable.h"
#include "runtime/table.h"
#include "sys/errors.h"

namespace ktap::session {

using runtime::Type;
using runtime::Value;

namespace {

constexpr int64_t kBeatNs = 1'000'000'000;
// So long before whole seconds: what a tick-1s prints and empties is looked at while it is there.
constexpr int64_t kAheadNs = 50'000'000;

void refresh(runtime::Table& table) {
  if (table.backing != nullptr) table.backing->before_read(table);
}

}  // namespace

Live::Live(Parts parts, const std::string& title)
    : parts_(parts), view_(title), began_ns_(parts.host.now_ns(vm::Clock::Monotonic)) {
  for (size_t i = 0; i < parts_.chunk.globals.size(); ++i) {
    Shown shown{parts_.chunk.globals[i], i};
    const Value value = value_of(shown);
    if (value.type == Type::Table && value.table()->size() == 0) tables_.push_back(shown);
    if (value.type == Type::Aggregate) {
      shown.at_first = value.aggregate()->count();
      aggregates_.push_back(shown);
    }
    if (value.type != Type::Integer) continue;
    shown.at_first = value.integer;
    numbers_.push_back(shown);
  }
}

Value Live::value_of(const Shown& shown) const {
  const Value value = parts_.vm.globals()[shown.global];
  if (value.type == Type::SharedCell)
    return Value::of(__atomic_load_n(value.shared, __ATOMIC_RELAXED));
  if (value.type == Type::SharedVariable) return value.variable->load();
  return value;
}

Result<void> Live::listen() {
  const int64_t past_ns = parts_.host.now_ns(vm::Clock::Monotonic) - began_ns_ + kAheadNs;
  Result<sys::Timer> timer =
      sys::Timer::create(kBeatNs, static_cast<uint64_t>(kBeatNs - past_ns % kBeatNs));
  if (!timer.ok()) return timer.error();
  timer_.emplace(std::move(timer).value());
  wakes_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!wakes_.valid()) return sys::system_error("waiting for keys", errno);
  for (const int fd : {timer_->fd(), terminal_ == nullptr ? -1 : terminal_->fd()}) {
    if (fd < 0) continue;
    epoll_event event = {};
    event.events = EPOLLIN;
    if (::epoll_ctl(wakes_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      return sys::system_error("waiting for keys", errno);
  }
  return {};
}

Result<void> Live::run(Tracer& tracer, sys::Signals& signals) {
  if (parts_.output.is_terminal()) {
    Result<std::unique_ptr<sys::Terminal>> terminal = sys::Terminal::take();
    if (!terminal.ok()) return terminal.error();
    terminal_ = std::move(terminal).value();
  }
  if (const Result<void> listening = listen(); !listening.ok()) return listening.error();
  if (terminal_ != nullptr) {
    parts_.output.divert([this](std::string_view text) { view_.printed(text); });
    parts_.errors.before_telling([this] { terminal_->suspend(); });
    parts_.errors.after_telling([this] {
      terminal_->resume();
      draw();
    });
  }
  wait(tracer, signals);
  const bool is_text = terminal_ == nullptr;
  if (!is_text) {
    parts_.output.divert(nullptr);
    parts_.errors.before_telling([this] { parts_.output.flush(); });
    parts_.errors.after_telling(nullptr);
    terminal_.reset();
  }
  tracer.finish();
  is_over_ = true;
  if (is_text) look();  // all that has happened since the last beat, and what was under way
  return {};
}

void Live::wait(Tracer& tracer, sys::Signals& signals) {
  if (terminal_ != nullptr) look();
  while (tracer.wait(signals, wakes_.get()) == Tracer::Waited::Input) {
    if (timer_->take_expiries() > 0) look();
    if (terminal_ != nullptr && !take_keys()) return;
  }
}

bool Live::take_keys() {
  bool ended = false;
  const std::string typed = terminal_->take_keys(&ended);
  if (ended) return false;
  for (const output::LiveKey key : output::live_keys(typed)) {
    if (!view_.key(key)) return false;
  }
  if (!typed.empty()) draw();
  return true;
}

void Live::look() {
  parts_.vm.collect();  // the last look's keys
  if (parts_.engine != nullptr) parts_.engine->next_run();
  std::vector<output::LiveView::Input> inputs;
  // What tables have is what was there when the first of them is read.
  std::vector<Value> numbers;
  for (const Shown& shown : numbers_) numbers.push_back(value_of(shown));
  for (const Shown& shown : tables_) {
    const Value value = value_of(shown);
    if (value.type != Type::Table) continue;
    refresh(*value.table());
    output::LiveView::Input input;
    input.name = shown.name;
    std::string problem;
    if (!output::read_columns(*value.table(), refresh, &input.columns, &problem)) {
      input.columns = {};
      input.problem = "its values do not go into columns (print_table says why)";
    }
    inputs.push_back(std::move(input));
  }
  add_variables(numbers, inputs);
  const int64_t now_ns = parts_.host.now_ns(vm::Clock::Monotonic);
  view_.update(inputs, static_cast<double>(now_ns - began_ns_) / static_cast<double>(kBeatNs));
  draw();
}

/// A table of the numbers, one of the aggregates.
void Live::add_variables(const std::vector<Value>& values,
                         std::vector<output::LiveView::Input>& inputs) {
  runtime::Table numbers;
  runtime::Table aggregates;
  runtime::Heap& heap = parts_.vm.heap();
  for (size_t i = 0; i < numbers_.size(); ++i) {
    Shown& shown = numbers_[i];
    const Value value = values[i];
    shown.has_changed |= value.is_integer() && value.integer != shown.at_first;
    if (value.is_integer() && shown.has_changed) numbers.set(heap.string(shown.name), value);
  }
  for (const Shown& shown : aggregates_) {
    const Value value = value_of(shown);
    if (value.type == Type::Aggregate) aggregates.set(heap.string(shown.name), value);
  }
  for (const auto& [name, table] :
       {std::pair{"variables", &numbers}, {"aggregates", &aggregates}}) {
    if (table->size() == 0) continue;
    output::LiveView::Input input;
    input.name = name;
    for (const Shown& shown : table == &numbers ? numbers_ : aggregates_) {
      input.at_first[output::LiveView::key_of(shown.name)] = {static_cast<double>(shown.at_first)};
    }
    std::string problem;
    if (output::read_columns(*table, refresh, &input.columns, &problem))
      inputs.push_back(std::move(input));
  }
}

void Live::draw() {
  if (terminal_ == nullptr) return parts_.output.write(view_.plain(is_over_));
  const sys::Terminal::Size size = terminal_->size();
  terminal_->draw(view_.screen({size.rows, size.columns}));
}

}  // namespace ktap::session
