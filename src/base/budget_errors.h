// The run-time errors of a handler run that takes too long: the VM's and the kernel's are the same.
#pragma once

#include <cstdint>
#include <string>

namespace ktap {

inline std::string too_many_rounds(int64_t allowed, bool is_tail_call) {
  const char* note = is_tail_call ? " (a tail call counts as one)" : "";
  return "more than " + std::to_string(allowed) + " loop iterations in one run" + note;
}

inline std::string too_many_calls(int64_t allowed) {
  return "more than " + std::to_string(allowed) + " calls in one run";
}

}  // namespace ktap
