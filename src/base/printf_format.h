// printf formats of the language, cut into pieces once: what the compiler checks and the runtime
// renders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktap {

/// One piece of a format: literal text, or one conversion.
struct FormatPiece {
  /// Width or precision: absent, a number, or taken from an argument (`*`).
  struct Amount {
    enum class Kind : uint8_t { None, Number, Argument } kind = Kind::None;
    int value = 0;
  };

  std::string literal;     ///< text as printed (%% already %); empty for a conversion
  char conversion = 0;     ///< d i u x X o c s p f g e; 0 for literal text
  bool left = false;       ///< -
  bool plus = false;       ///< +
  bool space = false;      ///< blank
  bool alternate = false;  ///< #; of %s: control bytes as escapes
  bool zero = false;       ///< 0
  Amount width;
  Amount precision;
  uint32_t begin = 0;  ///< of the conversion in the format, `%` included
  uint32_t end = 0;

  /// How many arguments it takes: 0 for literal text, 1 + its stars else.
  int argument_count() const;
};

/// A width or precision may not be over this.
constexpr int kMaxFormatWidth = 4096;

/// What parse_format() says of one that is.
std::string over_format_width();

/// Cuts `format`. On a mistake `error` says what is wrong ("unknown conversion '%q'"), else it is
/// left empty.
std::vector<FormatPiece> parse_format(std::string_view format, std::string* error);

}  // namespace ktap
