// Which functions may run when a handler is called, built-in ones too; see world.h.
#include <algorithm>

#include "lower/world.h"

namespace ktap::lower {

namespace {

using bytecode::Insn;
using bytecode::Op;
using runtime::Value;

/// Follows values to functions, through closures, tables and the variables that code names.
class Reacher {
 public:
  explicit Reacher(const World& world) : world_(world) {}

  void value(Value value) {
    if (value.type == runtime::Type::Function) {
      if (!seen_.insert(value.object).second) return;
      code(value.closure()->function);
      for (const runtime::Cell* cell : value.closure()->upvalues) this->value(*cell->slot);
    } else if (value.type == runtime::Type::Table) {
      if (!seen_.insert(value.object).second) return;
      for (const auto& entry : value.table()->entries()) this->value(entry.second);
    } else if (value.type == runtime::Type::Builtin) {
      builtins.insert(static_cast<bytecode::Builtin>(value.builtin));
    }
  }

  std::vector<const bytecode::Function*> found;
  std::set<bytecode::Builtin> builtins;

 private:
  void code(const bytecode::Function* function) {
    if (std::find(found.begin(), found.end(), function) != found.end()) return;
    found.push_back(function);
    for (const auto& child : function->children) code(child.get());
    for (Insn insn : function->code) {
      if (insn.op() == Op::GetGlobal && insn.d() < world_.globals->size())
        value((*world_.globals)[insn.d()]);
    }
  }

  const World& world_;
  std::set<const runtime::Object*> seen_;
};

}  // namespace

std::vector<const bytecode::Function*> reachable_functions(Value function, const World& world) {
  Reacher reacher(world);
  reacher.value(function);
  return std::move(reacher.found);
}

std::set<bytecode::Builtin> kept_builtins(Value function, const World& world) {
  Reacher reacher(world);
  reacher.value(function);
  return std::move(reacher.builtins);
}

}  // namespace ktap::lower
