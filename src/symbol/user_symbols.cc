// Only code is kept of a process's maps: some ten mappings, so that tens of thousands of processes
// can be remembered.
#include "symbol/user_symbols.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/user_stack.h"
#include "symbol/elf_cache.h"
#include "symbol/maps.h"
#include "symbol/program_images.h"
#include "symbol/source_lines.h"
#include "sys/clock.h"
#include "sys/map_records.h"
#include "sys/process.h"
#include "sys/text_file.h"

namespace ktap::symbol {

namespace {

constexpr size_t kMostProcesses = 65536;
constexpr int64_t kCheckAfterNs = 100'000'000;
constexpr int64_t kRelativesAfterNs = 10'000'000;
constexpr size_t kMostRelatives = 64;  // guessed
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kJitAfterNs = kSecondNs;  // a map of a busy JIT has megabytes

// Where a process's addresses end: for all but those who ask for more by an address of their own,
// and on a machine that has most. Source: Documentation/arch/{x86/x86_64/mm,riscv/vm-layout}.rst,
// Documentation/arch/arm64/memory.rst.
#if defined(__x86_64__) || (defined(__riscv) && __riscv_xlen == 64)
constexpr uint64_t kUserCommonEnd = uint64_t{1} << 47;
constexpr uint64_t kUserEnd = uint64_t{1} << 56;
#elif defined(__aarch64__)
constexpr uint64_t kUserCommonEnd = uint64_t{1} << 48;
constexpr uint64_t kUserEnd = uint64_t{1} << 52;
#else  // the kernel's part begins where it was configured to, and has code for all behind that
constexpr uint64_t kUserCommonEnd = uint64_t{1} << 32;
constexpr uint64_t kUserEnd = kUserCommonEnd;
#endif

int64_t now_ns() { return sys::clock_ns(CLOCK_MONOTONIC_COARSE); }

/// Which process, running which program.
struct ProcessIdentity {
  uint64_t start_ticks = 0;
  uint64_t device = 0;
  uint64_t inode = 0;
  uint32_t mark = 0;  ///< program_mark() of its stack
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// Number `field` of /proc/PID/stat, as proc(5) counts them; 0 when there is none.
uint64_t field_of(const std::string& stat, int field) {
  constexpr int kFirstBehindName = 3;
  size_t at = stat.rfind(')');
  for (int i = kFirstBehindName; i <= field && at != std::string::npos; ++i)
    at = stat.find(' ', at + 1);
  uint64_t number = 0;
  if (at != std::string::npos)
    std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), number);
  return number;
}

constexpr int kStartTime = 22;
constexpr int kStackStart = 28;

/// "" when it has ended.
std::string stat_of(pid_t pid) {
  constexpr size_t kMostStatBytes = size_t{64} << 10;
  Result<std::string> read = sys::read_text(fmt::format("/proc/{}/stat", pid), kMostStatBytes);
  return read.ok() ? std::move(read).value() : std::string();
}

/// Nothing when it has ended. Its first thread may have, and has no program then.
std::optional<ProcessIdentity> identify(pid_t pid) {
  std::string told = stat_of(pid);
  if (told.empty()) return std::nullopt;
  ProcessIdentity identity;
  identity.start_ticks = field_of(told, kStartTime);
  struct stat status = {};
  if (stat(fmt::format("/proc/{}/exe", pid).c_str(), &status) != 0) {
    const pid_t thread = sys::living_thread_of(pid);
    // No program: it is a zombie.
    if (stat(fmt::format("/proc/{}/exe", thread).c_str(), &status) != 0) return std::nullopt;
    told = stat_of(thread);
  }
  identity.mark = program_mark(field_of(told, kStackStart));
  identity.device = status.st_dev;
  identity.inode = status.st_ino;
  return identity;
}

/// Which were read at that time.
std::vector<Mapping> code_of(const ProcessMaps& maps, uint64_t read_ns) {
  std::vector<Mapping> code;
  for (const Mapping& mapping : maps.mappings()) {
    if (!mapping.is_executable) continue;
    code.push_back(mapping);
    code.back().seen_ns = read_ns;
  }
  return code;
}

/// "libc.so.6", "JIT code".
std::string_view code_name(const std::string& path) {
  if (path.empty() || path.starts_with("//")) return "JIT code";
  return base_name(path);
}

/// Numbers of processes that are there, the next lower one first; at most kMostRelatives.
std::vector<pid_t> made_before(pid_t made) {
  std::vector<pid_t> found = sys::processes();
  std::erase(found, made);
  // Numbers begin again when they are used up.
  std::sort(found.begin(), found.end(), [made](pid_t a, pid_t b) {
    return static_cast<uint32_t>(made - a) < static_cast<uint32_t>(made - b);
  });
  if (found.size() > kMostRelatives) found.resize(kMostRelatives);
  return found;
}

/// Whether the stack with that mark began where these maps have one: the kernel names the mapping
/// that holds its begin.
bool holds_stack(const ProcessMaps& maps, uint32_t mark) {
  for (const Mapping& mapping : maps.mappings()) {
    if (mapping.path != "[stack]") continue;
    const uint64_t steps = (mapping.end - mapping.begin) >> kStackStartShift;
    return ((mark - program_mark(mapping.begin)) & program_mark(UINT64_MAX)) <= steps;
  }
  return false;
}

/// Where one that has ended saw its files, by who made it.
std::string root_of_family(const ProgramImages& images, pid_t pid) {
  constexpr int kMostSteps = 32;
  for (int i = 0; i < kMostSteps && pid > 0; ++i, pid = images.parent_of(pid)) {
    std::string root = root_of(pid);
    if (!root.empty() || access(fmt::format("/proc/{}", pid).c_str(), F_OK) == 0) return root;
  }
  return "";
}

struct Process {
  ProcessMaps maps{{}};
  std::string root;
  std::optional<ProcessIdentity> identity;
  uint64_t time_ns = 0;  // it ran then
  bool has_ended = false;
  bool is_complete = false;  // it has ended, and all that can be known is
  int64_t checked_ns = 0;
  uint64_t mapped_ns = 0;     // what it was told to have mapped until then is in the maps
  uint64_t replacements = 0;  // of all, when it was looked at
  int64_t read_again_ns = 0;  // not before
  uint64_t used = 0;
  std::optional<JitMap> jit;
  int64_t jit_read_ns = 0;  // 0: never
};

}  // namespace

std::string UserPlace::text() const {
  std::string text = fmt::format("{}+{:#x}", function, offset);
  if (function.empty()) text = fmt::format("{:#x}", address);
  if (is_inlined) text = function + " [inlined]";
  if (!file.empty()) text += fmt::format(" ({})", file_name());
  if (!source.empty()) text += " at " + source;
  return text;
}

struct UserSymbols::State {
  std::unordered_map<uint64_t, Process> processes;  ///< by number and mark
  std::unordered_map<uint32_t, uint64_t> by_mark;   ///< the last one whose maps were read
  ElfCache files;
  std::optional<sys::MapRecords> records;
  ProgramImages images;
  bool is_missing_any = false;  ///< an address of a process that has ended has no name
  uint64_t uses = 0;
  int64_t relatives_again_ns = 0;  ///< not before
  int64_t relatives_wait_ns = 0;

  static uint64_t key_of(UserProgram program) {
    return uint64_t{program.mark} << 32 | static_cast<uint32_t>(program.pid);
  }

  /// Whether it still is what was asked for. A mark that /proc hides says nothing.
  static bool is_alive(UserProgram program, const std::optional<ProcessIdentity>& identity) {
    if (!identity.has_value()) return false;
    return program.mark == 0 || identity->mark == 0 || identity->mark == program.mark;
  }

  /// The maps come first where a mark tells whose they are: a program that ends soon does not wait.
  /// A program that a stack was taken in runs since before, so that one which runs still when they
  /// have been read is that of the maps.
  void read(UserProgram program, Process& process) {
    std::optional<ProcessIdentity> identity;
    if (program.mark == 0) identity = identify(program.pid);
    process.checked_ns = now_ns();
    const int64_t read_ns = sys::clock_ns(CLOCK_MONOTONIC);
    const Result<ProcessMaps> maps = ProcessMaps::read(program.pid);
    if (program.mark != 0) identity = identify(program.pid);
    process.has_ended = !is_alive(program, identity);
    // A process that is ending has no maps any more: those from before are better.
    if (!maps.ok() || maps.value().mappings().empty()) return look_elsewhere(program, process);
    // It has ended since, or what it mapped is another program's.
    const bool is_told = !identity.has_value() && holds_stack(maps.value(), program.mark);
    if (process.has_ended && !is_told) return look_elsewhere(program, process);
    const bool is_another =
        process.identity.has_value() && identity.has_value() && *process.identity != *identity;
    if (is_another) process.maps = ProcessMaps({});
    set_maps(program, process, code_of(maps.value(), static_cast<uint64_t>(read_ns)));
    process.identity = identity;
    if (program.mark != 0) by_mark[program.mark] = key_of(program);
    process.root = root_of(program.pid);
    open_files(program, process);
  }

  /// Of code that took the place of other nobody can tell which of the two a stack means.
  void set_maps(UserProgram program, Process& process, std::vector<Mapping> code) {
    mark_replaced(code, process.maps.mappings());
    take_records();
    process.mapped_ns = images.last_mapped_ns(program.pid);
    if (const auto told = told_of(program, process)) mark_told(code, *told);
    process.maps = ProcessMaps(std::move(code));
  }

  static void mark_told(std::vector<Mapping>& code, const ProgramImages::Program& told) {
    for (const Mapping& later : told.code) {
      if (later.path_before.empty()) continue;
      mark_replaced(code, later.begin, later.end, later.path_before, later.since_ns);
      for (Mapping& mapping : code) {
        // It was read before that.
        if (mapping.begin < later.begin || mapping.end > later.end) continue;
        if (mapping.path != mapping.path_before) continue;
        const uint64_t begin = mapping.begin, end = mapping.end;
        mapping = later;
        mapping.begin = begin;
        mapping.end = end;
        mapping.file_offset += begin - later.begin;
      }
    }
  }

  std::optional<ProgramImages::Program> told_of(UserProgram program, const Process& process) {
    return images.at(program.pid, process.time_ns != 0 ? process.time_ns : UINT64_MAX - 1);
  }

  /// Another root than ours goes with its processes.
  void open_files(UserProgram program, const Process& process) {
    if (process.root.empty()) return;
    for (const Mapping& mapping : process.maps.mappings()) {
      if (mapping.kind == MappingKind::File) files.of_mapping(program.pid, process.root, mapping);
    }
  }

  void take_records() {
    if (!records.has_value()) return;
    for (const sys::MapRecord& record : records->take()) images.add(record);
  }

  /// What the kernel told of a process whose maps are not to be had any more; added to what is
  /// known of them.
  void look_elsewhere(UserProgram program, Process& process) {
    take_records();
    process.is_complete = process.has_ended;
    std::optional<ProgramImages::Program> told;
    if (program.mark != 0 && process.time_ns != 0) told = images.at(program.pid, process.time_ns);
    // Without marks several programs go by the same name.
    if (program.mark == 0 || process.time_ns == 0)
      told = images.ever(program.pid, program.mark != 0);
    const bool is_known = !process.maps.mappings().empty();
    if (!is_known && (!told.has_value() || !told->is_whole)) borrow(program, process);
    if (!told.has_value() || told->code.empty()) return;
    if (process.maps.mappings().empty()) process.root = root_of_family(images, program.pid);
    std::vector<Mapping> code = process.maps.mappings();
    mark_told(code, *told);
    for (Mapping& mapping : told->code) {
      const bool is_taken = std::any_of(code.begin(), code.end(), [&](const Mapping& other) {
        return other.begin < mapping.end && mapping.begin < other.end;
      });
      if (!is_taken) code.push_back(std::move(mapping));
    }
    std::sort(code.begin(), code.end(),
              [](const Mapping& a, const Mapping& b) { return a.begin < b.begin; });
    process.maps = ProcessMaps(std::move(code));
    open_files(program, process);
  }

  /// A process that had ended before it could be looked at may be a fork of one that is known, or
  /// is there still: what it had mapped and where its stack began were then the same.
  void borrow(UserProgram program, Process& process) {
    if (program.mark == 0 || !process.maps.mappings().empty()) return;
    if (by_mark.count(program.mark) == 0) remember_relative(program);
    const auto key = by_mark.find(program.mark);
    const auto known = key == by_mark.end() ? processes.end() : processes.find(key->second);
    if (known == processes.end()) return;
    process.maps = known->second.maps;
    process.root = known->second.root;
  }

  /// Looks for a process with that mark among those that were made last before it: some 10 us each.
  /// Where that is in vain, as with programs that were started and have ended, ever more seldom.
  void remember_relative(UserProgram program) {
    const int64_t begin = now_ns();
    if (begin < relatives_again_ns) return;
    relatives_again_ns = INT64_MAX;  // not while we are at it
    relatives_wait_ns = std::min(std::max(2 * relatives_wait_ns, kRelativesAfterNs), kSecondNs);
    for (const pid_t pid : made_before(program.pid)) {
      if (program_mark(field_of(stat_of(pid), kStackStart)) != program.mark) continue;
      find({pid, program.mark});
      relatives_wait_ns = 0;
      break;
    }
    relatives_again_ns = now_ns() + relatives_wait_ns;
  }

  Process& find(UserProgram program) {
    auto [entry, is_new] = processes.try_emplace(key_of(program));
    Process& process = entry->second;
    process.used = ++uses;
    if (program.time_ns != 0 && process.time_ns == 0) {
      process.time_ns = program.time_ns;
      process.is_complete = false;
    }
    if (is_new) {
      read(program, process);
      if (processes.size() > kMostProcesses) drop_oldest();
      return process;
    }
    // It may have gone on, but the names that it has are another's.
    if (process.replacements != images.replacements() &&
        process.mapped_ns != images.last_mapped_ns(program.pid))
      process.checked_ns = 0;
    process.replacements = images.replacements();
    if (now_ns() - process.checked_ns < kCheckAfterNs) return process;
    process.checked_ns = now_ns();
    const std::optional<ProcessIdentity> identity = identify(program.pid);
    if (program.mark == 0 && identity.has_value() && identity != process.identity) {
      process = Process{};
      process.used = uses;
      process.time_ns = program.time_ns;
      read(program, process);
    } else {
      process.has_ended = !is_alive(program, identity);
      const bool has_mapped = process.mapped_ns != images.last_mapped_ns(program.pid);
      if (has_mapped && !process.has_ended) read(program, process);
      // The last that it mapped before it ended; without a time it may be another program's.
      if (has_mapped && process.has_ended && (program.mark == 0 || process.time_ns != 0))
        set_maps(program, process, process.maps.mappings());
    }
    return process;
  }

  /// The half that has not been asked for the longest.
  void drop_oldest() {
    const uint64_t limit = uses - kMostProcesses / 2;
    for (auto entry = processes.begin(); entry != processes.end();) {
      entry = entry->second.used < limit ? processes.erase(entry) : std::next(entry);
    }
  }

  static bool came_later(UserProgram program, const Mapping& mapping) {
    return program.time_ns != 0 && program.time_ns < mapping.since_ns;
  }

  const Mapping* find_mapping(UserProgram program, Process& process, uint64_t address) {
    const Mapping* mapping = process.maps.find(address);
    if (mapping != nullptr) return mapping;
    if (process.has_ended) {
      if (!process.is_complete) look_elsewhere(program, process);
      mapping = process.maps.find(address);
      is_missing_any = is_missing_any || mapping == nullptr;
      return mapping;
    }
    // It may have mapped something since; but wild addresses come in crowds.
    const int64_t now = now_ns();
    if (now < process.read_again_ns) return nullptr;
    read(program, process);
    process.read_again_ns = now + kCheckAfterNs;
    // Or unloaded it.
    if (process.maps.find(address) == nullptr) look_elsewhere(program, process);
    return process.maps.find(address);
  }

  /// False: the file has no code there.
  static bool name_in_file(NamedFile& named, uint64_t file_offset, UserPlace& place) {
    const std::optional<uint64_t> address = named.file.image().address_of(file_offset);
    if (!address.has_value()) return false;
    place.address = *address;
    const std::optional<FunctionPlace> found = named.file.at(*address);
    if (!found.has_value()) return true;
    place.function = named.name_of(found->function);
    place.offset = found->offset;
    return true;
  }

  /// The file that holds what is mapped there, or null.
  NamedFile* file_of(UserProgram program, const Process& process, const Mapping& mapping) {
    if (mapping.kind == MappingKind::File)
      return files.of_mapping(program.pid, process.root, mapping);
    // That of a 32-bit process is another.
    const bool is_ours = (mapping.begin >> 32 != 0) == (sizeof(void*) == 8);
    return mapping.kind == MappingKind::Vdso && is_ours ? files.vdso() : nullptr;
  }

  void name_in_jit(UserProgram program, Process& process, uint64_t address, UserPlace& place) {
    std::optional<JitPlace> found;
    if (process.jit.has_value()) found = process.jit->at(address);
    const int64_t now = now_ns();
    const bool may_read = process.jit_read_ns == 0 || now - process.jit_read_ns > kJitAfterNs;
    // The code of a program that another followed is not told any more.
    const bool is_known = !process.has_ended || !identify(program.pid).has_value();
    if (!found.has_value() && may_read && is_known) {
      process.jit_read_ns = now;
      std::optional<JitMap> map =
          JitMap::read(program.pid, process.jit.has_value() ? &*process.jit : nullptr);
      if (map.has_value()) process.jit = std::move(map);
      if (process.jit.has_value()) found = process.jit->at(address);
    }
    place.may_get_name = !found.has_value();
    if (!found.has_value()) return;
    place.file = "[jit]";
    place.function = found->name;
    place.offset = found->offset;
  }

  /// `file`: whose address the place's is, or null.
  UserPlace place(UserProgram program, uint64_t address, NamedFile** file) {
    UserPlace place;
    place.address = address;
    Process& process = find(program);
    const Mapping* mapping = find_mapping(program, process, address);
    if (mapping == nullptr) return place;
    if (!mapping->path_before.empty()) {
      place.file =
          fmt::format("[{} or {}]", code_name(mapping->path_before), code_name(mapping->path));
      return place;
    }
    const uint64_t file_offset = address - mapping->begin + mapping->file_offset;
    NamedFile* const named = file_of(program, process, *mapping);
    switch (mapping->kind) {
      case MappingKind::File:
        place.file = mapping->path;
        if (named == nullptr) {
          name_in_jit(program, process, address, place);
          if (place.function.empty()) place.address = file_offset;
        }
        break;
      case MappingKind::Vdso:
        place.file = "[vdso]";
        break;
      case MappingKind::Vsyscall:
        place.file = "[vsyscall]";
        break;
      case MappingKind::Uprobes:
        place.file = "[uprobes]";
        break;
      case MappingKind::Anonymous:
      case MappingKind::Other:
        name_in_jit(program, process, address, place);
        break;
    }
    if (named != nullptr && name_in_file(*named, file_offset, place)) *file = named;
    return place;
  }
};

UserSymbols::UserSymbols() : state_(new State) {}
UserSymbols::UserSymbols(UserSymbols&&) noexcept = default;
UserSymbols& UserSymbols::operator=(UserSymbols&&) noexcept = default;
UserSymbols::~UserSymbols() = default;

Result<void> UserSymbols::watch(WatchedProcesses whom) {
  KTAP_ASSIGN(sys::MapRecords records, sys::MapRecords::open());
  state_->records.emplace(std::move(records));
  if (whom.root > 0) state_->images.keep_only(whom.root, whom.descendants);
  return {};
}

void UserSymbols::take_records() { state_->take_records(); }

bool UserSymbols::is_watching() const { return state_->records.has_value(); }

uint64_t UserSymbols::replacements() const { return state_->images.replacements(); }

uint64_t UserSymbols::lost_records() const {
  return state_->records.has_value() && state_->is_missing_any ? state_->records->lost() : 0;
}

void UserSymbols::remember(UserProgram program) { state_->find(program); }

void UserSymbols::look_again(UserProgram program) {
  const bool is_known = state_->processes.count(State::key_of(program)) != 0;
  Process& process = state_->find(program);
  if (is_known && !process.has_ended) state_->read(program, process);
}

bool UserSymbols::may_be_code(UserProgram program, uint64_t address) {
  constexpr uint64_t kFirstPageEnd = 4096;
  if (address < kFirstPageEnd || address >= kUserEnd) return false;
  if (address < kUserCommonEnd) return true;
  return state_->find_mapping(program, state_->find(program), address) != nullptr;
}

std::optional<UserCode> UserSymbols::code(UserProgram program, uint64_t address) {
  Process& process = state_->find(program);
  const Mapping* mapping = state_->find_mapping(program, process, address);
  if (mapping == nullptr) return std::nullopt;
  std::optional<Mapping> then;
  if (State::came_later(program, *mapping)) {
    then = state_->images.replaced(program.pid, address, program.time_ns);
    if (!then.has_value()) return std::nullopt;
    mapping = &*then;
  }
  NamedFile* file = state_->file_of(program, process, *mapping);
  if (file == nullptr) return std::nullopt;
  const auto in_file =
      file->file.image().address_of(address - mapping->begin + mapping->file_offset);
  if (!in_file.has_value()) return std::nullopt;
  return UserCode{file, *in_file};
}

bool UserSymbols::came_later(UserProgram program, uint64_t address) {
  const Mapping* mapping = state_->find_mapping(program, state_->find(program), address);
  return mapping != nullptr && State::came_later(program, *mapping);
}

bool UserSymbols::is_behind_system_call(UserProgram program, uint64_t address) {
#if defined(__x86_64__)
  constexpr uint8_t kCall[] = {0x0f, 0x05};
#elif defined(__aarch64__)
  constexpr uint8_t kCall[] = {0x01, 0x00, 0x00, 0xd4};
#elif defined(__riscv)
  constexpr uint8_t kCall[] = {0x73, 0x00, 0x00, 0x00};
#else
  constexpr uint8_t kCall[] = {0x00, 0x00, 0x00, 0xef};
#endif
  const std::optional<UserCode> before = code(program, address - sizeof kCall);
  if (!before.has_value()) return false;
  const ElfImage& image = before->file->file.image();
  const std::optional<uint64_t> offset = image.file_offset(before->address, true);
  const Bytes whole = image.whole();
  return offset.has_value() && *offset + sizeof kCall <= whole.size() &&
         std::equal(kCall, kCall + sizeof kCall, whole.begin() + static_cast<ptrdiff_t>(*offset));
}

bool UserSymbols::knows(UserProgram program) {
  return !state_->find(program).maps.mappings().empty();
}

bool UserSymbols::begins_program(UserProgram program, uint64_t address) {
  constexpr uint64_t kMostStartBytes = 64;  // of the GNU C library: 34 to 52
  const std::optional<UserCode> place = code(program, address);
  if (!place.has_value()) return false;
  const uint64_t entry = place->file->file.image().entry();
  return entry != 0 && place->address >= entry && place->address - entry < kMostStartBytes;
}

bool UserSymbols::is_return_probe(UserProgram program, uint64_t address) {
  Process& process = state_->find(program);
  const Mapping* mapping = state_->find_mapping(program, process, address);
  return mapping != nullptr && mapping->kind == MappingKind::Uprobes && mapping->begin == address;
}

UserPlace UserSymbols::name(UserProgram program, uint64_t address) {
  NamedFile* file = nullptr;
  return state_->place(program, address, &file);
}

std::vector<UserPlace> UserSymbols::places(UserProgram program, uint64_t address) {
  NamedFile* file = nullptr;
  UserPlace place = state_->place(program, address, &file);
  std::vector<UserPlace> places;
  if (file != nullptr) {
    for (SourceFrame& frame : file->source_lines().at(place.address)) {
      std::string source;
      if (frame.line != 0 && !frame.file.empty())
        source = fmt::format("{}:{}", frame.file, frame.line);
      if (!frame.is_inlined) {
        place.source = std::move(source);
        break;
      }
      if (frame.function.empty()) continue;
      places.push_back(
          {std::move(frame.function), 0, place.file, place.address, std::move(source), true});
    }
  }
  places.push_back(std::move(place));
  return places;
}

}  // namespace ktap::symbol
