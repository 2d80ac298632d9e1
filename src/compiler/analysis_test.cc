// The first walk: globals, captured variables, how early functions are made.
#include "compiler/analysis.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "diag/diagnostic.h"
#include "syntax/parser.h"

namespace ktap::compiler {
namespace {

struct Analysed {
  explicit Analysed(std::string text)
      : source("t.kp", std::move(text)),
        script(syntax::parse(source, sink)),
        analysis(analyse(script)) {
    EXPECT_FALSE(sink.has_errors()) << diag::render_all(source, sink);
  }
  VariableFacts facts(const std::string& name) const {
    for (const auto& [declaration, facts] : analysis.variables) {
      if (declaration->name == name) return facts;
    }
    ADD_FAILURE() << "no variable " << name;
    return {};
  }
  /// The statement before which the function of that name is made; -1 when it is not hoisted.
  int hoisted(const std::string& name) const {
    for (const auto& [function, index] : analysis.hoisted) {
      if (function->name.name == name) return static_cast<int>(index);
    }
    return -1;
  }

  diag::Sink sink;
  diag::Source source;
  syntax::Script script;
  Analysis analysis;
};

using Names = std::vector<std::string>;

TEST(Analysis, MainAssignmentsMakeGlobals) {
  const Analysed a(
      "a = 1 var b = 2 b = 3 if (a) { c = 1 } function d() { e = 1 } f, a = 1, 2 g += 1");
  EXPECT_EQ(a.analysis.globals, (Names{"arg", "a", "c", "d", "f", "g"}));
}

TEST(Analysis, HandlersAndFiltersMakeNoGlobals) {
  const Analysed a("trace a:b { x = 1 } tick-1s { y = 1 } kdebug.probe_end(function () { z = 1 })");
  EXPECT_EQ(a.analysis.globals, Names{"arg"});
}

TEST(Analysis, AMemberAssignsNoName) {
  const Analysed a("t = {} t.x = 1 t[1] = 2 function t.f() { }");
  EXPECT_EQ(a.analysis.globals, (Names{"arg", "t"}));
}

TEST(Analysis, CapturedAndChanged) {
  const Analysed a(
      "var own = 1 own = 2 var read = 1 var written = 1\n"
      "trace a:b /read > 1/ { var inner = read written += 1 print(inner) }");
  EXPECT_FALSE(a.facts("own").captured);
  EXPECT_TRUE(a.facts("read").captured);
  EXPECT_FALSE(a.facts("read").changed_by_closure);
  EXPECT_TRUE(a.facts("written").changed_by_closure);
  EXPECT_FALSE(a.facts("inner").captured);
}

TEST(Analysis, AnInnerVariableHidesAnOuterOne) {
  const Analysed a("var x = 1 function f(y) { var x = 2 return function () { return y } }");
  EXPECT_FALSE(a.facts("x").captured);
  EXPECT_TRUE(a.facts("y").captured);
}

TEST(Analysis, UntilSeesTheBody) {
  const Analysed a("repeat { var x = 1 } until (function () { return x })");
  EXPECT_TRUE(a.facts("x").captured);
}

TEST(Analysis, FunctionsAreMadeAsEarlyAsTheirVariablesAllow) {
  const Analysed a(
      "f() var x = 1 var y = 2 function f() { } function g() { return x } function h() { return y "
      "}\n"
      "var z = 3 function here() { return z } do { function nested() { } }");
  EXPECT_EQ(a.hoisted("f"), 0);
  EXPECT_EQ(a.hoisted("g"), 2);
  EXPECT_EQ(a.hoisted("h"), 3);
  EXPECT_EQ(a.hoisted("here"), -1);
  EXPECT_EQ(a.hoisted("nested"), -1);
  EXPECT_TRUE(a.analysis.remade.empty());
}

TEST(Analysis, ARedefinedFunctionIsMadeAgainAtItsPlace) {
  const Analysed a("f() function f() { } f = 1 function f() { }");
  EXPECT_EQ(a.analysis.hoisted.size(), 1u);
  EXPECT_EQ(a.analysis.remade.size(), 1u);
}

TEST(Analysis, ALocalOfTheNameIsNotHoisted) {
  const Analysed a("var f = 1 function f() { } local function g() { }");
  EXPECT_TRUE(a.analysis.hoisted.empty());
  EXPECT_EQ(a.analysis.globals, Names{"arg"});
}

}  // namespace
}  // namespace ktap::compiler
