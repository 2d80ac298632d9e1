// The programs and libraries that event text names, each looked up and opened once: our own, or as
// the target process sees them.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "symbol/elf_file.h"

namespace ktap::event {

/// Where the path ends in `PATH:NAME…`; npos: there is none. A path may have colons before its last
/// slash; what follows it too (`ns::f`, `PROVIDER:MARK`), and slashes (`operator/`, arguments).
size_t path_end(std::string_view text);

/// The same where the file's own name may have blanks and colons: of all that could be the path,
/// the longest that is there, `./a b:c` or `./a b` of `./a b:c:f`. None is: as above.
size_t path_end(std::string_view text, const std::function<bool(const std::string&)>& is_there);

/// The same for all paths that lead to it, and for no other file that is there.
std::string file_number(const symbol::ElfFile& file);

class ProgramFiles {
 public:
  /// `pid`: whose root and libraries are meant; 0: ours. Before anything is opened.
  void set_target(pid_t pid) { target_ = pid; }
  /// Errors: no such file, no program; in words.
  Result<const symbol::ElfFile*> open(const std::string& name);
  /// path_end() of the files that there are.
  size_t find_path_end(std::string_view text);
  /// What the target process runs instead, where the file has replaced the one that it runs; "":
  /// there is nothing to say, or it has been said.
  std::string replaced(const symbol::ElfFile& file);

 private:
  pid_t target_ = 0;
  std::map<std::string, symbol::ElfFile> files_;
  std::set<std::string> asked_;  // paths, by replaced()
};

}  // namespace ktap::event
