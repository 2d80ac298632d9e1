// What the pictures in SVG have in common: text that is safe in XML, numbers for people, the
// page's head. A picture is one file without references to others: style and script are in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ktap::output {

/// Appends `text` as XML: `& < > " '` as entities, bytes that are no UTF-8 or that XML forbids as
/// U+FFFD.
void append_xml(std::string& out, std::string_view text);

/// 1234567 is "1 234 567" (with narrow no-break spaces).
std::string grouped(uint64_t number);

/// The share in percent with two digits that count: "37.2 %", "0.041 %".
std::string percent(uint64_t part, uint64_t whole);

}  // namespace ktap::output
