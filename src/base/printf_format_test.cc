// Unit test of base/printf_format.h.
#include "base/printf_format.h"

#include <gtest/gtest.h>

namespace ktap {
namespace {

std::string error_of(std::string_view format) {
  std::string error;
  parse_format(format, &error);
  return error;
}

TEST(PrintfFormat, Pieces) {
  std::string error;
  auto pieces = parse_format("a%%b%-08.3dz%*.*s", &error);
  ASSERT_EQ(error, "");
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_EQ(pieces[0].literal, "a%b");
  EXPECT_EQ(pieces[0].argument_count(), 0);
  EXPECT_EQ(pieces[1].conversion, 'd');
  EXPECT_TRUE(pieces[1].left && pieces[1].zero && !pieces[1].plus);
  EXPECT_EQ(pieces[1].width.value, 8);
  EXPECT_EQ(pieces[1].precision.value, 3);
  EXPECT_EQ(pieces[1].begin, 4u);
  EXPECT_EQ(pieces[1].end, 11u);
  EXPECT_EQ(pieces[2].literal, "z");
  EXPECT_EQ(pieces[3].argument_count(), 3);
}

TEST(PrintfFormat, LonePointIsPrecisionZero) {
  std::string error;
  auto pieces = parse_format("%.f", &error);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].precision.kind, FormatPiece::Amount::Kind::Number);
  EXPECT_EQ(pieces[0].precision.value, 0);
}

TEST(PrintfFormat, Mistakes) {
  EXPECT_EQ(error_of("%q"), "unknown conversion '%q'");
  EXPECT_EQ(error_of("%ld"), "unknown conversion '%l'");
  EXPECT_EQ(error_of("100%"), "the format ends inside '%'");
  EXPECT_EQ(error_of("%-5"), "the format ends inside '%-5'");
  EXPECT_EQ(error_of("%4096d"), "");
  EXPECT_EQ(error_of("%4097d"), "a width or precision over 4096");
  EXPECT_EQ(error_of("%.99999999999d"), "a width or precision over 4096");
}

}  // namespace
}  // namespace ktap
