// Takes bytes that may be a .ktap file the whole way that needs no kernel: load, verify, print, run
// the main chunk and its handlers in the VM, lower the handlers; within bounds of time and memory.
// What the fuzz target and mutate_ktap do with each input.
#pragma once

#include <string>
#include <string_view>

namespace ktap::testing {

struct Outcome {
  bool accepted = false;  ///< loaded and verified, and ran within its bounds
  std::string text;       ///< why it was refused; else the main chunk's run-time error, or ""
  int handlers = 0;       ///< run
  int lowered = 0;        ///< given to `lower`, and not refused there
};

/// Fails a KTAP_CHECK where accepted bytecode does what it may not do.
Outcome run_compiled(std::string_view bytes);

}  // namespace ktap::testing
