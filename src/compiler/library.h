// The library by name, as the compiler needs it: which number a built-in function has, which names
// the language has that do not run yet, and how to call them in a diagnostic. Expanded from
// bytecode/builtins.def.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bytecode/chunk.h"

namespace ktap::compiler {

/// The built-in function of that spelling; `library` "" is the global ones.
std::optional<bytecode::Builtin> find_builtin(std::string_view library, std::string_view name);
/// "table", "kdebug", …: a name that only stands before a dot.
bool is_library(std::string_view name);
/// The members of a library, for did-you-mean; of "" all global functions.
std::vector<std::string> members_of(std::string_view library);
std::vector<std::string> library_names();

/// True when a call gives exactly one value, so that it needs no open list.
bool gives_one_value(bytecode::Builtin builtin);
/// True when a call registers a handler (kdebug.*, timer.*).
bool registers_handler(bytecode::Builtin builtin);
/// "table.new", "print".
std::string full_name(bytecode::Builtin builtin);

}  // namespace ktap::compiler
