// KTAP_CHECK: the road for mistakes of ours (not the user's, not the machine's). Kept in release
// builds.
#pragma once

namespace ktap {

/// Prints `FILE:LINE: check failed: EXPR` to standard error and aborts.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

/// Says that the machine's memory does not suffice and ends the process with status 1.
[[noreturn]] void out_of_memory();

}  // namespace ktap

#define KTAP_CHECK(condition)                          \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::ktap::check_failed(#condition, __FILE__, __LINE__))
#define KTAP_UNREACHABLE() ::ktap::check_failed("unreachable", __FILE__, __LINE__)
