// One run of a script in this process, whatever drives its handlers: compiled, the main chunk run,
// its handlers registered, its output kept.
#pragma once

#include <memory>
#include <string>

#include "bytecode/chunk.h"
#include "diag/source.h"
#include "session/host.h"
#include "session/options.h"
#include "session/output.h"
#include "session/report.h"
#include "vm/vm.h"

namespace ktap::differential {

/// How a run ended, in a form that is compared as text.
struct Outcome {
  std::string output;
  std::string errors;  ///< the summary: place, text and number of each
  int status = 0;
  bool ended_early = false;  ///< exit(), or an error with --strict
  std::string trouble;       ///< what must not happen: losses, an error of the test machine

  bool agrees_with(const Outcome& other) const {
    return output == other.output && errors == other.errors && status == other.status &&
           trouble.empty() && other.trouble.empty();
  }
  std::string text() const;
};

class ScriptRun {
 public:
  explicit ScriptRun(const std::string& text);
  ~ScriptRun();
  ScriptRun(const ScriptRun&) = delete;
  ScriptRun& operator=(const ScriptRun&) = delete;

  /// Compiles and runs the main chunk; "" or why there is nothing to judge.
  std::string start();
  /// What was printed, the errors and the status so far.
  Outcome outcome();
  /// It prints more, or has more data, than a judge keeps several times.
  bool is_too_large() const;
  /// One run of a handler, outside the kernel.
  void call(const session::Registration& registration, vm::EventContext& context, bool filter);
  /// -C lets events of that CPU through.
  bool sees(uint32_t cpu) const { return options.cpu < 0 || options.cpu == cpu; }
  /// No handler starts any more.
  bool over() const { return host->exited() || (options.strict && !errors.empty()); }

  session::Options options;
  diag::Source source;
  session::ErrorLog errors;
  std::unique_ptr<bytecode::Chunk> chunk;
  std::unique_ptr<session::Output> output;
  std::unique_ptr<session::ScriptHost> host;
  std::unique_ptr<vm::Vm> vm;

 private:
  int memory_fd_ = -1;  ///< what `output` writes to
};

}  // namespace ktap::differential
