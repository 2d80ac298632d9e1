// `ktap top`: a script's tables, redrawn each second while it traces. On a terminal a screen with
// keys; else blocks of text among what the script prints.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytecode/chunk.h"
#include "output/live.h"
#include "session/output.h"
#include "session/report.h"
#include "session/tracer.h"
#include "sys/clock.h"
#include "sys/terminal.h"
#include "vm/vm.h"

namespace ktap::session {

class Live {
 public:
  struct Parts {
    const bytecode::Chunk& chunk;
    vm::Vm& vm;
    ScriptHost& host;
    Output& output;
    ErrorLog& errors;
    engine::BpfEngine* engine;  ///< null: no event is traced
  };

  /// Made when the main chunk has ended and nothing is traced yet. Shown are the global tables that
  /// are empty now, and global numbers once they change.
  Live(Parts parts, const std::string& title);

  /// As Tracer::run; `q` is an end, too. Errors: the terminal cannot be used; nothing ran.
  Result<void> run(Tracer& tracer, sys::Signals& signals);

 private:
  struct Shown {
    std::string name;
    size_t global;
    int64_t at_first = 0;      ///< of a number; the count of an aggregate
    bool has_changed = false;  ///< a number, at some look
  };

  Result<void> listen();
  void wait(Tracer& tracer, sys::Signals& signals);
  void look();
  void draw();
  /// False: `q`, or no more keys will come.
  bool take_keys();
  runtime::Value value_of(const Shown& shown) const;
  void add_variables(const std::vector<runtime::Value>& values,
                     std::vector<output::LiveView::Input>& inputs);

  Parts parts_;
  output::LiveView view_;
  std::vector<Shown> tables_;
  std::vector<Shown> numbers_;
  std::vector<Shown> aggregates_;
  std::unique_ptr<sys::Terminal> terminal_;  ///< null: the output is none
  std::optional<sys::Timer> timer_;
  sys::UniqueFd wakes_;  ///< the timer's or a key's
  int64_t began_ns_;
  bool is_over_ = false;  ///< what is looked at now stays
};

}  // namespace ktap::session
