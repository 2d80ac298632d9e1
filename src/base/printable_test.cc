// Which bytes are shown as escapes, and which are left alone.
#include "base/printable.h"

#include <gtest/gtest.h>

namespace ktap {
namespace {

TEST(PrintableTest, ControlBytesAreEscapes) {
  EXPECT_EQ(printable("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(printable("\x1b[31m\x7f\x01"), "\\x1b[31m\\x7f\\x01");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(PrintableTest, SecondControlRangeOfUtf8) {
  EXPECT_EQ(printable("a\u009b1m"), "a\\xc2\\x9b1m");
  EXPECT_EQ(printable("\u00a0\xc2"), "\u00a0\xc2");
  EXPECT_EQ(printable("a\x9b"
                      "31m\xc3\x9b\xe2\x82\x9b\x80"),
            "a\\x9b31m\xc3\x9b\xe2\x82\x9b\\x80");
}

TEST(PrintableTest, TheRestStays) {
  EXPECT_EQ(printable(""), "");
  EXPECT_EQ(printable("\u00e9 \\n \"x\" \u6f22 \xff"), "\u00e9 \\n \"x\" \u6f22 \xff");
}

}  // namespace
}  // namespace ktap
