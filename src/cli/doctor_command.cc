// ktap doctor [--json]
#include "cli/doctor_command.h"

#include <fmt/format.h>

#include <cstdio>

#include "session/doctor.h"
#include "session/report.h"

namespace ktap::cli {

namespace {

constexpr int kMistake = 2;
constexpr const char* kUsage =
    "usage: ktap doctor [--json]\n"
    "Tries each way of tracing for a moment and says what works on this machine, with the present\n"
    "privileges, what does not, and what to change. Exit status 1: no event can be traced.\n\n"
    "  --json   an object a line: {\"section\":...,\"check\":...,\"works\":...,\"note\":...}\n";

}  // namespace

int doctor_command(const std::vector<std::string>& args) {
  bool json = false;
  for (const std::string& arg : args) {
    if (arg == "--help" || arg == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (arg == "--json" || arg == "--diagnostics=json") {
      json = true;
    } else if (arg != "-q" && arg != "-v" && arg != "--diagnostics=text") {
      std::fputs(
          session::render_error(fmt::format("ktap doctor takes --json alone, not '{}'", arg), json)
              .c_str(),
          stderr);
      return kMistake;
    }
  }
  return session::doctor(json);
}

}  // namespace ktap::cli
