// /etc/ld.so.cache: which file the dynamic linker takes for a library's name.
// Source: glibc, sysdeps/generic/dl-cache.h (the new format, alone or behind the old one).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "symbol/elf_image.h"

namespace ktap::symbol {

struct CachedLibrary {
  std::string_view name;  ///< "libc.so.6"
  std::string_view path;
  bool is_special = false;  ///< only for some processors
};

/// Views into `bytes`; what lies outside is left out, what is no cache is empty.
std::vector<CachedLibrary> parse_linker_cache(Bytes bytes);

/// Those that `name` may mean, best first: exactly that one; else `libNAME` or `NAME`, the highest
/// version first ("c", "libc" and "libc.so" are "libc.so.6"). Plain files before special ones.
std::vector<CachedLibrary> libraries_named(const std::vector<CachedLibrary>& cache,
                                           std::string_view name);

/// Is `candidate` ("libssl.so.3") a version of what `name` says: "libssl", "ssl", "libssl.so"?
bool is_library_of(std::string_view candidate, std::string_view name);

/// Is version `a` of a library older than `b`? Numbers in it count as numbers.
bool is_older(std::string_view a, std::string_view b);

}  // namespace ktap::symbol
