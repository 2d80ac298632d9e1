// The public face of the interpreter; the work is Machine's.
#include "vm/vm.h"

#include <utility>

#include "vm/machine.h"

namespace ktap::vm {

Vm::Vm(const bytecode::Chunk& chunk, Host& host, const std::vector<std::string>& args)
    : machine_(std::make_unique<Machine>(chunk, host, args)) {}

Vm::~Vm() = default;

std::optional<RuntimeError> Vm::run_main() { return machine_->run_main(); }

std::optional<RuntimeError> Vm::call(runtime::Value function,
                                     const std::vector<runtime::Value>& args, const Budget& budget,
                                     runtime::Value* result) {
  return machine_->call(function, args.data(), args.size(), budget, result);
}

int64_t Vm::iterations_done() const { return machine_->iterations_done(); }

bool Vm::exited() const { return machine_->exited(); }

bytecode::Place Vm::place() const { return machine_->place(); }

void Vm::interrupt() { machine_->interrupt(); }

void Vm::clear_interrupt() { machine_->clear_interrupt(); }

std::optional<std::string> Vm::format_output(bytecode::Builtin builtin,
                                             const std::vector<runtime::Value>& args,
                                             std::string* text) {
  bool ok = false;
  switch (builtin) {
    case bytecode::Builtin::Print:
    case bytecode::Builtin::Warn:
      ok = machine_->print_text(args.data(), args.size(), *text);
      break;
    case bytecode::Builtin::Printf:
      ok = machine_->printf_text(args.data(), args.size(), *text);
      break;
    case bytecode::Builtin::PrintHist:
    case bytecode::Builtin::Histogram:
      ok = machine_->hist_text(args.data(), args.size(), *text);
      break;
    case bytecode::Builtin::PrintFlame:
    case bytecode::Builtin::PrintHeatmap:
    case bytecode::Builtin::PrintTable:
      ok = machine_->picture_text(builtin, args.data(), args.size(), *text);
      break;
    default:
      KTAP_UNREACHABLE();
  }
  if (ok) return std::nullopt;
  return std::exchange(machine_->error_text(), {});
}

void Vm::collect() {
  // What is over the limit is told by the code that crosses it.
  if (machine_->heap().wants_collection() && !machine_->collect(0)) machine_->error_text().clear();
}

runtime::Value Vm::make_closure(const bytecode::Function& function) {
  return machine_->make_closure(machine_->prepare(function));
}

void Vm::set_memory_limit_bytes(size_t limit) { machine_->set_memory_limit_bytes(limit); }

void Vm::expect_later_readers() { machine_->reader_needs().values = true; }

const runtime::ReaderNeeds& Vm::reader_needs() const { return machine_->reader_needs(); }

runtime::Heap& Vm::heap() { return machine_->heap(); }

std::vector<runtime::Value>& Vm::globals() { return machine_->globals(); }

void Vm::add_roots(std::function<void(runtime::Heap&)> roots) {
  machine_->add_roots(std::move(roots));
}

}  // namespace ktap::vm
