// The types of the running kernel and its modules, for all that ask in one run: a type has one
// number. Nothing is read before it is asked for, a module's types not before the kernel itself
// lacks what is wanted.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bpf/btf_types.h"
#include "schema/kernel_types.h"
#include "sys/kernel_btf.h"

namespace ktap::sys {

class KernelTypes final : public schema::KernelTypes {
 public:
  KernelTypes() = default;
  /// Over these, without modules: for tests.
  explicit KernelTypes(std::optional<bpf::BtfTypes> types);

  /// False: this kernel has no BTF. All below require that it is true.
  bool is_there() const;
  /// Of the kernel itself (""), or of a module. Nothing when there is none of that name, or
  /// several.
  std::optional<bpf::BtfFunction> function(std::string_view name, std::string_view module) const;

  /// Cost of what the kernel itself does not have: all modules' types are read, a millisecond or so
  /// each.
  Result<schema::CType> parse(std::string_view text) const override;
  schema::CShape shape(schema::CType type) const override { return types_->shape(type); }
  std::optional<schema::CMember> member(schema::CType type, std::string_view name) const override {
    return types_->member(type, name);
  }
  std::vector<std::string> member_names(schema::CType type) const override {
    return types_->member_names(type);
  }
  std::vector<std::string> names_like(std::string_view text) const override {
    return types_->names_like(text);
  }
  std::string name(schema::CType type) const override { return types_->name(type); }
  std::string enum_name(schema::CType type, int64_t value) const override {
    return types_->enum_name(type, value);
  }
  std::vector<std::pair<std::string, int64_t>> enumerators(schema::CType type) const override {
    return types_->enumerators(type);
  }
  std::optional<schema::CType> enum_of(std::string_view enumerator) const override;

 private:
  void add_module(const std::string& name) const;
  void add_modules() const;

  // Read when first asked for.
  mutable bool is_read_ = false;
  mutable std::optional<KernelBtf> bytes_;
  mutable std::optional<bpf::BtfTypes> types_;
  mutable std::list<KernelBtf> module_bytes_;
  mutable std::vector<std::string> modules_;  ///< that were looked at
  mutable bool has_all_modules_ = false;
  /// Of a module. Most scripts ask for one or two, which are found sooner than an index is built.
  struct Functions {
    std::vector<std::pair<std::string_view, uint32_t>> all;
    std::unordered_map<std::string_view, uint32_t> by_name;  ///< 0: several; empty: not built
    size_t asked = 0;
    /// 0: none, or several.
    uint32_t find(std::string_view name);
  };
  mutable std::map<std::string, Functions, std::less<>> functions_;
};

}  // namespace ktap::sys
