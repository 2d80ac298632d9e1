// Where event texts, filters and bodies begin and end.
#include "syntax/event_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "syntax/parser.h"

namespace ktap::syntax {
namespace {

/// "TEXT|FILTER|rest from the body on", "-" for no filter; a problem by its first letter in front.
std::string scanned(const std::string& text, bool timer = false) {
  EventTextScan scan = scan_event_text(text, 0, timer);
  std::string out;
  switch (scan.problem) {
    case EventTextProblem::None:
      break;
    case EventTextProblem::NoBody:
      return "no body";
    case EventTextProblem::GluedBody:
      out = "glued:";
      break;
    case EventTextProblem::UnclosedFilter:
      out = "unclosed:";
      break;
    case EventTextProblem::UnterminatedQuote:
      return "quote";
    case EventTextProblem::Comment:
      return "comment at " + text.substr(scan.problem_at) + (scan.has_body ? "" : ", no body");
  }
  out += text.substr(scan.text_begin, scan.text_end - scan.text_begin) + "|";
  out +=
      scan.has_filter ? text.substr(scan.filter_begin, scan.filter_end - scan.filter_begin) : "-";
  return out + "|" + text.substr(scan.body);
}

TEST(EventTextTest, BodyIsTheFirstBraceAfterABlank) {
  EXPECT_EQ(scanned(" a:b { x }"), "a:b|-|{ x }");
  EXPECT_EQ(scanned("\n a:b,\n c:d\n{ }"), "a:b,\n c:d|-|{ }");
  EXPECT_EQ(scanned(" a:{b,c} {x}"), "a:{b,c}|-|{x}");
  EXPECT_EQ(scanned(" {a,b}:c { }"), "{a,b}:c|-|{ }");
}

TEST(EventTextTest, ATypeWithoutANameIsNoBody) {
  EXPECT_EQ(scanned(" probe:p:f(int, {lambda(int)#1}) { x }"),
            "probe:p:f(int, {lambda(int)#1})|-|{ x }");
  EXPECT_EQ(scanned(" probe:p:f<int, {unnamed type#1} >::g { x }"),
            "probe:p:f<int, {unnamed type#1} >::g|-|{ x }");
  EXPECT_EQ(scanned(" probe:p:f {lambda(1)}"), "probe:p:f|-|{lambda(1)}");
}

TEST(EventTextTest, FilterIsBetweenSlashes) {
  EXPECT_EQ(scanned(" a:b /x > 1/ { }"), "a:b|x > 1|{ }");
  EXPECT_EQ(scanned(" a:b /x/{ }"), "a:b|x|{ }");
  EXPECT_EQ(scanned(" a:b /x / y > 1 / { }"), "a:b|x / y > 1 |{ }");
  EXPECT_EQ(scanned(" a:b\n/x/\n{ }"), "a:b|x|{ }");
  EXPECT_EQ(scanned(" a:b // { }"), "a:b||{ }");
}

TEST(EventTextTest, SlashesOfPathsOpenNoFilter) {
  EXPECT_EQ(scanned(" probe:/lib/libc.so.6:malloc size=%di { }"),
            "probe:/lib/libc.so.6:malloc size=%di|-|{ }");
  EXPECT_EQ(scanned(" probe:/lib/x:f /pid == 1/ { }"), "probe:/lib/x:f|pid == 1|{ }");
}

TEST(EventTextTest, QuotedStringsAreSkipped) {
  EXPECT_EQ(scanned(" a:b /comm ~ \"a / {\"/ { }"), "a:b|comm ~ \"a / {\"|{ }");
  EXPECT_EQ(scanned(" a:b /comm == 'x\\' {'/ { }"), "a:b|comm == 'x\\' {'|{ }");
  EXPECT_EQ(scanned(" a:b' {\n }"), "quote");
}

TEST(EventTextTest, BracesInAFilter) { EXPECT_EQ(scanned(" a:b /f({1})/ { }"), "a:b|f({1})|{ }"); }

TEST(EventTextTest, FilterWithoutItsEnd) {
  EXPECT_EQ(scanned(" a:b /x == 1 { }"), "unclosed:a:b|x == 1|{ }");
  EXPECT_EQ(scanned(" a:b / { }"), "unclosed:a:b||{ }");
}

TEST(EventTextTest, NoBody) {
  EXPECT_EQ(scanned(" a:b"), "no body");
  EXPECT_EQ(scanned(" a:b /x/"), "no body");
  EXPECT_EQ(scanned(" a:b\nprint(1)\nif (x) { }"), "no body");
}

TEST(EventTextTest, ANewLineAfterACommaGoesOn) {
  EXPECT_EQ(scanned(" tick-1s,\n profile-1s { }"), "tick-1s,\n profile-1s|-|{ }");
}

TEST(EventTextTest, GluedBody) {
  EXPECT_EQ(scanned(" a:b{ x }"), "glued:a:b|-|{ x }");
  EXPECT_EQ(scanned(" a:b{}"), "glued:a:b|-|{}");
  EXPECT_EQ(scanned("tick-1s{x}", true), "glued:tick-1s|-|{x}");
}

TEST(EventTextTest, CommentsHaveNoPlace) {
  EXPECT_EQ(scanned(" a:b # it's { }\n{ }"), "comment at # it's { }\n{ }");
  EXPECT_EQ(scanned(" a:b\n#c\n{ }"), "comment at #c\n{ }");
  EXPECT_EQ(scanned("tick-1s#c\n{ }", true), "comment at #c\n{ }");
  EXPECT_EQ(scanned(" a:b /x/ # y\n{ }"), "comment at # y\n{ }");
  EXPECT_EQ(scanned(" a:b /x#y\n/ { }"), "comment at #y\n/ { }");
  EXPECT_EQ(scanned(" a:b # c\nvar x = 1"), "comment at # c\nvar x = 1, no body");
  EXPECT_EQ(scanned(" probe:/lib/x#1:f { }"), "probe:/lib/x#1:f|-|{ }");
  EXPECT_EQ(scanned(" a:b /x == '#'/ { }"), "a:b|x == '#'|{ }");
}

TEST(EventTextTest, CommentsInQuotedTexts) {
  EXPECT_EQ(find_comment("a:b # x", 0), 4U);
  EXPECT_EQ(find_comment("a:b /x#y/", 5), 6U);
  EXPECT_EQ(find_comment("a:b#x /y == '#'/", 7), std::string_view::npos);
}

TEST(EventTextTest, NoEventAtAll) {
  EXPECT_EQ(scanned(" { x }"), "|-|{ x }");
  EXPECT_EQ(scanned(" /x/ { }"), "|x|{ }");
}

TEST(EventTextTest, TheSeedsGlobOfTheFunctionTrace) {
  const auto word = [](const std::string& filter, const std::string& event = "ftrace:function") {
    const std::string text = "/" + filter;
    const GlobWord found = glob_word(event, text, 1);
    return text.substr(found.begin, found.end - found.begin);
  };
  EXPECT_EQ(word("ip==mutex*"), "mutex*");
  EXPECT_EQ(word(" ip ~ *_lock?  "), "*_lock?");
  for (const char* other : {"ip==mutex", "ip == \"mutex*\"", "ip == a * b", "ip == a*, b",
                            "ip > a*", "pid == a*", "ip", "ip ==", ""})
    EXPECT_EQ(word(other), "") << other;
  EXPECT_EQ(word("ip==mutex*", "sched:sched_switch"), "");
}

std::string split(const std::string& text) {
  EventTextSplit made = split_event_text(text);
  std::string out(made.text);
  if (made.filter_begin != 0)
    out += "|" + text.substr(made.filter_begin, made.filter_end - made.filter_begin);
  return out + (made.closed ? "" : "|unclosed");
}

TEST(SplitEventTextTest, Forms) {
  EXPECT_EQ(split("a:b"), "a:b");
  EXPECT_EQ(split("  a:b  "), "a:b");
  EXPECT_EQ(split("a:b /x > 1/"), "a:b|x > 1");
  EXPECT_EQ(split("a:b /x / y/  "), "a:b|x / y");
  EXPECT_EQ(split("probe:/lib/x:f"), "probe:/lib/x:f");
  EXPECT_EQ(split("a:b /x"), "a:b|x|unclosed");
  EXPECT_EQ(split("a:b /"), "a:b||unclosed");
  EXPECT_EQ(split("/x/"), "|x");
  EXPECT_EQ(split(""), "");
}

TEST(EventPartsTest, CommasInBracketsDoNotSeparate) {
  std::string text = "a:{b,c} , d:[,] (1,2),'x,y'";
  std::vector<std::string> parts;
  for (EventPart part : event_parts(text))
    parts.push_back(text.substr(part.begin, part.end - part.begin));
  EXPECT_THAT(parts, testing::ElementsAre("a:{b,c}", "d:[,] (1,2)", "'x,y'"));
  text = "probe:p:std::map<int, int>::find , probe:p:operator<(A, A),probe:p:operator<<, a:b";
  parts.clear();
  for (EventPart part : event_parts(text))
    parts.push_back(text.substr(part.begin, part.end - part.begin));
  EXPECT_THAT(parts, testing::ElementsAre("probe:p:std::map<int, int>::find",
                                          "probe:p:operator<(A, A)", "probe:p:operator<<", "a:b"));
}

TEST(EventPartsTest, ABlankBeforeAFilter) {
  const auto mended = [](std::string_view part) { return with_blank_before_filter(part); };
  EXPECT_EQ(mended("sched:sched_switch/pid == 1/"), "sched:sched_switch /pid == 1/");
  EXPECT_EQ(mended("probe:./a:f/arg1>3/ "), "probe:./a:f /arg1>3/");
  EXPECT_EQ(mended("probe:/usr/bin/a:A::f%return/retval/2>3/"),
            "probe:/usr/bin/a:A::f%return /retval/2>3/");
  EXPECT_EQ(mended("sdt:./a:one/execname==\"a:b/c\"/"), "sdt:./a:one /execname==\"a:b/c\"/");
  EXPECT_EQ(mended("mem:./a:counter/cpu==0/"), "mem:./a:counter /cpu==0/");
  EXPECT_EQ(mended("mem:./a:counter/4/cpu==0/"), "mem:./a:counter/4 /cpu==0/");
  EXPECT_EQ(mended("mem:0x1000/8:w/cpu==0/"), "mem:0x1000/8:w /cpu==0/");
  EXPECT_EQ(mended("tick-1s/cpu==0/"), "tick-1s /cpu==0/");
  for (const char* other : {"", "/", "a:b", "a:b/", "a:b//", "probe:./a:f", "probe:./a/",
                            "sdt:../a/", "probe:/bin/a/", "mem:0x1000/8", "mem:./a:b/4/", "a:/x/"})
    EXPECT_EQ(mended(other), "") << other;
}

}  // namespace
}  // namespace ktap::syntax
