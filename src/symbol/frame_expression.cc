// One step an operation; whatever is missing ends it. What compilers write of call frames is an
// offset to a register or to the frame; procedure linkage tables count.
#include "symbol/frame_expression.h"

#include <dwarf.h>

#include <utility>
#include <vector>

namespace ktap::symbol {

namespace {

constexpr size_t kMostSteps = 1000;  // guessed
constexpr size_t kMostValues = 64;

class StackMachine {
 public:
  StackMachine(std::optional<uint64_t> frame, const FrameRegisters& registers,
               const MemoryPiece& memory)
      : frame_(frame), registers_(registers), memory_(memory) {}

  std::optional<FrameValue> run(const Dwarf_Op* operations, size_t count) {
    size_t at = 0;
    for (size_t steps = 0; at < count && !failed_; ++steps) {
      if (steps >= kMostSteps || values_.size() > kMostValues) return std::nullopt;
      const Dwarf_Op& op = operations[at];
      if (op.atom == DW_OP_skip || op.atom == DW_OP_bra) {
        if (op.atom == DW_OP_bra && pop() == 0) {
          ++at;
          continue;
        }
        // From behind the operation, of 3 bytes.
        const uint64_t target = op.offset + 3 + op.number;
        for (at = 0; at < count && operations[at].offset != target;) ++at;
        continue;
      }
      step(op);
      ++at;
    }
    if (failed_ || values_.empty()) return std::nullopt;
    return FrameValue{values_.back(), is_address_};
  }

 private:
  void fail() { failed_ = true; }

  void push(std::optional<uint64_t> value) {
    if (!value.has_value()) return fail();
    values_.push_back(*value);
  }

  uint64_t pop() {
    if (values_.empty()) {
      fail();
      return 0;
    }
    const uint64_t value = values_.back();
    values_.pop_back();
    return value;
  }

  /// The value that is `depth` below the top.
  std::optional<uint64_t> pick(uint64_t depth) const {
    if (depth >= values_.size()) return std::nullopt;
    return values_[values_.size() - 1 - depth];
  }

  void add(std::optional<uint64_t> base, uint64_t offset) {
    push(base.has_value() ? std::optional(*base + offset) : std::nullopt);
  }

  void step(const Dwarf_Op& op) {
    if (op.atom >= DW_OP_lit0 && op.atom <= DW_OP_lit31) return push(op.atom - DW_OP_lit0);
    if (op.atom >= DW_OP_breg0 && op.atom <= DW_OP_breg31)
      return add(registers_.get(op.atom - DW_OP_breg0), op.number);
    if (op.atom >= DW_OP_reg0 && op.atom <= DW_OP_reg31)
      return give(registers_.get(op.atom - DW_OP_reg0));
    if (!is_binary(op.atom)) return step_alone(op);
    const uint64_t right = pop();
    const uint64_t left = pop();
    push(binary(op.atom, left, right));
  }

  /// What was asked for is the value itself.
  void give(std::optional<uint64_t> value) {
    is_address_ = false;
    push(value);
  }

  static bool is_binary(uint8_t atom) {
    switch (atom) {
      case DW_OP_plus:
      case DW_OP_minus:
      case DW_OP_mul:
      case DW_OP_and:
      case DW_OP_or:
      case DW_OP_xor:
      case DW_OP_shl:
      case DW_OP_shr:
      case DW_OP_shra:
      case DW_OP_eq:
      case DW_OP_ne:
      case DW_OP_lt:
      case DW_OP_le:
      case DW_OP_gt:
      case DW_OP_ge:
        return true;
      default:
        return false;
    }
  }

  static uint64_t binary(uint8_t atom, uint64_t left, uint64_t right) {
    const auto signed_left = static_cast<int64_t>(left);
    const auto signed_right = static_cast<int64_t>(right);
    const auto truth = [](bool is_true) { return uint64_t{is_true ? 1U : 0U}; };
    switch (atom) {
      case DW_OP_plus:
        return left + right;
      case DW_OP_minus:
        return left - right;
      case DW_OP_mul:
        return left * right;
      case DW_OP_and:
        return left & right;
      case DW_OP_or:
        return left | right;
      case DW_OP_xor:
        return left ^ right;
      case DW_OP_shl:
        return right < 64 ? left << right : 0;
      case DW_OP_shr:
        return right < 64 ? left >> right : 0;
      case DW_OP_shra:
        return static_cast<uint64_t>(signed_left >> (right < 64 ? right : 63));
      case DW_OP_eq:
        return truth(left == right);
      case DW_OP_ne:
        return truth(left != right);
      case DW_OP_lt:
        return truth(signed_left < signed_right);
      case DW_OP_le:
        return truth(signed_left <= signed_right);
      case DW_OP_gt:
        return truth(signed_left > signed_right);
      default:
        return truth(signed_left >= signed_right);
    }
  }

  void step_alone(const Dwarf_Op& op) {
    switch (op.atom) {
      case DW_OP_addr:
      case DW_OP_const1u:
      case DW_OP_const1s:
      case DW_OP_const2u:
      case DW_OP_const2s:
      case DW_OP_const4u:
      case DW_OP_const4s:
      case DW_OP_const8u:
      case DW_OP_const8s:
      case DW_OP_constu:
      case DW_OP_consts:
        return push(op.number);
      case DW_OP_bregx:
        return add(registers_.get(op.number), op.number2);
      case DW_OP_regx:
        return give(registers_.get(op.number));
      case DW_OP_call_frame_cfa:
        return push(frame_);
      case DW_OP_plus_uconst:
        return add(pop(), op.number);
      case DW_OP_deref:
        return push(memory_.read(pop(), sizeof(void*)));
      case DW_OP_deref_size:
        return push(memory_.read(pop(), op.number));
      case DW_OP_dup:
        return push(pick(0));
      case DW_OP_over:
        return push(pick(1));
      case DW_OP_pick:
        return push(pick(op.number));
      case DW_OP_drop:
        pop();
        return;
      case DW_OP_swap: {
        const uint64_t top = pop();
        const uint64_t below = pop();
        push(top);
        return push(below);
      }
      case DW_OP_neg:
        return push(0 - pop());
      case DW_OP_not:
        return push(~pop());
      case DW_OP_nop:
        return;
      case DW_OP_stack_value:
        is_address_ = false;
        return;
      default:
        return fail();
    }
  }

  const std::optional<uint64_t> frame_;
  const FrameRegisters& registers_;
  const MemoryPiece& memory_;
  std::vector<uint64_t> values_;
  bool is_address_ = true;
  bool failed_ = false;
};

}  // namespace

std::optional<uint64_t> MemoryPiece::read(uint64_t address, size_t size_bytes) const {
  if (size_bytes != 1 && size_bytes != 2 && size_bytes != 4 && size_bytes != 8) return std::nullopt;
  if (address < begin || bytes.size() < size_bytes || address - begin > bytes.size() - size_bytes)
    return std::nullopt;
  return read_number(bytes, address - begin, size_bytes);
}

bool MemoryPiece::ends_before(uint64_t address, size_t size_bytes) const {
  return address >= begin && !read(address, size_bytes).has_value();
}

std::optional<FrameValue> evaluate(const Dwarf_Op* operations, size_t count,
                                   std::optional<uint64_t> frame, const FrameRegisters& registers,
                                   const MemoryPiece& memory) {
  return StackMachine(frame, registers, memory).run(operations, count);
}

}  // namespace ktap::symbol
