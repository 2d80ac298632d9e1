// See portable_wide.h.
#include "runtime/portable_wide.h"

#include <cmath>

#include "base/check.h"

namespace ktap::runtime::portable {
namespace {

bool less(Pair a, Pair b) { return a.high != b.high ? a.high < b.high : a.low < b.low; }

/// Requires: not 0.
int top_bit(Pair a) {
  return a.high != 0 ? 127 - __builtin_clzll(a.high) : 63 - __builtin_clzll(a.low);
}

/// The whole product of two words, by halves.
Pair product_of_words(uint64_t a, uint64_t b) {
  constexpr uint64_t kHalf = 0xffffffff;
  const uint64_t low = (a & kHalf) * (b & kHalf);
  const uint64_t left = (a >> 32) * (b & kHalf) + (low >> 32);  // less than 2^64
  const uint64_t right = (a & kHalf) * (b >> 32) + (left & kHalf);
  return {(a >> 32) * (b >> 32) + (left >> 32) + (right >> 32), right << 32 | (low & kHalf)};
}

}  // namespace

Pair negated(Pair a) { return sum({~a.high, ~a.low}, {0, 1}); }

Pair sum(Pair a, Pair b) {
  const uint64_t low = a.low + b.low;
  return {a.high + b.high + (low < a.low ? 1 : 0), low};
}

Pair product(Pair a, Pair b) {
  Pair result = product_of_words(a.low, b.low);
  result.high += a.high * b.low + a.low * b.high;
  return result;
}

// Bit by bit, as on paper, when one of the two has more than a word.
Pair quotient(Pair a, Pair b, Pair* rest) {
  KTAP_CHECK(b != (Pair{0, 0}));
  *rest = a;
  if (less(a, b)) return {0, 0};
  if (a.high == 0) {
    *rest = {0, a.low % b.low};
    return {0, a.low / b.low};
  }
  Pair result{0, 0};
  for (int bit = top_bit(a) - top_bit(b); bit >= 0; --bit) {
    const Pair part = shifted_left(b, bit);
    if (less(*rest, part)) continue;
    *rest = sum(*rest, negated(part));
    result = sum(result, shifted_left({0, 1}, bit));
  }
  return result;
}

Pair shifted_left(Pair a, int count) {
  KTAP_CHECK(count >= 0 && count < 128);
  if (count == 0) return a;
  if (count >= 64) return {a.low << (count - 64), 0};
  return {a.high << count | a.low >> (64 - count), a.low << count};
}

Pair shifted_right(Pair a, int count, uint64_t fill) {
  KTAP_CHECK(count >= 0 && count < 128);
  if (count == 0) return a;
  if (count == 64) return {fill, a.high};
  if (count > 64) return {fill, a.high >> (count - 64) | fill << (128 - count)};
  return {a.high >> count | fill << (64 - count), a.low >> count | a.high << (64 - count)};
}

// Rounds once: what is cut before the conversion is kept as a last bit that is not 0.
double to_double(Pair unsigned_number) {
  if (unsigned_number.high == 0) return static_cast<double>(unsigned_number.low);
  const int cut = top_bit(unsigned_number) - 63;
  const Pair kept = shifted_right(unsigned_number, cut, 0);
  const bool exact = shifted_left(kept, cut) == unsigned_number;
  return std::ldexp(static_cast<double>(kept.low | (exact ? 0 : 1)), cut);
}

}  // namespace ktap::runtime::portable
