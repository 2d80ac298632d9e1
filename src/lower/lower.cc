// The entrances of `lower`: a handler, or its filter with a capture, on one group. What a refused
// attempt left in the shared tables is taken back.
#include "lower/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "lower/attempt.h"
#include "lower/lowerer.h"

namespace ktap::lower {

std::string function_name(uint32_t handler_index, const ssa::EventGroup& group) {
  const schema::Event& first = *group.events.front();
  const std::string more = group.events.size() > 1
                               ? fmt::format(" and {} more", group.events.size() - 1)
                               : std::string();
  return fmt::format("handler {} ({}:{}{})", handler_index, first.system, first.name, more);
}

Lowered lower_handler(const Handler& handler, uint32_t handler_index, const World& world,
                      const ssa::EventGroup& group, const Options& options, Linkage& linkage) {
  KTAP_CHECK(!group.events.empty());
  LoopHints hints;
  while (true) {
    const Shapes before = linkage.shapes;
    Attempt attempt(linkage);
    hints.restart();
    Lowerer lowerer(world, group, options, handler_index, function_name(handler_index, group),
                    linkage, hints);
    lowerer.read_samples_here();
    lowerer.run_filter(handler.filter);
    lowerer.run_handler(handler);
    lowerer.finish();
    // Shapes only grow, to a bound: this ends. What other handlers made of the old ones the caller
    // does again.
    const bool is_stale = linkage.shapes != before;
    if (is_stale) hints = LoopHints();
    if (is_stale || lowerer.wants_restart()) {
      attempt.take_back();
      continue;
    }
    Lowered result = lowerer.result();
    if (!std::holds_alternative<ssa::Function>(result)) attempt.take_back();
    return result;
  }
}

std::optional<uint32_t> longest_name(const ssa::Module& module) {
  size_t longest = 0;
  for (const std::string& text : module.strings) {
    if (has_nul(text)) return std::nullopt;
    longest = std::max(longest, text.size());
  }
  return static_cast<uint32_t>(longest);
}

void learn_names(Linkage& linkage) {
  if (!linkage.least_name_bound) return;
  const std::optional<uint32_t> longest = longest_name(linkage.module);
  if (!longest) {
    linkage.shapes.names_have_nul = true;
  } else if (*longest > *linkage.least_name_bound) {
    linkage.shapes.longest_name = std::max(linkage.shapes.longest_name, *longest);
  }
}

bool reads_event(const ssa::Function& function, const ssa::Module& module) {
  for (const ssa::Block& block : function.blocks) {
    for (ssa::ValueId id : block.insts) {
      const ssa::Inst& inst = function[id];
      if (inst.op == ssa::Op::EventField) return true;
      if (inst.op == ssa::Op::Emit &&
          module.sites[static_cast<size_t>(inst.imm)].raw == ssa::RawEvent::Record) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace ktap::lower
