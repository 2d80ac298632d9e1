// `ktap list`: the events of this machine.
#pragma once

#include <string>
#include <vector>

namespace ktap::cli {

/// `args` are those behind `list`. Returns the exit status: 2 when nothing matches.
int list_command(const std::vector<std::string>& args);

}  // namespace ktap::cli
