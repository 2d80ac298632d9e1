// Names of the built-in variables, from the one table.
#include "schema/builtin_vars.h"

#include <iterator>

namespace ktap::schema {

namespace {
constexpr std::string_view kNames[] = {
#define KTAP_BUILTIN_VAR(name, spelling) spelling,
#include "schema/builtin_vars.def"
#undef KTAP_BUILTIN_VAR
};
}  // namespace

std::string_view builtin_var_name(BuiltinVar var) { return kNames[static_cast<size_t>(var)]; }

std::optional<BuiltinVar> find_builtin_var(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<BuiltinVar>(i);
  }
  return std::nullopt;
}

}  // namespace ktap::schema
