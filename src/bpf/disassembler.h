// Code as text, one instruction a line: for --dump=bpf, golden tests and error reports. Stable.
#pragma once

#include <string>
#include <vector>

#include "bpf/program.h"

namespace ktap::bpf {

/// "r1 += 8", "if r0 != 0 goto +3", "call map_lookup_elem#1". Of a two-slot load the lower half
/// only.
std::string disassemble(const Insn& insn);

/// The whole program: number, jump targets resolved, map names from `maps`, the script line where
/// it changes.
///    0: r6 = r1                         ; line 3
///    1: r1 = map control[16]
///    3: if r0 == 0 goto 12
std::string disassemble(const Program& program, const std::vector<MapSpec>& maps);

}  // namespace ktap::bpf
