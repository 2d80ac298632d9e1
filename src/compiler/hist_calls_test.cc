// Unit test of bytecode/hist_calls.h on code as the compiler makes it.
#include "bytecode/hist_calls.h"

#include <string>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "compiler/testing.h"

namespace ktap::compiler {
namespace {

void find_all(const bytecode::Function& function, bytecode::HistCalls* calls) {
  bytecode::find_hist_calls(function, calls);
  for (const auto& child : function.children) find_all(*child, calls);
}

/// "0,10,1; …" and "computed" behind it.
std::string hists_of(const std::string& text) {
  Compiled compiled("var c = {} " + text);
  if (!compiled.codes().empty()) return compiled.codes();
  bytecode::HistCalls calls;
  find_all(*compiled.chunk->main, &calls);
  std::string out;
  for (const auto& [lo, hi, step] : calls.constant) {
    out += fmt::format("{},{},{}; ", lo, hi, step);
  }
  return out + (calls.computed ? "computed" : "");
}

TEST(HistCalls, ConstantBounds) {
  EXPECT_EQ(hists_of("hist(c[1], 0, 10, 1)"), "0,10,1; ");
  EXPECT_EQ(hists_of("print(hist(c.x, -5 * 2, 1ms, 100_000))"), "-10,1000000,100000; ");
  EXPECT_EQ(hists_of("tick-1s { for (k, v in pairs(c)) { print_hist(hist(v, 0, 1, 1)) } }"),
            "0,1,1; ");
  EXPECT_EQ(hists_of("function f(x) { return hist(x, 1, 2, 1) }"), "1,2,1; ");
  EXPECT_EQ(hists_of("hist(c.a && c.b || c[c[1]], 0, 10, 1) hist(nil, 0, 20, 1)"),
            "0,10,1; 0,20,1; ");
}

TEST(HistCalls, OtherHistogramsNeedNothing) {
  EXPECT_EQ(hists_of("hist(c) hist(c, \"log-linear\") print(count(c))"), "");
  EXPECT_EQ(hists_of("hist = {} hist[1] = 2 print_hist(hist)"), "");
}

TEST(HistCalls, ComputedBounds) {
  EXPECT_EQ(hists_of("hist(c, 0, arg[1], 10)"), "computed");
  EXPECT_EQ(hists_of("hist(c, len(\"a\"), 10, 1)"), "computed");
  EXPECT_EQ(hists_of("hist(c, 0.5, 10, 1)"), "computed");
  EXPECT_EQ(hists_of("function f() { return 0, 10, 1 } hist(c, f())"), "computed");
}

TEST(HistCalls, HistAsAValue) {
  EXPECT_EQ(hists_of("var h = hist h(c, 0, 10, 1)"), "computed");
  EXPECT_EQ(hists_of("h = hist h(c, 0, 10, 1)"), "computed");
  EXPECT_EQ(hists_of("c.h = hist print(1, 0, 10, 1)"), "computed");
  EXPECT_EQ(hists_of("print(hist, 0, 10, 1)"), "computed");
  EXPECT_EQ(hists_of("function f() { return hist }"), "computed");
}

}  // namespace
}  // namespace ktap::compiler
