// Integers of 128 bits, for sums and bounds of 64-bit integers that are to be exact.
#pragma once

#ifndef __SIZEOF_INT128__
#include "runtime/portable_wide.h"
#endif

namespace ktap::runtime {

#ifdef __SIZEOF_INT128__
__extension__ typedef __int128 Wide;
__extension__ typedef unsigned __int128 UnsignedWide;
#else
using Wide = PortableWide<true>;
using UnsignedWide = PortableWide<false>;
#endif

}  // namespace ktap::runtime
