// Library: math and rand. Integers stay integers; only what is a float already gives a float.
#include <bit>
#include <cmath>
#include <cstdint>

#include "runtime/number.h"
#include "vm/library.h"

namespace ktap::vm {

using runtime::Value;

namespace {

/// The first argument that no other one `beats`, as it is.
bool give_extreme(NativeCall& call, std::string_view function, bool (*beats)(Value, Value)) {
  Value best;
  if (!call.number_arg(function, 0, &best)) return false;
  for (size_t i = 1; i < call.count; ++i) {
    Value next;
    if (!call.number_arg(function, i, &next)) return false;
    if (beats(next, best)) best = next;
  }
  return call.give(best);
}

}  // namespace

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014):
/// one word of state, any seed is as good as any other.
uint64_t Machine::random() {
  if (!random_state_) random_state_ = host_.random_seed();
  *random_state_ += 0x9e3779b97f4a7c15ULL;
  uint64_t x = *random_state_;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

namespace lib {

bool MathAbs(NativeCall& call) {
  Value number;
  if (!call.number_arg("math.abs", 0, &number)) return false;
  if (!number.is_integer()) return call.give(Value::of(std::fabs(number.number)));
  int64_t integer = number.integer;
  return call.give(Value::of(integer < 0 ? runtime::wrap_sub(0, integer) : integer));
}

bool MathMin(NativeCall& call) {
  return give_extreme(call, "math.min", [](Value a, Value b) { return number_less(a, b); });
}

bool MathMax(NativeCall& call) {
  return give_extreme(call, "math.max", [](Value a, Value b) { return number_less(b, a); });
}

bool MathLog2(NativeCall& call) {
  Value number;
  if (!call.number_arg("math.log2", 0, &number)) return false;
  if (!number.is_integer()) return call.give(Value::of(std::log2(number.number)));
  if (number.integer <= 0) return call.out_of_range("math.log2", 0, "above 0");
  int width = static_cast<int>(std::bit_width(static_cast<uint64_t>(number.integer)));
  return call.give(Value::of(int64_t{width - 1}));
}

bool MathFloor(NativeCall& call) {
  Value number;
  if (!call.number_arg("math.floor", 0, &number)) return false;
  if (number.is_integer()) return call.give(number);
  double whole = std::floor(number.number);
  if (!(whole >= -0x1p63 && whole < 0x1p63)) {
    return call.wrong_value("math.floor", 0, "in the range of integers");
  }
  return call.give(Value::of(static_cast<int64_t>(whole)));
}

bool Rand(NativeCall& call) {
  int64_t bound = 0;
  if (!call.integer_arg("rand", 0, &bound)) return false;
  if (bound < 1) return call.out_of_range("rand", 0, "1 or more");
  auto range = static_cast<uint64_t>(bound);
  // What is below 2^64 mod range would make the low results likelier.
  uint64_t least = (0 - range) % range;
  uint64_t bits = call.machine.random();
  while (bits < least) bits = call.machine.random();
  return call.give(Value::of(static_cast<int64_t>(bits % range)));
}

}  // namespace lib
}  // namespace ktap::vm
