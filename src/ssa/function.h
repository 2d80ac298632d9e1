// SSA: one handler on one group of events, as blocks of typed operations. Built by `lower`,
// improved by `passes`, turned into eBPF by `backend`. Nothing here knows the VM or the kernel.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "diag/source.h"
#include "schema/event.h"
#include "schema/kernel_types.h"

namespace ktap::ssa {

struct ValueTag;
struct BlockTag;
using ValueId = Id<ValueTag>;
using BlockId = Id<BlockTag>;

enum class Op : uint8_t {
#define KTAP_SSA_OP(name, result, operands, effect, meaning) name,
#include "ssa/ops.def"
#undef KTAP_SSA_OP
};

/// Stack: of calls. Held like Bytes: max_bytes is 8 for the owner (runtime/stack.h) and 8 a frame.
/// Union: an Int, a Bool or a Str, as the parts of keys and the values of tables may be; as what a
/// table gives also nil. Held like Bytes: its tag, a word for a number, then a string as
/// union_text() says; what it is not is 0.
enum class Type : uint8_t {
  None,
  Int,
  Bool,
  Str,
  MaybeInt,
  MaybeStr,
  MaybeBool,
  Stack,
  MaybeStack,
  Union
};

/// What a Union is.
constexpr int kNilTag = 0;
constexpr int kBoolTag = 1;
constexpr int kIntTag = 2;
constexpr int kStrTag = 3;

/// A value of such a type is nil or one of sure_type().
constexpr bool is_maybe(Type type) {
  return type == Type::MaybeInt || type == Type::MaybeStr || type == Type::MaybeBool ||
         type == Type::MaybeStack;
}
/// Int, Bool, Str or Stack of a maybe; a sure type is its own.
constexpr Type sure_type(Type type) {
  switch (type) {
    case Type::MaybeInt:
      return Type::Int;
    case Type::MaybeStr:
      return Type::Str;
    case Type::MaybeBool:
      return Type::Bool;
    case Type::MaybeStack:
      return Type::Stack;
    default:
      return type;
  }
}
/// The other way round.
constexpr Type maybe_type(Type type) {
  switch (type) {
    case Type::Int:
      return Type::MaybeInt;
    case Type::Str:
      return Type::MaybeStr;
    case Type::Bool:
      return Type::MaybeBool;
    case Type::Stack:
      return Type::MaybeStack;
    default:
      return type;
  }
}

/// The longest decimal text of an Int.
constexpr uint32_t kIntTextBytes = 20;

/// How a Str (or MaybeStr) is held; a Stack is Bytes, words with 0 behind the last frame.
///   Id     an integer that names one string of module.strings (literals, probename)
///   Bytes  at most max_bytes bytes in scratch, none of them 0, zero padded to a multiple of 8
///          (execname: 16)
enum class StrKind : uint8_t { None, Id, Bytes };

struct Inst {
  Op op;
  Type type = Type::None;
  StrKind str_kind = StrKind::None;
  uint32_t max_bytes = 0;  ///< Bytes only
  int64_t imm = 0;
  std::vector<ValueId> operands;
  diag::Span span;  ///< of the script
  uint32_t line = 0;
};

struct Block {
  std::vector<ValueId> insts;  ///< in order; phis first, one Control operation last
  std::vector<BlockId> preds;
  std::vector<BlockId> succs;
};

/// One handler on one group of events that it sees alike.
struct Function {
  std::string name;           ///< "handler 0 (syscalls:sys_enter_*)"
  std::vector<Inst> values;   ///< by ValueId; an erased one is in no block
  std::vector<Block> blocks;  ///< blocks[0] is the entry

  ValueId append(BlockId block, Inst inst);
  Inst& operator[](ValueId id) { return values[id.index]; }
  const Inst& operator[](ValueId id) const { return values[id.index]; }
};

// ---- what the functions of one run share -----------------------------------------------------

/// One part of a table's key, or its value. An Address is an Int whose text is a symbol
/// (runtime/code_address.h), a Pointer one that knows what it points to, 0 only as a
/// variable.
struct KeyPart {
  enum class Kind : uint8_t {
    Int,
    Address,
    Pointer,
    Bool,
    StrId,
    Bytes,
    Stack,
    Union
  } kind = Kind::Int;
  uint32_t max_bytes = 8;    ///< Bytes: 16, 64, 256; Stack, Union: as of its type
  schema::CType ctype = {};  ///< Pointer
  uint8_t tags = 0;          ///< Union: 1 << tag of each type that it may be

  /// It takes max_bytes, not a word.
  bool is_bytes() const {
    return kind == Kind::Bytes || kind == Kind::Stack || kind == Kind::Union;
  }
  friend bool operator==(const KeyPart&, const KeyPart&) = default;
};

/// Where the words of a Union are.
constexpr uint32_t kUnionWordOffset = 8, kUnionTextOffset = 16;
/// What a Union of that size holds for a string: the Id, or Bytes.
inline KeyPart union_text(uint32_t union_bytes) {
  const uint32_t bytes = union_bytes - kUnionTextOffset;
  return {bytes == 8 ? KeyPart::Kind::StrId : KeyPart::Kind::Bytes, bytes};
}
/// A Union with room for such a string: StrId or Bytes.
inline KeyPart union_part(const KeyPart& text, uint8_t tags) {
  return {KeyPart::Kind::Union, kUnionTextOffset + text.max_bytes, {}, tags};
}

/// How two values of one word of an entry become one: of two samples, or of two CPUs.
enum class MergeOp : uint8_t { Add, Min, Max };

/// The bounds of LinearBucket: [lo, lo + step), [lo + step, lo + 2 step), …, the last one cut at
/// hi. Requires: lo < hi, 0 < step, at most limits::kMaxLinearBuckets of them.
struct LinearBounds {
  int64_t lo = 0;
  int64_t hi = 0;
  int64_t step = 0;
  friend bool operator==(const LinearBounds&, const LinearBounds&) = default;
};

/// A table that kernel code touches.
struct TableInfo {
  std::string name;  ///< as the script calls it, for --explain
  std::vector<KeyPart> key;
  uint32_t max_entries = 0;         ///< that the script asks for; 0: it does not say
  bool is_read = false;             ///< TableGet in the kernel
  bool is_set = false;              ///< TableSet
  bool is_added = false;            ///< TableAdd, TableMerge
  bool is_deleted = false;          ///< TableDelete
  bool is_combined = false;         ///< TableAnd, TableOr, TableXor, TableRaise
  bool is_iterated = false;         ///< TableWalk; is_read is set too
  bool is_removed_outside = false;  ///< user space may remove entries while programs run
  bool is_stored_outside = false;   ///< user space may store entries while programs run
  bool has_no_tid = false;          ///< an entry of user space has a key that is no thread's id
  bool is_variable = false;         ///< one entry, which stands for a variable
  KeyPart value;                    ///< of all entries; other than Int: of a table of one word
  /// The words of an entry. Other than one Add: TableMerge alone works on it.
  std::vector<MergeOp> words = {MergeOp::Add};
  /// Not 0: the last part of the key is a bucket, from 0 to one below this.
  uint32_t bucket_count = 0;
  /// Not 0: it holds a part of the samples of aggregate number sample_of - 1. The updates of one
  /// `<<<` stand in one block, one behind the other: when one finds its table full, the others are
  /// left out, and one loss is counted.
  uint32_t sample_of = 0;
};

/// A place where the kernel sends a record to user space.
struct SiteArg {
  Type type = Type::Int;
  StrKind str_kind = StrKind::None;
  uint32_t max_bytes = 0;
  bool is_raw = false;  ///< Bytes with NULs among them: all max_bytes count
};
enum class SiteKind : uint8_t { Print, Printf, Warn, PrintHist, System, Error, Exit, Capture };
/// Event data that rides along, so that user space can render argstr or run the handler in the VM.
enum class RawEvent : uint8_t { None, Record };
struct Site {
  SiteKind kind = SiteKind::Print;
  uint32_t handler = 0;           ///< index of the handler in the session
  std::vector<SiteArg> args;      ///< of Emit's operands, in order
  RawEvent raw = RawEvent::None;  ///< Record: system call number and arguments / result, or the
                                  ///< tracepoint record
  bool copies_stack = false;      ///< the process's registers and the top of its stack
  uint32_t user_index = 0;  ///< session's own number (which format string, which arg is argstr …)
  diag::Span span;
  uint32_t line = 0;
};

/// A place in a function of the script.
struct CodePlace {
  std::string function;  ///< "" for one without a name
  diag::Span span;
  uint32_t line = 0;
  friend bool operator==(const CodePlace& a, const CodePlace& b) {
    return a.line == b.line && a.span.begin == b.span.begin && a.span.end == b.span.end &&
           a.function == b.function;
  }
};

/// A run-time error that kernel code can meet.
struct Failure {
  std::string text;  ///< "arithmetic on nil"
  diag::Span span;
  uint32_t line = 0;
  std::vector<CodePlace> trace = {};  ///< it, then the calls that led there, the innermost first
  bool is_told = false;  ///< a record that was sent before has the text, and is what counts
};

/// How a value of that make is held: Int, Bool, Str or Stack, with the kind and bytes.
Inst shape_of(const KeyPart& part);

/// Everything that all functions of a run share. Ids are indices.
struct Module {
  std::vector<std::string> strings;  ///< string ids. Interned: equal strings have equal ids
  std::vector<TableInfo> tables;
  std::vector<std::string> cells;  ///< names of shared variables
  std::vector<Site> sites;
  std::vector<Failure> failures;
  std::vector<LinearBounds> linear;  ///< of linear histograms
  /// Names by number, "" for none; of NumberName.
  std::vector<std::vector<std::string>> names;

  int64_t intern(std::string_view text);

  /// Owner: intern(). Made anew when `strings` was cut.
  std::unordered_map<std::string, int64_t> ids;
};

/// The events that one function is compiled for. All have the same kind and lay out the fields that
/// the handler reads alike, so that one program serves them all.
struct EventGroup {
  schema::EventKind kind = schema::EventKind::Tracepoint;
  std::vector<schema::EventPtr> events;  ///< system calls: any number; tracepoints: exactly one
  /// ids of the events' names in module.strings, parallel to events (system calls: consecutive ids
  /// are not promised; the backend keeps a table from number to id)
  std::vector<int64_t> name_ids;
};

std::string_view op_name(Op op);
bool is_control(Op op);
bool is_pure(Op op);

/// Stable text form, for golden tests and --dump=ssa.
std::string print(const Function& function, const Module& module);
/// "" when every rule of ops.def holds (types, dominance, phis match preds, one control at the
/// end), else what is wrong.
std::string verify(const Function& function, const Module& module);

}  // namespace ktap::ssa
