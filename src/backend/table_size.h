// How many entries a table of a run gets.
#pragma once

#include <cstdint>

#include "backend/unit.h"

namespace ktap::backend {

/// As many keys as the script asks for, else --table-size, else a default; of a histogram with a
/// bucket behind the key, as many pairs of key and bucket as that is worth.
uint32_t table_entries(const ssa::TableInfo& info, const Options& options);

}  // namespace ktap::backend
