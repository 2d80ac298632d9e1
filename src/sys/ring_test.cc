// Unit test of what needs no ring: positions of 32-bit kernels.
#include "sys/ring.h"

#include <gtest/gtest.h>

namespace ktap::sys {
namespace {

TEST(RingPositions, GoOnBehindFourGigabytes) {
  EXPECT_EQ(widened_position(0, 0), 0U);
  EXPECT_EQ(widened_position(16, 64), 64U);
  EXPECT_EQ(widened_position(0xfffffff0, 0x10), 0x100000010U);
  EXPECT_EQ(widened_position(0x100000010, 0x20), 0x100000020U);
  EXPECT_EQ(widened_position(0x2fffffff8, 0xfffffff8), 0x2fffffff8U);
}

}  // namespace
}  // namespace ktap::sys
