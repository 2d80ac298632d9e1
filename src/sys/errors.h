// errno stops here: every refusal of the kernel becomes an Error in words, with what to do where we
// know it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace ktap::sys {

/// "opening tracefs: permission denied". `attempt` is a participle with its object.
Error system_error(std::string_view attempt, int error_number);

/// Like system_error, for bpf(2) and perf_event_open(2): EPERM and EACCES say which privilege is
/// missing.
Error tracing_error(std::string_view attempt, int error_number);

/// This process has CAP_BPF and CAP_PERFMON.
bool may_trace();

/// "no such file or directory": strerror in lower case; the kernel's private ones (ENOTSUPP, 524)
/// too.
std::string errno_text(int error_number);

}  // namespace ktap::sys
