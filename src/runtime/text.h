// The text of a value, as print, tostring, `%s` and `..` give it (language, section 8).
#pragma once

#include <string>

#include "runtime/value.h"

namespace ktap::runtime {

/// Nested tables deeper than this, and a table inside itself, print as `{...}`.
constexpr int kMaxTextDepth = 100;

/// `%.14g`, with `.0` behind what would else read as an integer.
std::string float_text(double number);
/// Appends the text of `value`; a table's is lines without a newline behind the last.
void append_text(std::string& out, Value value);
std::string to_text(Value value);

}  // namespace ktap::runtime
