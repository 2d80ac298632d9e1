// See kernel_types.h.
#include "sys/kernel_types.h"

#include <algorithm>

namespace ktap::sys {

KernelTypes::KernelTypes(std::optional<bpf::BtfTypes> types)
    : is_read_(true), types_(std::move(types)), has_all_modules_(true) {}

bool KernelTypes::is_there() const {
  if (!is_read_) {
    is_read_ = true;
    bytes_ = KernelBtf::open();
    if (bytes_) types_ = bpf::BtfTypes::open(bytes_->data(), bytes_->size_bytes());
  }
  return types_.has_value();
}

void KernelTypes::add_module(const std::string& name) const {
  if (has_all_modules_ || std::find(modules_.begin(), modules_.end(), name) != modules_.end())
    return;
  modules_.push_back(name);
  std::optional<KernelBtf> bytes = KernelBtf::open(name);
  if (!bytes) return;
  if (types_->add_module(name, bytes->data(), bytes->size_bytes()))
    module_bytes_.push_back(std::move(*bytes));
}

void KernelTypes::add_modules() const {
  if (has_all_modules_) return;
  for (const std::string& name : KernelBtf::modules()) add_module(name);
  has_all_modules_ = true;
}

std::optional<bpf::BtfFunction> KernelTypes::function(std::string_view name,
                                                      std::string_view module) const {
  auto known = functions_.find(module);
  if (known == functions_.end()) {
    if (!module.empty()) add_module(std::string(module));
    known = functions_.try_emplace(std::string(module)).first;
    known->second.all = types_->functions(module);
  }
  const uint32_t id = known->second.find(name);
  if (id == 0) return std::nullopt;
  return types_->function(id);
}

uint32_t KernelTypes::Functions::find(std::string_view name) {
  constexpr size_t kMostWalks = 16;
  if (++asked <= kMostWalks) {
    uint32_t found = 0;
    for (const auto& [other, id] : all) {
      if (other != name) continue;
      if (found != 0) return 0;
      found = id;
    }
    return found;
  }
  if (by_name.empty()) {
    by_name.reserve(all.size());
    for (const auto& [other, id] : all) {
      const auto [at, is_new] = by_name.emplace(other, id);
      if (!is_new) at->second = 0;
    }
  }
  const auto at = by_name.find(name);
  return at == by_name.end() ? 0 : at->second;
}

Result<schema::CType> KernelTypes::parse(std::string_view text) const {
  Result<schema::CType> type = types_->parse(text);
  if (has_all_modules_ || (type.ok() && types_->is_base(type.value()))) return type;
  add_modules();  // which of several modules is meant shows when all are there
  return types_->parse(text);
}

std::optional<schema::CType> KernelTypes::enum_of(std::string_view enumerator) const {
  std::optional<schema::CType> type = types_->enum_of(enumerator);
  if (type || has_all_modules_) return type;
  add_modules();
  return types_->enum_of(enumerator);
}

}  // namespace ktap::sys
