// `ktap fmt`: scripts in the canonical layout.
#pragma once

#include <string>
#include <vector>

namespace ktap::cli {

/// `args` are those behind `fmt`. Returns the exit status: 1 when --check found a difference, 2 for
/// scripts that do not parse and files that cannot be read or written.
int format_command(const std::vector<std::string>& args);

}  // namespace ktap::cli
