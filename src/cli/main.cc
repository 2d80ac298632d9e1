// ktap and ktapc: one program under two names.
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "base/check.h"
#include "cli/command_line.h"
#include "cli/files.h"
#include "cli/format_command.h"
#include "diag/explain.h"
#include "session/report.h"
#include "session/session.h"

namespace {

constexpr int kMistake = 2;

int mistake(const std::string& text, bool json = false) {
  std::fputs(ktap::session::render_error(text, json).c_str(), stderr);
  return kMistake;
}

int explain_code(const std::string& name) {
  if (name == "all") {
    std::fputs(ktap::diag::explanations_page().c_str(), stdout);
    return 0;
  }
  const ktap::diag::Explanation* found = ktap::diag::find_explanation(name);
  if (found == nullptr) return mistake(ktap::diag::no_such_code(name));
  std::fputs(ktap::diag::render_explanation(*found).c_str(), stdout);
  return 0;
}

bool is_compiled_script(const std::string& path) {
  return path.size() > 5 && path.compare(path.size() - 5, 5, ".ktap") == 0;
}

/// Reads the script's text into the options. "" or what is wrong.
std::string read_script(const std::string& path, ktap::session::Options& options) {
  if (is_compiled_script(path)) {
    return "compiled scripts (" + path + ") are not there yet; give the .kp file";
  }
  options.source_name = path == "-" ? "stdin" : path;
  return ktap::cli::read_file(path, options.source_text);
}

}  // namespace

int main(int argc, char** argv) {
  std::set_new_handler(ktap::out_of_memory);
  const std::string program = argc > 0 ? argv[0] : "ktap";
  const std::string name = program.substr(program.find_last_of('/') + 1);
  if (name == "ktapc") {
    return mistake("ktapc: writing .ktap files is not there yet; ktap runs the .kp file itself");
  }
  const std::vector<std::string> args(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (!args.empty() && args[0] == "fmt")
    return ktap::cli::format_command({args.begin() + 1, args.end()});
  ktap::cli::CommandLine line = ktap::cli::parse_command_line(args);
  switch (line.action) {
    case ktap::cli::Action::Help:
      std::fputs(ktap::cli::help_text().c_str(), stdout);
      return 0;
    case ktap::cli::Action::Version:
      std::puts("ktap " KTAP_VERSION);
      return 0;
    case ktap::cli::Action::ListEvents:
      return ktap::session::list_events(line.list_glob);
    case ktap::cli::Action::ExplainCode:
      return explain_code(line.code);
    case ktap::cli::Action::Mistake:
      return mistake(line.mistake, line.options.json);
    case ktap::cli::Action::Session:
      break;
  }
  if (!line.script.empty()) {
    const std::string wrong = read_script(line.script, line.options);
    if (!wrong.empty()) return mistake(wrong, line.options.json);
  }
  return ktap::session::run(line.options);
}
