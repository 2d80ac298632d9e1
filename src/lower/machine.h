// What does not change while a script is traced, so that built-in functions that ask for it are
// constants in handlers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "schema/kernel_types.h"

namespace ktap::lower {

/// By number, "" for none.
struct NumberNames {
  std::vector<std::string> syscalls;
  std::vector<std::string> errnos;
  std::vector<std::string> signals;
};

/// The functions whose result the kernel lets programs set, "NAME<tab>KIND" a line.
inline constexpr const char* kOverrideList = "/sys/kernel/debug/error_injection/list";

struct Machine {
  int64_t cpu_count = 0;             ///< that are online; 0: nothing is known
  std::string name;                  ///< arch(): "x86_64"
  std::string release;               ///< kernel_v(): "6.1.0-18-amd64"
  int64_t wall_clock_offset_ns = 0;  ///< from `ns` to the time since 1970, when handlers are armed
  const NumberNames* names = nullptr;  ///< null: only user space knows them
  /// The kernel's types, read at the first call; null: it does not tell them (no BTF).
  std::function<const schema::KernelTypes*()> types = {};
  /// Those of the programs that events are in; null: there are none.
  const schema::KernelTypes* user_types = nullptr;
  /// The address of a kernel symbol. Errors: in words.
  std::function<Result<int64_t>(const std::string&)> symbol = {};
  /// Whether a function stands in kOverrideList; true also where nobody can read that.
  std::function<bool(const std::string&)> may_override = {};
};

}  // namespace ktap::lower
