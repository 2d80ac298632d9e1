// Unit test of output/units.h and output/sparkline.h.
#include "output/units.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "output/sparkline.h"

namespace ktap::output {
namespace {

TEST(Units, Counts) {
  EXPECT_EQ(with_unit(0, Unit::Count), "0");
  EXPECT_EQ(with_unit(999, Unit::Count), "999");
  EXPECT_EQ(with_unit(1000, Unit::Count), "1.00k");
  EXPECT_EQ(with_unit(12345, Unit::Count), "12.3k");
  EXPECT_EQ(with_unit(999499, Unit::Count), "999k");
  EXPECT_EQ(with_unit(999500, Unit::Count), "1.00M");
  EXPECT_EQ(with_unit(9.2e18, Unit::Count), "9.20E");
  EXPECT_EQ(with_unit(-12345, Unit::Count), "-12.3k");
  EXPECT_EQ(with_unit(0.5, Unit::Count), "0.50");
}

TEST(Units, RoundingChangesTheDigits) {
  EXPECT_EQ(with_unit(9994, Unit::Count), "9.99k");
  EXPECT_EQ(with_unit(9996, Unit::Count), "10.0k");
  EXPECT_EQ(with_unit(99960, Unit::Count), "100k");
}

TEST(Units, BytesAndTimes) {
  EXPECT_EQ(with_unit(512, Unit::Bytes), "512 B");
  EXPECT_EQ(with_unit(1536, Unit::Bytes), "1.50 KiB");
  EXPECT_EQ(with_unit(5.0 * 1024 * 1024, Unit::Bytes), "5.00 MiB");
  EXPECT_EQ(with_unit(850, Unit::Nanoseconds), "850 ns");
  EXPECT_EQ(with_unit(1500, Unit::Nanoseconds), "1.50 us");
  EXPECT_EQ(with_unit(12.3e6, Unit::Nanoseconds), "12.3 ms");
  EXPECT_EQ(with_unit(4567, Unit::Milliseconds), "4.57 s");
  EXPECT_EQ(with_unit(123456, Unit::Seconds), "123456 s");
  EXPECT_EQ(with_unit(1, Unit::Microseconds), "1 us");
  EXPECT_EQ(with_unit(0.0004, Unit::Seconds), "400 us");
  EXPECT_EQ(with_unit(-0.5, Unit::Seconds), "-500 ms");
  EXPECT_EQ(with_unit(0.0004, Unit::Microseconds), "400 ps");
  EXPECT_EQ(with_unit(0.9996, Unit::Seconds), "1.00 s");
  EXPECT_EQ(with_unit(0, Unit::Seconds), "0 s");
  EXPECT_EQ(with_unit(0.00001, Unit::Nanoseconds), "0.01 ps");
  EXPECT_EQ(with_unit(0.5, Unit::Bytes), "0.50 B");
}

TEST(Units, BeyondTheLadder) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(with_unit(infinity, Unit::Bytes), "inf");
  EXPECT_EQ(with_unit(-infinity, Unit::Count), "-inf");
  EXPECT_EQ(with_unit(-std::nan(""), Unit::Nanoseconds), "nan");
  EXPECT_EQ(with_unit(1e300, Unit::Bytes), "8.67e+281 EiB");
  EXPECT_EQ(with_unit(-1e300, Unit::Count), "-1e+282E");
  EXPECT_EQ(with_unit(9.2e18, Unit::Seconds), "9.2e+18 s");
  EXPECT_EQ(with_unit(9.2e18, Unit::Nanoseconds), "9200000000 s");
}

TEST(Units, Names) {
  EXPECT_EQ(unit_named("us"), Unit::Microseconds);
  EXPECT_EQ(unit_named("bytes"), Unit::Bytes);
  EXPECT_EQ(unit_named("Bytes"), std::nullopt);
  EXPECT_EQ(unit_named(""), std::nullopt);
}

TEST(Sparkline, HeightsAreShares) {
  EXPECT_EQ(sparkline({}), "");
  EXPECT_EQ(sparkline({0, 1, 2, 3, 4, 5, 6, 7}), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline({5, 5, 5}), "███");
  EXPECT_EQ(sparkline({0, 0}), "▁▁");
}

TEST(Sparkline, NegativeAndOddNumbers) {
  EXPECT_EQ(sparkline({-7, 0, 7}), "▁▅█");
  EXPECT_EQ(sparkline({-1, -1}), "▁▁");
  EXPECT_EQ(sparkline({0, std::nan(""), 1}), "▁ █");
  EXPECT_EQ(sparkline({std::numeric_limits<double>::infinity(), 1, 2}), "█▅█");
  EXPECT_EQ(sparkline({-std::numeric_limits<double>::infinity(), 1, 2}), "▁▅█");
  EXPECT_EQ(sparkline({std::numeric_limits<double>::infinity(), std::nan("")}), "█ ");
  EXPECT_EQ(
      sparkline({std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest(), 0}),
      "█▁▅");
  EXPECT_EQ(sparkline({-1.7e308, 1.7e308}), "▁█");
}

}  // namespace
}  // namespace ktap::output
