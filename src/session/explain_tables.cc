// The last part of `--explain`: tables and variables that kernel code uses, in words.
#include <fmt/format.h>

#include "session/explain.h"

namespace ktap::session {

namespace {

std::string key_text(const std::vector<ssa::KeyPart>& key) {
  std::string text;
  for (const ssa::KeyPart& part : key) {
    if (!text.empty()) text += ", ";
    switch (part.kind) {
      case ssa::KeyPart::Kind::Int:
        text += "integer";
        break;
      case ssa::KeyPart::Kind::Bool:
        text += "boolean";
        break;
      case ssa::KeyPart::Kind::StrId:
        text += "known string";
        break;
      case ssa::KeyPart::Kind::Bytes:
        text += fmt::format("string of {} bytes", part.max_bytes);
        break;
    }
  }
  return text;
}

std::string_view layout_name(backend::TableLayout layout) {
  switch (layout) {
    case backend::TableLayout::Direct:
      return "direct";
    case backend::TableLayout::PerCpu:
      return "per CPU";
    case backend::TableLayout::DeltaHash:
      return "per-CPU hash maps of the kernel";
    case backend::TableLayout::Hash:
      return "a hash map of the kernel";
  }
  return "";
}

}  // namespace

std::string explain_tables(const Plan& plan) {
  std::string text;
  for (uint32_t i = 0; i < plan.linkage.module.tables.size(); ++i) {
    const backend::Table& table = plan.unit.tables[i];
    text += fmt::format("table {}: key {}; {}, {}; {}\n", plan.linkage.module.tables[i].name,
                        key_text(table.key), layout_name(table.layout), table.reason,
                        backend::is_delta(table.layout) ? "merged on read" : "shared by all CPUs");
  }
  for (const std::string& cell : plan.linkage.module.cells) {
    text += fmt::format("variable {}: a word that kernel and user space share\n", cell);
  }
  return text;
}

}  // namespace ktap::session
