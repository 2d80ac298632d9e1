// The library: one C++ function for each row of builtins.def, in the lib_*.cc files. Private to
// this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bytecode/chunk.h"
#include "runtime/value.h"
#include "vm/machine.h"

namespace ktap::vm {

/// One call of a built-in: arguments in, at most one result out. The number of arguments was
/// checked against builtins.def. Nothing is collected before the call has ended.
struct NativeCall {
  Machine& machine;
  const runtime::Value* args;
  size_t count;
  runtime::Value result;
  bool has_result;

  /// nil when it was not given.
  runtime::Value arg(size_t i) const { return i < count ? args[i] : runtime::Value::nil(); }
  /// An argument that may be left out is there; nil counts as left out.
  bool has(size_t i) const { return !arg(i).is_nil(); }
  bool give(runtime::Value value) {
    result = value;
    has_result = true;
    return true;
  }
  bool give(std::string_view text) { return give(machine.string(text)); }
  /// A string, or nil for "".
  bool give_or_nil(std::string_view text) {
    return text.empty() ? give(runtime::Value::nil()) : give(text);
  }

  // False and a run-time error when argument `i` is no such thing.
  bool integer_arg(std::string_view function, size_t i, int64_t* out);
  bool string_arg(std::string_view function, size_t i, std::string_view* out);
  bool table_arg(std::string_view function, size_t i, runtime::Table** out);
  bool number_arg(std::string_view function, size_t i, runtime::Value* out);

  /// False: a string of so many bytes is longer than strings may be.
  bool fits(size_t bytes);
  /// False, with "argument 1 of 'string.sub' is to be a string, got nil".
  bool wrong(std::string_view function, size_t i, std::string_view takes);
  /// The same for a value of the right type that is not allowed.
  bool wrong_value(std::string_view function, size_t i, std::string_view takes);
  /// Without the value: the kernel knows the text beforehand.
  bool out_of_range(std::string_view function, size_t i, std::string_view takes);
};

using NativeFunction = bool (*)(NativeCall&);

/// False: the run-time error is set, or exit() was called.
NativeFunction builtin_function(bytecode::Builtin builtin);
/// "'len' takes 1 argument, got 2".
std::string argument_count_error(const bytecode::BuiltinInfo& info, size_t got);

/// Named as in builtins.def.
namespace lib {
#define KTAP_BUILTIN(enumerator, library, name, min_args, max_args) \
  bool enumerator(NativeCall& call);
#include "bytecode/builtins.def"
#undef KTAP_BUILTIN
}  // namespace lib

}  // namespace ktap::vm
