// May exceptions of C++ (panics of Rust) pass the functions of a file?
#pragma once

#include "symbol/elf_image.h"

namespace ktap::symbol {

/// Can a function of the file be unwound at all? Code that is built without tables cannot: an
/// exception that gets there ends the program anyway.
bool has_unwind_tables(const ElfImage& image);

/// Was some of it compiled from C++ or Rust, or is it linked with C++'s library? Such code throws,
/// catches, or hands on what others throw, whether or not it has handlers of its own
/// (.gcc_except_table).
/// Cost: of a file that is neither, a walk over its symbols.
bool is_of_throwing_language(const ElfImage& image);

}  // namespace ktap::symbol
