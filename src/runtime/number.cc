// Comparing integers with floats exactly: 2^53 + 1 is not 2^53.
#include "runtime/number.h"

namespace ktap::runtime {

Order compare_int_float(int64_t i, double d) {
  if (std::isnan(d)) return Order::Unordered;
  if (d >= 0x1p63) return Order::Less;
  if (d < -0x1p63) return Order::Greater;
  double whole = std::floor(d);
  int64_t floor = static_cast<int64_t>(whole);  // in range: see above
  if (i != floor) return i < floor ? Order::Less : Order::Greater;
  return whole == d ? Order::Equal : Order::Less;
}

bool number_equal(Value a, Value b) {
  if (a.type == Type::Float && b.type == Type::Float) return a.number == b.number;
  if (a.type == Type::Float) return compare_int_float(b.integer, a.number) == Order::Equal;
  if (b.type == Type::Float) return compare_int_float(a.integer, b.number) == Order::Equal;
  return a.integer == b.integer;
}

bool number_less(Value a, Value b) {
  if (a.type == Type::Float && b.type == Type::Float) return a.number < b.number;
  if (a.type == Type::Float) return compare_int_float(b.integer, a.number) == Order::Greater;
  if (b.type == Type::Float) return compare_int_float(a.integer, b.number) == Order::Less;
  return a.integer < b.integer;
}

bool number_less_equal(Value a, Value b) {
  if (a.type == Type::Float && b.type == Type::Float) return a.number <= b.number;
  if (a.type == Type::Float || b.type == Type::Float)
    return number_less(a, b) || number_equal(a, b);
  return a.integer <= b.integer;
}

}  // namespace ktap::runtime
