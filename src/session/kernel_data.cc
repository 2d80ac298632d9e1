// See kernel_data.h.
#include "session/kernel_data.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "lower/kernel_types.h"

namespace ktap::session {

std::string KernelData::near_names(const std::string& name) const {
  std::string text;
  for (const std::string& near : symbols_->nearest(name))
    text += (text.empty() ? "; near: " : ", ") + near;
  return text;
}

const schema::KernelTypes* KernelData::types() {
  if (!looked_for_types_) {
    looked_for_types_ = true;
    bytes_ = sys::KernelBtf::open();
    if (bytes_) types_ = bpf::BtfTypes::open(bytes_->data(), bytes_->size_bytes());
  }
  return types_ ? &*types_ : nullptr;
}

Result<schema::CType> KernelData::cast_target(const std::string& text) {
  if (const auto known = targets_.find(text); known != targets_.end()) return known->second;
  if (text == "void *") return schema::CType{};
  if (types() == nullptr)
    return Error{"this kernel does not describe its types (no /sys/kernel/btf/vmlinux)"};
  KTAP_ASSIGN(const schema::CType target, lower::cast_target(*types(), text, nullptr));
  targets_.emplace(text, target);
  return target;
}

Result<int64_t> KernelData::symbol(const std::string& name) {
  if (!symbols_) {
    KTAP_ASSIGN(symbols_, symbol::Kallsyms::read());
  }
  KTAP_TRY(symbols_->check_addresses());
  const std::vector<symbol::KernelSymbol> found = symbols_->find(name);
  if (!found.empty()) return static_cast<int64_t>(found.front().address);
  return Error{fmt::format("/proc/kallsyms has no symbol '{}'{}", name, near_names(name))};
}

void KernelData::put_into(lower::Machine& machine) {
  machine.types = [this] { return types(); };
  machine.symbol = [this](const std::string& name) { return symbol(name); };
}

}  // namespace ktap::session
