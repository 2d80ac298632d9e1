// See numbering.h. An opcode whose operand is a number of some list has its row in reference_of().
#include "bytecode/numbering.h"

#include <fmt/format.h>

#include <iterator>

#include "base/check.h"
#include "schema/builtin_vars.h"

namespace ktap::bytecode {

namespace {

constexpr size_t kBuiltinVarCount = 0
#define KTAP_BUILTIN_VAR(name, spelling) +1
#include "schema/builtin_vars.def"
#undef KTAP_BUILTIN_VAR
    ;
constexpr std::string_view kUpdates[] = {"Add", "Sub", "BitAnd", "BitOr", "BitXor", "Mul",
                                         "Div", "Mod", "Shl",    "Shr",   "Concat"};
static_assert(std::size(kUpdates) == static_cast<size_t>(UpdateOp::Concat) + 1);
constexpr std::string_view kIterators[] = {"pairs", "sort_pairs", "sort_keys"};
static_assert(std::size(kIterators) == static_cast<size_t>(IterKind::SortKeys) + 1);
constexpr std::string_view kHandlers[] = {"event", "tick", "profile", "end"};
static_assert(std::size(kHandlers) == static_cast<size_t>(HandlerKind::End) + 1);

}  // namespace

std::string_view list_title(List list) {
  switch (list) {
    case List::Op:
      return "opcode";
    case List::Builtin:
      return "built-in function";
    case List::Var:
      return "built-in variable";
    case List::Update:
      return "update";
    case List::Iterator:
      return "iterator";
    case List::Handler:
      return "kind of handler";
  }
  KTAP_UNREACHABLE();
}

size_t list_size(List list) {
  switch (list) {
    case List::Op:
      return kOpCount;
    case List::Builtin:
      return builtin_count();
    case List::Var:
      return kBuiltinVarCount;
    case List::Update:
      return std::size(kUpdates);
    case List::Iterator:
      return std::size(kIterators);
    case List::Handler:
      return std::size(kHandlers);
  }
  KTAP_UNREACHABLE();
}

std::string list_name(List list, size_t member) {
  KTAP_CHECK(member < list_size(list));
  switch (list) {
    case List::Op:
      return std::string(op_name(static_cast<Op>(member)));
    case List::Builtin:
      return full_name(builtin_info(static_cast<Builtin>(member)));
    case List::Var:
      return std::string(schema::builtin_var_name(static_cast<schema::BuiltinVar>(member)));
    case List::Update:
      return std::string(kUpdates[member]);
    case List::Iterator:
      return std::string(kIterators[member]);
    case List::Handler:
      return std::string(kHandlers[member]);
  }
  KTAP_UNREACHABLE();
}

Reference reference_of(Op op) {
  switch (op) {
    case Op::LoadBuiltin:
      return {List::Builtin, Operand::D};
    case Op::EventVar:
      return {List::Var, Operand::D};
    case Op::UpdateGlobal:
    case Op::UpdateUpval:
    case Op::UpdateIndex:
      return {List::Update, Operand::C};
    case Op::IterPrep:
      return {List::Iterator, Operand::B};
    case Op::Register:
      return {List::Handler, Operand::B};
    default:
      return {};
  }
}

size_t operand_value(Insn insn, Operand operand) {
  switch (operand) {
    case Operand::B:
      return insn.b();
    case Operand::C:
      return insn.c();
    case Operand::D:
      return insn.d();
    case Operand::None:
      break;
  }
  return 0;
}

Insn with_operand(Insn insn, Operand operand, size_t value) {
  switch (operand) {
    case Operand::B:
      return Insn::abc(insn.op(), insn.a(), static_cast<uint8_t>(value), insn.c());
    case Operand::C:
      return Insn::abc(insn.op(), insn.a(), insn.b(), static_cast<uint8_t>(value));
    case Operand::D:
      return Insn::ad(insn.op(), insn.a(), static_cast<uint16_t>(value));
    case Operand::None:
      break;
  }
  return insn;
}

}  // namespace ktap::bytecode
