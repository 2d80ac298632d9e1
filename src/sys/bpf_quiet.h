// Inside sys only: what every user of libbpf's calls here needs first.
#pragma once

#include <string>
#include <string_view>

namespace ktap::sys {

/// libbpf prints to standard error by itself; not in our programs.
void silence_libbpf();

/// A name as the kernel takes it: at most 15 bytes of [A-Za-z0-9_.], others become '_'.
std::string kernel_name(std::string_view name);

}  // namespace ktap::sys
