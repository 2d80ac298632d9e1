// Labels and jumps: every jump is a fixup until finish(), so that forward and backward ones are one
// case.
#include "bpf/assembler.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"

namespace ktap::bpf {

Label Assembler::make_label() {
  labels_.push_back(UINT32_MAX);
  return Label{static_cast<uint32_t>(labels_.size() - 1)};
}

void Assembler::bind(Label label) {
  KTAP_CHECK(label.index < labels_.size() && labels_[label.index] == UINT32_MAX);
  labels_[label.index] = static_cast<uint32_t>(code_.size());
}

void Assembler::emit(Insn insn) {
  code_.push_back(insn);
  lines_.push_back(line_);
}

void Assembler::load_const(Reg dst, int64_t value) {
  if (value == static_cast<int32_t>(value)) {
    emit(mov64(dst, static_cast<int32_t>(value)));
    return;
  }
  auto bits = static_cast<uint64_t>(value);
  emit(load_imm64_first(dst, kPseudoNone, static_cast<uint32_t>(bits)));
  emit(load_imm64_second(static_cast<uint32_t>(bits >> 32)));
}

void Assembler::load_map(Reg dst, uint32_t map) {
  maps_.push_back(MapRef{static_cast<uint32_t>(code_.size()), map, false, 0});
  emit(load_imm64_first(dst, kPseudoMapFd, 0));
  emit(load_imm64_second(0));
}

void Assembler::load_map_value(Reg dst, uint32_t map, uint32_t offset) {
  maps_.push_back(MapRef{static_cast<uint32_t>(code_.size()), map, true, offset});
  emit(load_imm64_first(dst, kPseudoMapValue, 0));
  emit(load_imm64_second(offset));
}

void Assembler::load_variable(Reg dst, uint32_t btf_id) {
  emit(load_imm64_first(dst, kPseudoVariable, btf_id));
  emit(load_imm64_second(0));
}

void Assembler::load_function(Reg dst, Label label) {
  fixups_.push_back(Fixup{static_cast<uint32_t>(code_.size()), label.index, true});
  emit(load_imm64_first(dst, kPseudoFunction, 0));
  emit(load_imm64_second(0));
}

void Assembler::begin_callback(Label label) {
  bind(label);
  callbacks_.push_back(static_cast<uint32_t>(code_.size()));
}

void Assembler::call_helper(Helper helper) { emit(call(static_cast<int32_t>(helper))); }

void Assembler::call_kernel(uint32_t btf_id) { emit(bpf::call_kernel(btf_id)); }

void Assembler::may_goto(Label target) {
  fixups_.push_back(Fixup{static_cast<uint32_t>(code_.size()), target.index});
  emit(bpf::may_goto(0));
}

void Assembler::jump_to(Label target) {
  fixups_.push_back(Fixup{static_cast<uint32_t>(code_.size()), target.index});
  emit(jump(0));
}

void Assembler::jump_to_if(JumpOp op, Reg dst, Reg src, Label target) {
  fixups_.push_back(Fixup{static_cast<uint32_t>(code_.size()), target.index});
  emit(jump_if(op, dst, src, 0));
}

void Assembler::jump_to_if(JumpOp op, Reg dst, int32_t imm, Label target) {
  fixups_.push_back(Fixup{static_cast<uint32_t>(code_.size()), target.index});
  emit(jump_if(op, dst, imm, 0));
}

void Assembler::jump32_to_if(JumpOp op, Reg dst, int32_t imm, Label target) {
  fixups_.push_back(Fixup{static_cast<uint32_t>(code_.size()), target.index});
  emit(jump32_if(op, dst, imm, 0));
}

void Assembler::set_owner(uint32_t handler, uint32_t group) {
  ranges_.push_back(CodeRange{static_cast<uint32_t>(code_.size()), handler, group});
}

Result<void> Assembler::finish(Program& program) {
  for (const Fixup& fixup : fixups_) {
    KTAP_CHECK(fixup.label < labels_.size() && labels_[fixup.label] != UINT32_MAX);
    int64_t distance = static_cast<int64_t>(labels_[fixup.label]) - fixup.insn - 1;
    if (fixup.is_function) {
      code_[fixup.insn].imm = static_cast<int32_t>(distance);
      continue;
    }
    if (distance != static_cast<int16_t>(distance)) {
      return Error{fmt::format("a jump of {} instructions does not fit 16 bits", distance)};
    }
    code_[fixup.insn].off = static_cast<int16_t>(distance);
  }
  program.code = std::move(code_);
  program.lines = std::move(lines_);
  program.maps = std::move(maps_);
  program.ranges = std::move(ranges_);
  program.callbacks = std::move(callbacks_);
  return {};
}

}  // namespace ktap::bpf
