// Test-only: a host that collects what the VM asks of it, and a small assembler for chunks.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bytecode/chunk.h"
#include "runtime/heap.h"
#include "vm/host.h"
#include "vm/vm.h"

namespace ktap::vm::testing {

/// An event with a few fields and one readable string at address 4096.
class FakeEvent : public EventContext {
 public:
  explicit FakeEvent(runtime::Heap& heap) : heap_(heap) {}

  bool var(schema::BuiltinVar var, runtime::Value* out, std::string* error) override {
    switch (var) {
      case schema::BuiltinVar::Pid:
        *out = runtime::Value::of(int64_t{42});
        return true;
      case schema::BuiltinVar::Probename:
        *out = heap_.string("sys_enter_read");
        return true;
      case schema::BuiltinVar::Argstr:
        *out = heap_.string("sys_read(fd: 3)");
        return true;
      default:
        *error = "this event has no 'retval'";
        return false;
    }
  }
  bool field(std::string_view name, runtime::Value* out) override {
    if (name == "fd") *out = runtime::Value::of(int64_t{3});
    if (name == "name") *out = heap_.string("the field");
    if (name == "sc_nr") *out = runtime::Value::of(int64_t{0});
    return name == "fd" || name == "name" || name == "sc_nr";
  }
  bool read_string(bool, int64_t address, int64_t limit_bytes, runtime::Value* out,
                   std::string*) override {
    *out = runtime::Value::nil();
    if (address == 4096)
      *out =
          heap_.string(std::string_view("/etc/passwd").substr(0, static_cast<size_t>(limit_bytes)));
    return true;
  }
  bool read_bytes(int64_t address, int64_t count, runtime::Value* out, std::string*) override {
    *out = runtime::Value::nil();
    if (address == 4096 && count >= 0)
      *out = heap_.string(std::string(static_cast<size_t>(count), '\0'));
    return true;
  }

 private:
  runtime::Heap& heap_;
};

class FakeHost : public Host {
 public:
  struct Handler {
    bytecode::HandlerKind kind;
    std::string text;
    runtime::Value filter;
    runtime::Value function;
  };

  void write(std::string_view text) override { writes.emplace_back(text); }
  void write_warning(std::string_view text) override { writes.push_back("! " + std::string(text)); }
  EventContext* event() override { return current_event; }
  std::string register_handler(bytecode::HandlerKind kind, std::string_view event_text,
                               runtime::Value filter, runtime::Value handler,
                               const bytecode::Place& place) override {
    last_place = place;
    handlers.push_back({kind, std::string(event_text), filter, handler});
    return refusal;
  }
  void request_exit(int64_t status, bool given) override {
    exit_status = given ? std::to_string(status) : "none";
  }
  int64_t now_ns(Clock clock) override {
    return clock == Clock::Realtime ? 1356922800123456789 : 77;
  }
  std::string local_time(std::string_view format, int64_t time_ns) override {
    return "local " + std::string(format) + " " + std::to_string(time_ns);
  }
  uint64_t random_seed() override { return seed; }
  int64_t cpu_count() override { return 2; }
  std::string machine() override { return "x86_64"; }
  std::string kernel_release() override { return "6.1.0"; }
  std::string syscall_name(int64_t number) override { return number == 0 ? "read" : ""; }

  std::string output() const {
    std::string all;
    for (const std::string& text : writes) all += text;
    return all;
  }

  std::vector<std::string> writes;
  std::vector<Handler> handlers;
  EventContext* current_event = nullptr;
  std::string refusal;
  std::string exit_status = "not called";
  bytecode::Place last_place;
  uint64_t seed = 0;
};

/// Builds one function; lines count the instructions from 1.
class Assembler {
 public:
  explicit Assembler(std::string name, uint8_t registers = 16, uint8_t params = 0)
      : function_(std::make_unique<bytecode::Function>()) {
    function_->name = std::move(name);
    function_->register_count = registers;
    function_->param_count = params;
  }

  Assembler& abc(bytecode::Op op, int a, int b = 0, int c = 0) {
    return add(bytecode::Insn::abc(op, static_cast<uint8_t>(a), static_cast<uint8_t>(b),
                                   static_cast<uint8_t>(c)));
  }
  Assembler& ad(bytecode::Op op, int a, int d) {
    return add(bytecode::Insn::ad(op, static_cast<uint8_t>(a), static_cast<uint16_t>(d)));
  }
  Assembler& as(bytecode::Op op, int a, int s) {
    return add(bytecode::Insn::as(op, static_cast<uint8_t>(a), static_cast<int16_t>(s)));
  }
  Assembler& jump(int offset) { return add(bytecode::Insn::jump(bytecode::Op::Jmp, offset)); }
  /// R[a] = built-in, then its call with the next `args` registers and `results` results.
  Assembler& builtin(int a, bytecode::Builtin builtin) {
    return ad(bytecode::Op::LoadBuiltin, a, static_cast<int>(builtin));
  }
  Assembler& call(int a, int args, int results) {
    return abc(bytecode::Op::Call, a, args + 1, results + 1);
  }
  /// return R[a]..R[a+count-1]
  Assembler& ret(int a = 0, int count = 0) { return abc(bytecode::Op::Return, a, count + 1); }

  int constant(bytecode::Constant constant) {
    function_->constants.push_back(std::move(constant));
    return static_cast<int>(function_->constants.size()) - 1;
  }
  int child(Assembler& child) {
    function_->children.push_back(child.take());
    return static_cast<int>(function_->children.size()) - 1;
  }
  void upvalue(bool from_parent_register, int index) {
    function_->upvalues.push_back({from_parent_register, static_cast<uint8_t>(index), "v"});
  }
  std::unique_ptr<bytecode::Function> take() { return std::move(function_); }

 private:
  Assembler& add(bytecode::Insn insn) {
    function_->code.push_back(insn);
    function_->places.push_back({{}, static_cast<uint32_t>(function_->code.size())});
    return *this;
  }
  std::unique_ptr<bytecode::Function> function_;
};

/// Runs a main function built by hand.
class Program {
 public:
  explicit Program(Assembler& main, std::vector<std::string> args = {"t.kp"}) {
    chunk.source_name = "t.kp";
    chunk.main = main.take();
    chunk.globals = {"arg", "g", "h"};
    vm = std::make_unique<Vm>(chunk, host, args);
  }
  /// "" or the error's text.
  std::string main() {
    error = vm->run_main();
    return error ? error->text : "";
  }
  std::string call(runtime::Value function, const std::vector<runtime::Value>& args = {},
                   Budget budget = {}) {
    error = vm->call(function, args, budget, &result);
    return error ? error->text : "";
  }

  FakeHost host;
  bytecode::Chunk chunk;
  std::unique_ptr<Vm> vm;
  std::optional<RuntimeError> error;
  runtime::Value result;
};

}  // namespace ktap::vm::testing
