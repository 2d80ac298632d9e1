// See hist_calls.h. The compiler puts the arguments of a call in order behind the loading of its
// callee, each in its own register above; whatever looks different counts as computed.
#include "bytecode/hist_calls.h"

#include <optional>

namespace ktap::bytecode {
namespace {

std::optional<int64_t> loaded_integer(const Function& function, Insn insn, int reg) {
  if (insn.a() != reg) return std::nullopt;
  if (insn.op() == Op::LoadInt) return insn.s();
  if (insn.op() != Op::LoadK) return std::nullopt;
  const auto* integer = std::get_if<int64_t>(&function.constants[insn.d()]);
  return integer == nullptr ? std::nullopt : std::optional<int64_t>(*integer);
}

/// Puts the value of `reg` somewhere else.
bool copies(Insn insn, int reg) {
  switch (insn.op()) {
    case Op::Move:
      return insn.b() == reg;
    case Op::SetIndex:
    case Op::SetField:
      return insn.c() == reg;
    default:
      return false;
  }
}

/// The call of the function that was loaded into `reg` at `pc`; none when the value goes elsewhere.
std::optional<size_t> call_of(const Function& function, size_t pc, int reg) {
  for (size_t at = pc + 1; at < function.code.size(); ++at) {
    const Insn insn = function.code[at];
    if (op_format(insn.op()) == Format::J) continue;
    const bool is_call = insn.op() == Op::Call || insn.op() == Op::TailCall;
    if (is_call && insn.a() == reg) return at;
    if (insn.a() == reg || copies(insn, reg)) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

void find_hist_calls(const Function& function, HistCalls* calls) {
  for (size_t pc = 0; pc < function.code.size(); ++pc) {
    const Insn load = function.code[pc];
    if (load.op() != Op::LoadBuiltin || load.d() != static_cast<uint16_t>(Builtin::Hist)) continue;
    const std::optional<size_t> call = call_of(function, pc, load.a());
    const int arguments = call ? function.code[*call].b() - 1 : -1;
    if (arguments == 1 || arguments == 2) continue;  // by powers of two, or log-linear
    std::optional<int64_t> bounds[3];
    for (size_t i = 0; i < 3 && arguments == 4 && *call - pc > 3; ++i) {
      const size_t at = *call - 3 + i;
      bounds[i] = loaded_integer(function, function.code[at], load.a() + 2 + static_cast<int>(i));
    }
    if (bounds[0] && bounds[1] && bounds[2]) {
      calls->constant.push_back({*bounds[0], *bounds[1], *bounds[2]});
    } else {
      calls->computed = true;
    }
  }
}

}  // namespace ktap::bytecode
