// What ops.def says of an operation, as a value: for the printer, the verifier and the passes.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "ssa/function.h"

namespace ktap::ssa {

/// The result column: a type, or Any when operands or the instruction decide.
enum class ResultRule : uint8_t { None, Int, Bool, Str, MaybeInt, MaybeStr, Any };
enum class Effect : uint8_t { Pure, Read, Write, Control };

constexpr int kVariableOperands = -1;

struct OpInfo {
  std::string_view name;
  ResultRule result;
  int operands;  ///< kVariableOperands: as many as the table, site or block asks for
  Effect effect;
};

const OpInfo& op_info(Op op);

/// TableGet, TableSet …: imm is a table, the first operands are a key.
bool is_table_op(Op op);
/// TableWalk, TableSlot, TableSlotKey: imm is a table.
bool is_walk_op(Op op);
/// TableLength, TableClear: imm is a table.
bool is_whole_table_op(Op op);
/// Any of the three.
bool names_table(Op op);
/// CellGet, CellSet …: imm is a shared variable.
bool is_cell_op(Op op);
/// A table operation whose last operand alone is the value.
bool has_table_value(Op op);

/// "int", "bool", "str", "int?", "str?", "bool?", "stack", "-".
std::string_view type_name(Type type);

}  // namespace ktap::ssa
