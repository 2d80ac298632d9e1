// See machines.h. A VM run that does not end is interrupted by a timer: the naive evaluator, which
// runs first, has shown that the program ends soon.
#include "machines.h"

#include <signal.h>
#include <unistd.h>

#include "bytecode/file.h"
#include "compiler/compiler.h"
#include "runtime/text.h"
#include "syntax/parser.h"

namespace ktap::differential {
namespace {

constexpr unsigned kVmSeconds = 20;  // guessed: a run takes milliseconds, also on a loaded machine

vm::Vm* volatile running = nullptr;

void on_alarm(int) {
  if (running != nullptr) running->interrupt();
}

/// Watches over the VM while it lives.
class Watch {
 public:
  explicit Watch(vm::Vm& vm) {
    running = &vm;
    signal(SIGALRM, on_alarm);
    alarm(kVmSeconds);
  }
  ~Watch() {
    alarm(0);
    running = nullptr;
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
};

std::string error_at(uint32_t line) { return "error at line " + std::to_string(line); }

Run naive_run(const naive::Outcome& outcome, std::string output) {
  Run run;
  run.output = std::move(output);
  run.judged = outcome.kind != naive::Outcome::Kind::GaveUp;
  run.end = outcome.kind == naive::Outcome::Kind::Failed ? error_at(outcome.line) : "ended";
  run.why = outcome.text;
  return run;
}

Run vm_run(const std::optional<vm::RuntimeError>& error, std::string output) {
  Run run;
  run.output = std::move(output);
  run.end = error ? error_at(error->place.line) : "ended";
  if (error) run.why = error->text;
  return run;
}

}  // namespace

Subject::Subject(std::string text) : source_("judge.kp", std::move(text)) {
  script_ = syntax::parse(source_, sink_);
  if (!sink_.has_errors()) chunk_ = compiler::compile(script_, source_, sink_);
  if (chunk_ == nullptr) return;
  // What runs went through a compiled file, so that this is judged too.
  Result<std::string> bytes = bytecode::save(*chunk_, source_, false);
  KTAP_CHECK(bytes.ok());
  Result<bytecode::CompiledScript> loaded = bytecode::load(bytes.value());
  KTAP_CHECK(loaded.ok());
  chunk_ = std::move(loaded.value().chunk);
}

Run Subject::run_naive() {
  naive_ = std::make_unique<naive::Evaluator>(source_, script_);
  naive::Outcome outcome = naive_->run_main();
  return naive_run(outcome, naive_->output());
}

Run Subject::run_vm() {
  vm_ = std::make_unique<vm::Vm>(*chunk_, host_, std::vector<std::string>{"judge.kp"});
  Watch watch(*vm_);
  auto error = vm_->run_main();
  return vm_run(error, host_.output());
}

Run Subject::call_naive(const std::string& name, int64_t argument) {
  naive::Value result;
  naive::Outcome outcome = naive_->call_global(name, {argument}, &result);
  return naive_run(outcome, naive::text(result));
}

Run Subject::call_vm(const std::string& name, int64_t argument) {
  size_t slot = 0;
  while (chunk_->globals[slot] != name) ++slot;
  runtime::Value result;
  auto error = vm_->call(vm_->globals()[slot], {runtime::Value::of(argument)}, {}, &result);
  return vm_run(error, error ? runtime::to_text(runtime::Value::nil()) : runtime::to_text(result));
}

Verdict judge(const std::string& text, std::string* report) {
  Subject subject(text);
  if (!subject.compiles()) {
    if (report != nullptr) *report = subject.refusal();
    return Verdict::Refused;
  }
  Run naive = subject.run_naive();
  if (!naive.judged) return Verdict::NotJudged;
  Run vm = subject.run_vm();
  if (naive.agrees_with(vm)) return Verdict::Agree;
  if (report != nullptr) {
    *report = "--- naive: " + naive.end + " " + naive.why + "\n" + naive.output +
              "--- VM: " + vm.end + " " + vm.why + "\n" + vm.output;
  }
  return Verdict::Differ;
}

}  // namespace ktap::differential
