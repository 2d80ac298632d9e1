// Constant arithmetic: 64-bit two's complement that wraps, C's quotient and remainder, shift counts
// modulo 64.
#include "ssa/fold.h"

namespace ktap::ssa {

namespace {

int64_t wrap(uint64_t bits) { return static_cast<int64_t>(bits); }

std::optional<int64_t> fold_division(Op op, int64_t left, int64_t right) {
  if (right == 0) return std::nullopt;
  // INT64_MIN / -1 does not fit: it wraps to itself, remainder 0.
  if (right == -1) return op == Op::DivS ? wrap(0 - static_cast<uint64_t>(left)) : 0;
  return op == Op::DivS ? left / right : left % right;
}

}  // namespace

std::optional<int64_t> fold(Op op, int64_t left, int64_t right) {
  const auto a = static_cast<uint64_t>(left);
  const auto b = static_cast<uint64_t>(right);
  switch (op) {
    case Op::Add:
      return wrap(a + b);
    case Op::Sub:
      return wrap(a - b);
    case Op::Mul:
      return wrap(a * b);
    case Op::DivS:
    case Op::ModS:
      return fold_division(op, left, right);
    case Op::And:
      return wrap(a & b);
    case Op::Or:
      return wrap(a | b);
    case Op::Xor:
      return wrap(a ^ b);
    case Op::Shl:
      return wrap(a << (b & 63));
    case Op::Sar:
      return left >> (b & 63);
    case Op::Eq:
      return left == right;
    case Op::Ne:
      return left != right;
    case Op::Lt:
      return left < right;
    case Op::Le:
      return left <= right;
    case Op::Min:
      return left < right ? left : right;
    case Op::Max:
      return left < right ? right : left;
    default:
      return std::nullopt;
  }
}

}  // namespace ktap::ssa
