// Unit test of base/glob.h: every form, what does not close, and the patterns that make naive
// matchers hang.
#include "base/glob.h"

#include <string>

#include <gtest/gtest.h>

namespace ktap {
namespace {

TEST(Glob, Plain) {
  EXPECT_TRUE(glob_match("read", "read"));
  EXPECT_FALSE(glob_match("read", "reads"));
  EXPECT_FALSE(glob_match("read", "rea"));
  EXPECT_TRUE(glob_match("", ""));
  EXPECT_FALSE(glob_match("", "a"));
}

TEST(Glob, StarAndQuestion) {
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("sys_*_read", "sys_enter_read"));
  EXPECT_FALSE(glob_match("sys_*_read", "sys_enter_readv"));
  EXPECT_TRUE(glob_match("*a*b*", "xxaxxbxx"));
  EXPECT_FALSE(glob_match("*a*b", "xxbxxa"));
  EXPECT_TRUE(glob_match("a?c", "abc"));
  EXPECT_FALSE(glob_match("a?c", "ac"));
  EXPECT_TRUE(glob_match("a**", "a"));
}

TEST(Glob, Sets) {
  EXPECT_TRUE(glob_match("[a-c]x", "bx"));
  EXPECT_FALSE(glob_match("[a-c]x", "dx"));
  EXPECT_TRUE(glob_match("[!a-c]x", "dx"));
  EXPECT_FALSE(glob_match("[!a-c]x", "ax"));
  EXPECT_TRUE(glob_match("[]x]", "]"));
  EXPECT_TRUE(glob_match("[!]x]", "a"));
  EXPECT_FALSE(glob_match("[!]x]", "]"));
  EXPECT_TRUE(glob_match("[a-]", "-"));
  EXPECT_TRUE(glob_match("[\\]]", "]"));
  EXPECT_TRUE(glob_match("[^a]", "^"));
  EXPECT_TRUE(glob_match("*[0-9]", "cpu7"));
}

TEST(Glob, Alternatives) {
  EXPECT_TRUE(glob_match("sys_{enter,exit}_read", "sys_exit_read"));
  EXPECT_FALSE(glob_match("sys_{enter,exit}_read", "sys_exi_read"));
  EXPECT_TRUE(glob_match("{a*,b}{,c}", "axxc"));
  EXPECT_TRUE(glob_match("{a*,b}{,c}", "b"));
  EXPECT_TRUE(glob_match("{a{b,c},d}e", "ace"));
  EXPECT_TRUE(glob_match("{a{b,c},d}e", "de"));
  EXPECT_FALSE(glob_match("{a{b,c},d}e", "ae"));
  EXPECT_TRUE(glob_match("{[,],x}", ","));
  EXPECT_TRUE(glob_match("{[,],x}", "x"));
  EXPECT_TRUE(glob_match("{a\\,b}", "a,b"));
  EXPECT_TRUE(glob_match("{}", ""));
  EXPECT_TRUE(glob_match("x{a}", "xa"));
}

TEST(Glob, WhatDoesNotCloseIsItself) {
  EXPECT_TRUE(glob_match("[ab", "[ab"));
  EXPECT_TRUE(glob_match("{a,b", "{a,b"));
  EXPECT_TRUE(glob_match("{a,{b,c}", "{a,b"));
  EXPECT_TRUE(glob_match("a}", "a}"));
  EXPECT_TRUE(glob_match("{x}a}", "xa}"));
  EXPECT_TRUE(glob_match("a,b", "a,b"));
  EXPECT_TRUE(glob_match("a\\", "a\\"));
  EXPECT_TRUE(glob_match("{x}a\\", "xa\\"));
  EXPECT_TRUE(glob_match("\\*", "*"));
  EXPECT_FALSE(glob_match("\\*", "a"));
}

TEST(Glob, BytesAreUnsigned) {
  EXPECT_TRUE(glob_match("[\x80-\xff]", "\xc3"));
  EXPECT_FALSE(glob_match("[a-z]", "\xc3"));
  EXPECT_TRUE(glob_match(std::string("a\0b", 3), std::string("a\0b", 3)));
}

TEST(Glob, NoBlowUp) {
  std::string text(4000, 'a');
  std::string stars;
  std::string braces;
  for (int i = 0; i < 40; ++i) {
    stars += "a*";
    braces += "{a,*a}*";
  }
  EXPECT_FALSE(glob_match(stars + "b", text));
  EXPECT_FALSE(glob_match(braces + "b", text));
  EXPECT_TRUE(glob_match(braces, text));
  std::string deep(20000, '{');
  deep += "a" + std::string(20000, '}');
  EXPECT_TRUE(glob_match(deep, "a"));
}

TEST(Glob, HasGlob) {
  EXPECT_TRUE(has_glob("a*"));
  EXPECT_TRUE(has_glob("{a}"));
  EXPECT_FALSE(has_glob("sys_enter_read"));
}

}  // namespace
}  // namespace ktap
