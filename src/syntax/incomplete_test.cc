// What the prompt takes for the beginning of something.
#include "syntax/incomplete.h"

#include <gtest/gtest.h>

namespace ktap::syntax {
namespace {

TEST(Incomplete, OpenBracketsStringsAndOperators) {
  for (const char* text : {"f(", "var t = {", "trace a:b {", "if (x) {\n f()", "a = [[x",
                           "a = [=[ ]]", "a = 1 +", "f(1,", "a =", "a, ", "x .. ", "} {",
                           "function", "\"a\\", "trace a:b /pid == 1/", "if (a) { } else", "t."}) {
    EXPECT_EQ(is_incomplete(text), std::string_view(text) != "} {") << text;
  }
}

TEST(Incomplete, WhatIsWholeOrWrong) {
  for (const char* text : {"", "f()", "x = 1", "trace a:{b,c} { f() }", "\"open", "f)", "# {",
                           "x++", "\"{\"", "return", "a = )(", "@", "print(1))", "trace a:b"}) {
    EXPECT_FALSE(is_incomplete(text)) << text;
  }
}

}  // namespace
}  // namespace ktap::syntax
