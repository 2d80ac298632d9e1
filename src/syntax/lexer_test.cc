// Tokens: every form of section "Lexis", its edges and its mistakes.
#include "syntax/lexer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>

namespace ktap::syntax {
namespace {

using diag::Code;
using testing::ElementsAre;

struct Lexed {
  std::vector<Token> tokens;  ///< without the end
  diag::Sink sink;
  std::string text;
};

/// `tokens` refer to `text`, so the result stays where it is made.
std::unique_ptr<Lexed> lex(std::string text) {
  auto out = std::make_unique<Lexed>();
  out->text = std::move(text);
  Lexer lexer(out->text, out->sink);
  for (Token token = lexer.next(); token.kind != TokenKind::End; token = lexer.next()) {
    out->tokens.push_back(std::move(token));
  }
  return out;
}

std::vector<TokenKind> kinds(const std::string& text) {
  std::vector<TokenKind> out;
  auto lexed = lex(text);
  for (const Token& token : lexed->tokens) out.push_back(token.kind);
  return out;
}

Token only(const std::string& text) {
  auto lexed = lex(text);
  EXPECT_EQ(lexed->tokens.size(), 1U) << text;
  EXPECT_FALSE(lexed->sink.has_errors()) << text;
  return lexed->tokens.empty() ? Token{} : lexed->tokens[0];
}

int64_t integer(const std::string& text) {
  Token token = only(text);
  EXPECT_EQ(token.kind, TokenKind::Int) << text;
  return token.int_value;
}

double floating(const std::string& text) {
  Token token = only(text);
  EXPECT_EQ(token.kind, TokenKind::Float) << text;
  return token.float_value;
}

std::string string(const std::string& text) {
  Token token = only(text);
  EXPECT_EQ(token.kind, TokenKind::String) << text;
  return token.string_value;
}

/// The one diagnostic of a text, as "CODE BEGIN-END".
std::string mistake(const std::string& text) {
  auto lexed = lex(text);
  std::string out;
  for (const diag::Diagnostic& made : lexed->sink.diagnostics()) {
    if (!out.empty()) out += ' ';
    out += diag::code_name(made.code) + ' ' + std::to_string(made.span.begin) + '-' +
           std::to_string(made.span.end);
  }
  return out;
}

TEST(LexerTest, WordsAndKeywords) {
  EXPECT_THAT(kinds("foo _x9 trace trace_end traces"),
              ElementsAre(TokenKind::Name, TokenKind::Name, TokenKind::Trace, TokenKind::TraceEnd,
                          TokenKind::Name));
}

TEST(LexerTest, SecondSpellings) {
  EXPECT_THAT(kinds("local and or not ~="),
              ElementsAre(TokenKind::Var, TokenKind::AndAnd, TokenKind::OrOr, TokenKind::Bang,
                          TokenKind::NotEqual));
}

TEST(LexerTest, TheLongestSignIsTaken) {
  EXPECT_THAT(
      kinds("<<< <<= << <= < ..= .. . ++ += && &= &"),
      ElementsAre(TokenKind::Aggregate, TokenKind::ShiftLeftAssign, TokenKind::ShiftLeft,
                  TokenKind::LessEqual, TokenKind::Less, TokenKind::ConcatAssign, TokenKind::DotDot,
                  TokenKind::Dot, TokenKind::PlusPlus, TokenKind::PlusAssign, TokenKind::AndAnd,
                  TokenKind::AndAssign, TokenKind::Ampersand));
}

TEST(LexerTest, EverySpellingIsItsToken) {
#define KTAP_SIGN(enumerator, spelling) \
  EXPECT_THAT(kinds(spelling), ElementsAre(TokenKind::enumerator));
#define KTAP_KEYWORD(enumerator, spelling) \
  EXPECT_THAT(kinds(spelling), ElementsAre(TokenKind::enumerator));
#define KTAP_SIGN_ALIAS(enumerator, spelling) \
  EXPECT_THAT(kinds(spelling), ElementsAre(TokenKind::enumerator));
#define KTAP_WORD_ALIAS(enumerator, spelling) \
  EXPECT_THAT(kinds(spelling), ElementsAre(TokenKind::enumerator));
#include "syntax/tokens.def"
}

TEST(LexerTest, SpansAndLines) {
  auto lexed = lex("ab\n  cd # x\n");
  ASSERT_EQ(lexed->tokens.size(), 2U);
  EXPECT_EQ(lexed->tokens[0].span.begin, 0U);
  EXPECT_FALSE(lexed->tokens[0].newline_before);
  EXPECT_EQ(lexed->tokens[1].span.begin, 5U);
  EXPECT_EQ(lexed->tokens[1].span.end, 7U);
  EXPECT_TRUE(lexed->tokens[1].newline_before);
}

TEST(LexerTest, ByteOrderMarkAndFirstLineAreSkipped) {
  EXPECT_THAT(kinds("\xEF\xBB\xBF#!/usr/bin/ktap -q\nx"), ElementsAre(TokenKind::Name));
  EXPECT_EQ(mistake("x \xEF\xBB\xBF"), "K0101 2-5");
}

TEST(LexerTest, AMarkInACommentIsNoEnd) {
  EXPECT_THAT(kinds("# \xc3\xa9 \" [[ \nx"), ElementsAre(TokenKind::Name));
}

TEST(LexerTest, NulByteIsAMistakeAtItsPlaceButNotInAString) {
  EXPECT_EQ(mistake(std::string("x\0y", 3)), "K0102 1-2");
  EXPECT_EQ(mistake(std::string("# a\0b\n", 6)), "K0102 3-4");
  EXPECT_EQ(string(std::string("\"a\0b\"", 5)), std::string("a\0b", 3));
}

TEST(LexerTest, ForeignCharactersAreOneMistake) {
  EXPECT_EQ(mistake("x @ y"), "K0101 2-3");
  EXPECT_EQ(mistake("\xe2\x80\x9c\xe2\x80\x9c x"), "K0101 0-6");
  EXPECT_EQ(mistake("\xff x"), "K0101 0-1");
}

TEST(NumberTest, Bases) {
  EXPECT_EQ(integer("0"), 0);
  EXPECT_EQ(integer("42"), 42);
  EXPECT_EQ(integer("0xfF"), 255);
  EXPECT_EQ(integer("0XFF"), 255);
  EXPECT_EQ(integer("0b101"), 5);
  EXPECT_EQ(integer("0755"), 493);
  EXPECT_EQ(integer("00"), 0);
}

TEST(NumberTest, UnderscoresStandBetweenDigits) {
  EXPECT_EQ(integer("1_000_000"), 1000000);
  EXPECT_EQ(integer("0xff_ff"), 65535);
  EXPECT_EQ(integer("0_17"), 15);
  EXPECT_EQ(mistake("1_"), "K0107 0-2");
  EXPECT_EQ(mistake("1__0"), "K0107 0-4");
  EXPECT_EQ(mistake("0x_1"), "K0107 0-4");
  EXPECT_EQ(mistake("0b1_"), "K0107 0-4");
  EXPECT_EQ(mistake("1_.5"), "K0107 0-4");
}

TEST(NumberTest, SixtyFourBits) {
  EXPECT_EQ(integer("9223372036854775807"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(integer("0xffffffffffffffff"), -1);
  EXPECT_EQ(integer("01777777777777777777777"), -1);
  EXPECT_EQ(integer("0b" + std::string(64, '1')), -1);
  EXPECT_TRUE(only("9223372036854775808").is_two_to_63);
  EXPECT_EQ(mistake("9223372036854775809"), "K0109 0-19");
  EXPECT_EQ(mistake("99999999999999999999999"), "K0109 0-23");
  EXPECT_EQ(mistake("0x10000000000000000"), "K0109 0-19");
  EXPECT_EQ(mistake("02000000000000000000000"), "K0109 0-23");
}

TEST(NumberTest, Floats) {
  EXPECT_EQ(floating("1.5"), 1.5);
  EXPECT_EQ(floating("2e9"), 2e9);
  EXPECT_EQ(floating("1.25E-2"), 0.0125);
  EXPECT_EQ(floating("0.5"), 0.5);
  EXPECT_EQ(floating("1e+2"), 100.0);
  EXPECT_EQ(floating("1_0.5"), 10.5);
  EXPECT_TRUE(std::isinf(floating("1e999")));
}

TEST(NumberTest, TwoPointsAreNoFloat) {
  EXPECT_THAT(kinds("1..2"), ElementsAre(TokenKind::Int, TokenKind::DotDot, TokenKind::Int));
}

TEST(NumberTest, MalformedOnes) {
  EXPECT_EQ(mistake("1."), "K0107 0-2");
  EXPECT_EQ(mistake("1.x"), "K0107 0-3");
  EXPECT_EQ(mistake("08"), "K0107 0-2");
  EXPECT_EQ(mistake("0b12"), "K0107 0-4");
  EXPECT_EQ(mistake("0x"), "K0107 0-2");
  EXPECT_EQ(mistake("0x1.8"), "K0107 0-5");
}

TEST(NumberTest, LettersAreNotGluedOn) {
  EXPECT_EQ(mistake("12abc"), "K0108 0-5");
  EXPECT_EQ(mistake("0xfg"), "K0108 0-4");
  EXPECT_EQ(mistake("1.5s"), "K0108 0-4");
  EXPECT_EQ(mistake("2e"), "K0108 0-2");
  EXPECT_EQ(mistake("0755h"), "K0108 0-5");
}

TEST(DurationTest, UnitsAreNanoseconds) {
  EXPECT_EQ(integer("7ns"), 7);
  EXPECT_EQ(integer("3us"), 3000);
  EXPECT_EQ(integer("10ms"), 10000000);
  EXPECT_EQ(integer("2s"), 2000000000);
  EXPECT_EQ(integer("1min"), 60000000000);
  EXPECT_EQ(integer("1h"), 3600000000000);
  EXPECT_EQ(integer("1_0ms"), 10000000);
}

TEST(DurationTest, NoOtherUnitsNorLeadingZero) {
  EXPECT_EQ(mistake("10m"), "K0108 0-3");
  EXPECT_EQ(mistake("10msec"), "K0108 0-6");
  EXPECT_EQ(mistake("010ms"), "K0108 0-5");
  EXPECT_EQ(mistake("10ms5"), "K0108 0-5");
}

TEST(DurationTest, SixtyThreeBits) {
  EXPECT_EQ(integer("9223372036854775807ns"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(integer("2562047h"), 2562047 * 3600000000000);
  EXPECT_EQ(mistake("2562048h"), "K0110 0-8");
  EXPECT_EQ(mistake("9223372036854775808ns"), "K0110 0-21");
  EXPECT_EQ(mistake("99999999999999999999s"), "K0110 0-21");
}

TEST(StringTest, Escapes) {
  EXPECT_EQ(string(R"("\a\b\f\n\r\t\v\\\"\'")"), "\a\b\f\n\r\t\v\\\"'");
  EXPECT_EQ(string(R"("\x41\x7e\65\065\0")"), std::string("A~AA\0", 5));
  EXPECT_EQ(string(R"("\255")"), "\xff");
  EXPECT_EQ(string("'a\\\nb'"), "a\nb");
  EXPECT_EQ(string("'a\\\r\nb'"), "a\nb");
  EXPECT_EQ(string("'a\\z  \n\t b'"), "ab");
  EXPECT_EQ(string("'\"'"), "\"");
  EXPECT_EQ(string("\"\xc3\xa9\""), "\xc3\xa9");
}

TEST(StringTest, UnknownEscapes) {
  EXPECT_EQ(mistake(R"("a\qb")"), "K0105 2-4");
  EXPECT_EQ(mistake(R"("\x4")"), "K0106 1-4");
  EXPECT_EQ(mistake(R"("\xg")"), "K0106 1-3");
  EXPECT_EQ(mistake(R"("\256")"), "K0106 1-5");
  EXPECT_EQ(mistake(R"("\q \w")"), "K0105 1-3 K0105 4-6");
}

TEST(StringTest, EndsOnItsLine) {
  EXPECT_EQ(mistake("\"abc\nx"), "K0103 0-4");
  EXPECT_EQ(mistake("'abc"), "K0103 0-4");
  EXPECT_EQ(mistake("'abc\\"), "K0103 0-5");
  EXPECT_THAT(kinds("'abc\nx"), ElementsAre(TokenKind::String, TokenKind::Name));
}

TEST(StringTest, LongOnes) {
  EXPECT_EQ(string("[[a\\n]]"), "a\\n");
  EXPECT_EQ(string("[[\na\nb]]"), "a\nb");
  EXPECT_EQ(string("[[\r\na]]"), "a");
  EXPECT_EQ(string("[=[a]]b]=]"), "a]]b");
  EXPECT_EQ(string("[==[a]=]]==]"), "a]=]");
  EXPECT_EQ(mistake("[[abc\n"), "K0104 0-2");
  EXPECT_EQ(mistake("x = [=[abc]]"), "K0104 4-7");
  EXPECT_THAT(kinds("[=x"),
              ElementsAre(TokenKind::LeftBracket, TokenKind::Assign, TokenKind::Name));
}

TEST(StringTest, DecodedBytesKnowTheirPlace) {
  diag::Sink sink;
  std::vector<uint32_t> offsets;
  Lexer lexer(R"(  "a\nb\x41" )", sink);
  lexer.record_offsets(&offsets);
  EXPECT_EQ(lexer.next().string_value, "a\nbA");
  EXPECT_THAT(offsets, ElementsAre(3, 4, 6, 7, 11));
}

TEST(LexerTest, MutedItSaysNothingButMarksTheToken) {
  diag::Sink sink;
  Lexer lexer("@ x", sink);
  lexer.set_muted(true);
  EXPECT_TRUE(lexer.next().after_error);
  EXPECT_FALSE(sink.has_errors());
}

}  // namespace
}  // namespace ktap::syntax
