// The command line of ktapc: `ktapc [-s] [-o OUT] FILE.kp` (language, section 10).
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "cli/command_line.h"
#include "diag/diagnostic.h"

namespace ktap::cli {

namespace {

/// "dir/x.kp" → "dir/x.ktap"; a name without .kp keeps its end.
std::string output_of(const std::string& script) {
  constexpr std::string_view kEnd = ".kp";
  const bool has_end =
      script.size() > kEnd.size() && script.ends_with(kEnd) && !script.ends_with("/.kp");
  return (has_end ? script.substr(0, script.size() - kEnd.size()) : script) + ".ktap";
}

std::string unknown_option(const std::string& name) {
  const std::string near =
      diag::did_you_mean(name, {"-s", "-o", "-h", "--help", "-V", "--version"});
  return fmt::format("unknown option '{}'; {}", name,
                     near.empty() ? "ktapc --help tells all" : near);
}

}  // namespace

CommandLine parse_compile_line(const std::vector<std::string>& args) {
  CommandLine line;
  session::Options& options = line.options;
  options.mode = session::Mode::Compile;
  const auto fail = [&line](std::string text) {
    line.action = Action::Mistake;
    line.mistake = std::move(text);
    return line;
  };
  bool only_files = false;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (only_files || arg == "-" || arg.empty() || arg[0] != '-') {
      if (!line.script.empty())
        return fail(fmt::format("one script at a time, not '{}' and '{}'", line.script, arg));
      if (arg.empty()) return fail("the script's name is empty");
      line.script = arg;
    } else if (arg == "--") {
      only_files = true;
    } else if (arg == "-s") {
      options.strip = true;
    } else if (arg == "-o") {
      if (i + 1 == args.size() || args[i + 1].empty()) return fail("option '-o' needs OUT");
      options.output_path = args[++i];
    } else if (arg == "-h" || arg == "--help") {
      line.action = Action::Help;
      return line;
    } else if (arg == "-V" || arg == "--version") {
      line.action = Action::Version;
      return line;
    } else {
      return fail(unknown_option(arg));
    }
  }
  if (line.script.empty()) return fail("no script: ktapc [-s] [-o OUT] FILE.kp");
  if (options.output_path.empty()) {
    if (line.script == "-") return fail("a script from standard input needs -o OUT");
    options.output_path = output_of(line.script);
  }
  return line;
}

std::string compile_help_text() {
  return "usage: ktapc [-s] [-o OUT] FILE.kp\n"
         "Compiles a script into a .ktap file, which ktap runs on any machine. FILE `-` is "
         "standard\n"
         "input.\n\noptions:\n"
         "  -o OUT                         write OUT; else FILE with .ktap in place of .kp\n"
         "  -s                             leave out source text, lines and names of variables\n"
         "  -V, --version                  print the version and end\n"
         "  -h, --help                     this text\n";
}

}  // namespace ktap::cli
