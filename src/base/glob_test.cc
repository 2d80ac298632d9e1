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

TEST(Glob, FindsTheLeftmostMatch) {
  constexpr size_t kNone = std::string_view::npos;
  EXPECT_EQ(glob_find("b?", "abcbd", 0), 1u);
  EXPECT_EQ(glob_find("b?", "abcbd", 2), 3u);
  EXPECT_EQ(glob_find("b?", "abcb", 2), kNone);
  EXPECT_EQ(glob_find("[xy]*z", "a-x-yy-z", 0), 2u);
  EXPECT_EQ(glob_find("*d", "abcd", 1), 1u);
  EXPECT_EQ(glob_find("*", "", 0), 0u);
  EXPECT_EQ(glob_find("?", "a", 1), kNone);
  EXPECT_EQ(glob_find("", "abc", 3), 3u);
  // The match that ends last may begin first.
  EXPECT_EQ(glob_find("{bc,a*d}", "abcd", 0), 0u);
  EXPECT_EQ(glob_find("{bc,a*e}", "abcd", 0), 1u);
  EXPECT_EQ(glob_find("{b*,abcx}", "abcd", 0), 1u);
}

TEST(Glob, FindAgreesWithMatchEverywhere) {
  const std::string_view patterns[] = {"a*b",  "*",       "b",   "{a,ab}b",
                                       "[!a]", "a{,b}*c", "?a?", "{b*c,a}"};
  std::string text;
  for (int n = 0; n < 729; ++n) {  // all texts of six letters of a, b, c
    text.clear();
    for (int i = 0, rest = n; i < 6; ++i, rest /= 3) text += static_cast<char>('a' + rest % 3);
    for (std::string_view pattern : patterns) {
      size_t leftmost = 0;
      std::string open = std::string(pattern) + "*";
      while (leftmost <= text.size() && !glob_match(open, std::string_view(text).substr(leftmost)))
        ++leftmost;
      if (leftmost > text.size()) leftmost = std::string_view::npos;
      EXPECT_EQ(glob_find(pattern, text, 0), leftmost) << pattern << " in " << text;
    }
  }
}

TEST(Glob, FindDoesNotBlowUp) {
  std::string text(200000, 'a');
  EXPECT_EQ(glob_find("a*a*a*b", text, 0), std::string_view::npos);
  EXPECT_EQ(glob_find("{a,aa}*b", text, 0), std::string_view::npos);
}

bool bits_match(const GlobBits& bits, std::string_view text) {
  uint64_t now = bits.start;
  for (char c : text) {
    now = ((now << 1) & bits.takes[static_cast<unsigned char>(c)]) | (now & bits.stay);
  }
  return (now & bits.accept) != 0;
}

TEST(Glob, BitsAgreeWithMatch) {
  const std::string_view patterns[] = {
      "a*b",         "*",     "b",          "{a,ab}b", "[!a]", "a{,b}*c", "?a?", "",    "{b*c,a}",
      "{a,b}{b,c}*", "**a**", "{a,{b,c}c}", "ab*c?",   "a,b",  "{a",      "a}b", "\\*a"};
  std::string text;
  for (int size = 0; size < 6; ++size) {
    for (int n = 0; n < 1024; ++n) {
      text.clear();
      for (int i = 0, rest = n; i < size; ++i, rest /= 4) text += "abc*"[rest % 4];
      const std::string turned(text.rbegin(), text.rend());
      for (std::string_view pattern : patterns) {
        const bool matches = glob_match(pattern, text);
        EXPECT_EQ(bits_match(*glob_bits(pattern, false), text), matches) << pattern << " " << text;
        EXPECT_EQ(bits_match(*glob_bits(pattern, true), turned), matches) << pattern << " " << text;
      }
    }
  }
}

TEST(Glob, LookedAtOnceItMatchesManyTexts) {
  const std::string_view texts[] = {"",    "a",  "b",   "ab",
                                    "abb", "a*", "b*c", "abcabcabcabcabcabcabcabc"};
  for (std::string_view pattern : {"a*", "{a,ab}b", "{a,{b,}*c}", "", "{", "?[ab]"}) {
    Glob first(pattern);
    const Glob glob = std::move(first);  // nothing in it refers to where it stood
    for (std::string_view text : texts)
      EXPECT_EQ(glob.matches(text), glob_match(pattern, text)) << pattern << " " << text;
  }
}

TEST(Glob, BitsHaveABound) {
  EXPECT_TRUE(glob_bits(std::string(63, 'a'), false).has_value());
  EXPECT_FALSE(glob_bits(std::string(64, 'a'), false).has_value());
  std::string many;
  for (int i = 0; i < 40; ++i) many += "{a,b}";
  EXPECT_FALSE(glob_bits(many, false).has_value());
}

TEST(Glob, EscapedTextMatchesItselfAlone) {
  for (std::string_view text : {"a*b", "[a]", "{a,b}", "a\\", "", "x?"}) {
    EXPECT_TRUE(glob_match(glob_escape(text), text)) << text;
    EXPECT_FALSE(glob_match(glob_escape(text), std::string(text) + "a")) << text;
  }
  EXPECT_FALSE(glob_match(glob_escape("a*b"), "acb"));
}

TEST(Glob, WhatNothingCloses) {
  for (const char* open : {"[", "a[b", "[]", "[!]", "a[]b", "x{a,b}[c", "[a\\]"}) {
    EXPECT_EQ(glob_unclosed(open), '[') << open;
  }
  for (const char* open : {"{", "a{b", "{a{b}", "a{[b", "{a}{", "{[}]"}) {
    EXPECT_EQ(glob_unclosed(open), '{') << open;
  }
  for (const char* whole : {"", "a*", "[a]", "[]]", "[!]]", "{a,[b]}", "\\[", "a\\{", "]}", "{}"}) {
    EXPECT_EQ(glob_unclosed(whole), '\0') << whole;
  }
}

TEST(Glob, HasGlob) {
  EXPECT_TRUE(has_glob("a*"));
  EXPECT_TRUE(has_glob("{a}"));
  EXPECT_FALSE(has_glob("sys_enter_read"));
}

}  // namespace
}  // namespace ktap
