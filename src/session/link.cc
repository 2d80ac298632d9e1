// See link.h.
#include "session/link.h"

#include "base/check.h"

namespace ktap::session {

namespace {

runtime::Value& variable_of(const lower::Linkage& linkage, uint32_t cell, vm::Vm& vm) {
  return linkage.cells[cell] != nullptr
             ? *linkage.cells[cell]->slot
             : vm.globals()[static_cast<size_t>(linkage.cell_globals[cell])];
}

}  // namespace

Result<void> link(const Plan& plan, engine::BpfEngine& engine, vm::Vm& vm, Backings& backings) {
  const lower::Linkage& linkage = plan.linkage;
  for (uint32_t i = 0; i < linkage.tables.size(); ++i) {
    if (!backend::is_delta(plan.unit.tables[i].layout)) {
      KTAP_TRY(engine.preload(i, *linkage.tables[i], linkage.module));
    }
    backings.push_back(engine.back(i, vm.heap(), linkage.module));
    linkage.tables[i]->backing = backings.back().get();
  }
  for (uint32_t i = 0; i < linkage.cells.size(); ++i) {
    runtime::Value& variable = variable_of(linkage, i, vm);
    KTAP_CHECK(variable.is_integer());
    int64_t* word = engine.cell(i);
    *word = variable.integer;
    variable = runtime::Value::of_shared(word);
  }
  return {};
}

void unlink(const Plan& plan) {
  for (runtime::Table* table : plan.linkage.tables) table->backing = nullptr;
}

void bring_home(const Plan& plan, engine::BpfEngine& engine, vm::Vm& vm) {
  engine.next_run();
  for (runtime::Table* table : plan.linkage.tables) {
    if (table->backing != nullptr) table->backing->before_read(*table);
  }
  unlink(plan);
  for (uint32_t i = 0; i < plan.linkage.cells.size(); ++i) {
    runtime::Value& variable = variable_of(plan.linkage, i, vm);
    if (variable.type == runtime::Type::SharedCell) variable = runtime::Value::of(*variable.shared);
  }
}

}  // namespace ktap::session
