// Variables of inlined code that functions made there capture. Each such register is a numbered
// variable as long as its block runs; a function that is made refers to it by number, and wherever
// it is inlined, it reads and writes what that variable holds on the way there. When the block ends
// and some function is still about, the register gets a new variable for the next round.
#include <algorithm>

#include "lower/lowerer.h"

namespace ktap::lower {

namespace {

bool refers(const AbstractValue& value, int local) {
  const Upvalue wanted{nullptr, local};
  if (std::find(value.cells.begin(), value.cells.end(), wanted) != value.cells.end()) return true;
  return std::any_of(value.parts.begin(), value.parts.end(),
                     [&](const AbstractValue& part) { return refers(part, local); });
}

}  // namespace

void Lowerer::open_boxes(Frame& frame) {
  frame.boxes.assign(frame.registers.size(), -1);
  for (size_t r = 0; r < frame.registers.size(); ++r) {
    if (r >= frame.plan->captured.size() || !frame.plan->captured[r]) continue;
    frame.boxes[r] = static_cast<int>(local_names_.size());
    local_names_.push_back({frame.path, static_cast<uint32_t>(r), 0, 0});
    locals_.resize(local_names_.size());
    locals_.back() = frame.registers[r];
  }
}

bool Lowerer::is_referred(const Frame& frame, int local) const {
  // What lies from the variable's own register upwards ends with it.
  size_t end = 0;
  while (end < frame.boxes.size() && frame.boxes[end] != local) ++end;
  for (size_t r = 0; r < std::min(end, frame.registers.size()); ++r) {
    if (refers(frame.registers[r], local)) return true;
  }
  for (size_t i = 0; i < locals_.size(); ++i) {
    const auto at = std::find(frame.boxes.begin(), frame.boxes.end(), static_cast<int>(i));
    const bool ends_too =
        at != frame.boxes.end() && static_cast<size_t>(at - frame.boxes.begin()) >= end;
    if (!ends_too && refers(locals_[i], local)) return true;
  }
  return false;
}

/// The variables in registers from `first` on are done with.
void Lowerer::close_boxes(Frame& frame, size_t first) {
  std::vector<size_t> kept;
  for (size_t r = first; r < frame.boxes.size(); ++r) {
    if (frame.boxes[r] >= 0 && is_referred(frame, frame.boxes[r])) kept.push_back(r);
  }
  for (size_t r : kept) {
    HintKey name = local_names_[static_cast<size_t>(frame.boxes[r])];
    ++name.visit;
    frame.boxes[r] = static_cast<int>(local_names_.size());
    local_names_.push_back(name);
    locals_.resize(local_names_.size());
  }
}

void Lowerer::make_closure(Frame& frame, bytecode::Insn insn) {
  AbstractValue v = AbstractValue::of_kind(Kind::Function);
  v.function = frame.function->children[insn.d()].get();
  for (const bytecode::UpvalueDesc& upvalue : v.function->upvalues) {
    if (upvalue.from_parent_register) {
      v.cells.push_back({nullptr, frame.boxes[upvalue.index]});
    } else {
      v.cells.push_back(frame.cells[upvalue.index]);
    }
  }
  reg(frame, insn.a()) = v;
}

AbstractValue Lowerer::read_upvalue(Frame& frame, size_t index) {
  const Upvalue& upvalue = frame.cells[index];
  if (upvalue.cell == nullptr) return locals_[static_cast<size_t>(upvalue.local)];
  return read_cell(upvalue.cell, frame.function->upvalues[index].name);
}

void Lowerer::write_upvalue(Frame& frame, size_t index, const AbstractValue& value) {
  const Upvalue& upvalue = frame.cells[index];
  if (upvalue.cell == nullptr) {
    locals_[static_cast<size_t>(upvalue.local)] = value;
    return;
  }
  write_cell(upvalue.cell, frame.function->upvalues[index].name, value);
}

void Lowerer::update_upvalue(Frame& frame, size_t index, bytecode::UpdateOp op,
                             const AbstractValue& value) {
  const Upvalue& upvalue = frame.cells[index];
  if (upvalue.cell != nullptr) {
    return update_variable({upvalue.cell, -1}, frame.function->upvalues[index].name, op, value);
  }
  const auto local = static_cast<size_t>(upvalue.local);
  const AbstractValue now = locals_[local];
  const AbstractValue result =
      op == bytecode::UpdateOp::Concat ? concat({now, value}) : compute(op, now, value);
  if (!stopped() && reachable()) locals_[local] = result;
}

}  // namespace ktap::lower
