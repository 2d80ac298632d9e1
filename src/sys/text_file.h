// Whole files of text that have no size: /proc, /sys.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

namespace ktap::sys {

/// All of a file. Errors: it cannot be opened or read; sys_errno EFBIG: it is larger than the
/// limit.
Result<std::string> read_text(const std::string& path, size_t limit_bytes,
                              size_t expected_bytes = size_t{64} << 10);

/// The numbers of a list like "0-3,8-11\n", ascending, as far as it is one. Pure.
std::vector<int> parse_cpu_list(const std::string& text);

}  // namespace ktap::sys
