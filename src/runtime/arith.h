// The operators on values, with their run-time errors: what `+` and its kin do for every pair of
// types.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/value.h"

namespace ktap::runtime {

/// The same order as the first ten of bytecode::UpdateOp.
enum class ArithOp : uint8_t { Add, Sub, BitAnd, BitOr, BitXor, Mul, Div, Mod, Shl, Shr };

/// "+", "<<".
const char* arith_symbol(ArithOp op);
/// For an absent table cell `+= -= |= ^=` count it as 0.
inline bool absent_counts_as_zero(ArithOp op) {
  return op == ArithOp::Add || op == ArithOp::Sub || op == ArithOp::BitOr || op == ArithOp::BitXor;
}

/// a op b. False and `error` set when the types do not fit or a divisor is zero.
bool arith(ArithOp op, Value a, Value b, Value* result, std::string* error);
bool negate(Value a, Value* result, std::string* error);
bool bit_not(Value a, Value* result, std::string* error);

/// `<` and `<=`: two numbers or two strings (bytewise); any other pair is an error.
bool less(Value a, Value b, bool* result, std::string* error);
bool less_equal(Value a, Value b, bool* result, std::string* error);

}  // namespace ktap::runtime
