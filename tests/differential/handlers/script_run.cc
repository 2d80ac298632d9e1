// See script_run.h. The same steps as a session's, without a kernel.
#include "handlers/script_run.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "compiler/compiler.h"
#include "syntax/parser.h"

namespace ktap::differential {

namespace {

/// A script that the judge has made smaller may have a main chunk that never ends.
constexpr std::chrono::seconds kMainChunkLimit{5};

std::optional<vm::RuntimeError> run_main_for_a_while(vm::Vm& vm) {
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  std::thread watch([&] {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, kMainChunkLimit, [&] { return ended; })) vm.interrupt();
  });
  std::optional<vm::RuntimeError> error = vm.run_main();
  {
    const std::lock_guard lock(mutex);
    ended = true;
  }
  changed.notify_one();
  watch.join();
  return error;
}

// A loop of `s ..= s` doubles what each print() gives; nothing is to be learnt from its size.
constexpr size_t kScriptMemoryBytes = 4 << 20;
constexpr off_t kMostOutputBytes = 32 << 20;

}  // namespace

std::string Outcome::text() const {
  return output + errors + fmt::format("status {}\n", status) + trouble;
}

ScriptRun::ScriptRun(const std::string& text) : source("judge.kp", text), errors(source, false) {
  options.source_name = "judge.kp";
  options.args = {"judge.kp"};
  options.quiet = true;
  if (text.find("#only cpu 1\n") != std::string::npos) options.cpu = 1;
  options.strict = text.find("#strict\n") != std::string::npos;
}

ScriptRun::~ScriptRun() {
  output.reset();
  if (memory_fd_ >= 0) close(memory_fd_);
}

std::string ScriptRun::start() {
  diag::Sink sink;
  const syntax::Script script = syntax::parse(source, sink);
  if (!sink.has_errors()) chunk = compiler::compile(script, source, sink);
  if (chunk == nullptr) return diag::render_all(source, sink);
  memory_fd_ = memfd_create("output", MFD_CLOEXEC);
  Result<std::unique_ptr<session::Output>> opened =
      session::Output::open(fmt::format("/proc/self/fd/{}", memory_fd_));
  if (!opened.ok()) return opened.error().message;
  output = std::move(opened).value();
  host = std::make_unique<session::ScriptHost>(*chunk, source, *output, false);
  vm = std::make_unique<vm::Vm>(*chunk, *host, options.args);
  host->set_vm(vm.get());
  vm->set_memory_limit_bytes(kScriptMemoryBytes);
  vm->add_roots([this](runtime::Heap& heap) { host->mark(heap); });
  const std::optional<vm::RuntimeError> error = run_main_for_a_while(*vm);
  host->freeze();
  if (error)
    return fmt::format("the main chunk fails at line {}: {}\n", error->place.line, error->text);
  if (host->exited()) return "the main chunk calls exit()\n";
  return "";
}

Outcome ScriptRun::outcome() {
  Outcome out;
  output->flush();
  const off_t size = lseek(memory_fd_, 0, SEEK_END);
  out.output.resize(static_cast<size_t>(size));
  if (pread(memory_fd_, out.output.data(), out.output.size(), 0) != size)
    out.trouble = "the output cannot be read\n";
  out.errors = errors.summary();
  out.ended_early = over();
  out.status = session::exit_status_of(*host, errors);
  return out;
}

bool ScriptRun::is_too_large() const {
  return lseek(memory_fd_, 0, SEEK_END) > kMostOutputBytes ||
         errors.summary().find("--max-memory") != std::string::npos;
}

void ScriptRun::call(const session::Registration& registration, vm::EventContext& context,
                     bool filter) {
  const std::optional<vm::RuntimeError> error =
      host->run_handler(registration.handler, &context, 0, filter);
  if (error) errors.add(*error);
}

}  // namespace ktap::differential
