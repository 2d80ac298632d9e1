// A string as a literal of the language, for the printers.
#pragma once

#include <string>
#include <string_view>

namespace ktap::syntax {

/// `"…"` with escapes for what does not print; bytes above ASCII as they are when they are UTF-8,
/// else `\xHH`.
std::string quoted(std::string_view text);

}  // namespace ktap::syntax
