// The whole grammar: what each form becomes, and where each mistake is reported. Codes and places
// are asserted, not words. `mistakes` marks places by the text they cover.
#include "syntax/parser.h"

#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"
#include "syntax/print.h"

namespace ktap::syntax {
namespace {

/// The diagnostics of a script in source order: `K0203@5"text"`, joined by blanks.
std::string mistakes(const std::string& text) {
  diag::Source source("t.kp", text);
  diag::Sink sink;
  parse(source, sink);
  EXPECT_EQ(sink.has_errors(), !diag::render_all(source, sink).empty());
  std::string out;
  for (const diag::Diagnostic& made : sink.diagnostics()) {
    EXPECT_LE(made.span.begin, made.span.end);
    EXPECT_LE(made.span.end, text.size());
    if (!out.empty()) out += ' ';
    out += diag::code_name(made.code) + '@' + std::to_string(made.span.begin);
    if (made.span.end > made.span.begin) {
      out += '"' + text.substr(made.span.begin, made.span.end - made.span.begin) + '"';
    }
  }
  return out;
}

std::string tree(const std::string& text) {
  diag::Source source("t.kp", text);
  diag::Sink sink;
  Script script = parse(source, sink);
  EXPECT_FALSE(sink.has_errors()) << diag::render_all(source, sink);
  return print_ast(script);
}

/// An expression in one line, all operators bracketed: for precedence.
std::string shape(const Expr& expr) {
  if (const auto* node = std::get_if<Binary>(&expr.node)) {
    return "(" + shape(*node->left) + spelling(node->op) + shape(*node->right) + ")";
  }
  if (const auto* node = std::get_if<Unary>(&expr.node))
    return spelling(node->op) + shape(*node->operand);
  if (const auto* node = std::get_if<Paren>(&expr.node)) return "[" + shape(*node->inner) + "]";
  std::string text = print_ast(expr);
  return text.substr(text.find(' ') + 1, text.size() - text.find(' ') - 2);
}

std::string shape(const std::string& text) {
  diag::Source source("t.kp", text);
  diag::Sink sink;
  ExprPtr expr = parse_expression(source, sink);
  EXPECT_FALSE(sink.has_errors()) << diag::render_all(source, sink);
  return shape(*expr);
}

std::string times(int n, const std::string& text) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

// ---- expressions ----

TEST(ExpressionTest, PrecedenceFromLowToHigh) {
  EXPECT_EQ(shape("a || b && c == d | e ^ f & g << h .. i + j * -k"),
            "(a||(b&&(c==(d|(e^(f&(g<<(h..(i+(j*-k))))))))))");
  EXPECT_EQ(shape("-a * b + c .. d << e & f ^ g | h == i && j || k"),
            "((((((((((-a*b)+c)..d)<<e)&f)^g)|h)==i)&&j)||k)");
}

TEST(ExpressionTest, Associativity) {
  EXPECT_EQ(shape("a - b - c"), "((a-b)-c)");
  EXPECT_EQ(shape("a .. b .. c"), "(a..(b..c))");
  EXPECT_EQ(shape("a .. b + 1 .. c"), "(a..((b+1)..c))");
  EXPECT_EQ(shape("a == b != c"), "((a==b)!=c)");
  EXPECT_EQ(shape("a % b / c"), "((a%b)/c)");
}

TEST(ExpressionTest, TildeIsUnaryOrMatch) {
  EXPECT_EQ(shape("~a ~ b"), "(~a~b)");
  EXPECT_EQ(shape("a ~ ~b"), "(a~~b)");
  EXPECT_EQ(shape("a ~= b"), "(a!=b)");
}

TEST(ExpressionTest, WordsAreOperators) { EXPECT_EQ(shape("a or not b and c"), "(a||(!b&&c))"); }

TEST(ExpressionTest, UnaryBindsTighterThanBinary) {
  EXPECT_EQ(shape("!a == b"), "(!a==b)");
  EXPECT_EQ(shape("-(a)"), "-[a]");
  EXPECT_EQ(shape("- - a"), "--a");
}

TEST(ExpressionTest, TheLowestIntegerNeedsItsMinus) {
  EXPECT_EQ(shape("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(mistakes("x = 9223372036854775808"), "K0109@4\"9223372036854775808\"");
  EXPECT_EQ(mistakes("x = 1 - 9223372036854775808"), "K0109@8\"9223372036854775808\"");
  EXPECT_EQ(mistakes("x = -(9223372036854775808)"), "K0109@6\"9223372036854775808\"");
}

TEST(ExpressionTest, SpansCoverTheWholeNode) {
  diag::Source source("t.kp", " a.b[1](2) + 3 ");
  diag::Sink sink;
  ExprPtr expr = parse_expression(source, sink);
  EXPECT_EQ(expr->span.begin, 1U);
  EXPECT_EQ(expr->span.end, 14U);
  const auto& sum = std::get<Binary>(expr->node);
  EXPECT_EQ(sum.op_span.begin, 11U);
  EXPECT_EQ(sum.left->span.end, 10U);
}

TEST(ExpressionTest, KeywordsAreNamesBehindAPoint) {
  EXPECT_EQ(tree("f(a.trace.end.if.and)"),
            "script\n  do-call\n    call\n      name f\n      member and\n        member if\n"
            "          member end\n            member trace\n              name a\n");
}

TEST(ExpressionTest, MultiKeysAndTheirLimit) {
  EXPECT_EQ(mistakes("t[1,2,3] = 1"), "");
  EXPECT_EQ(mistakes("t[1" + times(15, ",1") + "] = 1"), "");
  EXPECT_EQ(mistakes("t[1" + times(16, ",1") + "] = 1").substr(0, 5), "K0603");
}

TEST(ExpressionTest, ACallStandsOnTheLineOfItsCallee) {
  EXPECT_EQ(tree("x = f\n(g)(1)"), tree("x = f; (g)(1)"));
  EXPECT_EQ(tree("f(\n1,\n2)"), tree("f(1,2)"));
  EXPECT_EQ(tree("x = t\n[1]\n.a"), tree("x = t[1].a"));
}

TEST(ExpressionTest, WholeTextIsOneExpression) {
  diag::Source source("f", "a == 1 b");
  diag::Sink sink;
  parse_expression(source, sink);
  ASSERT_EQ(sink.diagnostics().size(), 1U);
  EXPECT_EQ(sink.diagnostics()[0].code, diag::Code::ExpectedToken);
  EXPECT_EQ(sink.diagnostics()[0].span.begin, 7U);
}

// ---- statements ----

TEST(StatementTest, BlanksSeparate) {
  EXPECT_EQ(tree("a = 1 b = 2 f() g()"), tree("a = 1; b = 2;; f()\ng();"));
}

TEST(StatementTest, SecondSpellings) {
  EXPECT_EQ(tree("local a, b = 1"), tree("var a, b = 1"));
  EXPECT_EQ(tree("if (a) { } else if (b) { } else { }"),
            tree("if (a) { } elseif (b) { } else { }"));
  EXPECT_EQ(tree("local function f() { }"), tree("var function f() { }"));
  EXPECT_EQ(tree("x++ y--"), tree("x += 1 y -= 1"));
}

TEST(StatementTest, ResultsBeginOnTheLineOfReturn) {
  EXPECT_EQ(tree("function f() { return\ng() }"), tree("function f() { return; g() }"));
  EXPECT_EQ(tree("function f() { return 1,\n2 }"), tree("function f() { return 1, 2 }"));
}

TEST(StatementTest, ReturnStandsAnywhere) { EXPECT_EQ(mistakes("return f() return\nx = 1"), ""); }

TEST(StatementTest, FunctionNamesKnowTheirPath) {
  diag::Source source("t", "function a.b.c() { }");
  diag::Sink sink;
  Script script = parse(source, sink);
  const auto& made = std::get<FunctionStmt>(script.body.statements.at(0).node);
  EXPECT_EQ(made.body->name, "a.b.c");
  EXPECT_EQ(made.path.size(), 2U);
  EXPECT_EQ(made.path[1].span.begin, 13U);
}

TEST(StatementTest, OnlyCallsAreStatements) {
  EXPECT_EQ(mistakes("x == 1"), "K0207@0\"x == 1\"");
  EXPECT_EQ(mistakes("x + 1\ny = 2"), "K0207@0\"x + 1\"");
  EXPECT_EQ(mistakes("1 + 2"), "K0207@0\"1 + 2\"");
  EXPECT_EQ(mistakes("t.x\n-y"), "K0207@0\"t.x\n-y\"");
  EXPECT_EQ(mistakes("(f())"), "K0207@0\"(f())\"");
  EXPECT_EQ(mistakes("print \"x\"\nf()"), "K0207@0\"print\"");
}

TEST(StatementTest, PlacesToAssignTo) {
  EXPECT_EQ(mistakes("a, t[1], t.x = 1, 2, 3"), "");
  EXPECT_EQ(mistakes("f() = 3"), "K0209@0\"f()\"");
  EXPECT_EQ(mistakes("a, f() = 1, 2"), "K0209@3\"f()\"");
  EXPECT_EQ(mistakes("(x) = 1"), "K0209@0\"(x)\"");
  EXPECT_EQ(mistakes("f()++"), "K0209@0\"f()\"");
  EXPECT_EQ(mistakes("f() += 1"), "K0209@0\"f()\"");
  EXPECT_EQ(mistakes("f() <<< 1"), "K0209@0\"f()\"");
  EXPECT_EQ(mistakes("a, 1 = 2"), "K0202@3\"1\"");
  EXPECT_EQ(mistakes("a, b"), "K0202@4");
}

TEST(StatementTest, AssignmentIsNoValue) {
  EXPECT_EQ(mistakes("if (x = 1) { }"), "K0208@6\"=\"");
  EXPECT_EQ(mistakes("a = b = c"), "K0208@6\"=\"");
  EXPECT_EQ(mistakes("f(x += 1)"), "K0208@4\"+=\"");
}

TEST(StatementTest, AMissingValueIsReportedOnItsLine) {
  EXPECT_EQ(mistakes("x =\ny = 3 +\nz = 1"), "K0201@3 K0201@11");
  EXPECT_EQ(mistakes("x ="), "K0201@3");
  EXPECT_EQ(mistakes("x = )"), "K0201@4\")\"");
}

TEST(StatementTest, JumpsNeedALoop) {
  EXPECT_EQ(mistakes("while (x) { break continue }"), "");
  EXPECT_EQ(mistakes("repeat { break } until (x)"), "");
  EXPECT_EQ(mistakes("for (i = 1, 2) { continue } for (k in pairs(t)) { break }"), "");
  EXPECT_EQ(mistakes("break"), "K0213@0\"break\"");
  EXPECT_EQ(mistakes("while (x) { f(function () { continue }) }"), "K0213@28\"continue\"");
  EXPECT_EQ(mistakes("while (x) { trace a:b { break } }"), "K0213@24\"break\"");
}

// ---- control structures and their foreign forms ----

TEST(ControlTest, HeadsNeedParentheses) {
  EXPECT_EQ(mistakes("if x > 1 { f() }"), "K0203@3\"x\"");
  EXPECT_EQ(mistakes("while x { f() }"), "K0203@6\"x\"");
  EXPECT_EQ(mistakes("repeat { } until x f()"), "K0203@17\"x\"");
  EXPECT_EQ(mistakes("if (a) && (b) { }"), "K0203@7\"&&\"");
}

TEST(ControlTest, BodiesNeedBraces) {
  EXPECT_EQ(mistakes("if (a) print(1)\nf()"), "K0204@7\"print\"");
  EXPECT_EQ(mistakes("if (a) { } else print(1)"), "K0204@16\"print\"");
  EXPECT_EQ(mistakes("while (a)\nf()"), "K0204@9");
}

TEST(ControlTest, FormsOfLuaAreReportedOnce) {
  EXPECT_EQ(mistakes("if (x) then f() else g() end h()"), "K0212@7\"then\"");
  EXPECT_EQ(mistakes("if x then f() end"), "K0203@3\"x\"");
  EXPECT_EQ(mistakes("while x do f() end g()"), "K0203@6\"x\"");
  EXPECT_EQ(mistakes("for i = 1, 10 do\n f(i)\nend\ng()"), "K0203@4\"i\"");
  EXPECT_EQ(mistakes("function f(a)\n  var x = 1\n  return x\nend\ng()"), "K0204@13");
  EXPECT_EQ(mistakes("repeat x = 1 until x"), "K0204@7\"x\"");
  EXPECT_EQ(mistakes("do x = 1 end"), "K0204@3\"x\"");
  EXPECT_EQ(mistakes("end"), "K0212@0\"end\"");
}

TEST(ControlTest, FormsOfCAndOthers) {
  EXPECT_EQ(mistakes("for (i = 0; i < 10; i++) { f(i) }\ng("), "K0210@10\";\" K0205@36");
  EXPECT_EQ(mistakes("for (var i = 1, 2) { }"), "K0212@5\"var\"");
  EXPECT_EQ(mistakes("if (a) { } elif (b) { } else { }"), "K0212@11\"elif\"");
  EXPECT_EQ(mistakes("let x = 1\nf()"), "K0212@0\"let\"");
  EXPECT_EQ(mistakes("whlie (x) { y = 1 }"), "K0215@0\"whlie (x)\"");
  EXPECT_EQ(mistakes("fucntion f(a) { return 1 }"), "K0207@0\"fucntion\"");
  EXPECT_EQ(mistakes("{ f() }"), "K0215@0\"{\"");
  EXPECT_EQ(mistakes("-- a comment\nf()"), "K0215@0\"--\"");
  EXPECT_EQ(mistakes("x = 1 // a comment"), "K0201@7\"/\"");
  EXPECT_EQ(mistakes("o:m(1)"), "K0207@0\"o\"");
  EXPECT_EQ(mistakes("x = a ? b : c\ny = )"), "K0101@6\"?\" K0201@18\")\"");
}

TEST(ControlTest, LoopsWalkPairsAlone) {
  EXPECT_EQ(mistakes("for (k, v in t) { }"), "K0211@13\"t\"");
  EXPECT_EQ(mistakes("for (k, v in ipairs(t)) { }"), "K0211@13\"ipairs(t)\"");
  EXPECT_EQ(mistakes("for (k in pairs()) { }"), "K0211@10\"pairs()\"");
  EXPECT_EQ(mistakes("for (k in pairs(t, f)) { }"), "K0211@10\"pairs(t, f)\"");
  EXPECT_EQ(mistakes("for (k in sort_keys(t, f)) { }"), "");
  EXPECT_EQ(mistakes("for (i = 1) { }"), "K0202@10\")\"");
  EXPECT_EQ(mistakes("for (i) { }"), "K0202@6\")\"");
}

TEST(ControlTest, ElseNeedsAnIf) {
  EXPECT_EQ(mistakes("else { f() }"), "K0222@0\"else\"");
  EXPECT_EQ(mistakes("elseif (x) { f() } else { }"), "K0222@0\"elseif\"");
  EXPECT_EQ(mistakes("until (x)"), "K0222@0\"until\"");
  EXPECT_EQ(mistakes("repeat { }"), "K0202@10");
}

TEST(ControlTest, KeywordsAreNoNames) {
  EXPECT_EQ(mistakes("var if = 3\nf()"), "K0214@4\"if\"");
  EXPECT_EQ(mistakes("function f(a, do) { }"), "K0214@14\"do\"");
  EXPECT_EQ(mistakes("x = {a = 1, if = 2}\nf()"), "K0214@12\"if\"");
  EXPECT_EQ(mistakes("trace = 1"), "K0214@0\"trace\"");
  EXPECT_EQ(mistakes("tick = 1"), "K0214@0\"tick\"");
}

// ---- trace statements ----

const Trace& first_trace(const Script& script) {
  return std::get<Trace>(script.body.statements.at(0).node);
}

TEST(TraceTest, QuotedAndUnquotedAreTheSame) {
  EXPECT_EQ(tree("trace a:b /x > 1/ { f() }"), tree("trace \"a:b /x > 1/\" { f() }"));
  EXPECT_EQ(tree("trace \"a:b\" function () { f() }"), tree("trace a:b { f() }"));
  EXPECT_EQ(tree("trace ('a:b /x/') { }"), tree("trace a:b /x/ { }"));
}

TEST(TraceTest, SpansOfAFilterInALiteralPointIntoTheScript) {
  std::string text = R"(trace "a:b\x20/comm == \"x\" && pid/" f)";
  diag::Source source("t", text);
  diag::Sink sink;
  Script script = parse(source, sink);
  ASSERT_FALSE(sink.has_errors());
  const Trace& trace = first_trace(script);
  EXPECT_EQ(trace.event_text, "a:b");
  EXPECT_EQ(text.substr(trace.event_span.begin, 3), "a:b");
  const auto& both = std::get<Binary>(trace.filter->node);
  EXPECT_EQ(text.substr(both.right->span.begin, both.right->span.end - both.right->span.begin),
            "pid");
  const auto& equal = std::get<Binary>(both.left->node);
  EXPECT_EQ(text.substr(equal.right->span.begin, equal.right->span.end - equal.right->span.begin),
            "\\\"x\\\"");
}

TEST(TraceTest, SpansOfAnUnquotedText) {
  std::string text = "trace  a:b,\n c:d  /pid == 1/ { }";
  diag::Source source("t", text);
  diag::Sink sink;
  Script script = parse(source, sink);
  const Trace& trace = first_trace(script);
  EXPECT_EQ(trace.event_text, "a:b,\n c:d");
  EXPECT_EQ(trace.event_span.begin, 7U);
  EXPECT_EQ(trace.event_span.end, 16U);
  EXPECT_EQ(text.substr(trace.filter->span.begin, 8), "pid == 1");
  EXPECT_EQ(script.body.statements[0].span.end, text.size());
}

TEST(TraceTest, ComputedTextIsAnExpression) {
  diag::Source source("t", "trace \"x:\" .. y f\ntrace (z) { }");
  diag::Sink sink;
  Script script = parse(source, sink);
  ASSERT_FALSE(sink.has_errors());
  EXPECT_TRUE(first_trace(script).text_expr);
  EXPECT_TRUE(first_trace(script).function);
  EXPECT_TRUE(std::get<Trace>(script.body.statements.at(1).node).body);
}

TEST(TraceTest, MistakesInTheEventText) {
  EXPECT_EQ(mistakes("trace { f() }\ng()"), "K0216@0\"trace\"");
  EXPECT_EQ(mistakes("trace"), "K0216@0\"trace\"");
  EXPECT_EQ(mistakes("trace \"\" f"), "K0216@6\"\"\"\"");
  EXPECT_EQ(mistakes("trace /x/ { }"), "K0216@0\"trace\"");
  EXPECT_EQ(mistakes("trace a:b\nf()"), "K0217@6\"a:b\"");
  EXPECT_EQ(mistakes("trace a:b\ntrace c:d { }"), "K0217@6\"a:b\"");
  EXPECT_EQ(mistakes("trace a:b{ f() }"), "K0221@9\"{\"");
  EXPECT_EQ(mistakes("trace a:b, { }"), "K0221@9\",\"");
  EXPECT_EQ(mistakes("trace a:b,,c:d { }"), "K0221@10\",\"");
  EXPECT_EQ(mistakes("trace \"a:b,\" f"), "K0221@10\",\"");
  EXPECT_EQ(mistakes("trace a:b # why\n{ }"), "K0221@10\"#\"");
  EXPECT_EQ(mistakes("trace a:b function (e) { }"), "K0221@10\"function\"");
  EXPECT_EQ(mistakes("trace \"a:b\""), "K0217@11");
  EXPECT_EQ(mistakes("tick - 10ms { }"), "K0221@0\"tick\"");
  EXPECT_EQ(mistakes("tick-1s{ f() }"), "K0221@7\"{\"");
  EXPECT_EQ(mistakes("trace_end"), "K0217@9");
}

TEST(TraceTest, MistakesInTheFilter) {
  EXPECT_EQ(mistakes("trace a:b /x == 1 { f() }"), "K0218@10\"/\"");
  EXPECT_EQ(mistakes("trace \"a:b /x\" f"), "K0218@11\"/\"");
  EXPECT_EQ(mistakes("trace a:b //{ }"), "K0219@10\"//\"");
  EXPECT_EQ(mistakes("trace \"a:b / /\" f"), "K0219@11\"/ /\"");
  EXPECT_EQ(mistakes("trace a:b /x = 1/ { f( }"), "K0208@13\"=\" K0201@23\"}\"");
  EXPECT_EQ(mistakes("trace a:b /comm == ba*/ { }"), "K0201@22");
  EXPECT_EQ(mistakes("trace \"a:b /pid ==/\" f"), "K0201@18");
  EXPECT_EQ(mistakes("trace \"a:b\" /pid == 1/ { f() }\nx ="), "K0220@12\"/\" K0201@34");
}

// ---- several mistakes, no cascades ----

TEST(RecoveryTest, IndependentMistakesAreAllReported) {
  EXPECT_EQ(mistakes("x = = 1\nfunction f() {\n  y = )\n  if (a >) { z = ] }\n}\nw ="),
            "K0201@4\"=\" K0201@29\")\" K0201@40\")\" K0201@48\"]\" K0201@57");
}

TEST(RecoveryTest, BodiesOfBrokenHeadsAreStillRead) {
  EXPECT_EQ(mistakes("if (x +) { y = }"), "K0201@7\")\" K0201@15\"}\"");
  EXPECT_EQ(mistakes("for (i = ) { y = }"), "K0201@9\")\" K0201@17\"}\"");
  EXPECT_EQ(mistakes("function f(a b) { y = }"), "K0202@13\"b\" K0201@22\"}\"");
}

TEST(RecoveryTest, ALexicalMistakeIsTheOnlyOneOfItsStatement) {
  EXPECT_EQ(mistakes("print(\"abc)\nx ="), "K0103@6\"\"abc)\" K0201@15");
  EXPECT_EQ(mistakes("@x y z\nf()"), "K0101@0\"@\"");
}

TEST(RecoveryTest, OneUnclosedBraceIsOneMistake) {
  EXPECT_EQ(mistakes("if (a) {\n while (b) {\n f()\n }\n"), "K0205@7\"{\"");
  EXPECT_EQ(mistakes("function f() {\n while (b) {\n if (c) {"), "K0205@36\"{\"");
  EXPECT_EQ(mistakes("f(1"), "K0205@3");
  EXPECT_EQ(mistakes("x = {1, 2"), "K0205@9");
}

TEST(RecoveryTest, StrayClosings) {
  EXPECT_EQ(mistakes("} f()"), "K0206@0\"}\"");
  EXPECT_EQ(mistakes("f())\ng()"), "K0206@3\")\"");
  EXPECT_EQ(mistakes("x = {1, 2}]"), "K0206@10\"]\"");
}

TEST(RecoveryTest, MissingCommaInATable) {
  EXPECT_EQ(mistakes("y = {\n a = 1\n b = 2\n c = 3\n}\nf()"), "K0202@12");
}

TEST(RecoveryTest, OneLiners) {
  EXPECT_EQ(mistakes("x = = 1 var y = 2 if (y) { z = }"), "K0201@4\"=\" K0201@31\"}\"");
}

// ---- limits ----

TEST(LimitTest, NestingAtItsEdge) {
  int most = limits::kMaxNesting;
  EXPECT_EQ(mistakes("x = " + times(most, "(") + "1" + times(most, ")")), "");
  EXPECT_EQ(mistakes("x = " + times(most + 1, "(") + "1" + times(most + 1, ")")), "K0601@204\"(\"");
  EXPECT_EQ(mistakes(times(most, "do { ") + times(most, "} ")), "");
  EXPECT_EQ(mistakes(times(most + 1, "do { ") + times(most + 1, "} ")).substr(0, 5), "K0601");
  EXPECT_EQ(mistakes("x = " + times(most, "- ") + "1"), "");
  EXPECT_EQ(mistakes("x = " + times(most + 1, "- ") + "1").substr(0, 5), "K0601");
}

TEST(LimitTest, ChainsAtTheirEdge) {
  int most = limits::kMaxChain;  // the operand itself is the first
  EXPECT_EQ(mistakes("x = a" + times(most - 1, " + a")), "");
  EXPECT_EQ(mistakes("x = a" + times(most, " + a")).substr(0, 5), "K0602");
  EXPECT_EQ(mistakes("x = a" + times(most - 1, " .. a")), "");
  EXPECT_EQ(mistakes("x = a" + times(most, " .. a")).substr(0, 5), "K0602");
  EXPECT_EQ(mistakes("x = a" + times(most - 1, ".b")), "");
  EXPECT_EQ(mistakes("x = a" + times(most, ".b")).substr(0, 5), "K0602");
}

TEST(LimitTest, ManyMistakesEndInOne) {
  for (const char* part : {"(",
                           "- ",
                           "!",
                           "~",
                           "[",
                           "{",
                           "f(",
                           "t[",
                           "{[",
                           "function () { x = ",
                           "do { ",
                           "if (x) { ",
                           "while (x) do ",
                           "if x then ",
                           "repeat ",
                           "trace a:b { ",
                           "{a=",
                           "a..",
                           "a+",
                           "a.b",
                           "a()",
                           "if (x) f() else ",
                           "else if (x) {} ",
                           "trace \"a:b /x/\" function () { ",
                           "trace_end "}) {
    std::string text = mistakes("x = " + times(100000, part));
    EXPECT_LT(text.size(), 2000U) << part;
    EXPECT_NE(mistakes(times(10000, part)).size(), 1U) << part;
  }
}

TEST(LimitTest, FiltersAndBodiesCountTogether) {
  std::string text = times(150, "do { ") + "trace a:b /" + times(100, "(") + "1" + times(100, ")") +
                     "/ { }" + times(150, " }");
  EXPECT_EQ(mistakes(text).substr(0, 5), "K0601");
}

TEST(LimitTest, LongScriptsAreNotDeep) {
  EXPECT_EQ(mistakes(times(20000, "x = x + 1\nif (x) { } elseif (y) { }\n")), "");
  EXPECT_EQ(mistakes("if (x) { }" + times(5000, " elseif (x) { }")), "");
  EXPECT_EQ(mistakes("x = {" + times(5000, "1, ") + "}"), "");
}

}  // namespace
}  // namespace ktap::syntax
