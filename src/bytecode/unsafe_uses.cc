// Naming is enough: what is loaded may be called anywhere.
#include "bytecode/unsafe_uses.h"

namespace ktap::bytecode {

bool is_unsafe(Builtin builtin) { return builtin == Builtin::System || acts_in_kernel(builtin); }

bool acts_in_kernel(Builtin builtin) {
  return builtin == Builtin::Override || builtin == Builtin::Signal ||
         builtin == Builtin::WriteUser;
}

std::vector<UnsafeUse> find_unsafe_uses(const Function& function) {
  std::vector<UnsafeUse> uses;
  for (size_t pc = 0; pc < function.code.size(); ++pc) {
    const Insn insn = function.code[pc];
    if (insn.op() == Op::LoadBuiltin && is_unsafe(static_cast<Builtin>(insn.d()))) {
      uses.push_back({static_cast<Builtin>(insn.d()), function.places[pc]});
    }
  }
  for (const auto& child : function.children) {
    for (const UnsafeUse& use : find_unsafe_uses(*child)) uses.push_back(use);
  }
  return uses;
}

}  // namespace ktap::bytecode
