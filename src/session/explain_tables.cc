// The last part of `--explain`: tables and variables that kernel code uses, in words.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lower/lower.h"
#include "session/explain.h"

namespace ktap::session {

namespace {

std::string key_text(const std::vector<ssa::KeyPart>& key);

/// "integer, boolean or known string".
std::string union_text(const ssa::KeyPart& part) {
  std::vector<std::string> kinds;
  const auto may_be = [&](int tag) { return (part.tags >> tag & 1) != 0; };
  if (may_be(ssa::kIntTag)) kinds.emplace_back("integer");
  if (may_be(ssa::kBoolTag)) kinds.emplace_back("boolean");
  if (may_be(ssa::kStrTag)) kinds.push_back(key_text({ssa::union_text(part.max_bytes)}));
  const std::string last = kinds.back();
  kinds.pop_back();
  return fmt::format("{} or {}", fmt::join(kinds, ", "), last);
}

std::string key_text(const std::vector<ssa::KeyPart>& key) {
  std::string text;
  for (const ssa::KeyPart& part : key) {
    if (!text.empty()) text += ", ";
    switch (part.kind) {
      case ssa::KeyPart::Kind::Int:
        text += "integer";
        break;
      case ssa::KeyPart::Kind::Address:
        text += "address";
        break;
      case ssa::KeyPart::Kind::Pointer:
        text += "kernel pointer";
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
      case ssa::KeyPart::Kind::Stack:
        text += fmt::format("stack of {} frames", part.max_bytes / 8 - 1);
        break;
      case ssa::KeyPart::Kind::Union:
        text += union_text(part);
        break;
    }
  }
  return text;
}

/// "count, sum, min; histograms by powers of two, 0 to 2000 by 500".
std::string parts_text(const runtime::SampleParts& parts) {
  using runtime::SampleWord;
  std::string text;
  const auto add = [&](std::string_view word) {
    if (!text.empty()) text += ", ";
    text += word;
  };
  for (SampleWord word : parts.words) {
    switch (word) {
      case SampleWord::Count:
        add("count");
        break;
      case SampleWord::Sum:
      case SampleWord::SumLow:
        add("sum");
        break;
      case SampleWord::Least:
        add("min");
        break;
      case SampleWord::Greatest:
        add("max");
        break;
      case SampleWord::SquareLow:
        add("sum of squares");
        break;
      default:  // the other words of the same
        break;
    }
  }
  for (const runtime::SampleHistogram& histogram : parts.histograms) {
    switch (histogram.kind) {
      case runtime::Distribution::Kind::Pow2:
        add("counts by powers of two");
        break;
      case runtime::Distribution::Kind::LogLinear:
        add("counts by 16 buckets to a power of two");
        break;
      case runtime::Distribution::Kind::Linear:
        add(fmt::format("counts from {} to {} by {}", histogram.shape.lo, histogram.shape.hi,
                        histogram.shape.step));
        break;
    }
  }
  return text;
}

std::string explain_samples(const Plan& plan, const runtime::SampleParts& parts) {
  const uint32_t any = parts.stats ? *parts.stats : parts.histograms.front().table;
  std::vector<ssa::KeyPart> key = plan.unit.tables[any].key;
  if (!parts.stats) key.pop_back();  // the bucket
  const std::string what =
      parts.aggregate != nullptr
          ? fmt::format("aggregate {}: ", parts.name)
          : fmt::format("table {}: key {}; aggregates: ", parts.name, key_text(key));
  return what + parts_text(parts) + "; per CPU, merged on read\n";
}

/// What handlers in the kernel read of aggregates.
std::string explain_total(const lower::Totals::Key& total, const std::string& name,
                          const backend::Table& table) {
  const bool is_aggregate = total.first->type == runtime::Type::Aggregate;
  const char* word = "sum";
  if (total.second == runtime::SampleWord::Count) word = "count";
  if (total.second == runtime::SampleWord::Least) word = "least sample";
  if (total.second == runtime::SampleWord::Greatest) word = "greatest sample";
  if (total.second == runtime::SampleWord::SumHigh) word = "upper half of the sum";
  if (total.second == runtime::SampleWord::SumLow) word = "lower half of the sum";
  return fmt::format("{} {}: the {}, for handlers that read it; {}, {}; shared by all CPUs\n",
                     is_aggregate ? "aggregate" : "table", name, word, layout_name(table.layout),
                     table.reason);
}

}  // namespace

std::string_view layout_name(backend::TableLayout layout) {
  switch (layout) {
    case backend::TableLayout::Direct:
      return "direct";
    case backend::TableLayout::PerCpu:
      return "per CPU";
    case backend::TableLayout::DeltaHash:
      return "per-CPU hash maps of the kernel";
    case backend::TableLayout::Shared:
      return "own memory with atomics";
    case backend::TableLayout::ByThread:
      return "a slot for each thread";
    case backend::TableLayout::Hash:
      return "a hash map of the kernel";
  }
  return "";
}

std::string explain_tables(const Plan& plan) {
  std::string text;
  for (const runtime::SampleParts& parts : plan.linkage.samples) {
    text += explain_samples(plan, parts);
  }
  const KernelUses uses = kernel_uses(plan);
  for (uint32_t i = 0; i < plan.linkage.module.tables.size(); ++i) {
    if (plan.linkage.module.tables[i].sample_of != 0 || !uses.tables[i]) continue;
    const backend::Table& table = plan.unit.tables[i];
    if (const lower::Totals::Key* total = plan.linkage.shapes.totals.what(plan.linkage.tables[i])) {
      text += explain_total(*total, plan.linkage.module.tables[i].name, table);
      continue;
    }
    if (plan.linkage.variables[i].valid()) {
      text += fmt::format("variable {}: {}; an entry of a hash map\n",
                          plan.linkage.module.tables[i].name, key_text({table.value}));
      continue;
    }
    text += fmt::format("table {}: key {}{}; {}, {}; {}\n", plan.linkage.module.tables[i].name,
                        key_text(table.key),
                        table.value == ssa::KeyPart{} ? "" : ", value " + key_text({table.value}),
                        layout_name(table.layout), table.reason,
                        backend::is_delta(table.layout) ? "merged on read" : "shared by all CPUs");
  }
  for (uint32_t i = 0; i < plan.linkage.module.cells.size(); ++i) {
    if (!uses.cells[i]) continue;
    text += fmt::format("variable {}: a word that kernel and user space share\n",
                        plan.linkage.module.cells[i]);
  }
  return text;
}

}  // namespace ktap::session
