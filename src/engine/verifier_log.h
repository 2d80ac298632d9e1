// What the kernel's verifier said, in one line: the instruction that it refused and why.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ktap::engine {

struct VerifierVerdict {
  int64_t insn = -1;   ///< -1: the log names none
  std::string reason;  ///< its last words
  /// The program as a whole is too long or has too many ways through it.
  bool is_size = false;
};

/// Reads the end of a log of level 1: instructions walked (`12: (85) call …`), then what was wrong
/// with the last, then statistics. Pure.
VerifierVerdict read_verifier_log(std::string_view log);

}  // namespace ktap::engine
