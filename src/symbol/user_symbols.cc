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

#include "symbol/elf_cache.h"
#include "symbol/maps.h"
#include "sys/text_file.h"

namespace ktap::symbol {

namespace {

constexpr size_t kMostProcesses = 65536;
constexpr int64_t kCheckAfterNs = 100'000'000;
constexpr int64_t kJitAfterNs = 1'000'000'000;  // a map of a busy JIT has megabytes

int64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

/// Which process, running which program.
struct ProcessIdentity {
  uint64_t start_ticks = 0;
  uint64_t device = 0;
  uint64_t inode = 0;
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// Nothing when it has ended.
std::optional<ProcessIdentity> identify(pid_t pid) {
  constexpr size_t kMostStatBytes = size_t{64} << 10;
  constexpr int kFieldsBefore = 19;  // between the name and the start time
  const Result<std::string> read =
      sys::read_text(fmt::format("/proc/{}/stat", pid), kMostStatBytes);
  if (!read.ok()) return std::nullopt;
  const std::string* text = &read.value();
  size_t at = text->rfind(')');
  for (int i = 0; i <= kFieldsBefore && at != std::string::npos; ++i) at = text->find(' ', at + 1);
  if (at == std::string::npos) return std::nullopt;
  ProcessIdentity identity;
  std::from_chars(text->data() + at + 1, text->data() + text->size(), identity.start_ticks);
  struct stat status = {};
  // No program: it is a zombie.
  if (stat(fmt::format("/proc/{}/exe", pid).c_str(), &status) != 0) return std::nullopt;
  identity.device = status.st_dev;
  identity.inode = status.st_ino;
  return identity;
}

std::vector<Mapping> code_of(const ProcessMaps& maps) {
  std::vector<Mapping> code;
  for (const Mapping& mapping : maps.mappings()) {
    if (mapping.is_executable) code.push_back(mapping);
  }
  return code;
}

struct Process {
  ProcessMaps maps{{}};
  std::string root;
  std::optional<ProcessIdentity> identity;
  bool has_ended = false;
  int64_t checked_ns = 0;
  int64_t read_again_ns = 0;  // not before
  uint64_t used = 0;
  std::optional<JitMap> jit;
  int64_t jit_read_ns = 0;  // 0: never
};

}  // namespace

std::string UserPlace::text() const {
  std::string text =
      function.empty() ? fmt::format("{:#x}", address) : fmt::format("{}+{:#x}", function, offset);
  if (!file.empty()) text += fmt::format(" ({})", file.substr(file.rfind('/') + 1));
  return text;
}

struct UserSymbols::State {
  std::unordered_map<pid_t, Process> processes;
  ElfCache files;
  uint64_t uses = 0;

  void read(pid_t pid, Process& process) {
    std::optional<ProcessIdentity> identity = identify(pid);
    const Result<ProcessMaps> maps = ProcessMaps::read(pid);
    process.checked_ns = now_ns();
    process.has_ended = !identity.has_value();
    // A process that is ending has no maps any more: those from before are better.
    if (!maps.ok() || maps.value().mappings().empty()) return;
    process.maps = ProcessMaps(code_of(maps.value()));
    process.identity = identity;
    process.root = root_of(pid);
    if (process.root.empty()) return;
    // Its root goes with it.
    for (const Mapping& mapping : process.maps.mappings()) {
      if (mapping.kind == MappingKind::File) files.of_mapping(pid, process.root, mapping);
    }
  }

  Process& find(pid_t pid) {
    auto [entry, is_new] = processes.try_emplace(pid);
    Process& process = entry->second;
    process.used = ++uses;
    if (is_new) {
      read(pid, process);
      if (processes.size() > kMostProcesses) drop_oldest();
      return process;
    }
    if (now_ns() - process.checked_ns < kCheckAfterNs) return process;
    process.checked_ns = now_ns();
    const std::optional<ProcessIdentity> identity = identify(pid);
    if (identity.has_value() && identity != process.identity) {
      process = Process{};
      process.used = uses;
      read(pid, process);
    } else {
      process.has_ended = !identity.has_value();
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

  const Mapping* find_mapping(pid_t pid, Process& process, uint64_t address) {
    const Mapping* mapping = process.maps.find(address);
    if (mapping != nullptr || process.has_ended) return mapping;
    // It may have mapped something since; but wild addresses come in crowds.
    const int64_t now = now_ns();
    if (now < process.read_again_ns) return nullptr;
    read(pid, process);
    process.read_again_ns = now + kCheckAfterNs;
    return process.maps.find(address);
  }

  void name_in_file(NamedFile& named, uint64_t file_offset, UserPlace& place) {
    const std::optional<uint64_t> address = named.file.image().address_of(file_offset);
    if (!address.has_value()) return;
    place.address = *address;
    const std::optional<FunctionPlace> found = named.file.at(*address);
    if (!found.has_value()) return;
    place.function = named.name_of(found->function);
    place.offset = found->offset;
  }

  void name_in_jit(pid_t pid, Process& process, uint64_t address, UserPlace& place) {
    std::optional<JitPlace> found;
    if (process.jit.has_value()) found = process.jit->at(address);
    const int64_t now = now_ns();
    const bool may_read = process.jit_read_ns == 0 || now - process.jit_read_ns > kJitAfterNs;
    if (!found.has_value() && may_read) {
      process.jit_read_ns = now;
      std::optional<JitMap> map = JitMap::read(pid);
      if (map.has_value()) process.jit = std::move(map);
      if (process.jit.has_value()) found = process.jit->at(address);
    }
    if (!found.has_value()) return;
    place.file = "[jit]";
    place.function = found->name;
    place.offset = found->offset;
  }
};

UserSymbols::UserSymbols() : state_(new State) {}
UserSymbols::UserSymbols(UserSymbols&&) noexcept = default;
UserSymbols& UserSymbols::operator=(UserSymbols&&) noexcept = default;
UserSymbols::~UserSymbols() = default;

void UserSymbols::remember(pid_t pid) { state_->find(pid); }

UserPlace UserSymbols::name(pid_t pid, uint64_t address) {
  UserPlace place;
  place.address = address;
  Process& process = state_->find(pid);
  const Mapping* mapping = state_->find_mapping(pid, process, address);
  if (mapping == nullptr) return place;
  const uint64_t file_offset = address - mapping->begin + mapping->file_offset;
  switch (mapping->kind) {
    case MappingKind::File: {
      place.file = mapping->path;
      NamedFile* file = state_->files.of_mapping(pid, process.root, *mapping);
      if (file != nullptr) {
        state_->name_in_file(*file, file_offset, place);
      } else {
        state_->name_in_jit(pid, process, address, place);
        if (place.function.empty()) place.address = file_offset;
      }
      break;
    }
    case MappingKind::Vdso: {
      place.file = "[vdso]";
      // That of a 32-bit process is another.
      NamedFile* vdso =
          (mapping->begin >> 32 != 0) == (sizeof(void*) == 8) ? state_->files.vdso() : nullptr;
      if (vdso != nullptr) state_->name_in_file(*vdso, file_offset, place);
      break;
    }
    case MappingKind::Vsyscall:
      place.file = "[vsyscall]";
      break;
    case MappingKind::Anonymous:
    case MappingKind::Other:
      state_->name_in_jit(pid, process, address, place);
      break;
  }
  return place;
}

}  // namespace ktap::symbol
