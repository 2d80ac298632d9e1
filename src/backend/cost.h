// What a finished program costs, line by line: instructions and an estimate of the time that each
// script line takes when it runs. Last step of the way of a handler, for --explain alone; nothing
// is decided by it. The idea: straight code by a table of measured prices (costs.def), branches
// within a line by halves, cold code not at all. Left out: caches, contention, what the reader of
// records pays.
#pragma once

#include <cstdint>
#include <vector>

#include "bpf/program.h"

namespace ktap::backend {

/// One script line's share of a program, for one handler.
struct LineCost {
  uint32_t handler = 0;       ///< bpf::kNoHandler: code that serves all
  uint32_t line = 0;          ///< 0: what comes before the script's own code
  uint32_t instructions = 0;  ///< all of them, those of rare paths too
  uint32_t picoseconds = 0;   ///< an estimate: the line entered once, nothing rare happens, a loop
                              ///< goes round once
};

/// By handler and line, ascending. `maps` are the unit's.
std::vector<LineCost> line_costs(const bpf::Program& program,
                                 const std::vector<bpf::MapSpec>& maps);

/// Bytes of the 512-byte stack that the program reaches down to.
uint32_t stack_bytes(const bpf::Program& program);

}  // namespace ktap::backend
