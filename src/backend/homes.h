// Where each SSA value lives while a program runs: registers R6–R9 as far as they are free, 8-byte
// stack slots, scratch memory of the program's own per-CPU map value. Linear scan over live
// intervals: slots are used again when their value is dead. Second step of emit(), between layout
// and selection.
//
// Values that cost nothing to make again (constants) have no home; Wrap and Unwrap share their
// operand's; what a round of a loop makes of a variable shares the variable's where it can.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bpf/insn.h"
#include "ssa/function.h"

namespace ktap::backend {

constexpr uint32_t kStackBytes = 512;
constexpr uint32_t kMayGotoBytes =
    16;  ///< of the stack, taken by the kernel where may_goto is used

/// 8 bytes of a value: a constant, a register, or memory.
struct Word {
  enum class Kind : uint8_t { Imm, Reg, Stack, Scratch } kind = Kind::Imm;
  int64_t imm = 0;
  bpf::Reg reg = bpf::Reg::R0;
  int32_t offset = 0;  ///< Stack: from R10, negative; Scratch: from the scratch's start
  /// For a move: the verifier is not to know the constant, nor that two places hold the same.
  bool hidden = false;
  bool ranged = false;  ///< hidden: nor its range, which it may know
  friend bool operator==(const Word& a, const Word& b) {
    return a.kind == b.kind && a.imm == b.imm && a.reg == b.reg && a.offset == b.offset;
  }
};

/// A value's home: a tag word when it may be nil, then its payload: one word, or a string's bytes
/// in memory.
struct Home {
  bool has_tag = false;
  Word tag;
  Word payload;        ///< the first word; a string's others follow in memory
  uint32_t words = 0;  ///< payload words of the value; 0: no home
};

using PhiMayShare = std::function<bool(ssa::ValueId phi, size_t operand)>;

/// What allocation must know of the target beside the function.
struct HomeRequest {
  uint32_t stack_string_bytes = 64;  ///< larger strings and keys go to scratch
  std::vector<bpf::Reg> registers;   ///< free for values, kept by calls
  /// Free for values that live across no instruction of `is_clobber`.
  std::vector<bpf::Reg> volatile_registers;
  std::vector<bool> is_clobber;  ///< by value: its instruction needs those registers itself
  /// Operand number i of a phi may have the phi's home: nothing has to be done on the way.
  PhiMayShare phi_may_share;
  /// Values that live from one block into another: in scratch.
  bool crosses_in_scratch = false;
  /// Values that no register is free for: in scratch, where the stack does not hold them all.
  bool words_in_scratch = false;
  uint32_t fixed_scratch_words = 0;  ///< as fixed_words, from the scratch's start on
  uint32_t fixed_words = 0;  ///< stack words that live as long as the program (name id, number)
  uint32_t temp_bytes = 0;   ///< stack for the use of single instructions
  uint32_t scratch_temp_bytes = 0;  ///< scratch likewise
  std::vector<bool> immediate;  ///< by value: known without a home (the caller answers for them)
};

struct Homes {
  std::vector<Home> homes;            ///< by ValueId
  std::vector<int32_t> fixed_offset;  ///< from R10
  int32_t temp_offset = 0;            ///< from R10: lowest byte
  uint32_t stack_bytes = 0;           ///< over kStackBytes: does not fit
  uint32_t scratch_temp_offset = 0;
  uint32_t scratch_bytes = 0;
};

/// How the blocks of a function follow each other in the code, and which of its values must be
/// computed at all.
struct Order {
  std::vector<ssa::BlockId> blocks;  ///< reverse postorder; what is unreachable is not in it
  std::vector<bool> needed;          ///< by ValueId
  std::vector<bool> fused;  ///< by ValueId: a condition computed by the Branch that uses it
};
Order order_blocks(const ssa::Function& function);
/// The one successor of a Branch on a constant, else nothing.
std::optional<uint32_t> constant_successor(const ssa::Function& function, const ssa::Block& block);

/// The value that owns the payload of `value`: through Wrap and Unwrap.
ssa::ValueId payload_owner(const ssa::Function& function, ssa::ValueId value);
/// Payload words of a value of this type.
uint32_t payload_words(const ssa::Inst& inst);
bool is_constant(ssa::Op op);
/// Its result is written at computed places: the stack takes such writes in newer kernels only.
bool wants_scratch(ssa::Op op);

Homes find_homes(const ssa::Function& function, const Order& order, const HomeRequest& request);

}  // namespace ktap::backend
