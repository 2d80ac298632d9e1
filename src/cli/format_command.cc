// ktap fmt [--check | -w] FILE… | -: each file alone, so that a wrong one does not stop the others.
#include "cli/format_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "bytecode/file.h"
#include "cli/files.h"
#include "diag/diagnostic.h"
#include "diag/json.h"
#include "pretty/format.h"
#include "session/report.h"

namespace ktap::cli {

namespace {

constexpr int kDiffers = 1;
constexpr int kMistake = 2;

constexpr const char* kUsage =
    "usage: ktap fmt [--check | -w] FILE... | -\n"
    "Prints scripts in the canonical layout. `-` is standard input.\n\n"
    "  -w                   write the result to the file, when it differs\n"
    "  --check              print the names of files that differ; exit 1 when there are any\n"
    "  --diagnostics=json   mistakes of scripts as JSON\n";

struct FormatOptions {
  bool check = false;
  bool write = false;
  bool json = false;
  std::vector<std::string> files;
};

class Formatter {
 public:
  explicit Formatter(const FormatOptions& options) : options_(options) {}

  int file(const std::string& path) {
    std::string text;
    if (const std::string wrong = read_file(path, text); !wrong.empty()) return mistake(wrong);
    if (bytecode::is_compiled(text))
      return mistake(path + " is compiled: ktap fmt takes the script itself");
    const diag::Source source(path == "-" ? "stdin" : path, text);
    diag::Sink sink;
    std::string failure;
    const std::optional<std::string> made = pretty::format_script(source, sink, &failure);
    const std::string told =
        options_.json ? diag::render_all_json(source, sink) : diag::render_all(source, sink);
    std::fputs(told.c_str(), stderr);
    if (!made) {
      if (sink.has_errors()) return kMistake;
      return mistake(fmt::format("{}: left as it is, because of a mistake in ktap fmt: {}",
                                 source.name(), failure));
    }
    if (options_.check) {
      if (*made == text) return 0;
      std::puts(source.name().c_str());
      return kDiffers;
    }
    if (!options_.write) {
      std::fwrite(made->data(), 1, made->size(), stdout);
      return 0;
    }
    if (*made == text) return 0;
    const std::string wrong = replace_file(path, *made);
    return wrong.empty() ? 0 : mistake(wrong);
  }

  int mistake(const std::string& text) const {
    std::fputs(session::render_error(text, options_.json).c_str(), stderr);
    return kMistake;
  }

 private:
  const FormatOptions& options_;
};

/// Reads the arguments; "" or what is wrong with them.
std::string read_arguments(const std::vector<std::string>& args, FormatOptions& options) {
  bool only_files = false;
  for (const std::string& arg : args) {
    if (only_files || arg == "-" || arg.empty() || arg[0] != '-') {
      options.files.push_back(arg);
    } else if (arg == "--") {
      only_files = true;
    } else if (arg == "--check") {
      options.check = true;
    } else if (arg == "-w") {
      options.write = true;
    } else if (arg == "--diagnostics=json") {
      options.json = true;
    } else if (arg != "--diagnostics=text" && arg != "-q" && arg != "-v") {
      const std::string near = diag::did_you_mean(arg, {"--check", "-w", "--diagnostics=json"});
      return fmt::format("ktap fmt has no option '{}'; {}", arg,
                         near.empty() ? "ktap fmt --help tells more" : near);
    }
  }
  if (options.files.empty()) return "no script: ktap fmt FILE..., or - for standard input";
  if (options.check && options.write)
    return "--check and -w exclude each other: one looks, the other writes";
  if (options.write && std::count(options.files.begin(), options.files.end(), "-") > 0)
    return "-w writes files, and standard input is none";
  return "";
}

}  // namespace

int format_command(const std::vector<std::string>& args) {
  if (!args.empty() && (args[0] == "--help" || args[0] == "-h")) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  FormatOptions options;
  const std::string wrong = read_arguments(args, options);
  Formatter formatter(options);
  if (!wrong.empty()) return formatter.mistake(wrong);
  int status = 0;
  for (const std::string& path : options.files) status = std::max(status, formatter.file(path));
  return status;
}

}  // namespace ktap::cli
