// Event lists split into their parts.
#include <gtest/gtest.h>

#include "event/provider.h"

namespace ktap::event {
namespace {

/// "a|~b@5": texts, exclusions marked, offsets when not 0.
std::string split(std::string_view text) {
  std::string out;
  for (const Pattern& pattern : split_patterns(text)) {
    if (!out.empty()) out += '|';
    if (pattern.exclude) out += '~';
    out += pattern.text;
    if (pattern.offset != 0) out += "@" + std::to_string(pattern.offset);
  }
  return out;
}

TEST(SplitPatterns, Lists) {
  EXPECT_EQ(split("sched:sched_switch"), "sched:sched_switch");
  EXPECT_EQ(split("a:b,c:d , e:f"), "a:b|c:d@4|e:f@10");
  EXPECT_EQ(split("  a:b  "), "a:b@2");
}

TEST(SplitPatterns, CommasInBracketsStay) {
  EXPECT_EQ(split("syscalls:sys_{enter,exit}_read,b:c"), "syscalls:sys_{enter,exit}_read|b:c@31");
  EXPECT_EQ(split("a:[,]b, c:d"), "a:[,]b|c:d@8");
  EXPECT_EQ(split("probe:f(int, long),b:c"), "probe:f(int, long)|b:c@19");
  EXPECT_EQ(split("a:b\\,c"), "a:b\\,c");
}

TEST(SplitPatterns, CommasInNamesOfTemplatesStay) {
  EXPECT_EQ(split("probe:p:std::map<int, A<int> >::find,b:c"),
            "probe:p:std::map<int, A<int> >::find|b:c@37");
  EXPECT_EQ(split("probe:p:f<a, b>(c, d) const ~*<x, y>::g, b:c"),
            "probe:p:f<a, b>(c, d) const|~*<x, y>::g@28|b:c@41");
  EXPECT_EQ(split("probe:p:operator<, probe:p:operator->"),
            "probe:p:operator<|probe:p:operator->@19");
  EXPECT_EQ(split("probe:p:operator<<, probe:p:operator>>"),
            "probe:p:operator<<|probe:p:operator>>@20");
  EXPECT_EQ(split("probe:p:operator<< <a, b>(c), b:c"), "probe:p:operator<< <a, b>(c)|b:c@30");
  EXPECT_EQ(split("probe:p:A::operator,(B), b:c"), "probe:p:A::operator,(B)|b:c@25");
  EXPECT_EQ(split("probe:p:f(int) [clone .cold], b:c"), "probe:p:f(int) [clone .cold]|b:c@30");
  EXPECT_EQ(split("probe:p:*vec<*, probe:p:*>::f"), "probe:p:*vec<*|probe:p:*>::f@16")
      << "an event begins there: what is before it does not close";
}

TEST(SplitPatterns, Exclusions) {
  EXPECT_EQ(split("syscalls:* ~sys_enter_futex"), "syscalls:*|~sys_enter_futex@11");
  EXPECT_EQ(split("a:* ~b ~c:d"), "a:*|~b@4|~c:d@7");
  EXPECT_EQ(split("a:*, ~b"), "a:*|~b@5");
  EXPECT_EQ(split("a:*~b"), "a:*~b");
  EXPECT_EQ(split("a:{x ~y}"), "a:{x ~y}");
}

TEST(SplitPatterns, FetchArgumentsBelongToTheirEvent) {
  EXPECT_EQ(split("probe:do_sys_open dfd=%di mode=+4($stack)"),
            "probe:do_sys_open dfd=%di mode=+4($stack)");
}

TEST(SplitPatterns, EmptyPartsAreSeen) {
  EXPECT_EQ(split_patterns("").size(), 1U);
  EXPECT_EQ(split_patterns("a:b,").size(), 2U);
  EXPECT_EQ(split_patterns("a:b,").back().text, "");
}

}  // namespace
}  // namespace ktap::event
