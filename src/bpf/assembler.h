// Strings instructions together: labels, map references, the script line of each instruction.
// `backend` writes through it; finish() gives the program's code. A jump farther than 16 bits reach
// is an Error, not a crash: a handler can be that long.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "bpf/helpers.h"
#include "bpf/insn.h"
#include "bpf/program.h"

namespace ktap::bpf {

/// A place in the code, bound once, jumped to from before or behind.
struct Label {
  uint32_t index = UINT32_MAX;
};

class Assembler {
 public:
  Label make_label();
  /// The label means the next instruction from here on.
  void bind(Label label);

  void emit(Insn insn);
  /// dst = value: one slot when 32 signed bits do, else two.
  void load_const(Reg dst, int64_t value);
  /// dst = the map itself, for helpers.
  void load_map(Reg dst, uint32_t map);
  /// dst = address of byte `offset` of the value of key 0 (Array).
  void load_map_value(Reg dst, uint32_t map, uint32_t offset);
  /// dst = a variable of the kernel that each CPU has one of, for helpers.
  void load_variable(Reg dst, uint32_t btf_id);
  void call_helper(Helper helper);
  /// dst = the function that begins at `label`, for helpers that call back.
  void load_function(Reg dst, Label label);
  /// A function that is called back begins here. Nothing may jump or fall into it.
  void begin_callback(Label label);
  void call_kernel(uint32_t btf_id);

  void jump_to(Label target);
  void may_goto(Label target);
  void jump_to_if(JumpOp op, Reg dst, Reg src, Label target);
  void jump_to_if(JumpOp op, Reg dst, int32_t imm, Label target);
  /// Compares the lower halves.
  void jump32_to_if(JumpOp op, Reg dst, int32_t imm, Label target);

  /// Script line of what follows; 0 unknown.
  void set_line(uint32_t line) { line_ = line; }
  /// Whose what follows is.
  void set_owner(uint32_t handler, uint32_t group);
  size_t size() const { return code_.size(); }

  /// Patches the jumps and moves code, lines, owners and map references into `program`.
  /// Requires: every label that is jumped to is bound. Errors: a jump out of range.
  Result<void> finish(Program& program);

 private:
  struct Fixup {
    uint32_t insn;
    uint32_t label;
    bool is_function = false;
  };

  std::vector<Insn> code_;
  std::vector<uint32_t> lines_;
  std::vector<MapRef> maps_;
  std::vector<CodeRange> ranges_;
  std::vector<uint32_t> callbacks_;
  std::vector<uint32_t> labels_;  // by Label.index: instruction, UINT32_MAX unbound
  std::vector<Fixup> fixups_;
  uint32_t line_ = 0;
};

}  // namespace ktap::bpf
