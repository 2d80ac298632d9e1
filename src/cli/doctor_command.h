// `ktap doctor`: what works on this machine.
#pragma once

#include <string>
#include <vector>

namespace ktap::cli {

/// `args` are those behind `doctor`. Returns the exit status: 1 when no event can be traced.
int doctor_command(const std::vector<std::string>& args);

}  // namespace ktap::cli
