// Number semantics: integers wrap at 64 bits and divide as in C, floats are IEEE, a mix gives a
// float. Shared by the VM and by what folds constants.
#pragma once

#include <cmath>
#include <cstdint>

#include "runtime/value.h"

namespace ktap::runtime {

inline int64_t wrap_add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
inline int64_t wrap_sub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
inline int64_t wrap_mul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
/// Requires b != 0. INT64_MIN / -1 wraps to INT64_MIN.
inline int64_t wrap_div(int64_t a, int64_t b) { return b == -1 ? wrap_sub(0, a) : a / b; }
/// Requires b != 0. The sign is the dividend's.
inline int64_t wrap_mod(int64_t a, int64_t b) { return b == -1 ? 0 : a % b; }
/// The count is taken modulo 64.
inline int64_t shift_left(int64_t a, int64_t count) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) << (static_cast<uint64_t>(count) & 63));
}
/// Arithmetic; the count is taken modulo 64.
inline int64_t shift_right(int64_t a, int64_t count) {
  return a >> (static_cast<uint64_t>(count) & 63);
}

/// Requires v.is_number().
inline double to_double(Value v) {
  return v.type == Type::Float ? v.number : static_cast<double>(v.integer);
}

/// How an integer stands to a float, exactly (no rounding of the integer).
enum class Order : int8_t { Less, Equal, Greater, Unordered };
Order compare_int_float(int64_t i, double d);

/// Requires numbers.
bool number_equal(Value a, Value b);
bool number_less(Value a, Value b);
bool number_less_equal(Value a, Value b);

}  // namespace ktap::runtime
