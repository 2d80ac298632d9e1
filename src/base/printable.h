// Text that comes from elsewhere, made safe for one line of a terminal or a log.
#pragma once

#include <string>
#include <string_view>

namespace ktap {

/// `text` with its control bytes (also those of the second range, in UTF-8 and alone) as the
/// escapes of the language: `\n`, `\t`, `\x1b`. Everything else stays as it is.
std::string printable(std::string_view text);

}  // namespace ktap
