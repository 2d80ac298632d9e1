// Constant folding gives what the run would give, and leaves alone what the run would refuse.
#include "compiler/fold.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "diag/diagnostic.h"
#include "syntax/parser.h"

namespace ktap::compiler {
namespace {

using bytecode::Constant;

std::optional<Constant> folded(const std::string& text) {
  const diag::Source source("t.kp", text);
  diag::Sink sink;
  const syntax::ExprPtr expr = syntax::parse_expression(source, sink);
  EXPECT_FALSE(sink.has_errors()) << text;
  return sink.has_errors() ? std::nullopt : fold(*expr);
}

void expect_integer(const std::string& text, int64_t wanted) {
  const auto value = folded(text);
  ASSERT_TRUE(value && std::holds_alternative<int64_t>(*value)) << text;
  EXPECT_EQ(std::get<int64_t>(*value), wanted) << text;
}

void expect_boolean(const std::string& text, bool wanted) {
  const auto value = folded(text);
  ASSERT_TRUE(value && std::holds_alternative<bool>(*value)) << text;
  EXPECT_EQ(std::get<bool>(*value), wanted) << text;
}

TEST(Fold, IntegersWrapAndDivideAsInC) {
  expect_integer("1 + 2 * 3", 7);
  expect_integer("-7 / 2", -3);
  expect_integer("-7 % 2", -1);
  expect_integer("7 % -2", 1);
  expect_integer("9223372036854775807 + 1", INT64_MIN);
  expect_integer("-9223372036854775808 / -1", INT64_MIN);
  expect_integer("-9223372036854775808 % -1", 0);
  expect_integer("-(-9223372036854775808)", INT64_MIN);
  expect_integer("0x7fffffffffffffff * 2", -2);
}

TEST(Fold, BitsAndShifts) {
  expect_integer("6 & 3 | 8 ^ 1", 11);
  expect_integer("~0", -1);
  expect_integer("1 << 64", 1);
  expect_integer("1 << -1", INT64_MIN);
  expect_integer("-8 >> 1", -4);
  expect_integer("1 << 63 >> 63", -1);
}

TEST(Fold, ComparisonsAndLogic) {
  expect_boolean("1 < 2", true);
  expect_boolean("\"b\" <= \"a\"", false);
  expect_boolean("\"a\" == \"a\"", true);
  expect_boolean("!nil", true);
  expect_boolean("!0", false);
  expect_integer("nil || 3", 3);
  expect_integer("false || 0 && 4", 4);
}

TEST(Fold, Strings) {
  const auto value = folded("\"a\" .. 1 .. -2 .. \"b\"");
  ASSERT_TRUE(value);
  EXPECT_EQ(std::get<std::string>(*value), "a1-2b");
}

TEST(Fold, Floats) {
  EXPECT_EQ(std::get<double>(*folded("1.5 * 2.0 - 0.5")), 2.5);
  EXPECT_EQ(std::get<double>(*folded("-1.5")), -1.5);
}

TEST(Fold, WhatTheRunRefusesIsLeftToIt) {
  for (const char* text : {"1 / 0", "1 % 0", "\"a\" + 1", "nil + 1", "1 < \"a\"", "~1.5", "-\"a\"",
                           "nil .. \"a\"", "true .. \"a\"", "1.5 & 1", "\"a\" < 1"}) {
    EXPECT_FALSE(folded(text)) << text;
  }
}

TEST(Fold, NamesAndCallsAreNoConstants) {
  for (const char* text :
       {"x", "x + 1", "f()", "t[1]", "t.x", "{}", "function () { }", "1 + (x)", "\"a\" ~ \"b\""}) {
    EXPECT_FALSE(folded(text)) << text;
  }
}

}  // namespace
}  // namespace ktap::compiler
