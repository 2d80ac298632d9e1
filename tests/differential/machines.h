// The two machines that a program runs on: compiler and VM, with a host that only collects, and the
// naive evaluator. What they must agree on: all output, whether a run-time error ended the run, and
// on which line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytecode/chunk.h"
#include "diag/diagnostic.h"
#include "naive/evaluator.h"
#include "syntax/ast.h"
#include "vm/fake_host.h"
#include "vm/vm.h"

namespace ktap::differential {

/// How one run ended, in a form that is compared as text.
struct Run {
  std::string output;
  std::string end;  ///< "ended" or "error at line 7"
  std::string why;  ///< the error's own text, not compared
  bool judged = true;

  bool agrees_with(const Run& other) const { return output == other.output && end == other.end; }
};

/// A program that was compiled; it may be wrong.
class Subject {
 public:
  explicit Subject(std::string text);
  bool compiles() const { return chunk_ != nullptr; }
  /// What the compiler has against it.
  std::string refusal() const { return diag::render_all(source_, sink_); }

  Run run_naive();
  Run run_vm();
  /// Calls of the global function `name` with one integer, after run_…(); output is its first
  /// result as text.
  Run call_naive(const std::string& name, int64_t argument);
  Run call_vm(const std::string& name, int64_t argument);

 private:
  diag::Source source_;
  diag::Sink sink_;
  syntax::Script script_;
  std::unique_ptr<bytecode::Chunk> chunk_;
  std::unique_ptr<naive::Evaluator> naive_;
  vm::testing::FakeHost host_;
  std::unique_ptr<vm::Vm> vm_;
};

enum class Verdict : uint8_t {
  Agree,
  Differ,
  Refused,    ///< the compiler does not take it
  NotJudged,  ///< the naive evaluator gave up
};
/// `report` (may be null) gets what differs.
Verdict judge(const std::string& text, std::string* report);

}  // namespace ktap::differential
