// What scripts ask of the running kernel's memory layout: its types and the addresses of its
// symbols. Nothing is read before it is asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"
#include "lower/machine.h"
#include "symbol/kallsyms.h"
#include "sys/kernel_types.h"

namespace ktap::session {

class KernelData {
 public:
  /// Null: this kernel has no BTF.
  const schema::KernelTypes* types();
  /// The same, for who makes events.
  std::shared_ptr<sys::KernelTypes> shared_types() const { return types_; }
  /// What a pointer of cast(text, …) leads to. Remembered, as records ask for it one by one.
  Result<schema::CType> cast_target(const std::string& text);
  /// "" when the enum has no such value. Errors: no such enum; in words.
  Result<std::string> enum_name(const std::string& type, int64_t value);
  /// Errors: no such symbol, or hidden addresses; in words.
  Result<int64_t> symbol(const std::string& name);
  /// Read when first asked for. Null: they cannot be had.
  const symbol::Kallsyms* symbols();
  /// Whether the kernel lets programs set that function's result; true where it does not tell.
  bool may_override(const std::string& function);
  /// The same for `lower`; this outlives `machine`.
  void put_into(lower::Machine& machine);

 private:
  std::string near_names(const std::string& name) const;

  std::shared_ptr<sys::KernelTypes> types_ = std::make_shared<sys::KernelTypes>();
  std::map<std::string, schema::CType> targets_;
  std::map<std::string, std::map<int64_t, std::string>> enums_;  ///< by what names them
  bool looked_for_symbols_ = false;
  std::optional<symbol::Kallsyms> symbols_;
  std::optional<std::set<std::string, std::less<>>> overridable_;  ///< empty: not told
};

}  // namespace ktap::session
