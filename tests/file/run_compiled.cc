// See run_compiled.h. The bounds: loop iterations, call depth, bytes of output, handlers, and where
// the heap has a limit, bytes of memory.
#include "run_compiled.h"

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "bytecode/file.h"
#include "diag/source.h"
#include "lower/lower.h"
#include "schema/event.h"
#include "ssa/function.h"
#include "vm/fake_host.h"
#include "vm/vm.h"

namespace ktap::testing {

namespace {

constexpr int64_t kIterations = 500;
constexpr int kCallDepth = 60;
constexpr int64_t kCalls = 5000;
constexpr size_t kOutputBytes = size_t{1} << 20;
constexpr size_t kHandlers = 4;
constexpr size_t kHeapBytes = size_t{64} << 20;

class BoundedHost : public vm::Host {
 public:
  void write(std::string_view text) override {
    written_ += text.size();
    if (written_ > kOutputBytes) vm->interrupt();
  }
  void write_warning(std::string_view text) override { write(text); }
  vm::EventContext* event() override { return current_event; }
  std::string register_handler(bytecode::HandlerKind kind, std::string_view event_text,
                               runtime::Value filter, runtime::Value handler,
                               const bytecode::Place& place) override {
    KTAP_CHECK(place.span.begin <= place.span.end && event_text.data() != nullptr);
    if (frozen || handlers.size() == kHandlers) return "no more handlers here";
    lower::Handler h;
    h.function = handler;
    h.filter = filter;
    h.is_event = kind == bytecode::HandlerKind::Event;
    h.at_end = kind == bytecode::HandlerKind::End;
    handlers.push_back(h);
    return "";
  }
  void request_exit(int64_t, bool) override {}
  int64_t now_ns(vm::Clock) override { return 77; }
  std::string local_time(std::string_view format, int64_t) override { return std::string(format); }
  int64_t cpu_count() override { return 2; }
  std::string machine() override { return "test"; }
  std::string kernel_release() override { return "test"; }
  std::string syscall_name(int64_t) override { return ""; }

  vm::Vm* vm = nullptr;
  vm::EventContext* current_event = nullptr;
  bool frozen = false;
  std::vector<lower::Handler> handlers;

 private:
  size_t written_ = 0;
};

schema::Field field(const std::string& name, uint32_t size_bytes, schema::FieldKind kind) {
  schema::Field made;
  made.name = name;
  made.c_type = "int";
  made.size_bytes = size_bytes;
  made.kind = kind;
  return made;
}

std::vector<schema::EventPtr> events() {
  auto read = std::make_shared<schema::Event>();
  read->system = "syscalls";
  read->name = "sys_enter_read";
  read->kind = schema::EventKind::SyscallEnter;
  read->fields = {field("__syscall_nr", 4, schema::FieldKind::Int),
                  field("fd", 8, schema::FieldKind::Int)};
  auto other = std::make_shared<schema::Event>();
  other->system = "sched";
  other->name = "sched_switch";
  other->fields = {field("comm", 16, schema::FieldKind::CharArray),
                   field("fd", 4, schema::FieldKind::Int)};
  return {read, other};
}

template <class Heap>
void bound_memory(Heap& heap) {
  if constexpr (requires { heap.set_limit_bytes(kHeapBytes); }) heap.set_limit_bytes(kHeapBytes);
}

/// What `lower` makes of accepted bytecode is good SSA, or it says why not.
int lower_one(const BoundedHost& host, size_t index, const lower::World& world,
              lower::Linkage& linkage) {
  const lower::Handler& handler = host.handlers[index];
  const lower::Options options;
  int lowered = 0;
  lower::check_names(handler, world, events());
  for (const ssa::EventGroup& group :
       lower::group_events(handler, world, events(), {}, linkage.module)) {
    const auto number = static_cast<uint32_t>(index);
    for (const bool whole : {true, false}) {
      const lower::Shapes before = linkage.shapes;
      lower::Lowered made =
          whole ? lower::lower_handler(handler, number, world, group, options, linkage)
                : lower::lower_capture(handler, number, world, group, options, linkage);
      auto* function = std::get_if<ssa::Function>(&made);
      if (function == nullptr) continue;
      lowered += whole ? 1 : 0;
      if (linkage.shapes != before) continue;  // of no use: placement does it again with these
      KTAP_CHECK(ssa::verify(*function, linkage.module).empty());
    }
  }
  return lowered;
}

void call_handlers(vm::Vm& vm, BoundedHost& host, Outcome& outcome) {
  vm::testing::FakeEvent event(vm.heap());
  const vm::Budget budget{kIterations, kCallDepth, kCalls};
  host.frozen = true;
  for (const lower::Handler& handler : host.handlers) {
    host.current_event = handler.is_event ? &event : nullptr;
    std::vector<runtime::Value> args;
    if (handler.is_event) args.push_back(runtime::Value::event());
    if (!handler.filter.is_nil()) vm.call(handler.filter, args, budget, nullptr);
    vm.call(handler.function, args, budget, nullptr);
    ++outcome.handlers;
  }
  host.current_event = nullptr;
}

}  // namespace

Outcome run_compiled(std::string_view bytes) {
  Outcome outcome;
  Result<bytecode::CompiledScript> loaded = bytecode::load(bytes);
  if (!loaded.ok()) {
    outcome.text = loaded.error().message;
    KTAP_CHECK(!outcome.text.empty());
    return outcome;
  }
  outcome.accepted = true;
  const bytecode::CompiledScript script = std::move(loaded).value();
  const bytecode::Chunk& chunk = *script.chunk;
  const diag::Source source(chunk.source_name, script.source_text);
  KTAP_CHECK(!bytecode::disassemble(chunk, &source).empty());
  // What was loaded can be written, and loads again.
  const Result<std::string> again = bytecode::save(chunk, source, script.stripped);
  KTAP_CHECK(!again.ok() || bytecode::load(again.value()).ok());

  BoundedHost host;
  vm::Vm vm(chunk, host, {"x.kp", "7"});
  host.vm = &vm;
  bound_memory(vm.heap());
  vm.add_roots([&host](runtime::Heap& heap) {
    for (const lower::Handler& handler : host.handlers) {
      heap.mark(handler.function);
      heap.mark(handler.filter);
    }
  });
  const auto error = vm.call(vm.make_closure(*chunk.main), {},
                             vm::Budget{kIterations, kCallDepth, kCalls}, nullptr);
  if (error) outcome.text = error->text;
  if (host.handlers.empty()) return outcome;
  const lower::World world = lower::freeze(host.handlers, vm.globals(), &chunk.globals);
  lower::Linkage linkage;
  for (size_t i = 0; i < host.handlers.size(); ++i) {
    if (host.handlers[i].is_event) outcome.lowered += lower_one(host, i, world, linkage);
  }
  call_handlers(vm, host, outcome);
  return outcome;
}

}  // namespace ktap::testing
