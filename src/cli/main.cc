// ktap and ktapc: one program under two names.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "base/check.h"
#include "bytecode/file.h"
#include "cli/command_line.h"
#include "cli/files.h"
#include "cli/format_command.h"
#include "diag/explain.h"
#include "session/report.h"
#include "session/session.h"

namespace {

constexpr int kMistake = 2;

int mistake(const std::string& text, bool json = false, const std::string& program = "ktap") {
  std::fputs(ktap::session::render_error(text, json, program).c_str(), stderr);
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

/// `fmt` is the first word; how diagnostics look may be said before it.
bool is_format_command(const std::vector<std::string>& args) {
  const auto first = std::find_if(args.begin(), args.end(), [](const std::string& arg) {
    return !arg.starts_with("--diagnostics=");
  });
  return first != args.end() && *first == "fmt";
}

/// Reads the script's text, or a compiled script's bytes, into the options. "" or what is wrong.
std::string read_script(const std::string& path, ktap::session::Options& options) {
  options.source_name = path == "-" ? "stdin" : path;
  const std::string wrong = ktap::cli::read_file(path, options.source_text);
  if (!wrong.empty()) return wrong;
  // Whatever its name. Under the name of a compiled script nothing else is taken: it may be
  // damaged.
  options.is_compiled = ktap::bytecode::is_compiled(options.source_text) || path.ends_with(".ktap");
  return "";
}

int run_program(const std::string& name, const std::vector<std::string>& args) {
  const bool compiles = name == "ktapc";
  if (!compiles && is_format_command(args)) {
    std::vector<std::string> rest = args;
    rest.erase(std::find(rest.begin(), rest.end(), "fmt"));
    return ktap::cli::format_command(rest);
  }
  ktap::cli::CommandLine line =
      compiles ? ktap::cli::parse_compile_line(args) : ktap::cli::parse_command_line(args);
  switch (line.action) {
    case ktap::cli::Action::Help: {
      const std::string text = compiles ? ktap::cli::compile_help_text() : ktap::cli::help_text();
      std::fputs(text.c_str(), stdout);
      return 0;
    }
    case ktap::cli::Action::Version:
      std::puts((name + " " KTAP_VERSION).c_str());
      return 0;
    case ktap::cli::Action::ListEvents:
      return ktap::session::list_events(line.list_glob);
    case ktap::cli::Action::ExplainCode:
      return explain_code(line.code);
    case ktap::cli::Action::Mistake:
      return mistake(line.mistake, line.options.json, name);
    case ktap::cli::Action::Session:
      break;
  }
  if (!line.script.empty()) {
    const std::string wrong = read_script(line.script, line.options);
    if (!wrong.empty()) return mistake(wrong, line.options.json, name);
  }
  return ktap::session::run(line.options);
}

}  // namespace

int main(int argc, char** argv) {
  std::set_new_handler(ktap::out_of_memory);
  const std::string program = argc > 0 ? argv[0] : "ktap";
  const bool compiles = program.substr(program.find_last_of('/') + 1) == "ktapc";
  const std::string name = compiles ? "ktapc" : "ktap";
  const int status = run_program(name, {argv + (argc > 0 ? 1 : 0), argv + argc});
  // A script's own output is looked after by the session; listings and help end here.
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  const int error =
      mistake(std::string("writing the output: ") + std::strerror(errno), false, name);
  return status != 0 ? status : error;
}
