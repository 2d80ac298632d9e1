// Integers of 128 bits made of two words of 64, for targets whose compiler has none (32-bit ones):
// there they are `Wide` and `UnsignedWide` of wide.h. Two's complement that wraps, with the
// operators that sums and bounds need and the results of the compiler's own type.
#pragma once

#include <compare>
#include <concepts>
#include <cstdint>

namespace ktap::runtime {

namespace portable {

struct Pair {
  uint64_t high;
  uint64_t low;
  bool operator==(const Pair&) const = default;
};

/// All ones for a negative number, else 0.
template <std::integral Integer>
constexpr uint64_t sign_word(Integer number) {
  if constexpr (std::signed_integral<Integer>) {
    if (number < 0) return ~uint64_t{0};
  }
  return 0;
}

Pair negated(Pair a);
Pair sum(Pair a, Pair b);
Pair product(Pair a, Pair b);
/// Of unsigned numbers. Requires: b is not 0.
Pair quotient(Pair a, Pair b, Pair* rest);
/// Requires: 0 ≤ count < 128.
Pair shifted_left(Pair a, int count);
/// `fill`: the word that comes in from the left, 0 or all ones.
Pair shifted_right(Pair a, int count, uint64_t fill);
/// The nearest one, ties to even.
double to_double(Pair unsigned_number);

}  // namespace portable

template <bool kSigned>
class PortableWide {
 public:
  PortableWide() = default;
  // Implicit, as for the compiler's type.
  template <std::integral Integer>
  PortableWide(Integer number)  // NOLINT(google-explicit-constructor)
      : words_{portable::sign_word(number), static_cast<uint64_t>(number)} {}
  explicit PortableWide(const PortableWide<!kSigned>& other) : words_(other.words_) {}

  /// The lower bits.
  template <std::integral Integer>
  explicit operator Integer() const {
    return static_cast<Integer>(words_.low);
  }
  explicit operator double() const {
    const double size = portable::to_double(magnitude());
    return is_negative() ? -size : size;
  }

  PortableWide operator-() const { return PortableWide(portable::negated(words_)); }
  PortableWide& operator+=(PortableWide b) { return *this = *this + b; }
  PortableWide& operator-=(PortableWide b) { return *this = *this - b; }
  PortableWide& operator*=(PortableWide b) { return *this = *this * b; }
  PortableWide& operator/=(PortableWide b) { return *this = *this / b; }
  PortableWide& operator%=(PortableWide b) { return *this = *this % b; }
  PortableWide& operator<<=(int count) { return *this = *this << count; }
  PortableWide& operator>>=(int count) { return *this = *this >> count; }
  PortableWide& operator++() { return *this += 1; }
  PortableWide& operator--() { return *this -= 1; }

  friend PortableWide operator+(PortableWide a, PortableWide b) {
    return PortableWide(portable::sum(a.words_, b.words_));
  }
  friend PortableWide operator-(PortableWide a, PortableWide b) { return a + -b; }
  friend PortableWide operator*(PortableWide a, PortableWide b) {
    return PortableWide(portable::product(a.words_, b.words_));
  }
  /// Rounds towards zero. Requires: b is not 0.
  friend PortableWide operator/(PortableWide a, PortableWide b) {
    portable::Pair rest;
    const PortableWide size(portable::quotient(a.magnitude(), b.magnitude(), &rest));
    return a.is_negative() != b.is_negative() ? -size : size;
  }
  /// Has the sign of a. Requires: b is not 0.
  friend PortableWide operator%(PortableWide a, PortableWide b) {
    portable::Pair rest;
    portable::quotient(a.magnitude(), b.magnitude(), &rest);
    return a.is_negative() ? -PortableWide(rest) : PortableWide(rest);
  }
  friend PortableWide operator|(PortableWide a, PortableWide b) {
    return PortableWide(portable::Pair{a.words_.high | b.words_.high, a.words_.low | b.words_.low});
  }
  friend PortableWide operator<<(PortableWide a, int count) {
    return PortableWide(portable::shifted_left(a.words_, count));
  }
  friend PortableWide operator>>(PortableWide a, int count) {
    return PortableWide(
        portable::shifted_right(a.words_, count, a.is_negative() ? ~uint64_t{0} : 0));
  }

  friend bool operator==(PortableWide a, PortableWide b) { return a.words_ == b.words_; }
  friend std::strong_ordering operator<=>(PortableWide a, PortableWide b) {
    if (a.is_negative() != b.is_negative()) return b.is_negative() <=> a.is_negative();
    if (a.words_.high != b.words_.high) return a.words_.high <=> b.words_.high;
    return a.words_.low <=> b.words_.low;
  }

 private:
  friend class PortableWide<!kSigned>;
  explicit PortableWide(portable::Pair words) : words_(words) {}

  bool is_negative() const { return kSigned && words_.high >> 63 != 0; }
  portable::Pair magnitude() const { return is_negative() ? portable::negated(words_) : words_; }

  portable::Pair words_{0, 0};
};

}  // namespace ktap::runtime
