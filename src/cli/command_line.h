// argv → what to do. Pure but for reading the script file; mistakes come back as one line of text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "session/options.h"

namespace ktap::cli {

enum class Action : uint8_t { Session, ListEvents, ExplainCode, Help, Version, Mistake };

struct CommandLine {
  Action action = Action::Session;
  session::Options options;
  std::string script;     ///< path of the script, "-" for standard input, "" with -e or -s
  std::string list_glob;  ///< ListEvents; "" lists all
  std::string code;       ///< ExplainCode: its argument
  std::string mistake;    ///< Mistake: what is wrong and what to do instead
};

/// Reads the arguments after `command`: "ktap", or "ktap top", whose runs are live.
CommandLine parse_command_line(const std::vector<std::string>& args,
                               std::string_view command = "ktap");
/// The same where the program's name is ktapc.
CommandLine parse_compile_line(const std::vector<std::string>& args);

/// The texts of --help.
std::string help_text();
std::string live_help_text();
std::string compile_help_text();

}  // namespace ktap::cli
