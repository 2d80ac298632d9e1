// Facts by name, for --without and -v.
#include "bpf/kernel_facts.h"

namespace ktap::bpf {

std::vector<std::string_view> fact_names() {
  return {
#define KTAP_FACT(name, holds, remove) #name,
#include "bpf/kernel_facts.def"
  };
}

bool has_fact(const KernelFacts& facts, std::string_view name) {
#define KTAP_FACT(fact, holds, remove) \
  if (name == #fact) return holds;
#include "bpf/kernel_facts.def"
  return false;
}

bool remove_fact(KernelFacts& facts, std::string_view name) {
#define KTAP_FACT(fact, holds, remove) \
  if (name == #fact) {                 \
    remove;                            \
    return true;                       \
  }
#include "bpf/kernel_facts.def"
  return false;
}

std::string describe(const KernelFacts& facts) {
  std::string has, lacks;
  for (const std::string_view name : fact_names()) {
    if (name == "iter_num" && facts.has_may_goto) continue;  // nobody has looked for it
    (has_fact(facts, name) ? has : lacks).append(" ").append(name);
  }
  std::string text = has.empty() ? " nothing of late" : has;
  if (!lacks.empty()) text += "; not" + lacks;
  return text.substr(1);
}

}  // namespace ktap::bpf
