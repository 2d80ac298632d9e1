// A compiled script: functions with their code, constants and places. What the compiler makes, the
// VM runs and `lower` turns into SSA; plain data with one builder-side check (verify).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "diag/source.h"

namespace ktap::bytecode {

enum class Op : uint8_t {
#define KTAP_OPCODE(name, format, meaning) name,
#include "bytecode/opcodes.def"
#undef KTAP_OPCODE
};
constexpr int kOpCount = 0
#define KTAP_OPCODE(name, format, meaning) +1
#include "bytecode/opcodes.def"
#undef KTAP_OPCODE
    ;
static_assert(kOpCount <= 64);

enum class Format : uint8_t { ABC, AD, AS, J };

/// What Update* instructions do: cell = cell op value. An absent table cell counts as 0 for
/// Add, Sub, BitOr and BitXor; for the others it is a run-time error, as is nil in a variable.
/// The first five (Add Sub BitAnd BitOr BitXor) are atomic across CPUs, the rest are read, then
/// write.
enum class UpdateOp : uint8_t { Add, Sub, BitAnd, BitOr, BitXor, Mul, Div, Mod, Shl, Shr, Concat };
enum class IterKind : uint8_t { Pairs, SortPairs, SortKeys };
enum class HandlerKind : uint8_t { Event, Tick, Profile, End };

enum class Builtin : uint16_t {
#define KTAP_BUILTIN(enumerator, library, name, min_args, max_args) enumerator,
#include "bytecode/builtins.def"
#undef KTAP_BUILTIN
};

struct BuiltinInfo {
  std::string_view prefix;
  std::string_view name;
  int min_args;
  int max_args;  ///< -1: any number
};
const BuiltinInfo& builtin_info(Builtin builtin);
/// "print", "string.sub".
std::string full_name(const BuiltinInfo& info);
/// How many built-in functions there are.
size_t builtin_count();

/// One instruction word.
struct Insn {
  uint32_t word = 0;

  Op op() const { return static_cast<Op>(word & 0xff); }
  uint8_t a() const { return static_cast<uint8_t>(word >> 8); }
  uint8_t b() const { return static_cast<uint8_t>(word >> 16); }
  uint8_t c() const { return static_cast<uint8_t>(word >> 24); }
  uint16_t d() const { return static_cast<uint16_t>(word >> 16); }
  int16_t s() const { return static_cast<int16_t>(word >> 16); }
  int32_t j() const { return static_cast<int32_t>(word) >> 8; }

  static Insn abc(Op op, uint8_t a, uint8_t b, uint8_t c) {
    return {static_cast<uint32_t>(op) | uint32_t{a} << 8 | uint32_t{b} << 16 | uint32_t{c} << 24};
  }
  static Insn ad(Op op, uint8_t a, uint16_t d) {
    return {static_cast<uint32_t>(op) | uint32_t{a} << 8 | uint32_t{d} << 16};
  }
  static Insn as(Op op, uint8_t a, int16_t s) { return ad(op, a, static_cast<uint16_t>(s)); }
  static Insn jump(Op op, int32_t offset) {
    return {static_cast<uint32_t>(op) | static_cast<uint32_t>(offset) << 8};
  }
};

using Constant = std::variant<std::monostate, bool, int64_t, double, std::string>;

struct UpvalueDesc {
  bool from_parent_register;  ///< true: register `index` of the parent; false: upvalue `index` of
                              ///< the parent
  uint8_t index;
  std::string name;
};

/// Where an instruction comes from: bytes of the source (0,0 when stripped) and the 1-based line.
struct Place {
  diag::Span span;
  uint32_t line = 0;
};

/// One function of the script; children are the functions written inside it.
struct Function {
  std::string name;  ///< "main", "f", or "" for an anonymous one
  uint8_t param_count = 0;
  uint8_t register_count = 0;
  std::vector<Insn> code;
  std::vector<Place> places;  ///< one per instruction
  std::vector<Constant> constants;
  std::vector<UpvalueDesc> upvalues;
  std::vector<std::unique_ptr<Function>> children;
  std::vector<std::string> param_names;
  Place place;  ///< of its head
};

struct Chunk {
  std::string source_name;
  std::unique_ptr<Function> main;
  std::vector<std::string> globals;  ///< names of the global slots; `arg` is slot 0
};

std::string_view op_name(Op op);
Format op_format(Op op);
/// True for the instructions that skip the next one, a Jmp, when their condition does not hold.
bool is_test(Op op);

/// Whether this function or one written inside it names that built-in: it may be called then.
bool names_builtin(const Function& function, Builtin builtin);

/// Whether this function or one written inside it reads `arg`, what the command line hands over.
bool reads_arguments(const Function& function);

/// `ktap -b`: every function with its constants and its code, source lines between.
/// `source` may be null (stripped).
std::string disassemble(const Chunk& chunk, const diag::Source* source);

/// Checks every register, constant, jump, upvalue and child index. "" when all is well, else what
/// is wrong and where.
std::string verify(const Chunk& chunk);

}  // namespace ktap::bytecode
