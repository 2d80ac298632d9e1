// strftime for a time that is broken down already, whatever length comes out.
#pragma once

#include <string>
#include <string_view>

struct tm;

namespace ktap::vm {

/// Requires a format without NUL bytes, its widths bounded.
std::string time_text(std::string_view format, const tm& time);

}  // namespace ktap::vm
