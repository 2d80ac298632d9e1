// Each part of the text, given and left out, and each mistake in it.
#include "event/memory_breakpoints.h"

#include <gtest/gtest.h>
#include <linux/hw_breakpoint.h>

namespace ktap::event {
namespace {

TEST(MemoryBreakpoint, Parts) {
  const MemoryPlace plain = parse_memory_place("jiffies");
  EXPECT_EQ(plain.error, "");
  EXPECT_EQ(plain.symbol, "jiffies");
  EXPECT_EQ(plain.length_bytes, sizeof(long));
  EXPECT_EQ(plain.access, uint32_t{HW_BREAKPOINT_W});
  const MemoryPlace full = parse_memory_place("0x1000/4:rw");
  EXPECT_EQ(full.symbol, "");
  EXPECT_EQ(full.address, 0x1000U);
  EXPECT_EQ(full.length_bytes, 4U);
  EXPECT_EQ(full.access, uint32_t{HW_BREAKPOINT_RW});
  EXPECT_EQ(parse_memory_place("0xffffffff81000000:x").access, uint32_t{HW_BREAKPOINT_X});
}

TEST(MemoryBreakpoint, Mistakes) {
  for (const char* text : {"", "0x", "0x12g", "0x1000/3", "0x1000/", "a:", "a:wx", "a:ww", "a:z",
                           "a/4:x", ":w", "0x11112222333344445"}) {
    EXPECT_NE(parse_memory_place(text).error, "") << text;
  }
}

}  // namespace
}  // namespace ktap::event
