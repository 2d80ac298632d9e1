// The built-in variables of a handler: one enum from builtin_vars.def, shared by compiler, VM and
// eBPF.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ktap::schema {

enum class BuiltinVar : uint8_t {
#define KTAP_BUILTIN_VAR(name, spelling) name,
#include "schema/builtin_vars.def"
#undef KTAP_BUILTIN_VAR
};

/// "pid" for BuiltinVar::Pid.
std::string_view builtin_var_name(BuiltinVar var);
/// The variable of that spelling, if there is one.
std::optional<BuiltinVar> find_builtin_var(std::string_view name);

}  // namespace ktap::schema
