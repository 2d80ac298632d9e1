// `ktap -d`: what was compiled, loaded and verified, one line a handler, then the sum.
#include <fmt/format.h>

#include "session/explain.h"

namespace ktap::session {

namespace {

struct Loaded {
  size_t programs = 0;
  size_t instructions = 0;
};

std::string plural(size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

Loaded programs_of(const Plan& plan, uint32_t handler) {
  Loaded loaded;
  for (const bpf::Program& program : plan.unit.programs) {
    if (!program.serves(handler)) continue;
    ++loaded.programs;
    loaded.instructions += program.instructions_of(handler);
  }
  return loaded;
}

}  // namespace

std::string dry_run_report(const Plan& plan, const std::vector<Registration>& registrations,
                           const diag::Source& source) {
  if (registrations.empty()) return "no handlers: the script ends with its main chunk\n";
  std::string text;
  size_t in_kernel = 0;
  for (uint32_t i = 0; i < plan.handlers.size(); ++i) {
    const PlannedHandler& handler = plan.handlers[i];
    const bytecode::Place& place = registrations[handler.registration].handler.place;
    const std::string at = place_text(source, place.span, place.line);
    const Loaded loaded = programs_of(plan, i);
    text +=
        fmt::format("{}: {}, {}, {}, verified\n", at.empty() ? source.name() : at,
                    handler.in_kernel ? "in the kernel" : "in user space",
                    plural(loaded.programs, "program"), plural(loaded.instructions, "instruction"));
    if (handler.in_kernel) {
      ++in_kernel;
    } else {
      const std::string why = place_text(source, handler.reason.span, handler.reason.line);
      text +=
          fmt::format("  because {}{}\n", handler.reason.text, why.empty() ? "" : " (" + why + ")");
    }
  }
  size_t instructions = 0;
  for (const bpf::Program& program : plan.unit.programs) instructions += program.code.size();
  text += fmt::format("{}, {} of events: {} in the kernel, {} in user space\n",
                      plural(registrations.size(), "handler"), plan.handlers.size(), in_kernel,
                      plan.handlers.size() - in_kernel);
  return text + fmt::format("{}, {}: loaded and verified, nothing attached\n",
                            plural(plan.unit.programs.size(), "program"),
                            plural(instructions, "instruction"));
}

}  // namespace ktap::session
