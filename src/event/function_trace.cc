// The kernel's function trace, `function:GLOB`: the functions that globs of `probe:` reach, with no
// more than where they are. `ftrace:function` with a filter that names functions is this by the
// time it comes here.
#include <string>

#include "event/kernel_functions.h"
#include "event/provider.h"

namespace ktap::event {

namespace {

constexpr std::string_view kPrefix = "function:";
constexpr std::string_view kProbePrefix = "probe:";

class FunctionTrace final : public Provider {
 public:
  void include(const Pattern& pattern, Matches* out) override;
  void list(std::string_view glob, std::vector<std::string>* out) override;
  bool is_also_called(const schema::Event& event, std::string_view text, bool by_letter) override {
    return kernel_.is_also_called(event, text, by_letter);
  }

 private:
  KernelFunctions kernel_;
};

void FunctionTrace::include(const Pattern& pattern, Matches* out) {
  if (pattern.text.substr(0, kPrefix.size()) != kPrefix) {
    out->mistakes.push_back(mistake(
        pattern,
        "say which functions: function:GLOB, or ftrace:function with the filter /ip ~ \"GLOB\"/ or "
        "/ip == \"NAME\"/, alone or on one side of &&"));
    return;
  }
  KernelPlace place;
  place.name = pattern.text.substr(kPrefix.size());
  place.is_trace = true;
  kernel_.include(pattern, place, out);
}

void FunctionTrace::list(std::string_view glob, std::vector<std::string>* out) {
  if (glob.substr(0, kPrefix.size()) != kPrefix) return;
  std::vector<std::string> probes;
  kernel_.list(glob.substr(kPrefix.size()), &probes);
  for (const std::string& probe : probes)
    out->push_back(std::string(kPrefix) + probe.substr(kProbePrefix.size()));
}

}  // namespace

std::unique_ptr<Provider> function_trace() { return std::make_unique<FunctionTrace>(); }

}  // namespace ktap::event
