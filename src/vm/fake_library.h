// Test-only: calls built-ins of the library by number, through a VM with a fake host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/heap.h"
#include "runtime/table.h"
#include "runtime/text.h"
#include "vm/fake_host.h"

namespace ktap::vm::testing {

inline runtime::Value i(int64_t x) { return runtime::Value::of(x); }
inline runtime::Value f(double x) { return runtime::Value::of(x); }

/// What the tests of the library have in common.
class FakeLibrary {
 protected:
  FakeLibrary() : main_("main"), run_((main_.ret(), main_)) {}

  runtime::Value s(std::string_view text) { return run_.vm->heap().string(text); }
  runtime::Value table() {
    return runtime::Value::of_object(runtime::Type::Table, run_.vm->heap().table());
  }
  /// The text of the result, or "error: …".
  std::string call(bytecode::Builtin builtin, const std::vector<runtime::Value>& args = {}) {
    std::string error = run_.call(runtime::Value::of_builtin(static_cast<uint16_t>(builtin)), args);
    return error.empty() ? runtime::to_text(run_.result) : "error: " + error;
  }

  Assembler main_;
  Program run_;
};

}  // namespace ktap::vm::testing
