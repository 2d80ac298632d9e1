// The files that processes have mapped, each opened once: by inode, then by build-id, so that the
// same library in many containers is one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "symbol/call_frames.h"
#include "symbol/elf_file.h"
#include "symbol/maps.h"
#include "symbol/source_lines.h"

namespace ktap::symbol {

/// A file and the names of its functions that were asked for, demangled once.
struct NamedFile {
  explicit NamedFile(ElfFile elf_file) : file(std::move(elf_file)) {}

  ElfFile file;
  std::unordered_map<uint64_t, std::string> names;  ///< by the function's address
  std::unique_ptr<SourceLines> lines;               ///< when they were asked for
  std::unique_ptr<CallFrames> frames;               ///< likewise

  /// The name as people read it: demangled, without parameters.
  const std::string& name_of(const FunctionSymbol& function);
  SourceLines& source_lines();
  CallFrames& call_frames();
};

class ElfCache {
 public:
  /// The file that process `pid` has mapped, whose root is `root` (root_of): under its name when
  /// that is still the same file, else through /proc/PID/map_files while the process lives. Null
  /// when it cannot be had, or is no ELF file. Of one that is_recorded `root` is where it may be.
  NamedFile* of_mapping(pid_t pid, const std::string& root, const Mapping& mapping);

  /// The code that the kernel maps into every process of this machine's width, or null.
  NamedFile* vdso();

  size_t size() const { return files_.size(); }

 private:
  /// What a file held, from a time until another (CLOCK_REALTIME): a new one may get the number of
  /// one that is gone.
  struct Opened {
    NamedFile* file;
    std::string path;  ///< as we open it
    uint64_t inode;
    int64_t changed_ns;
    int64_t same_until_ns;

    bool holds_at(int64_t time_ns);
  };
  using Versions = std::vector<Opened>;

  NamedFile* share(ElfFile file);
  static NamedFile* find(Versions& versions, int64_t seen_ns);

  using Key = std::tuple<uint64_t, uint64_t, std::string, std::string>;
  std::map<Key, Versions> by_mapping_;
  std::set<std::tuple<pid_t, uint64_t, uint64_t>> missing_;  // process, address, inode
  std::map<std::string, NamedFile*> by_identity_;            // with its build-id, size and time
  std::vector<std::unique_ptr<NamedFile>> files_;
  bool has_vdso_ = false;
  NamedFile* vdso_ = nullptr;
};

}  // namespace ktap::symbol
