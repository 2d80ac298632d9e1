// An own reader of argv, 150 lines: the contract's short options have two letters (-le), are never
// joined, and stop at the script, whose own arguments may look like options. Option libraries bend
// each of these.
#include "cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/limits.h"
#include "bpf/kernel_facts.h"
#include "diag/diagnostic.h"

namespace ktap::cli {

namespace {

constexpr int64_t kLeastMemoryBytes = int64_t{1} << 20;  // --max-memory

enum class Opt : uint8_t {
#define KTAP_OPTION(name, short_form, long_form, argument, help) name,
#define KTAP_OPTION_LATER(name, short_form, long_form, argument) name,
#include "cli/options.def"
};

struct Row {
  Opt opt;
  std::string_view short_form;
  std::string_view long_form;
  std::string_view argument;
  std::string_view help;  ///< "" for one that is not there yet
};

constexpr Row kRows[] = {
#define KTAP_OPTION(name, short_form, long_form, argument, help) \
  {Opt::name, short_form, long_form, argument, help},
#define KTAP_OPTION_LATER(name, short_form, long_form, argument) \
  {Opt::name, short_form, long_form, argument, ""},
#include "cli/options.def"
};

const Row* find_row(std::string_view name) {
  for (const Row& row : kRows) {
    if (!name.empty() && (name == row.short_form || name == row.long_form)) return &row;
  }
  return nullptr;
}

/// The first argument of a script that stands behind -e, no option: none begins with a digit.
bool is_negative_number(const std::string& word) { return word[1] >= '0' && word[1] <= '9'; }

std::string unknown_option(const std::string& name) {
  std::vector<std::string> names;
  for (const Row& row : kRows) {
    if (!row.short_form.empty()) names.emplace_back(row.short_form);
    if (!row.long_form.empty()) names.emplace_back(row.long_form);
  }
  const std::string near = diag::did_you_mean(name, names);
  return fmt::format("unknown option '{}'; {}", name,
                     near.empty() ? "ktap --help lists them all" : near);
}

std::optional<int64_t> number(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Applies one option to the command line; false with `line.mistake` set when its argument is no
/// good.
class Apply {
 public:
  explicit Apply(CommandLine& line) : line_(line) {}

  void option(const Row& row, const std::string& name, const std::string& value) {
    session::Options& options = line_.options;
    if (row.help.empty()) return mistake(fmt::format("option '{}' is not there yet", name));
    if (is_again(row)) return mistake(again(row, name));
    switch (row.opt) {
      case Opt::Source:
        return source("-e", value);
      case Opt::Show:
        return source("-s",
                      "trace " + value +
                          " { printf(\"%d\\t%d\\t%#s\\t%#s\\n\", cpu, tid, execname, argstr) }");
      case Opt::Output:
        return output(name, value);
      case Opt::Pid:
        return positive(name, value, "a process id", options.target_pid, 1);
      case Opt::OnCpu:
        return positive(name, value, "the number of a CPU", options.cpu, 0);
      case Opt::Follow:
        options.follow = true;
        break;
      case Opt::Timestamps:
        options.timestamps = true;
        break;
      case Opt::Quiet:
        options.quiet = true;
        break;
      case Opt::Verbose:
        options.verbose = true;
        break;
      case Opt::Version:
        line_.action = Action::Version;
        break;
      case Opt::Bytecode:
        return mode(name, session::Mode::Bytecode);
      case Opt::Interactive:
        return interactive(name);
      case Opt::DryRun:
        return mode(name, session::Mode::DryRun);
      case Opt::ListEvents:
        return list(value);
      case Opt::ListFunctions:
        return list(fmt::format("probe:{}:*", value));
      case Opt::ListMarkers:
        return list(fmt::format("sdt:{}:*", value));
      case Opt::Explain:
        return mode(name, session::Mode::Explain);
      case Opt::Check:
        return mode(name, session::Mode::Check);
      case Opt::Strict:
        options.strict = true;
        break;
      case Opt::Unsafe:
        options.unsafe = true;
        break;
      case Opt::TableSize:
        return table_size(name, value);
      case Opt::MaxMemory:
        return max_memory(name, value);
      case Opt::ExplainCode:
        line_.action = Action::ExplainCode;
        line_.code = value;
        break;
      case Opt::Help:
        line_.action = Action::Help;
        break;
      default:
        return word(row.opt, name, value);
    }
  }

 private:
  /// But for those that add up, or say themselves what is wrong with it.
  bool is_again(const Row& row) {
    const bool may = row.argument.empty() || row.opt == Opt::Without || row.opt == Opt::Source ||
                     row.opt == Opt::Show || row.opt == Opt::Dump;
    return !seen_.insert(row.opt).second && !may;
  }

  static std::string again(const Row& row, const std::string& name) {
    const char* const hint = row.opt != Opt::Pid ? ""
                                                 : "; a filter tells several processes: "
                                                   "trace EVENT /pid == 1 || pid == 2/ { }";
    return fmt::format("option '{}' is given twice{}", name, hint);
  }

  /// Options that take words, most of a closed list.
  void word(Opt opt, const std::string& name, const std::string& value) {
    switch (opt) {
      case Opt::Cgroup:
        return text(name, value, "a folder of cgroup v2", line_.options.cgroup);
      case Opt::User:
        return text(name, value, "a user's name or number", line_.options.user);
      case Opt::Engine:
        return engine(value);
      case Opt::Placement:
        return placement(value);
      case Opt::Without:
        return without(value);
      case Opt::Spoil:
        return spoil(name, value);
      case Opt::Dump:
        return dump(value);
      case Opt::Diagnostics:
        return diagnostics(value);
      default:
        break;
    }
  }

  void list(std::string glob) {
    line_.action = Action::ListEvents;
    line_.list_glob = std::move(glob);
  }

  void mistake(std::string text) {
    line_.action = Action::Mistake;
    line_.mistake = std::move(text);
  }

  void source(const char* name, std::string text) {
    if (!line_.options.source_name.empty())
      return mistake("-e or -s is given twice; put the statements into one");
    line_.options.source_name = name;
    line_.options.source_text = std::move(text);
  }

  void interactive(const std::string& name) {
    if (!line_.options.source_name.empty())
      return mistake("-i reads statements itself: it goes without -e and -s");
    mode(name, session::Mode::Interactive);
  }

  /// What is done with the script instead of running it.
  void mode(const std::string& name, session::Mode wanted) {
    if (!mode_name_.empty() && line_.options.mode != wanted)
      return mistake(
          fmt::format("{} and {} exclude each other: give one at a time", mode_name_, name));
    mode_name_ = name;
    line_.options.mode = wanted;
  }

  void diagnostics(const std::string& value) {
    if (value != "text" && value != "json")
      return mistake(fmt::format("--diagnostics takes text or json, not '{}'", value));
    line_.options.json = value == "json";
  }

  void positive(const std::string& name, const std::string& value, const char* what, int64_t& out,
                int64_t least) {
    const std::optional<int64_t> n = number(value);
    if (!n || *n < least || *n > INT32_MAX)
      return mistake(fmt::format("{} takes {}, not '{}'", name, what, value));
    out = *n;
  }

  void spoil(const std::string& name, const std::string& value) {
    int64_t line = 0;
    positive(name, value, "a line of the script", line, 1);
    line_.options.spoil_line = static_cast<uint32_t>(line);
  }

  void table_size(const std::string& name, const std::string& value) {
    int64_t entries = 0;
    const std::string what = fmt::format("a number of entries from 1 to {}", limits::kTableEntries);
    positive(name, value, what.c_str(), entries, 1);
    if (entries > limits::kTableEntries)
      return mistake(fmt::format("{} takes {}, not '{}'", name, what, value));
    line_.options.table_size = static_cast<uint32_t>(entries);
  }

  /// A whole number of bytes, or of K, M, G (powers of 1024).
  void max_memory(const std::string& name, const std::string& value) {
    constexpr std::string_view kUnits = "KMG";
    size_t unit = value.empty() ? kUnits.npos : kUnits.find(value.back());
    std::string digits = unit == kUnits.npos ? value : value.substr(0, value.size() - 1);
    int shift = unit == kUnits.npos ? 0 : 10 * (static_cast<int>(unit) + 1);
    std::optional<int64_t> n = number(digits);
    if (!n || *n < 0 || *n > (int64_t{1} << 40) >> shift || (*n << shift) < kLeastMemoryBytes)
      return mistake(
          fmt::format("{} takes a size from 1M to 1024G, such as 64M, not '{}'", name, value));
    line_.options.max_memory_bytes = static_cast<uint64_t>(*n) << shift;
  }

  void text(const std::string& name, const std::string& value, const char* what, std::string& out) {
    if (value.empty()) return mistake(fmt::format("{} takes {}, not ''", name, what));
    out = value;
  }

  void output(const std::string& name, const std::string& value) {
    if (value.empty()) return mistake(fmt::format("{} takes the name of a file, not ''", name));
    line_.options.output_path = value;
  }

  void engine(const std::string& value) {
    if (value == "perf" || value == "replay")
      return mistake(fmt::format("the engine '{}' is not there yet", value));
    if (value != "auto" && value != "bpf")
      mistake(fmt::format("--engine takes auto or bpf, not '{}'", value));
  }

  void placement(const std::string& value) {
    if (value != "auto" && value != "user")
      return mistake(fmt::format("--placement takes auto or user, not '{}'", value));
    line_.options.placement = value == "user" ? session::Placement::User : session::Placement::Auto;
  }

  void without(const std::string& value) {
    const std::vector<std::string_view> known = bpf::fact_names();
    for (size_t begin = 0; begin <= value.size();) {
      const size_t end = std::min(value.find(',', begin), value.size());
      const std::string name = value.substr(begin, end - begin);
      if (std::find(known.begin(), known.end(), name) == known.end())
        return mistake(
            fmt::format("--without takes facts of {}, not '{}'", fmt::join(known, ", "), name));
      line_.options.without.push_back(name);
      begin = end + 1;
    }
  }

  void dump(const std::string& value) {
    const std::string name = "--dump=" + value;
    if (value == "tokens") return mode(name, session::Mode::Tokens);
    if (value == "ast") return mode(name, session::Mode::Ast);
    if (value == "ssa") return mode(name, session::Mode::DumpSsa);
    if (value == "bpf") return mode(name, session::Mode::DumpBpf);
    mistake(fmt::format("--dump takes tokens, ast, ssa or bpf, not '{}'", value));
  }

  CommandLine& line_;
  std::set<Opt> seen_;
  std::string mode_name_;  ///< the option that set options.mode, or ""
};

/// The word behind option number *i of `args`, unless that is an option itself. What is missing.
std::string take_argument(const std::vector<std::string>& args, const Row& row,
                          const std::string& name, size_t* i, std::optional<std::string>* value) {
  const bool is_there = *i + 1 < args.size() && args[*i + 1] != "--";
  const bool is_option = is_there && find_row(args[*i + 1]) != nullptr;
  if (is_there && !is_option) {
    *value = args[++*i];
    return "";
  }
  if (row.argument[0] == '[') return "";  // it may be left out
  std::string missing = fmt::format("option '{}' needs {}", name, row.argument);
  if (is_option) missing += fmt::format(", and '{}' is an option", args[*i + 1]);
  return missing;
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& args, std::string_view command) {
  CommandLine line;
  Apply apply(line);
  size_t i = 0;
  const auto fail = [&line](std::string text) {
    line.action = Action::Mistake;
    line.mistake = std::move(text);
    return line;
  };
  for (; i < args.size() && args[i].size() > 1 && args[i][0] == '-' && args[i] != "--"; ++i) {
    std::string name = args[i];
    std::optional<std::string> value;
    if (name.compare(0, 2, "--") == 0 && name.find('=') != std::string::npos) {
      value = name.substr(name.find('=') + 1);
      name.resize(name.find('='));
    }
    const Row* row = find_row(name);
    if (row == nullptr && !line.options.source_name.empty() && is_negative_number(name)) break;
    if (row == nullptr) return fail(unknown_option(name));
    if (row->argument.empty() && value)
      return fail(fmt::format("option '{}' takes no argument", name));
    if (!row->argument.empty() && !value && !row->help.empty()) {
      const std::string missing = take_argument(args, *row, name, &i, &value);
      if (!missing.empty()) return fail(missing);
    }
    apply.option(*row, name, value.value_or(""));
    if (line.action == Action::Mistake) return line;
  }
  if (line.action == Action::ListEvents) {
    if (i < args.size() && line.list_glob.empty()) line.list_glob = args[i++];
    if (i == args.size()) return line;
    return fail(fmt::format("a list takes one argument, not '{}' as well; quote a glob", args[i]));
  }
  if (line.action != Action::Session) return line;

  session::Options& options = line.options;
  const auto follows_nothing = [&] {
    return options.follow && options.target_pid < 0 && options.command.empty();
  };
  const char* const kFollowsNothing = "--follow goes with -p PID or -- CMD: there is no target";
  if (options.mode == session::Mode::Interactive) {
    if (follows_nothing()) return fail(kFollowsNothing);
    if (i < args.size() || !options.source_name.empty())
      return fail(
          "-i takes no script and no command: it reads statements from the terminal or standard "
          "input");
    options.source_name = "-i";
    options.args.push_back("-i");
    return line;
  }
  if (options.source_name.empty()) {
    if (i == args.size() || args[i] == "--")
      return fail(
          fmt::format("no script: {0} FILE, or {0} -e 'SOURCE'; {0} --help tells more", command));
    line.script = args[i++];
    if (line.script.empty()) return fail("the script's name is empty");
    options.args.push_back(line.script == "-" ? "stdin" : line.script);
  } else {
    options.args.push_back(options.source_name);
  }
  while (i < args.size() && args[i] != "--") options.args.push_back(args[i++]);
  if (i < args.size()) {
    options.command.assign(args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args.end());
    if (options.command.empty()) return fail("a command must follow '--'");
  }
  if (!options.command.empty() && options.target_pid >= 0)
    return fail("-p and -- CMD exclude each other: there is one target");
  if (follows_nothing()) return fail(kFollowsNothing);
  return line;
}

std::string help_text() {
  std::string text =
      "usage: ktap [options] FILE.kp|FILE.ktap [args...] [-- CMD...]\n"
      "       ktap [options] -e 'SOURCE' [args...] [-- CMD...]\n"
      "       ktap -i [options]\n"
      "       ktap top [options] FILE.kp [args...] [-- CMD...]\n"
      "       ktap list [-v] [--json] [GLOB]\n"
      "       ktap doctor [--json]\n"
      "       ktap fmt [--check | -w] FILE.kp...\n"
      "FILE `-` is standard input. -- CMD runs CMD and traces that process alone. ktapc makes the "
      ".ktap files.\n\noptions:\n";
  for (const Row& row : kRows) {
    if (row.help.empty()) continue;
    std::string names(row.short_form);
    if (!row.long_form.empty()) names += (names.empty() ? "" : ", ") + std::string(row.long_form);
    if (!row.argument.empty())
      names += (row.short_form.empty() ? "=" : " ") + std::string(row.argument);
    text += fmt::format("  {:<30} {}\n", names, row.help);
  }
  return text;
}

std::string live_help_text() {
  return "usage: ktap top [options] FILE.kp|FILE.ktap [args...] [-- CMD...]\n"
         "       ktap top [options] -e 'SOURCE' [args...] [-- CMD...]\n"
         "Runs a script and redraws its tables each second, with rates; as text where standard "
         "output is no\nterminal. The options are those of runs (ktap --help).\n\n"
         "  q       ends, as Ctrl-C does\n"
         "  Tab     the next table\n"
         "  < >     the column that the table is sorted by; also the arrows\n"
         "  r       the other order\n"
         "  blank   holds the numbers; tracing goes on\n";
}

}  // namespace ktap::cli
