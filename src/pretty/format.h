// A script in the canonical layout, or nothing: what comes out is parsed again, and has the same
// syntax tree and the same comments in the same order.
#pragma once

#include <optional>
#include <string>

#include "diag/diagnostic.h"

namespace ktap::pretty {

/// Formats a script. Errors: those of the script go to `sink`; `failure`, when the result would not
/// be the same script, which is a mistake of this library.
std::optional<std::string> format_script(const diag::Source& source, diag::Sink& sink,
                                         std::string* failure);

}  // namespace ktap::pretty
