// A command of the script in a shell.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace ktap::sys {

/// `/bin/sh -c COMMAND` with its standard output going to `output_fd`; waits for its end. Gives the
/// exit status as a shell does: 128 and the signal's number where one ended it.
Result<int64_t> run_shell(const std::string& command, int output_fd);

}  // namespace ktap::sys
