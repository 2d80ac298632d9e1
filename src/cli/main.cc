// ktap and ktapc: one program under two names.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "base/check.h"
#include "bytecode/file.h"
#include "cli/command_line.h"
#include "session/session.h"

namespace {

constexpr int kMistake = 2;

int mistake(const std::string& program, const std::string& text) {
  std::fputs((program + ": error: " + text + "\n").c_str(), stderr);
  return kMistake;
}

/// The whole text of an open file; false when reading fails (a directory, say).
bool read_all(std::FILE* file, std::string& text) {
  char buffer[65536];
  size_t count = 0;
  while ((count = std::fread(buffer, 1, sizeof buffer, file)) > 0) text.append(buffer, count);
  return std::ferror(file) == 0;
}

/// Reads the script's text, or a compiled script's bytes, into the options. "" or what is wrong.
std::string read_script(const std::string& path, ktap::session::Options& options) {
  if (path == "-") {
    options.source_name = "stdin";
    if (!read_all(stdin, options.source_text))
      return std::string("cannot read the script from standard input: ") + std::strerror(errno);
  } else {
    options.source_name = path;
    std::FILE* file = std::fopen(path.c_str(), "rbe");
    const bool read = file != nullptr && read_all(file, options.source_text);
    const int error = errno;
    if (file != nullptr) std::fclose(file);
    if (!read) return "cannot read " + path + ": " + std::strerror(error);
  }
  // Whatever its name. Under the name of a compiled script nothing else is taken: it may be
  // damaged.
  options.is_compiled = ktap::bytecode::is_compiled(options.source_text) || path.ends_with(".ktap");
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  std::set_new_handler(ktap::out_of_memory);
  const std::string program = argc > 0 ? argv[0] : "ktap";
  const bool compiles = program.substr(program.find_last_of('/') + 1) == "ktapc";
  const std::string name = compiles ? "ktapc" : "ktap";
  const std::vector<std::string> args(argv + (argc > 0 ? 1 : 0), argv + argc);
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
    case ktap::cli::Action::Mistake:
      return mistake(name, line.mistake);
    case ktap::cli::Action::Session:
      break;
  }
  if (!line.script.empty()) {
    const std::string wrong = read_script(line.script, line.options);
    if (!wrong.empty()) return mistake(name, wrong);
  }
  return ktap::session::run(line.options);
}
