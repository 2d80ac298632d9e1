// See link.h.
#include "session/link.h"

#include <optional>

#include "base/check.h"

namespace ktap::session {

namespace {

runtime::Value& variable_of(const lower::Variable& variable, vm::Vm& vm) {
  return variable.cell != nullptr ? *variable.cell->slot
                                  : vm.globals()[static_cast<size_t>(variable.global)];
}

lower::Variable word_variable(const lower::Linkage& linkage, uint32_t cell) {
  return {linkage.cells[cell], linkage.cell_globals[cell]};
}

using ChangedBy = runtime::SharedWord::ChangedBy;

/// Nothing where handlers change it in several ways, which do not mix.
std::optional<ChangedBy> one_change(uint8_t changes) {
  switch (changes) {
    case 0:
    case KernelUses::kSum:
      return ChangedBy::Sum;
    case KernelUses::kMask:
      return ChangedBy::Mask;
    case KernelUses::kToggle:
      return ChangedBy::Toggle;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<void> link(const Plan& plan, engine::BpfEngine& engine, vm::Vm& vm, Backings& backings) {
  const lower::Linkage& linkage = plan.linkage;
  const KernelUses uses = kernel_uses(plan);
  for (uint32_t i = 0; i < linkage.tables.size(); ++i) {
    // Those of aggregates are linked below.
    if (linkage.tables[i] == nullptr || !uses.tables[i]) continue;
    if (!backend::is_delta(plan.unit.tables[i].layout)) {
      KTAP_TRY(engine.preload(i, *linkage.tables[i], linkage.module));
    }
    if (linkage.shapes.totals.what(linkage.tables[i]) != nullptr) continue;  // the kernel's alone
    if (linkage.variables[i].valid()) {
      backings.variables.push_back(engine.variable(i, vm.heap(), linkage.module));
      variable_of(linkage.variables[i], vm) =
          runtime::Value::of_variable(backings.variables.back().get());
      continue;
    }
    backings.tables.push_back(engine.back(i, vm.heap(), linkage.module));
    linkage.tables[i]->backing = backings.tables.back().get();
  }
  backings.samples = std::make_unique<engine::KernelSamples>(
      engine, linkage.samples, linkage.module.strings, vm.heap(), vm.reader_needs());
  for (uint32_t i = 0; i < linkage.cells.size(); ++i) {
    if (!uses.cells[i]) continue;
    runtime::Value& variable = variable_of(word_variable(linkage, i), vm);
    KTAP_CHECK(variable.is_integer());
    int64_t* word = engine.cell(i);
    *word = variable.integer;
    const std::optional<ChangedBy> by = one_change(uses.cell_changes[i]);
    if (!by) {
      variable = runtime::Value::of_shared(word);
      continue;
    }
    backings.variables.push_back(
        std::make_unique<runtime::SharedWord>(word, *by, [&engine] { return engine.run(); }));
    variable = runtime::Value::of_variable(backings.variables.back().get());
  }
  return {};
}

void unlink(const Plan& plan, Backings& backings) {
  for (runtime::Table* table : plan.linkage.tables) {
    if (table != nullptr) table->backing = nullptr;
  }
  backings.samples.reset();
}

void bring_home(const Plan& plan, engine::BpfEngine& engine, vm::Vm& vm, Backings& backings) {
  bring_variables_home(plan, engine, vm);
  for (runtime::Table* table : plan.linkage.tables) {
    if (table != nullptr && table->backing != nullptr) table->backing->before_read(*table);
  }
  if (backings.samples != nullptr) backings.samples->before_read();
  unlink(plan, backings);
}

void bring_variables_home(const Plan& plan, engine::BpfEngine& engine, vm::Vm& vm) {
  engine.next_run();
  for (const lower::Variable& variable : plan.linkage.variables) {
    if (!variable.valid()) continue;
    runtime::Value& value = variable_of(variable, vm);
    if (value.type == runtime::Type::SharedVariable) value = value.variable->load();
  }
  for (uint32_t i = 0; i < plan.linkage.cells.size(); ++i) {
    runtime::Value& variable = variable_of(word_variable(plan.linkage, i), vm);
    if (variable.type == runtime::Type::SharedCell) variable = runtime::Value::of(*variable.shared);
    if (variable.type == runtime::Type::SharedVariable) variable = variable.variable->load();
  }
}

}  // namespace ktap::session
