// Every verifier refuses a store above the stack, and looks at it before what the missing
// instruction would have made wrong.
#include "session/spoil.h"

#include "bpf/insn.h"

namespace ktap::session {

bool spoil(bpf::Program& program, uint32_t line) {
  for (size_t i = 0; i < program.code.size() && i < program.lines.size(); ++i) {
    if (program.lines[i] != line) continue;
    // A two-slot load keeps its second half, so it is no place; its neighbour is.
    if ((program.code[i].code & 7) == bpf::kClassLd) {
      ++i;
      continue;
    }
    program.code[i] = bpf::store(bpf::Size::DW, bpf::Reg::R10, 8, 0);
    return true;
  }
  return false;
}

}  // namespace ktap::session
