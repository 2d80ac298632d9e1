// One run from script text to exit status: main chunk, freeze, plan, arm, loop, drain, trace_end,
// report.
#pragma once

#include <string>

#include "session/options.h"

namespace ktap::session {

/// Runs (or checks, dumps, explains) the script. Returns the exit status (language, section 9);
/// everything the user is told about mistakes and losses goes to standard error.
int run(const Options& options);

}  // namespace ktap::session
