// ktap list [-v] [--json] [GLOB]
#include "cli/list_command.h"

#include <fmt/format.h>

#include <cstdio>

#include "diag/diagnostic.h"
#include "session/list.h"
#include "session/report.h"

namespace ktap::cli {

namespace {

constexpr int kMistake = 2;
constexpr const char* kUsage =
    "usage: ktap list [-v] [--json] [GLOB]\n"
    "Prints the events that match GLOB, one a line; without it all but functions and markers.\n\n"
    "  -v       with their arguments and the types of these, and the symbols of functions\n"
    "  --json   an object a line: {\"event\":...,\"args\":[{\"name\":...,\"type\":...}]},\n"
    "           of functions of programs also \"places\":[{\"symbol\":...,\"address\":...}]\n\n"
    "  ktap list -v 'syscalls:sys_enter_open*'   tracepoints\n"
    "  ktap list 'probe:vfs_*'                   functions of the kernel\n"
    "  ktap list 'function:vfs_*'                the same for the function trace\n"
    "  ktap list 'cache:*'                       events of the processor's caches\n"
    "  ktap list 'probe:libc.so.6:mall*'         functions of a program or library\n"
    "  ktap list 'sdt:libc.so.6:*'               its markers\n";

}  // namespace

int list_command(const std::vector<std::string>& args) {
  session::ListRequest request;
  bool has_glob = false;
  const auto fail = [&request](const std::string& text) {
    std::fputs(session::render_error(text, request.json).c_str(), stderr);
    return kMistake;
  };
  for (const std::string& arg : args) {
    if (arg == "--help" || arg == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (arg == "-v") {
      request.verbose = true;
    } else if (arg == "--json" || arg == "--diagnostics=json") {
      request.json = true;
    } else if (arg == "-q" || arg == "--diagnostics=text") {
      continue;
    } else if (!arg.empty() && arg[0] == '-') {
      const std::string near = diag::did_you_mean(arg, {"-v", "--json"});
      return fail(fmt::format("ktap list has no option '{}'; {}", arg,
                              near.empty() ? "ktap list --help tells more" : near));
    } else if (has_glob) {
      return fail(
          fmt::format("ktap list takes one GLOB, and '{}' is another: quote it, so that "
                      "the shell leaves it alone",
                      arg));
    } else {
      request.glob = arg;
      has_glob = true;
    }
  }
  return session::list_events(request);
}

}  // namespace ktap::cli
