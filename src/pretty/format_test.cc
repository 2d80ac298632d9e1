// The layout in small: what golden_fmt shows in whole scripts, and what is refused.
#include "pretty/format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "pretty/items.h"
#include "pretty/lines.h"

namespace ktap::pretty {
namespace {

/// The formatted text; it must not change when it is formatted again.
std::string formatted(const std::string& text) {
  diag::Sink sink;
  std::string failure;
  const std::optional<std::string> once = format_script(diag::Source("t.kp", text), sink, &failure);
  EXPECT_TRUE(once.has_value()) << failure << diag::render_all(diag::Source("t.kp", text), sink);
  if (!once) return "";
  const std::optional<std::string> twice =
      format_script(diag::Source("t.kp", *once), sink, &failure);
  EXPECT_EQ(once, twice) << failure;
  return *once;
}

TEST(Format, EmptyScripts) {
  for (const char* text : {"", "\n\n", "  \t", ";;", "\xEF\xBB\xBF"})
    EXPECT_EQ(formatted(text), "");
  EXPECT_EQ(formatted("# only this"), "# only this\n");
  EXPECT_EQ(formatted("\n\n# a\n\n\n\n# b\n\n"), "# a\n\n# b\n");
  EXPECT_EQ(formatted("\xEF\xBB\xBF#!/bin/ktap\r\nx=1\r\n"), "#!/bin/ktap\nx = 1\n");
}

TEST(Format, SignsThatWouldJoin) {
  EXPECT_EQ(formatted("x=- - -1"), "x = - - -1\n");
  EXPECT_EQ(formatted("x=1 - - 1"), "x = 1 - -1\n");
  EXPECT_EQ(formatted("t[ [[a]] ]=1"), "t[ [[a]] ] = 1\n");
  EXPECT_EQ(formatted("x=1 ..2 ..'3'"), "x = 1 .. 2 .. '3'\n");
  EXPECT_EQ(formatted("x=not not y"), "x = not not y\n");
}

TEST(Format, LinesThatBeginWithAParenthesisStayStatements) {
  EXPECT_EQ(formatted("x = f;\n(g)()"), "x = f\n(g)()\n");
  EXPECT_EQ(formatted("f()\n(g)()"), "f()\n(g)()\n");
}

TEST(Format, KeywordsBehindADotAreNames) {
  EXPECT_EQ(formatted("t . end . trace = t.nil - 1"), "t.end.trace = t.nil - 1\n");
  EXPECT_EQ(formatted("t.tick(1)"), "t.tick(1)\n");
}

TEST(Format, ABlockStaysInItsLineWhenItWasAndFits) {
  EXPECT_EQ(formatted("if(a){f()}"), "if (a) { f() }\n");
  EXPECT_EQ(formatted("if(a){\nf()}"), "if (a) {\n  f()\n}\n");
  EXPECT_EQ(formatted("if(a){f()g()}"), "if (a) {\n  f()\n  g()\n}\n");
  EXPECT_EQ(formatted("if(a){if(b){f()}}"), "if (a) { if (b) { f() } }\n");
  EXPECT_EQ(formatted("if(a){ } # c"), "if (a) { }  # c\n");
  EXPECT_EQ(formatted("if(a){ # c\n}"), "if (a) {  # c\n}\n");
}

TEST(Format, MistakesAreToldAndNothingIsGiven) {
  diag::Sink sink;
  std::string failure;
  EXPECT_FALSE(format_script(diag::Source("t.kp", "x = "), sink, &failure).has_value());
  EXPECT_TRUE(sink.has_errors());
  EXPECT_EQ(failure, "");
}

/// Every golden script, whole and cut off at many places: what parses is formatted, nothing
/// crashes, and no result is refused.
TEST(Format, ScriptsOfTheTreeWholeAndCutOff) {
  size_t whole = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("tests/golden")) {
    if (entry.path().extension() != ".kp") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    text.resize(std::min(text.size(), text.find("#---\n")));
    if (text.size() > 20000) continue;  // the limits' cases: their size is their point
    const size_t step = std::max<size_t>(1, text.size() / 12);
    for (size_t size = text.size();; size -= std::min(step, size)) {
      diag::Sink sink;
      std::string failure;
      const diag::Source source("t.kp", text.substr(0, size));
      const std::optional<std::string> made = format_script(source, sink, &failure);
      EXPECT_EQ(failure, "") << entry.path() << " to byte " << size;
      EXPECT_NE(made.has_value(), sink.has_errors()) << entry.path();
      if (size == text.size() && made) ++whole;
      if (size == 0) break;
    }
  }
  EXPECT_GT(whole, 100U);
}

TEST(EventText, BlanksThatDoNotCountAreMadeEqual) {
  EXPECT_EQ(normal_event_text("  a:b ,c:d\n  ~x "), "a:b, c:d ~x");
  EXPECT_EQ(normal_event_text("a:{b, c},d"), "a:{b, c}, d");
  EXPECT_EQ(normal_event_text("probe:\"/a  b\":c  x=%di"), "probe:\"/a  b\":c x=%di");
  EXPECT_EQ(normal_event_text("probe:p:f<a,b>(c,d)  const,c:d"), "probe:p:f<a,b>(c,d) const, c:d");
  EXPECT_EQ(normal_event_text("probe:p:operator,(A) ,probe:p:operator<,c:d"),
            "probe:p:operator,(A), probe:p:operator<, c:d");
}

TEST(Lines, BreakAtTheCheapestPlaceThatFits) {
  Lines lines;
  lines.piece(std::string(60, 'a'), false, kNoBreak);
  lines.piece(std::string(20, 'b'), true, 100);
  lines.piece(std::string(10, 'c'), true, 0);
  lines.piece(std::string(30, 'd'), true, 100);
  lines.end_line(0);
  EXPECT_EQ(lines.text(), std::string(60, 'a') + ' ' + std::string(20, 'b') + "\n    " +
                              std::string(10, 'c') + ' ' + std::string(30, 'd') + '\n');
}

TEST(Lines, WithoutABreakThatFitsTheFirstOneIsTaken) {
  Lines lines;
  lines.piece(std::string(120, 'a'), false, kNoBreak);
  lines.piece("b", true, 0);
  lines.piece("c", true, kNoBreak);
  lines.end_line(0);
  EXPECT_EQ(lines.text(), std::string(120, 'a') + "\n    b c\n");
}

TEST(Lines, CommentsOfNeighboursStandInOneColumn) {
  Lines lines;
  lines.piece("a", false, kNoBreak);
  lines.trailing("# 1");
  lines.piece("ä€c", false, kNoBreak);
  lines.trailing("# 2");
  EXPECT_EQ(lines.text(), "a    # 1\nä€c  # 2\n");
}

}  // namespace
}  // namespace ktap::pretty
