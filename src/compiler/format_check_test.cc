// Literal formats: what they take, what is wrong with them, and where that stands in the source.
#include "compiler/format_check.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ktap::compiler {
namespace {

/// One letter for each argument: i integer, n number, a any, * a star.
std::string takes(std::string_view format) {
  std::string out;
  for (const Conversion& conversion : check_format(format).arguments) {
    if (conversion.is_star) {
      out += '*';
    } else {
      out += conversion.takes == Conversion::Takes::Integer  ? 'i'
             : conversion.takes == Conversion::Takes::Number ? 'n'
                                                             : 'a';
    }
  }
  return out;
}

TEST(FormatCheck, Conversions) {
  EXPECT_EQ(takes(""), "");
  EXPECT_EQ(takes("%% plain %%"), "");
  EXPECT_EQ(takes("%d%i%u%x%X%o%c%p"), "iiiiiiii");
  EXPECT_EQ(takes("%f %g %e"), "nnn");
  EXPECT_EQ(takes("%s"), "a");
  EXPECT_EQ(takes("%-+ #010.5d"), "i");
  EXPECT_EQ(takes("%*.*f"), "**n");
  EXPECT_EQ(takes("%-*s|%.3s"), "*aa");
}

TEST(FormatCheck, Mistakes) {
  const auto error_at = [](std::string_view format) {
    const CheckedFormat parsed = check_format(format);
    return parsed.error.empty() ? ""
                                : std::string(format.substr(parsed.error_begin,
                                                            parsed.error_end - parsed.error_begin));
  };
  EXPECT_EQ(error_at("ok %d"), "");
  EXPECT_EQ(error_at("a %y"), "%y");
  EXPECT_EQ(error_at("a %lld"), "%l");
  EXPECT_EQ(error_at("100%"), "%");
  EXPECT_EQ(error_at("%d %5."), "%5.");
  EXPECT_EQ(error_at("%d%%%s%%%k"), "%k");
  EXPECT_EQ(error_at("%5%"), "%5%");
  EXPECT_EQ(error_at("%5000d"), "%5000d");
  for (const char* wide : {"%5000d", "%-5000s", "%.5000f", "%5000"})
    EXPECT_EQ(check_format(wide).hint,
              "write 4096 or less; string.rep(\" \", n) makes more blanks than that");
  EXPECT_EQ(check_format("%y4096").hint, check_format("%y").hint);
}

TEST(FormatCheck, PlacesInTheLiteral) {
  EXPECT_EQ(literal_offset(R"("%d")", 0), 1u);
  EXPECT_EQ(literal_offset(R"("\n%d")", 1), 3u);
  EXPECT_EQ(literal_offset(R"("\x41\65\0651%d")", 4), 13u);
  EXPECT_EQ(literal_offset("\"a\\z  \n b%d\"", 2), 9u);
  EXPECT_EQ(literal_offset("'\\'%d'", 1), 3u);
  EXPECT_EQ(literal_offset("[[%d]]", 0), 2u);
  EXPECT_EQ(literal_offset("[==[\n%d]==]", 1), 6u);
  EXPECT_EQ(literal_offset("\"a\"", 100), 3u);
  EXPECT_EQ(literal_offset("", 3), 0u);
}

}  // namespace
}  // namespace ktap::compiler
