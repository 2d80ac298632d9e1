// ktap and ktapc: one program under two names.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "bytecode/file.h"
#include "cli/command_line.h"
#include "cli/doctor_command.h"
#include "cli/files.h"
#include "cli/format_command.h"
#include "cli/list_command.h"
#include "diag/explain.h"
#include "session/compiled.h"
#include "session/list.h"
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

int run_live(const std::vector<std::string>& args);

struct Command {
  const char* name;
  int (*run)(const std::vector<std::string>& args);
};
constexpr Command kCommands[] = {{"doctor", ktap::cli::doctor_command},
                                 {"fmt", ktap::cli::format_command},
                                 {"list", ktap::cli::list_command},
                                 {"top", run_live}};

/// The command that is the first word; -q, -v and how diagnostics look may be said before it. Null:
/// none.
const Command* find_command(const std::vector<std::string>& args, size_t* at) {
  for (*at = 0; *at < args.size(); ++*at) {
    const std::string& arg = args[*at];
    if (arg == "-q" || arg == "-v" || arg.starts_with("--diagnostics=")) continue;
    for (const Command& command : kCommands) {
      if (arg == command.name) return &command;
    }
    return nullptr;
  }
  return nullptr;
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

int run_line(ktap::cli::CommandLine line, const std::string& name) {
  const bool compiles = name == "ktapc";
  switch (line.action) {
    case ktap::cli::Action::Help: {
      const std::string text = compiles            ? ktap::cli::compile_help_text()
                               : line.options.live ? ktap::cli::live_help_text()
                                                   : ktap::cli::help_text();
      std::fputs(text.c_str(), stdout);
      return 0;
    }
    case ktap::cli::Action::Version:
      std::puts((name + " " KTAP_VERSION).c_str());
      return 0;
    case ktap::cli::Action::ListEvents:
      return ktap::session::list_events({line.list_glob, line.options.verbose, line.options.json});
    case ktap::cli::Action::ExplainCode:
      return explain_code(line.code);
    case ktap::cli::Action::Mistake:
      return mistake(line.mistake, line.options.json, name);
    case ktap::cli::Action::Session:
      break;
  }
  if (!line.script.empty()) {
    std::string wrong = read_script(line.script, line.options);
    if (wrong.empty() && line.script != "-" && !line.options.output_path.empty())
      wrong = ktap::session::refuse_own_script(line.options.output_path, line.script);
    if (!wrong.empty()) return mistake(wrong, line.options.json, name);
  }
  return ktap::session::run(line.options);
}

/// ktap top: a run like any other, but for what it shows meanwhile.
int run_live(const std::vector<std::string>& args) {
  ktap::cli::CommandLine line = ktap::cli::parse_command_line(args, "ktap top");
  line.options.live = true;
  const bool runs =
      line.options.mode == ktap::session::Mode::Run || line.action != ktap::cli::Action::Session;
  if (!runs) {
    return mistake("ktap top runs a script: not with an option that only looks at it, nor with -i",
                   line.options.json);
  }
  return run_line(std::move(line), "ktap");
}

int run_program(const std::string& name, const std::vector<std::string>& args) {
  const bool compiles = name == "ktapc";
  size_t at = 0;
  const Command* command = compiles ? nullptr : find_command(args, &at);
  if (command != nullptr) {
    std::vector<std::string> rest = args;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at));
    return command->run(rest);
  }
  return run_line(
      compiles ? ktap::cli::parse_compile_line(args) : ktap::cli::parse_command_line(args), name);
}

/// Of those that are closed, no file of ours may take the number: what is written to it would go
/// there. For reading, so that writing fails.
void keep_standard_files() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) != fd) std::abort();
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::set_new_handler(ktap::out_of_memory);
  keep_standard_files();
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
