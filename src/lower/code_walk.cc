// Control flow of bytecode; see code_walk.h.
#include "lower/code_walk.h"

namespace ktap::lower {

using bytecode::Op;

std::vector<size_t> successors(const bytecode::Function& function, size_t pc) {
  const bytecode::Insn insn = function.code[pc];
  const size_t next = pc + 1;
  switch (insn.op()) {
    case Op::Jmp:
      return {static_cast<size_t>(static_cast<int64_t>(next) + insn.j())};
    case Op::ForPrep:
    case Op::ForLoop:
      return {next, static_cast<size_t>(static_cast<int64_t>(next) + insn.s())};
    case Op::Return:
    case Op::TailCall:
      return {};
    default:
      if (bytecode::is_test(insn.op())) return {next, next + 1};
      return {next};
  }
}

bool writes_a(Op op) {
  switch (op) {
    case Op::SetGlobal:
    case Op::UpdateGlobal:
    case Op::SetUpval:
    case Op::UpdateUpval:
    case Op::SetIndex:
    case Op::SetField:
    case Op::UpdateIndex:
    case Op::SetList:
    case Op::Jmp:
    case Op::Close:
    case Op::Return:
    case Op::Register:
    case Op::AggAdd:
    case Op::AggAddVar:
      return false;
    default:
      return op == Op::IterNext || !bytecode::is_test(op);
  }
}

bool writes_upwards(Op op) {
  switch (op) {
    case Op::Call:
    case Op::TailCall:
    case Op::ForPrep:
    case Op::ForLoop:
    case Op::IterPrep:
    case Op::IterNext:
      return true;
    default:
      return false;
  }
}

}  // namespace ktap::lower
