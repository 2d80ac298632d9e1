// Every unit, every mistake, the edges of 63 bits.
#include "base/interval.h"

#include <gtest/gtest.h>

namespace ktap {
namespace {

TEST(Interval, EachUnit) {
  EXPECT_EQ(parse_interval("tick-10ms").ns, 10000000U);
  EXPECT_EQ(parse_interval("tick-10msec").ns, 10000000U);
  EXPECT_EQ(parse_interval("tick-7ns").ns, 7U);
  EXPECT_EQ(parse_interval("tick-3us").ns, 3000U);
  EXPECT_EQ(parse_interval("tick-3usec").ns, 3000U);
  EXPECT_EQ(parse_interval("tick-1s").ns, 1000000000U);
  EXPECT_EQ(parse_interval("tick-1sec").ns, 1000000000U);
  EXPECT_EQ(parse_interval("tick-2min").ns, 120000000000U);
  EXPECT_EQ(parse_interval("tick-1h").ns, 3600000000000U);
  EXPECT_EQ(parse_interval("profile-100hz").ns, 10000000U);
  EXPECT_EQ(parse_interval("profile-99hz").ns, 10101010U);
  EXPECT_EQ(parse_period("1s").ns, 1000000000U);
}

TEST(Interval, SaysWhatIsWrong) {
  EXPECT_EQ(parse_interval("tick-10").error,
            "a unit is missing after 10: ns, us (or usec), ms (msec), s (sec), min, h and hz");
  EXPECT_EQ(
      parse_interval("tick-10 ms").error,
      "' ms' is no unit of time; units are ns, us (or usec), ms (msec), s (sec), min, h and hz");
  EXPECT_EQ(
      parse_interval("tick-10days").error,
      "'days' is no unit of time; units are ns, us (or usec), ms (msec), s (sec), min, h and hz");
  EXPECT_EQ(parse_interval("tick-5ms, syscalls:*").error,
            "a timer (of '5ms') stands alone, not in a list of events");
  EXPECT_EQ(parse_interval("tick-1.5s").error,
            "1.5s is no whole number; write it in a smaller unit, as in 1500ms");
  EXPECT_EQ(parse_interval("profile-0.01s").error,
            "0.01s is no whole number; write it in a smaller unit, as in 1500ms");
  EXPECT_EQ(
      parse_interval("tick-1.5").error,
      "a unit is missing after 1.5, and it is no whole number: ns, us (or usec), ms (msec), s "
      "(sec), min, h and hz");
  EXPECT_EQ(parse_interval("tick-0x10ms").error,
            "0x10ms is no decimal number; write it as in 16ms");
  EXPECT_EQ(parse_interval("tick-ms").error,
            "'ms' is no period; it is a number and a unit, as in 10ms");
  EXPECT_EQ(parse_interval("tick--1s").error,
            "'-1s' is no period; it is a number and a unit, as in 10ms");
  EXPECT_EQ(parse_interval("tick-0s").error, "a period of 0; write a number from 1 on, as in 10ms");
  EXPECT_EQ(parse_interval("tock-1s").error,
            "'tock-1s' is no timer; it is written tick-10ms or profile-99hz");
}

TEST(Interval, Edges) {
  EXPECT_EQ(parse_period("9223372036854775807ns").ns, static_cast<uint64_t>(INT64_MAX));
  EXPECT_NE(parse_period("9223372036854775808ns").error, "");
  EXPECT_EQ(parse_period("9223372036s").error, "");
  EXPECT_NE(parse_period("9223372037s").error, "");
  EXPECT_NE(parse_period("99999999999999999999999s").error, "");
  EXPECT_EQ(parse_period("1000000000hz").ns, 1U);
  EXPECT_NE(parse_period("1000000001hz").error, "");
}

}  // namespace
}  // namespace ktap
