// From a built-in's number to its function, and what all of them share: checks of arguments.
#include "vm/library.h"

#include <fmt/core.h>

#include "base/limits.h"
#include "runtime/code_address.h"
#include "runtime/string.h"
#include "runtime/text.h"

namespace ktap::vm {
namespace {

constexpr NativeFunction kFunctions[] = {
#define KTAP_BUILTIN(enumerator, library, name, min_args, max_args) &lib::enumerator,
#include "bytecode/builtins.def"
#undef KTAP_BUILTIN
};

}  // namespace

NativeFunction builtin_function(bytecode::Builtin builtin) {
  return kFunctions[static_cast<size_t>(builtin)];
}

std::string argument_count_error(const bytecode::BuiltinInfo& info, size_t got) {
  std::string name = info.prefix == "%" ? std::string(info.name) : full_name(info);
  std::string takes = info.max_args < 0 ? fmt::format("at least {}", info.min_args)
                      : info.min_args == info.max_args
                          ? fmt::format("{}", info.min_args)
                          : fmt::format("{} to {}", info.min_args, info.max_args);
  bool one = takes == "1" || takes == "at least 1";
  return fmt::format("'{}' takes {} argument{}, got {}", name, takes, one ? "" : "s", got);
}

bool NativeCall::wrong(std::string_view function, size_t i, std::string_view takes) {
  return machine.fail(fmt::format("argument {} of '{}' is to be {}, got {}", i + 1, function, takes,
                                  runtime::type_phrase(arg(i).type)));
}

bool NativeCall::wrong_value(std::string_view function, size_t i, std::string_view takes) {
  return machine.fail(fmt::format("argument {} of '{}' is to be {}, got {}", i + 1, function, takes,
                                  runtime::to_text(arg(i))));
}

bool NativeCall::out_of_range(std::string_view function, size_t i, std::string_view takes) {
  return machine.fail(fmt::format("argument {} of '{}' is to be {}", i + 1, function, takes));
}

bool NativeCall::fits(size_t bytes) {
  return bytes <= limits::kMaxTextBytes ||
         machine.fail(fmt::format("a string of more than {} bytes", limits::kMaxTextBytes));
}

bool NativeCall::number_arg(std::string_view function, size_t i, runtime::Value* out) {
  *out = runtime::plain_number(arg(i));
  if (!out->is_number()) return wrong(function, i, "a number");
  return true;
}

bool NativeCall::integer_arg(std::string_view function, size_t i, int64_t* out) {
  const runtime::Value given = runtime::plain_number(arg(i));
  if (!given.is_integer()) return wrong(function, i, "an integer");
  *out = given.integer;
  return true;
}

bool NativeCall::string_arg(std::string_view function, size_t i, std::string_view* out) {
  if (arg(i).type != runtime::Type::String) return wrong(function, i, "a string");
  *out = args[i].string()->view();
  return true;
}

bool NativeCall::table_arg(std::string_view function, size_t i, runtime::Table** out) {
  if (arg(i).type != runtime::Type::Table) return wrong(function, i, "a table");
  *out = args[i].table();
  return true;
}

}  // namespace ktap::vm
