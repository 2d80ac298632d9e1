// Sink and rendering: places, carets under odd bytes, order, the bound on errors.
#include "diag/diagnostic.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace ktap::diag {
namespace {

std::string rendered(const std::string& text, Span span) {
  Source source("t.kp", text);
  Sink sink;
  sink.report(Code::ExpectedExpression, span, "wrong");
  return render_all(source, sink);
}

TEST(SourceTest, LinesAndColumnsCountBytesFromOne) {
  Source source("x", "ab\ncd\n");
  EXPECT_EQ(source.line_column(0).line, 1U);
  EXPECT_EQ(source.line_column(2).column, 3U);
  EXPECT_EQ(source.line_column(3).line, 2U);
  EXPECT_EQ(source.line_column(6).line, 3U);
  EXPECT_EQ(source.line_column(99).line, 3U);
  EXPECT_EQ(source.line_text(2), "cd");
  EXPECT_EQ(source.line_text(3), "");
  EXPECT_EQ(source.line_text(0), "");
  EXPECT_EQ(source.line_text(9), "");
}

TEST(SourceTest, EmptySourceHasOneLine) {
  Source source("x", "");
  EXPECT_EQ(source.line_column(0).line, 1U);
  EXPECT_EQ(source.line_text(1), "");
}

TEST(SourceTest, CarriageReturnIsNoPartOfTheLine) {
  Source source("x", "ab\r\ncd");
  EXPECT_EQ(source.line_text(1), "ab");
}

TEST(RenderTest, OneLineFormSourceAndCaretSpan) {
  EXPECT_EQ(rendered("x = foo + 1", {4, 7}),
            "t.kp:1:5: error: wrong [K0201]\n"
            "    x = foo + 1\n"
            "        ^~~\n");
}

TEST(RenderTest, EmptySpanHasOneCaretAlsoAtTheEnd) {
  EXPECT_EQ(rendered("x =", {3, 3}),
            "t.kp:1:4: error: wrong [K0201]\n"
            "    x =\n"
            "       ^\n");
}

TEST(RenderTest, TabsAreShownAsBlanks) {
  EXPECT_EQ(rendered("\tx\ty", {3, 4}),
            "t.kp:1:4: error: wrong [K0201]\n"
            "            x       y\n"
            "                    ^\n");
}

TEST(RenderTest, CaretStandsUnderCharactersNotBytes) {
  EXPECT_EQ(rendered("\"\u00e9\u00e9\" y", {7, 8}),
            "t.kp:1:8: error: wrong [K0201]\n"
            "    \"\u00e9\u00e9\" y\n"
            "         ^\n");
}

TEST(RenderTest, WideCharactersTakeTwoColumns) {
  EXPECT_EQ(rendered("\u6f22 y", {4, 5}),
            "t.kp:1:5: error: wrong [K0201]\n"
            "    \u6f22 y\n"
            "       ^\n");
}

TEST(RenderTest, ControlAndForeignBytesDoNotReachTheTerminal) {
  EXPECT_EQ(rendered("a\x1b[2J\xff\u202ez", {0, 1}),
            "t.kp:1:1: error: wrong [K0201]\n"
            "    a?[2J??z\n"
            "    ^\n");
}

TEST(RenderTest, SpanOverLinesEndsWithTheFirst) {
  EXPECT_EQ(rendered("f(1,\n2)", {1, 7}),
            "t.kp:1:2: error: wrong [K0201]\n"
            "    f(1,\n"
            "     ^~~\n");
}

TEST(RenderTest, LongLinesAreShownInPart) {
  std::string text = rendered(std::string(1000, 'x') + "!" + std::string(1000, 'y'), {1000, 1001});
  EXPECT_NE(text.find("    ..."), std::string::npos);
  EXPECT_NE(text.find("y...\n"), std::string::npos);
  size_t line = text.find('\n') + 1;
  size_t carets = text.find('\n', line) + 1;
  EXPECT_LT(carets - line, 200U);
  EXPECT_EQ(text.find('!') - line, text.find('^') - carets);
}

TEST(RenderTest, NotesAndHintsFollow) {
  Source source("t.kp", "f(\n1");
  Sink sink;
  Diagnostic& made = sink.report(Code::ExpectedToken, {3, 4}, "no");
  made.notes.push_back({{1, 2}, "opened here"});
  made.hints.emplace_back("try");
  EXPECT_EQ(render_all(source, sink),
            "t.kp:2:1: error: no [K0202]\n"
            "    1\n"
            "    ^\n"
            "t.kp:1:2: note: opened here\n"
            "    f(\n"
            "     ^\n"
            "    hint: try\n");
}

TEST(RenderTest, ControlBytesOfMessagesAreEscapes) {
  Source source("a\nb.kp", "f(\n1");
  Sink sink;
  Diagnostic& made = sink.report(Code::BadFormat, {0, 1}, "unknown conversion '%\n'");
  made.notes.push_back({{1, 2}, "a\tb"});
  made.hints.emplace_back("red \x1b[31m");
  EXPECT_EQ(render_all(source, sink),
            "a\\nb.kp:1:1: error: unknown conversion '%\\n' [K0504]\n"
            "    f(\n"
            "    ^\n"
            "a\\nb.kp:1:2: note: a\\tb\n"
            "    f(\n"
            "     ^\n"
            "    hint: red \\x1b[31m\n");
  EXPECT_EQ(printable("\r\x7f\u00e9"), "\\r\\x7f\u00e9");
}

TEST(RenderTest, SourceOrderNotReportOrder) {
  Source source("t.kp", "ab");
  Sink sink;
  sink.report(Code::ExpectedToken, {1, 2}, "second");
  sink.report(Code::ExpectedToken, {0, 1}, "first");
  std::string text = render_all(source, sink);
  EXPECT_LT(text.find("first"), text.find("second"));
}

TEST(SinkTest, WarningsAreNoErrors) {
  Sink sink;
  EXPECT_EQ(sink.report(Code::WordNearKnownName, {}, "w").severity, Severity::Warning);
  EXPECT_FALSE(sink.has_errors());
  EXPECT_EQ(sink.diagnostics().size(), 1U);
}

TEST(SinkTest, CountsOnPastTheBoundAndSaysSo) {
  Source source("t.kp", "x");
  Sink sink;
  for (int i = 0; i < limits::kMaxDiagnostics; ++i) sink.report(Code::ExpectedToken, {}, "e");
  EXPECT_EQ(render_all(source, sink).find("more error"), std::string::npos);
  sink.report(Code::ExpectedToken, {}, "dropped").hints.emplace_back("nowhere");
  EXPECT_EQ(sink.diagnostics().size(), static_cast<size_t>(limits::kMaxDiagnostics));
  EXPECT_EQ(sink.error_count(), limits::kMaxDiagnostics + 1);
  EXPECT_NE(render_all(source, sink).find("t.kp: 1 more error\n"), std::string::npos);
  sink.report(Code::ExpectedToken, {}, "dropped");
  EXPECT_NE(render_all(source, sink).find("t.kp: 2 more errors\n"), std::string::npos);
}

TEST(CodeTest, NamesHaveFourDigits) { EXPECT_EQ(code_name(Code::ExpectedExpression), "K0201"); }

TEST(NearestTest, SwapsInsertionsAndCase) {
  std::vector<std::string> names = {"execname", "printf", "print", "pid"};
  EXPECT_EQ(nearest("excename", names), std::vector<std::string>({"execname"}));
  EXPECT_EQ(nearest("prinft", names), std::vector<std::string>({"print", "printf"}));
  EXPECT_EQ(nearest("PID", names), std::vector<std::string>({"pid"}));
  EXPECT_EQ(nearest("pud", names), std::vector<std::string>({"pid"}));
}

TEST(NearestTest, AtMostAThirdOfTheWordIsWrong) {
  EXPECT_TRUE(nearest("ab", {"ac"}).empty());
  EXPECT_TRUE(nearest("abcde", {"abxye"}).empty());
  EXPECT_EQ(nearest("abcdef", {"abxyef"}).size(), 1U);
  EXPECT_TRUE(nearest("", {"a"}).empty());
}

TEST(NearestTest, NeitherTheWordItselfNorTwice) {
  EXPECT_EQ(nearest("print", {"print", "prints", "prints"}), std::vector<std::string>({"prints"}));
}

TEST(DidYouMeanTest, Lists) {
  EXPECT_EQ(did_you_mean("zzz", {"print"}), "");
  EXPECT_EQ(did_you_mean("prnt", {"print"}), "did you mean 'print'?");
  EXPECT_EQ(did_you_mean("abcx", {"abca", "abcb"}), "did you mean 'abca' or 'abcb'?");
  EXPECT_EQ(did_you_mean("abcx", {"abca", "abcb", "abcc", "abcd"}),
            "did you mean 'abca', 'abcb' or 'abcc'?");
}

TEST(SinkTest, SaysTheSameOfOnePlaceOnce) {
  Sink sink;
  sink.report(Code::NoSuchEvent, {4, 8}, "no event");
  sink.report(Code::NoSuchEvent, {4, 8}, "no event");
  sink.report(Code::NoSuchEvent, {4, 8}, "no other event");
  sink.report(Code::NoSuchEvent, {1, 2}, "no event");
  EXPECT_EQ(sink.error_count(), 4);
  EXPECT_EQ(sink.in_source_order().size(), 3U);
  EXPECT_EQ(sink.dropped_errors(), 0);
}

}  // namespace
}  // namespace ktap::diag
