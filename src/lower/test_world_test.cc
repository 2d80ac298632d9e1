// The helper of the other tests in this folder, and a test that it runs scripts.
#include "lower/test_world.h"

#include <gtest/gtest.h>

#include <utility>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "diag/diagnostic.h"
#include "diag/source.h"
#include "syntax/parser.h"
#include "vm/host.h"
#include "vm/vm.h"

namespace ktap::lower {

class TestWorld::Host : public vm::Host {
 public:
  explicit Host(std::vector<Handler>& handlers) : handlers_(handlers) {}
  void write(std::string_view text) override { written += text; }
  void write_warning(std::string_view text) override { written += text; }
  vm::EventContext* event() override { return nullptr; }
  std::string register_handler(bytecode::HandlerKind kind, std::string_view, runtime::Value filter,
                               runtime::Value handler, const bytecode::Place&) override {
    Handler h;
    h.function = handler;
    h.filter = filter;
    h.is_event = kind == bytecode::HandlerKind::Event;
    h.at_end = kind == bytecode::HandlerKind::End;
    handlers_.push_back(h);
    return "";
  }
  void request_exit(int64_t, bool) override {}
  int64_t now_ns(vm::Clock) override { return 0; }
  std::string local_time(std::string_view, int64_t) override { return ""; }
  int64_t cpu_count() override { return 1; }
  std::string machine() override { return "test"; }
  std::string kernel_release() override { return "test"; }
  std::string syscall_name(int64_t) override { return ""; }

  std::string written;

 private:
  std::vector<Handler>& handlers_;
};

schema::Field int_field(const std::string& name, uint32_t size_bytes, bool is_signed) {
  schema::Field field;
  field.name = name;
  field.c_type = "int";
  field.size_bytes = size_bytes;
  field.is_signed = is_signed;
  return field;
}

schema::EventPtr syscall_enter(const std::string& name, int64_t number,
                               std::vector<schema::Field> args) {
  auto event = std::make_shared<schema::Event>();
  event->system = "syscalls";
  event->name = "sys_enter_" + name;
  event->kind = schema::EventKind::SyscallEnter;
  event->syscall_nr = number;
  event->fields.push_back(int_field("__syscall_nr", 4, true));
  for (auto& arg : args) event->fields.push_back(std::move(arg));
  return event;
}

schema::EventPtr syscall_exit(const std::string& name, int64_t number) {
  auto event = std::make_shared<schema::Event>();
  event->system = "syscalls";
  event->name = "sys_exit_" + name;
  event->kind = schema::EventKind::SyscallExit;
  event->syscall_nr = number;
  event->fields.push_back(int_field("__syscall_nr", 4, true));
  event->fields.push_back(int_field("ret", 8, true));
  return event;
}

schema::EventPtr sched_switch() {
  auto event = std::make_shared<schema::Event>();
  event->system = "sched";
  event->name = "sched_switch";
  schema::Field comm = int_field("prev_comm", 16);
  comm.kind = schema::FieldKind::CharArray;
  event->fields.push_back(comm);
  event->fields.push_back(int_field("prev_pid", 4, true));
  comm.name = "next_comm";
  event->fields.push_back(comm);
  event->fields.push_back(int_field("next_pid", 4, true));
  schema::Field set = int_field("set", 32);
  set.kind = schema::FieldKind::Opaque;
  set.c_type = "struct set";
  event->fields.push_back(set);
  return event;
}

TestWorld::TestWorld(const std::string& source, std::vector<std::string> args) {
  diag::Source text("test", source);
  diag::Sink sink;
  syntax::Script script = syntax::parse(text, sink);
  if (!sink.has_errors()) chunk = compiler::compile(script, text, sink);
  EXPECT_FALSE(sink.has_errors()) << diag::render_all(text, sink);
  host_ = std::make_unique<Host>(handlers);
  if (!chunk) return;
  readers = bytecode::find_reader_uses(*chunk->main);
  options.readers = &readers;
  vm_ = std::make_unique<vm::Vm>(*chunk, *host_, args);
  auto error = vm_->run_main();
  EXPECT_FALSE(error.has_value()) << error->text;
  world = freeze(handlers, vm_->globals(), &chunk->globals);
}

TestWorld::~TestWorld() = default;

std::vector<ssa::EventGroup> TestWorld::groups(const std::vector<schema::EventPtr>& events,
                                               size_t handler) {
  return group_events(handlers.at(handler), world, events, {}, linkage.module);
}

std::string TestWorld::text(Lowered lowered) {
  if (auto* refusal = std::get_if<Refusal>(&lowered)) {
    return fmt::format("refused {}: {}", refusal->line, refusal->text);
  }
  function = std::make_unique<ssa::Function>(std::move(std::get<ssa::Function>(lowered)));
  EXPECT_EQ(ssa::verify(*function, linkage.module), "") << ssa::print(*function, linkage.module);
  return ssa::print(*function, linkage.module);
}

std::string TestWorld::mistakes(const std::vector<schema::EventPtr>& events, size_t handler) {
  std::string all;
  for (const EventMistake& mistake : check_names(handlers.at(handler), world, events)) {
    if (!all.empty()) all += '\n';
    all += fmt::format("mistake {}: {}", mistake.line, mistake.text);
  }
  return all;
}

std::string TestWorld::lower(const std::vector<schema::EventPtr>& events, size_t handler) {
  if (handler >= handlers.size()) return "no handler";
  if (std::string wrong = mistakes(events, handler); !wrong.empty()) return wrong;
  const auto all = groups(events, handler);
  EXPECT_EQ(all.size(), 1u);
  return text(lower_handler(handlers.at(handler), static_cast<uint32_t>(handler), world, all.at(0),
                            options, linkage));
}

std::string TestWorld::capture(const std::vector<schema::EventPtr>& events, size_t handler) {
  if (std::string wrong = mistakes(events, handler); !wrong.empty()) return wrong;
  const auto all = groups(events, handler);
  EXPECT_EQ(all.size(), 1u);
  return text(lower_capture(handlers.at(handler), static_cast<uint32_t>(handler), world, all.at(0),
                            options, linkage));
}

namespace {

TEST(TestWorld, RegistersHandlers) {
  TestWorld w("trace syscalls:sys_enter_read { }\ntrace_end { }\n");
  ASSERT_EQ(w.handlers.size(), 2u);
  EXPECT_TRUE(w.handlers[0].is_event);
  EXPECT_TRUE(w.handlers[1].at_end);
}

}  // namespace
}  // namespace ktap::lower
