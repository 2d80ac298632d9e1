// What the command line asks of one run. `cli` fills it; everything below reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ktap::session {

/// What to do with the script.
enum class Mode : uint8_t {
  Run,
  Check,        ///< --check: compile alone
  Tokens,       ///< --dump=tokens
  Ast,          ///< --dump=ast
  Bytecode,     ///< -b
  Explain,      ///< --explain: run the main chunk, print the plan
  DumpSsa,      ///< --dump=ssa
  DumpBpf,      ///< --dump=bpf
  Interactive,  ///< -i: statements as they are entered
  DryRun,       ///< -d: load and verify everything, attach nothing
  Compile,      ///< ktapc: write the .ktap file
};

/// Where handlers may be placed. User is for comparing the two placements.
enum class Placement : uint8_t { Auto, User };

struct Options {
  Mode mode = Mode::Run;
  Placement placement = Placement::Auto;
  std::string source_name;           ///< in messages: path, "-e", "stdin", "-s"
  std::string source_text;           ///< or a .ktap file's bytes
  bool is_compiled = false;          ///< source_text is that
  bool strip = false;                ///< ktapc -s
  std::vector<std::string> args;     ///< arg[0] script, arg[1]…
  std::vector<std::string> command;  ///< after `--`; empty: none
  std::string output_path;           ///< -o; empty: standard output; ktapc: the file to write
  int64_t target_pid = -1;           ///< -p
  int64_t cpu = -1;                  ///< -C
  bool follow = false;               ///< --follow
  std::string cgroup;                ///< --cgroup, as given; empty: all
  std::string user;                  ///< --user, as given; empty: all
  uint32_t spoil_line = 0;           ///< --spoil, for tests; 0: none
  uint32_t table_size = 0;           ///< --table-size; 0: each table's own
  uint64_t max_memory_bytes = 0;     ///< --max-memory; 0: a quarter of the machine's
  bool timestamps = false;           ///< -T
  bool quiet = false;                ///< -q
  bool verbose = false;              ///< -v
  bool strict = false;               ///< --strict
  bool unsafe = false;               ///< --unsafe
  std::vector<std::string> without;  ///< --without: facts that the kernel shall lack
  bool json = false;                 ///< --diagnostics=json
  bool live = false;                 ///< ktap top: the tables are redrawn each second
};

/// What the script's values may take: --max-memory, or a quarter of the machine's.
size_t memory_limit_bytes(const Options& options);
/// The same for the trace_ends: an eighth more than that, or than the `live_bytes` there are if the
/// last growth of a table went past it, so that what was gathered can be shown.
size_t last_memory_limit_bytes(const Options& options, size_t live_bytes);

}  // namespace ktap::session
