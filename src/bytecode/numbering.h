// The closed lists whose members bytecode names by number: opcodes, built-in functions, … A file
// names them by text, each once, and its instructions by the place in that list, so that a number
// may change from one version to the next. Private to this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bytecode/chunk.h"

namespace ktap::bytecode {

enum class List : uint8_t { Op, Builtin, Var, Update, Iterator, Handler };
constexpr size_t kListCount = 6;
constexpr std::array<List, kListCount> kLists = {List::Op,     List::Builtin,  List::Var,
                                                 List::Update, List::Iterator, List::Handler};

/// "built-in function": what a member is called in messages.
std::string_view list_title(List list);
size_t list_size(List list);
/// The member's name in a file: "Add", "string.len", "pid".
std::string list_name(List list, size_t member);

/// Where an instruction names a member of a list, beside its opcode.
enum class Operand : uint8_t { None, B, C, D };
struct Reference {
  List list = List::Op;
  Operand operand = Operand::None;
};
Reference reference_of(Op op);

size_t operand_value(Insn insn, Operand operand);
Insn with_operand(Insn insn, Operand operand, size_t value);

}  // namespace ktap::bytecode
