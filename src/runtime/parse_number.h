// Text as a number, as tonumber() has it.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/value.h"

namespace ktap::runtime {

/// Without the blanks at both ends.
std::string_view trimmed(std::string_view text);

/// The digits of `text` in `base` as an integer; false when they are none or do not fit.
bool parse_integer(std::string_view text, int base, int64_t* out);

/// A number as a script would write it: decimal or hex integer, else a decimal float; nil for what
/// is none.
Value parse_number(std::string_view text);

}  // namespace ktap::runtime
