// What of event text belongs together.
#include "base/name_brackets.h"

#include <gtest/gtest.h>

#include <string>

namespace ktap {
namespace {

/// The pieces, with a `|` between those that are no single bytes and what is beside them.
std::string pieces(std::string_view text) {
  const NameBrackets brackets(text);
  std::string out;
  bool was_single = true;
  for (size_t i = 0; i < text.size(); i = brackets.behind(i)) {
    const bool is_single = brackets.behind(i) == i + 1;
    if (!out.empty() && !(is_single && was_single)) out += '|';
    out += text.substr(i, brackets.behind(i) - i);
    was_single = is_single;
  }
  return out;
}

TEST(NameBrackets, PairsWithAllWithin) {
  EXPECT_EQ(pieces("std::map<int, A<long> >::find(int, char)"),
            "std::map|<int, A<long> >|::find|(int, char)");
  EXPECT_EQ(pieces("a:{x,y} b"), "a:|{x,y}| b");
  EXPECT_EQ(pieces("a:[<,(]b"), "a:|[<,(]|b");
  EXPECT_EQ(pieces("a[]<]b"), "a|[]<]|b") << "a ] that stands first is a member";
  EXPECT_EQ(pieces("f(int) [clone .cold]"), "f|(int)| |[clone .cold]");
  EXPECT_EQ(pieces("<[[u8; 4]; 4] as A>::f"), "<[[u8; 4]; 4] as A>|::f");
  EXPECT_EQ(pieces("<fn(u8) -> u8 as A>::f"), "<fn(u8) -> u8 as A>|::f");
  EXPECT_EQ(pieces("A<(3>2), (1<2)>::f"), "A|<(3>2), (1<2)>|::f");
  EXPECT_EQ(pieces("f\\<a, b>"), "f|\\<|a, b>");
}

TEST(NameBrackets, WhatDoesNotCloseStandsForItself) {
  EXPECT_EQ(pieces("f<a, b"), "f<a, b");
  EXPECT_EQ(pieces("f(a, b>c"), "f(a, b>c");
  EXPECT_EQ(pieces("f(a<b)"), "f|(a<b)");
  EXPECT_EQ(pieces("a[b"), "a[b");
  EXPECT_EQ(pieces("a}b)c>"), "a}b)c>");
}

TEST(NameBrackets, OperatorsAreNoBrackets) {
  EXPECT_EQ(pieces("A::operator<(A, A)"), "A::|operator<|(A, A)");
  EXPECT_EQ(pieces("operator<<, b:c>"), "operator<<|, b:c>");
  EXPECT_EQ(pieces("operator<< <a, b>(c)"), "operator<<| |<a, b>|(c)");
  EXPECT_EQ(pieces("A<int>::operator->() const"), "A|<int>|::|operator->|()| const");
  EXPECT_EQ(pieces("A::operator>=, b"), "A::|operator>=|, b");
  EXPECT_EQ(pieces("A::operator()(int)"), "A::|operator()|(int)");
  EXPECT_EQ(pieces("A::operator,(B)"), "A::|operator,|(B)");
  EXPECT_EQ(pieces("operator new[](unsigned long)"), "operator new[]|(unsigned long)");
  EXPECT_EQ(pieces("A<&B::operator> >::f"), "A|<&B::operator> >|::f");
  EXPECT_EQ(pieces("my_operator<a, b>"), "my_operator|<a, b>");
  EXPECT_EQ(pieces("operators<a, b>"), "operators|<a, b>");
}

TEST(NameBrackets, NoneReachesIntoTheNextEvent) {
  EXPECT_EQ(pieces("probe:p:*vec<*, probe:p:*>::f"), "probe:p:*vec<*, probe:p:*>::f");
  EXPECT_EQ(pieces("probe:p:*vec<* ~*>::f"), "probe:p:*vec<* ~*>::f");
  EXPECT_EQ(pieces("f(*, sched:*, g(int)"), "f(*, sched:*, g|(int)");
  EXPECT_EQ(pieces("f<a, b::c>"), "f|<a, b::c>");
  EXPECT_EQ(pieces("f(int, auto:1)"), "f|(int, auto:1)");
  EXPECT_EQ(pieces("a:{x ~y}"), "a:|{x ~y}");
}

TEST(NameBrackets, TypesWithoutAName) {
  EXPECT_TRUE(is_unnamed_type("f(a, {lambda(int)#1})", 5));
  EXPECT_TRUE(is_unnamed_type("{unnamed type#1}", 0));
  EXPECT_FALSE(is_unnamed_type("{ lambda(1) }", 0));
  EXPECT_FALSE(is_unnamed_type("", 0));
}

}  // namespace
}  // namespace ktap
