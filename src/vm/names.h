// Numbers that have names, as errno_name() and signal_name() give them.
#pragma once

#include <string>
#include <vector>

namespace ktap::vm {

/// By number, "" for none.
std::vector<std::string> errno_names();
std::vector<std::string> signal_names();

}  // namespace ktap::vm
