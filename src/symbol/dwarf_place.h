// Where debug information says that a parameter lies when its function is entered.
#pragma once

#include <elfutils/libdw.h>

#include "symbol/calling_convention.h"
#include "symbol/elf_image.h"

namespace ktap::symbol {

/// `value_bits`: how wide its values are; of a boolean one. `usual`: where the calling convention
/// puts it.
ArgumentPlace place_at_entry(Dwarf_Die* parameter, Dwarf_Die* function, uint64_t address,
                             Machine machine, uint32_t value_bits, const ArgumentPlace& usual);

}  // namespace ktap::symbol
