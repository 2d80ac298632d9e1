// Integers of 128 bits, for sums and bounds of 64-bit integers that are to be exact.
#pragma once

namespace ktap::runtime {

__extension__ typedef __int128 Wide;
__extension__ typedef unsigned __int128 UnsignedWide;

}  // namespace ktap::runtime
