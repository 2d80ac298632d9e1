// Names and formats of the instruction set and the built-in functions, expanded from the two
// tables. Serves the disassembler, the verifier and everyone who reports about bytecode.
#include "bytecode/chunk.h"

#include <iterator>

#include "base/check.h"
#include "bytecode/instructions.h"

namespace ktap::bytecode {

namespace {

constexpr std::string_view kOpNames[] = {
#define KTAP_OPCODE(name, format, meaning) #name,
#include "bytecode/opcodes.def"
#undef KTAP_OPCODE
};

constexpr Format kOpFormats[] = {
#define KTAP_OPCODE(name, format, meaning) Format::format,
#include "bytecode/opcodes.def"
#undef KTAP_OPCODE
};

constexpr BuiltinInfo kBuiltins[] = {
#define KTAP_BUILTIN(enumerator, library, name, min_args, max_args) \
  {library, name, min_args, max_args},
#include "bytecode/builtins.def"
#undef KTAP_BUILTIN
};

}  // namespace

std::string_view op_name(Op op) {
  const auto index = static_cast<size_t>(op);
  KTAP_CHECK(index < std::size(kOpNames));
  return kOpNames[index];
}

Format op_format(Op op) {
  const auto index = static_cast<size_t>(op);
  KTAP_CHECK(index < std::size(kOpFormats));
  return kOpFormats[index];
}

bool is_test(Op op) {
  switch (op) {
    case Op::Test:
    case Op::TestEq:
    case Op::TestLt:
    case Op::TestLe:
    case Op::TestEqK:
    case Op::IterNext:
      return true;
    default:
      return false;
  }
}

bool names_builtin(const Function& function, Builtin builtin) {
  return any_instruction(function, [builtin](Insn insn) {
    return insn.op() == Op::LoadBuiltin && static_cast<Builtin>(insn.d()) == builtin;
  });
}

bool reads_arguments(const Function& function) {
  constexpr uint16_t kArgSlot = 0;
  return any_instruction(
      function, [](Insn insn) { return insn.op() == Op::GetGlobal && insn.d() == kArgSlot; });
}

std::string full_name(const BuiltinInfo& info) {
  std::string name(info.prefix);
  if (!name.empty()) name += '.';
  return name.append(info.name);
}

size_t builtin_count() { return std::size(kBuiltins); }

const BuiltinInfo& builtin_info(Builtin builtin) {
  const auto index = static_cast<size_t>(builtin);
  KTAP_CHECK(index < std::size(kBuiltins));
  return kBuiltins[index];
}

}  // namespace ktap::bytecode
