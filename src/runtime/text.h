// The text of a value, as print, tostring, `%s` and `..` give it (language, section 8).
#pragma once

#include <string>
#include <vector>

#include "runtime/value.h"

namespace ktap::runtime {

/// Nested tables deeper than this, and a table inside itself, print as `{...}`.
constexpr int kMaxTextDepth = 100;

/// `%.14g`, with `.0` behind what would else read as an integer.
std::string float_text(double number);
/// Appends the text of `value`; a table's is lines without a newline behind the last.
void append_text(std::string& out, Value value);
std::string to_text(Value value);

/// A line for each frame, innermost first; addresses where nobody knows their names.
std::vector<std::string> stack_lines(const Stack& stack);

/// A key above or before its value: as append_text, but a stack is its frames alone, one a line,
/// each behind `indent` blanks but the first.
void append_key_text(std::string& out, Value key, size_t indent = 0);

/// What the kernel's side of a table or variable cannot hold, for a message.
std::string unfit_phrase(const Value& value);

}  // namespace ktap::runtime
