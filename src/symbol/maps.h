// What a process has mapped where: address → file and offset, vdso, JIT code. Maps are text that
// the kernel writes (and, for JIT code, the process itself): read once, asked often.
// Source: proc(5), /proc/PID/maps; tools/perf/Documentation/jit-interface.txt.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "symbol/elf_image.h"
#include "sys/mapped_file.h"

namespace ktap::symbol {

enum class MappingKind : uint8_t {
  File,
  Anonymous,  ///< memory of its own, heap and stack too; JIT code lies there
  Vdso,
  Vsyscall,
  Uprobes,  ///< the kernel's own, in a process that has probes; functions with one return to it
  Other,    ///< [vvar], a device, shared memory
};

struct Mapping {
  uint64_t begin = 0;
  uint64_t end = 0;  ///< the first address behind
  uint64_t file_offset = 0;
  uint64_t device = 0;  ///< major << 32 | minor
  uint64_t inode = 0;
  MappingKind kind = MappingKind::Anonymous;
  bool is_executable = false;
  bool is_deleted = false;   ///< the file of that name is gone, or another
  bool is_recorded = false;  ///< told while it happened; by now its process may have ended
  std::string path;          ///< of a file as the process names it; `[heap]` and the like
  std::string path_before;   ///< of other code that lay there before; "": none that is known
  uint64_t since_ns = 0;     ///< it took its place then (CLOCK_MONOTONIC); 0: not known
  uint64_t seen_ns = 0;      ///< it was there then (CLOCK_MONOTONIC); 0: not known
};

/// Other code has lain at those addresses before: the mappings are cut there, and know it.
void mark_replaced(std::vector<Mapping>& mappings, uint64_t begin, uint64_t end,
                   const std::string& path_before, uint64_t since_ns);

/// What a process has mapped, and what it had before: code that took the place of other is marked.
void mark_replaced(std::vector<Mapping>& now, const std::vector<Mapping>& before);

/// A mapping with what its name tells, as the kernel writes it.
Mapping name_mapping(std::string path, uint64_t inode);

/// A line that is none is passed over. Sorted by address.
std::vector<Mapping> parse_maps(std::string_view text);

class ProcessMaps {
 public:
  /// Errors: "process 7: no such process", permission denied.
  static Result<ProcessMaps> read(pid_t pid);
  explicit ProcessMaps(std::vector<Mapping> mappings) : mappings_(std::move(mappings)) {}

  const std::vector<Mapping>& mappings() const { return mappings_; }
  /// The mapping that holds `address`, or null.
  const Mapping* find(uint64_t address) const;
  /// What is added to the file's addresses in this process; nothing: its code is not mapped.
  std::optional<uint64_t> base_of(const sys::FileIdentity& file, const LoadPlace& load) const;

 private:
  std::vector<Mapping> mappings_;
};

/// A name and what is behind it.
struct JitPlace {
  std::string_view name;
  uint64_t offset = 0;
};

/// `/tmp/perf-PID.map`: START SIZE NAME a line, numbers in hex, later lines win.
class JitMap {
 public:
  /// Nothing when there is none, when it belongs neither to root nor to the process's user, or when
  /// it is what `known` was read from, and has not been written to since.
  static std::optional<JitMap> read(pid_t pid, const JitMap* known = nullptr);
  explicit JitMap(std::string text);

  std::optional<JitPlace> at(uint64_t address) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    uint64_t begin;
    uint64_t end;
    size_t name_at;
    size_t name_bytes;
    size_t line;
  };
  /// Of a file: its number, bytes, and when it was written to last.
  struct Version {
    uint64_t inode = 0;
    int64_t bytes = 0, seconds = 0, nanoseconds = 0;
    bool operator==(const Version&) const = default;
  };
  std::string text_;
  std::vector<Entry> entries_;
  Version version_;
};

/// What this process sees of process `pid`'s files: "" where it has our own root, else
/// "/proc/PID/root".
std::string root_of(pid_t pid);

/// The number that the process has in its own pid namespace; `pid` itself when it cannot be told.
pid_t pid_inside(pid_t pid);

}  // namespace ktap::symbol
