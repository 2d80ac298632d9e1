// Unit test of output/svg.h.
#include "output/svg.h"

#include <string>

#include <gtest/gtest.h>

namespace ktap::output {
namespace {

std::string xml(std::string_view text) {
  std::string out;
  append_xml(out, text);
  return out;
}

TEST(Svg, TextIsSafe) {
  EXPECT_EQ(xml("a<b>&\"'c\t\n"), "a&lt;b&gt;&amp;&quot;&#39;c\t\n");
  EXPECT_EQ(xml("é€𝄞"), "é€𝄞");
}

TEST(Svg, WhatXmlForbidsIsReplaced) {
  const std::string no = "\xef\xbf\xbd";
  EXPECT_EQ(xml(std::string_view("\0\x01\x1b", 3)), no + no + no);
  EXPECT_EQ(xml("\xff"
                "a\x80"),
            no + "a" + no);
  EXPECT_EQ(xml("\xc3"), no);                             // cut
  EXPECT_EQ(xml("\xc0\xaf"), no + no);                    // longer than it needs to be
  EXPECT_EQ(xml("\xe0\x80\xaf"), no + no + no);           // the same
  EXPECT_EQ(xml("\xed\xa0\x80"), no + no + no);           // half of a pair
  EXPECT_EQ(xml("\xef\xbf\xbf"), no + no + no);           // no character
  EXPECT_EQ(xml("\xf4\x90\x80\x80"), no + no + no + no);  // beyond the last
}

TEST(Svg, Numbers) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1\u202f000");
  EXPECT_EQ(grouped(1234567), "1\u202f234\u202f567");
  EXPECT_EQ(percent(1, 3), "33.3 %");
  EXPECT_EQ(percent(3, 3), "100 %");
  EXPECT_EQ(percent(1, 1500), "0.067 %");
  EXPECT_EQ(percent(0, 0), "0 %");
}

}  // namespace
}  // namespace ktap::output
