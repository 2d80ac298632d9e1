// Unit test of runtime/portable_wide.h: known results, then every operator against the compiler's
// own type, where it has one, on edges and random pairs.
#include "runtime/portable_wide.h"

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

namespace ktap::runtime {
namespace {

using Signed = PortableWide<true>;
using Unsigned = PortableWide<false>;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr uint64_t kOnes = std::numeric_limits<uint64_t>::max();

static_assert(std::is_trivially_copyable_v<Signed> && sizeof(Signed) == 16);
static_assert(std::is_convertible_v<int, Signed> && !std::is_convertible_v<Signed, int64_t>);

TEST(PortableWideTest, KnownResults) {
  EXPECT_TRUE(Signed() == 0);
  EXPECT_TRUE(Signed{kMin} - 1 < kMin && Signed{kMax} + 1 > kMax);
  EXPECT_TRUE(-(Signed{1} << 64) + kOnes == -1);
  EXPECT_EQ(static_cast<uint64_t>(Unsigned{kOnes} * kOnes >> 64), kOnes - 1);
  EXPECT_EQ(static_cast<uint64_t>(Unsigned{kOnes} * kOnes), 1u);
  EXPECT_TRUE(Signed{kMin} * kMin / kMin == kMin);
  EXPECT_TRUE(Signed{-7} / 2 == -3 && Signed{-7} % 2 == -1 && Signed{7} % -2 == 1);
  EXPECT_TRUE(Signed{-7} >> 1 == -4 && Unsigned{Signed{-1}} >> 127 == 1);
  EXPECT_EQ(static_cast<double>(Signed{kMin} * 4), -0x1p65);
}

TEST(PortableWideTest, ServesTheAlgorithms) {
  EXPECT_TRUE(std::clamp<Signed>(Signed{kMax} * 2, kMin, kMax) == kMax);
  EXPECT_TRUE(std::clamp<Signed>(Signed{kMin} * 2, kMin, kMax) == kMin);
  EXPECT_TRUE(std::min<Signed>(Signed{1} << 100, 7) == 7);
  EXPECT_TRUE(std::max<Unsigned>(Unsigned{1} << 127, kOnes) == Unsigned{1} << 127);
}

TEST(PortableWideDeathTest, RefusesWhatHasNoResult) {
  EXPECT_DEATH(Signed{1} / 0, "check failed");
  EXPECT_DEATH(Unsigned{1} % 0, "check failed");
  EXPECT_DEATH(Signed{1} << 128, "check failed");
  EXPECT_DEATH(Signed{1} >> -1, "check failed");
}

#ifdef __SIZEOF_INT128__

__extension__ typedef __int128 OwnSigned;
__extension__ typedef unsigned __int128 OwnUnsigned;

template <class Own>
using PortableOf = PortableWide<std::is_same_v<Own, OwnSigned>>;

template <class Own>
PortableOf<Own> portable_of(Own number) {
  return PortableOf<Own>(static_cast<uint64_t>(number >> 64)) << 64 | static_cast<uint64_t>(number);
}

/// All 128 bits are the same.
template <class Own>
bool same(PortableOf<Own> number, Own own) {
  return static_cast<uint64_t>(number) == static_cast<uint64_t>(own) &&
         static_cast<uint64_t>(number >> 64) == static_cast<uint64_t>(own >> 64);
}

/// Names of the operators whose results differ.
template <class Own>
std::string differences(Own a, Own b) {
  using Portable = PortableOf<Own>;
  const Portable x = portable_of(a);
  const Portable y = portable_of(b);
  std::string wrong;
  const auto expect = [&](bool right, const char* name) {
    if (!right) wrong += std::string(name) + " ";
  };
  // The compiler's signed type may not overflow; its unsigned one wraps to the same bits.
  const auto ua = static_cast<OwnUnsigned>(a);
  const auto ub = static_cast<OwnUnsigned>(b);
  expect(same<Own>(x + y, static_cast<Own>(ua + ub)), "+");
  expect(same<Own>(x - y, static_cast<Own>(ua - ub)), "-");
  expect(same<Own>(x * y, static_cast<Own>(ua * ub)), "*");
  expect(same<Own>(x | y, a | b), "|");
  expect(same<Own>(-x, static_cast<Own>(0 - ua)), "negate");
  // The one quotient that overflows wraps, too.
  const bool overflows = std::is_same_v<Own, OwnSigned> && ua == OwnUnsigned{1} << 127 && ~ub == 0;
  if (b != 0) expect(same<Own>(x / y, overflows ? a : a / b), "/");
  if (b != 0) expect(same<Own>(x % y, overflows ? 0 : a % b), "%");
  const int count = static_cast<int>(ub & 127);
  expect(same<Own>(x << count, static_cast<Own>(ua << count)), "<<");
  expect(same<Own>(x >> count, a >> count), ">>");
  expect((x == y) == (a == b) && (x != y) == (a != b), "==");
  expect((x < y) == (a < b) && (x > y) == (a > b), "<");
  expect((x <= y) == (a <= b) && (x >= y) == (a >= b), "<=");
  expect(static_cast<int64_t>(x) == static_cast<int64_t>(a), "int64");
  expect(static_cast<int>(x) == static_cast<int>(a), "int");
  expect(static_cast<double>(x) == static_cast<double>(a), "double");
  expect(same<Own>(static_cast<int64_t>(a), static_cast<int64_t>(a)), "from int64");
  expect(same<Own>(static_cast<uint64_t>(a), static_cast<uint64_t>(a)), "from uint64");
  expect(same<Own>(static_cast<int32_t>(a), static_cast<int32_t>(a)), "from int32");
  Portable z = x;
  expect(same<Own>(++z, static_cast<Own>(ua + 1)) && --z == x, "++ --");
  expect((z += y) == x + y && (z -= y) == x && (z *= y) == x * y, "+= -= *=");
  z = x;
  if (b != 0) expect((z /= y) == x / y, "/=");
  z = x;
  if (b != 0) expect((z %= y) == x % y, "%=");
  z = x;
  expect((z <<= count) == x << count, "<<=");
  z = x;
  expect((z >>= count) == x >> count, ">>=");
  return wrong;
}

void compare(OwnUnsigned a, OwnUnsigned b) {
  const auto text = [](OwnUnsigned number) {
    return std::to_string(static_cast<uint64_t>(number >> 64)) + ":" +
           std::to_string(static_cast<uint64_t>(number));
  };
  EXPECT_EQ(differences<OwnUnsigned>(a, b), "") << text(a) << " " << text(b);
  EXPECT_EQ(differences<OwnSigned>(static_cast<OwnSigned>(a), static_cast<OwnSigned>(b)), "")
      << text(a) << " " << text(b);
}

TEST(PortableWideTest, EdgesAgainstTheCompilersType) {
  std::vector<OwnUnsigned> edges;
  for (int bit : {0, 1, 31, 32, 33, 52, 53, 54, 62, 63, 64, 65, 95, 96, 117, 126, 127}) {
    for (int off = -2; off <= 2; ++off) {
      const OwnUnsigned edge = (OwnUnsigned{1} << bit) + static_cast<OwnUnsigned>(off);
      edges.push_back(edge);
      edges.push_back(0 - edge);
    }
  }
  for (OwnUnsigned a : edges) {
    for (OwnUnsigned b : edges) compare(a, b);
  }
}

TEST(PortableWideTest, RandomPairsAgainstTheCompilersType) {
  std::mt19937_64 random(5);
  // Of every length, with either sign.
  const auto next = [&random] {
    const OwnUnsigned bits = OwnUnsigned{random()} << 64 | random();
    return static_cast<OwnUnsigned>(static_cast<OwnSigned>(bits) >> (random() % 128));
  };
  for (int i = 0; i < 100000; ++i) compare(next(), next());
}

// Numbers halfway between two doubles, and next to them: rounded twice, they come out wrong.
TEST(PortableWideTest, RoundsToDoublesOnce) {
  std::mt19937_64 random(6);
  for (int i = 0; i < 100000; ++i) {
    const OwnUnsigned kept = random() >> 11 | uint64_t{1} << 52;
    const int cut = 1 + static_cast<int>(random() % 74);
    for (int off = -1; off <= 1; ++off) {
      const OwnUnsigned a =
          (kept << cut | OwnUnsigned{1} << (cut - 1)) + static_cast<OwnUnsigned>(off);
      ASSERT_EQ(static_cast<double>(portable_of(a)), static_cast<double>(a)) << cut << " " << off;
    }
  }
}

#endif

}  // namespace
}  // namespace ktap::runtime
