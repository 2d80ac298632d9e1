// `ktap -i`: statements run as they are entered, handlers are armed as they are entered.
#pragma once

#include "session/options.h"

namespace ktap::session {

/// Runs the session on standard input to its end; returns the exit status.
int run_interactive(const Options& options);

}  // namespace ktap::session
