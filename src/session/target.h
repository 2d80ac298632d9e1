// The process and CPU that are to be traced, known before the script does anything.
#pragma once

#include <optional>

#include "session/options.h"
#include "sys/process.h"

namespace ktap::session {

/// The process of -p, if one is given. Errors: no such process, no such CPU, no such command.
Result<std::optional<sys::ProcessRef>> open_target(const Options& options);

}  // namespace ktap::session
