// What code the programs had mapped that processes ran, kept by process and time beyond their end:
// as records of the kernel told it (sys/map_records.h). Bounded: the oldest programs go first.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "symbol/maps.h"
#include "sys/map_records.h"

namespace ktap::symbol {

class ProgramImages {
 public:
  static constexpr size_t kMostPrograms = 16384;
  static constexpr size_t kMostMappings = size_t{256} << 10;

  explicit ProgramImages(size_t most_programs = kMostPrograms, size_t most_mappings = kMostMappings)
      : most_programs_(most_programs), most_mappings_(most_mappings) {}

  /// Keeps nothing of others than this process and, with `follow`, those that descend from it.
  void keep_only(pid_t process, bool follow);
  /// Requires: by time, but for Lost.
  void add(const sys::MapRecord& record);

  struct Program {
    std::vector<Mapping> code;  ///< by address; is_recorded
    bool is_whole = false;      ///< else what was mapped before it was watched is missing
  };
  /// What the process ran at that time. Nothing: it is not known.
  std::optional<Program> at(pid_t pid, uint64_t time_ns) const;
  /// The code that lay there at that time, and that other code has taken the place of since.
  /// Nothing: it is not known.
  std::optional<Mapping> replaced(pid_t pid, uint64_t address, uint64_t time_ns) const;
  /// What the process ran at some time: mappings of its programs, as far as they do not contradict
  /// each other. `from_birth`: nothing, unless all that it has ever run is known.
  std::optional<Program> ever(pid_t pid, bool from_birth) const;
  /// How often code has been seen to take the place of other.
  uint64_t replacements() const { return replacements_; }
  /// When it has mapped something last, as far as it was told; 0: never.
  uint64_t last_mapped_ns(pid_t pid) const;
  /// Who made it; 0: not known.
  pid_t parent_of(pid_t pid) const;

  size_t programs() const { return order_.size(); }

 private:
  struct File {
    std::string path;
    uint64_t device;
    uint64_t inode;
  };
  struct Region {
    uint64_t begin;
    uint64_t end;
    uint64_t file_offset;
    std::shared_ptr<const File> file;
    std::shared_ptr<const File> before;  ///< what lay there before, or null
    uint64_t since_ns;                   ///< it was mapped then
  };
  using Regions = std::vector<Region>;
  /// What was mapped until other code took its place.
  struct Former {
    Region region;
    uint64_t until_ns;
  };
  /// A program that a process runs, from then on until another time.
  struct Span {
    uint64_t begin_ns = 0;
    uint64_t end_ns = UINT64_MAX;
    pid_t parent = 0;
    bool is_birth = false;  ///< nothing was before
    bool is_whole = false;
    uint64_t mapped_ns = 0;         ///< last
    std::vector<Former> former;     ///< by time, the last of them
    std::shared_ptr<Regions> code;  ///< of who forked, and has mapped nothing since, it is shared
  };
  using Life = std::vector<Span>;  ///< by time

  bool concerns(const sys::MapRecord& record);
  bool is_kept(pid_t pid) const;
  void begin_program(const sys::MapRecord& record);
  void begin_process(const sys::MapRecord& record);
  void add_mapping(const sys::MapRecord& record);
  void forget_open_ones(const sys::MapRecord& record);
  void append(pid_t pid, Span span);
  void drop_oldest();
  const Span* find(pid_t pid, uint64_t time_ns) const;
  std::shared_ptr<const File> share(const sys::MapRecord& record);
  std::shared_ptr<Regions> make_regions(Regions regions);
  static bool agree(const Region& a, const Region& b);
  Regions laid_over(const Region* first, const Region* behind, const Region& above);
  static Program program_of(const Regions& regions, bool is_whole);

  const size_t most_programs_;
  const size_t most_mappings_;
  std::unordered_map<pid_t, Life> lives_;
  std::deque<std::pair<pid_t, uint64_t>> order_;  ///< of all spans: whose, its begin
  std::unordered_map<std::string, std::weak_ptr<const File>> files_;
  size_t files_to_look_at_ = 64;  ///< so many, and those that nobody has any more are thrown out
  std::shared_ptr<size_t> mappings_ = std::make_shared<size_t>(0);  ///< of all programs
  uint64_t lost_until_ns_ = 0;
  uint64_t replacements_ = 0;
  std::vector<bool> kept_;  ///< by process; empty: all
  bool follows_ = false;
};

}  // namespace ktap::symbol
