// One bytecode function in the making: instructions with their places, constants, registers,
// labels. Below the generator, which knows the tree; here only shapes are known, and every limit of
// the format is watched: crossing one is a diagnostic, and what is emitted after it is thrown away
// with the chunk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bytecode/chunk.h"
#include "diag/diagnostic.h"

namespace ktap::compiler {

/// A place in the code that jumps go to, before or after it is known.
struct Label {
  std::optional<size_t> pc;
  std::vector<size_t> uses;  ///< instructions that wait for pc
};

class Emitter {
 public:
  Emitter(const diag::Source& source, diag::Sink& sink, std::string name, diag::Span head);

  // ---- code ----
  void emit(bytecode::Insn insn, diag::Span span);
  /// `op` jumps by its offset: Jmp, or ForPrep and ForLoop with register `a`.
  void jump(bytecode::Op op, int a, Label& target, diag::Span span);
  void jump(Label& target, diag::Span span) { jump(bytecode::Op::Jmp, 0, target, span); }
  /// The call just emitted, with open results, becomes the function's end.
  void make_tail_call();
  /// The label stands at the next instruction.
  void bind(Label& label);
  /// True when the next instruction cannot be reached from the one before it or by a jump.
  bool is_unreachable() const;

  // ---- constants ----
  /// The index of an equal constant, new or old.
  int constant(const bytecode::Constant& value, diag::Span span);
  /// Its index when that fits the 8 bits of an ABC operand.
  std::optional<uint8_t> small_constant(const bytecode::Constant& value, diag::Span span);
  /// R[dst] = value.
  void load(const bytecode::Constant& value, int dst, diag::Span span);

  // ---- registers: a stack ----
  /// Takes `count` registers from the first free one, which is returned.
  int take(int count, diag::Span span);
  /// Gives back every register from `first` on.
  void release(int first) { free_ = first; }
  int free_register() const { return free_; }

  // ---- the rest ----
  int add_child(std::unique_ptr<bytecode::Function> child, diag::Span span);
  bytecode::Function& function() { return *function_; }
  /// The finished function; the emitter is spent.
  std::unique_ptr<bytecode::Function> finish(diag::Span end);
  /// Reports the first crossing of one limit in this function; later ones of the same code are
  /// silent.
  void report_limit(diag::Code code, diag::Span span, std::string text, std::string hint = {});

 private:
  void patch(size_t at, size_t target);

  const diag::Source& source_;
  diag::Sink& sink_;
  std::unique_ptr<bytecode::Function> function_;
  std::map<std::string, int> constant_index_;  ///< by type and bytes
  int free_ = 0;
  std::optional<size_t> last_label_;  ///< the highest pc that a label was bound to
  std::vector<diag::Code> crossed_;
};

}  // namespace ktap::compiler
