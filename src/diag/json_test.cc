// Valid JSON in valid UTF-8, whatever the bytes; fixes beside hints; explanations by name.
#include "diag/json.h"

#include <gtest/gtest.h>

#include "diag/explain.h"

namespace ktap::diag {
namespace {

constexpr char kUnknown[] = "\xEF\xBF\xBD";

TEST(Json, StringsAreEscaped) {
  EXPECT_EQ(json_string("a\"b\\c\n\t\x01\x7F"), R"("a\"b\\c\n\t\u0001\u007f")");
  EXPECT_EQ(json_string(std::string_view("\0", 1)), R"("\u0000")");
  EXPECT_EQ(json_string("ä😀"), "\"ä😀\"");
}

TEST(Json, BytesThatAreNoUtf8AreReplacedOneByOne) {
  const std::string x = kUnknown;
  EXPECT_EQ(json_string("\x80"), '"' + x + '"');
  EXPECT_EQ(json_string("\xC3"), '"' + x + '"');
  EXPECT_EQ(json_string("\xC0\x80"), '"' + x + x + '"') << "overlong";
  EXPECT_EQ(json_string("\xE0\x80\x80"), '"' + x + x + x + '"') << "overlong";
  EXPECT_EQ(json_string("\xED\xA0\x80"), '"' + x + x + x + '"') << "a surrogate";
  EXPECT_EQ(json_string("\xF4\x90\x80\x80"), '"' + x + x + x + x + '"') << "past U+10FFFF";
  EXPECT_EQ(json_string("\xF0\x9F\x98z"), '"' + x + x + x + "z\"");
}

TEST(Json, OneNearNameIsAFixSeveralAreAHint) {
  const Source source("t.kp", "conut");
  Sink sink;
  suggest(sink.report(Code::UndefinedName, {0, 5}, "wrong"), "conut", {"count", "other"});
  suggest(sink.report(Code::UndefinedName, {0, 5}, "wrong"), "conut", {"conat", "count"});
  suggest(sink.report(Code::UndefinedName, {0, 5}, "wrong"), "conut", {"far"});
  ASSERT_EQ(sink.diagnostics()[0].fixes.size(), 1U);
  EXPECT_EQ(sink.diagnostics()[0].fixes[0].replacement, "count");
  EXPECT_TRUE(sink.diagnostics()[1].fixes.empty());
  EXPECT_EQ(sink.diagnostics()[1].hints.size(), 1U);
  EXPECT_TRUE(sink.diagnostics()[2].hints.empty());
  EXPECT_NE(render_all_json(source, sink).find(R"("fixes":[{"replacement":"count")"),
            std::string::npos);
}

TEST(Json, FixesOfAnExpressionAreOfItsLastWord) {
  const Source source("t.kp", "print(args.conut + args[\"conut\"])");
  Sink sink;
  const auto fixes_of = [&](Span span, const Source* text) {
    Diagnostic& made = sink.report(Code::NoSuchField, span, "wrong");
    suggest_last_word(made, "conut", {"count"}, text);
    EXPECT_EQ(made.hints.size(), 1U);
    return made.fixes;
  };
  const std::vector<Fix> of_member = fixes_of({6, 16}, &source);
  ASSERT_EQ(of_member.size(), 1U);
  EXPECT_EQ(of_member[0].span.begin, 11U);
  EXPECT_EQ(of_member[0].span.end, 16U);
  EXPECT_TRUE(fixes_of({19, 32}, &source).empty());
  EXPECT_TRUE(fixes_of({6, 16}, nullptr).empty());
}

TEST(Explain, ByNameInAnySpelling) {
  for (const char* name : {"K0203", "k203", "203", "0203"}) {
    ASSERT_NE(find_explanation(name), nullptr) << name;
    EXPECT_EQ(find_explanation(name)->code, Code::MissingParenthesis);
  }
  for (const char* name : {"", "K", "0", "999", "K0203 ", "-203", "99999999999"}) {
    EXPECT_EQ(find_explanation(name), nullptr) << name;
    EXPECT_EQ(no_such_code(name).find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace ktap::diag
