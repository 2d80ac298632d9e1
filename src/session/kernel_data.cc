// See kernel_data.h.
#include "session/kernel_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "lower/kernel_types.h"
#include "sys/text_file.h"

namespace ktap::session {

std::string KernelData::near_names(const std::string& name) const {
  std::string text;
  for (const std::string& near : symbols_->nearest(name))
    text += (text.empty() ? "; near: " : ", ") + near;
  return text;
}

const schema::KernelTypes* KernelData::types() {
  return types_->is_there() ? types_.get() : nullptr;
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

Result<std::string> KernelData::enum_name(const std::string& type, int64_t value) {
  auto known = enums_.find(type);
  if (known == enums_.end()) {
    if (types() == nullptr)
      return Error{"this kernel does not describe its types (no /sys/kernel/btf/vmlinux)"};
    KTAP_ASSIGN(const schema::CType of, lower::enum_type(*types(), type, nullptr));
    known = enums_.try_emplace(type).first;
    for (auto& [name, number] : types()->enumerators(of)) known->second.emplace(number, name);
  }
  const auto name = known->second.find(value);
  return name == known->second.end() ? std::string() : name->second;
}

const symbol::Kallsyms* KernelData::symbols() {
  if (!symbols_ && !looked_for_symbols_) {
    looked_for_symbols_ = true;
    Result<symbol::Kallsyms> read = symbol::Kallsyms::read();
    if (read.ok() && read.value().check_addresses().ok()) symbols_ = std::move(read).value();
  }
  return symbols_ ? &*symbols_ : nullptr;
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

bool KernelData::may_override(const std::string& function) {
  constexpr size_t kMostBytes = size_t{16} << 20;
  if (!overridable_) {
    overridable_.emplace();
    const Result<std::string> text = sys::read_text(lower::kOverrideList, kMostBytes);
    std::string_view rest = text.ok() ? std::string_view(text.value()) : std::string_view();
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      overridable_->emplace(line.substr(0, line.find_first_of(" \t")));
    }
  }
  return overridable_->empty() || overridable_->count(function) != 0;
}

void KernelData::put_into(lower::Machine& machine) {
  machine.types = [this] { return types(); };
  machine.symbol = [this](const std::string& name) { return symbol(name); };
  machine.may_override = [this](const std::string& name) { return may_override(name); };
}

}  // namespace ktap::session
