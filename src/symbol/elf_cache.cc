// A name may belong to another file than the one that is mapped: it is compared by inode before it
// is taken. Devices are not compared: overlay and btrfs show others in maps than stat does. Where
// the process has ended, so that its root is a guess, they are: by what maps show of our own.
#include "symbol/elf_cache.h"

#include <fmt/format.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>

#include "symbol/demangle.h"
#include "sys/clock.h"

namespace ktap::symbol {

namespace {

/// Whether the kernel shows it, mapped, as it showed that one.
bool is_shown_as(const ElfFile& file, const Mapping& mapping) {
  const sys::FileIdentity id = file.identity();
  const uint64_t device = uint64_t{major(id.device)} << 32 | minor(id.device);
  if (device == mapping.device && id.inode == mapping.inode) return true;
  const Result<ProcessMaps> own = ProcessMaps::read(getpid());
  const auto at = reinterpret_cast<uint64_t>(file.image().whole().data());
  const Mapping* shown = own.ok() ? own.value().find(at) : nullptr;
  return shown != nullptr && shown->device == mapping.device && shown->inode == mapping.inode;
}

/// Between two clocks, one of which may be put right in between.
constexpr int64_t kClockErrorNs = 10'000'000;

/// When it was there, by the clock that files have their times from; 0: not known.
int64_t seen_ns(const Mapping& mapping) {
  if (mapping.seen_ns == 0) return 0;
  return static_cast<int64_t>(mapping.seen_ns) + sys::clock_ns(CLOCK_REALTIME) -
         sys::clock_ns(CLOCK_MONOTONIC);
}

/// Nothing has been written to it since, and it has not taken the number of another.
bool is_as_seen(const ElfFile& file, const Mapping& mapping) {
  return mapping.seen_ns == 0 || file.changed_ns() <= seen_ns(mapping) + kClockErrorNs;
}

/// In that root, or in ours.
std::optional<ElfFile> open_recorded(const std::string& root, const Mapping& mapping) {
  if (mapping.is_deleted) return std::nullopt;
  ElfOptions options;
  options.any_machine = true;
  const auto open_in = [&](const std::string& folder) -> std::optional<ElfFile> {
    options.root = folder;
    Result<ElfFile> file = ElfFile::open(mapping.path, options);
    if (!file.ok() || !is_as_seen(file.value(), mapping)) return std::nullopt;
    if (!is_shown_as(file.value(), mapping)) return std::nullopt;
    return std::move(file).value();
  };
  std::optional<ElfFile> file = open_in(root);
  if (!file.has_value() && !root.empty()) file = open_in("");
  return file;
}

std::optional<ElfFile> open_mapped(pid_t pid, const std::string& root, const Mapping& mapping) {
  ElfOptions options;
  options.any_machine = true;
  const auto open_in = [&](const std::string& folder) -> std::optional<ElfFile> {
    options.root = folder;
    Result<ElfFile> file = ElfFile::open(mapping.path, options);
    if (!file.ok() || file.value().identity().inode != mapping.inode) return std::nullopt;
    if (!is_as_seen(file.value(), mapping)) return std::nullopt;
    return std::move(file).value();
  };
  if (!mapping.is_deleted) {
    std::optional<ElfFile> file = open_in(root);
    // A process after chroot is shown to us with our own names.
    if (!file.has_value() && !root.empty()) file = open_in("");
    if (file.has_value()) return file;
  }
  options.root.clear();
  const std::string link =
      fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, mapping.begin, mapping.end);
  Result<ElfFile> file = ElfFile::open(link, options);
  if (file.ok()) return std::move(file).value();
  return std::nullopt;
}

}  // namespace

const std::string& NamedFile::name_of(const FunctionSymbol& function) {
  const auto [entry, is_new] = names.try_emplace(function.address);
  if (is_new) {
    const std::string plain = demangle(function.name);
    entry->second = plain.empty() ? function.name : without_parameters(plain);
  }
  return entry->second;
}

SourceLines& NamedFile::source_lines() {
  if (lines == nullptr) lines = std::make_unique<SourceLines>(file);
  return *lines;
}

CallFrames& NamedFile::call_frames() {
  if (frames == nullptr) frames = std::make_unique<CallFrames>(file);
  return *frames;
}

/// A stripped copy has the build-id of the whole one, and so may a program that was made of other
/// source: they differ in size, or in when they were made.
NamedFile* ElfCache::share(ElfFile file) {
  const sys::FileIdentity id = file.identity();
  std::string key = fmt::format("{}:{}:{}", file.build_id(), id.size_bytes, id.modified_ns);
  if (file.build_id().empty()) key += fmt::format(":{}:{}", id.device, id.inode);
  NamedFile*& known = by_identity_[std::move(key)];
  if (known == nullptr) {
    files_.push_back(std::make_unique<NamedFile>(std::move(file)));
    known = files_.back().get();
  }
  return known;
}

/// Whether the file was this one then. Looked at again when that is later than the last time.
bool ElfCache::Opened::holds_at(int64_t time_ns) {
  if (time_ns == 0) return true;
  if (time_ns + kClockErrorNs < changed_ns) return false;
  if (time_ns <= same_until_ns) return true;
  struct stat status = {};
  const int64_t now_ns = sys::clock_ns(CLOCK_REALTIME);
  if (stat(path.c_str(), &status) != 0 || status.st_ino != inode) return false;
  if (sys::to_ns(status.st_ctim) != changed_ns) return false;
  same_until_ns = now_ns;
  return true;
}

NamedFile* ElfCache::find(Versions& versions, int64_t seen_ns) {
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    if (version->holds_at(seen_ns)) return version->file;
  }
  return nullptr;
}

NamedFile* ElfCache::of_mapping(pid_t pid, const std::string& root, const Mapping& mapping) {
  Key key(mapping.device, mapping.inode, root, mapping.path);
  const auto known = by_mapping_.find(key);
  if (known != by_mapping_.end()) {
    if (NamedFile* file = find(known->second, seen_ns(mapping))) return file;
  }
  if (mapping.is_recorded) {
    // Under any root: what the kernel calls so is one file.
    const auto same = by_mapping_.lower_bound(Key(mapping.device, mapping.inode, "", ""));
    for (auto at = same; at != by_mapping_.end(); ++at) {
      const auto& [device, inode, other_root, path] = at->first;
      if (device != mapping.device || inode != mapping.inode) break;
      if (path != mapping.path) continue;
      if (NamedFile* file = find(at->second, seen_ns(mapping))) return file;
    }
  }
  // What is lost with one process another may still have.
  const std::tuple place(pid, mapping.begin, mapping.inode);
  if (missing_.count(place) != 0) return nullptr;
  const int64_t now_ns = sys::clock_ns(CLOCK_REALTIME);
  std::optional<ElfFile> file =
      mapping.is_recorded ? open_recorded(root, mapping) : open_mapped(pid, root, mapping);
  if (!file.has_value()) {
    missing_.insert(place);
    return nullptr;
  }
  Opened opened{nullptr, file->full_path(), file->identity().inode, file->changed_ns(), now_ns};
  // Of one whose process holds it, it does not matter what has become of its name.
  if (const int64_t seen = seen_ns(mapping); seen != 0)
    opened.changed_ns = std::min(opened.changed_ns, seen);
  opened.file = share(std::move(*file));
  by_mapping_[std::move(key)].push_back(opened);
  return opened.file;
}

NamedFile* ElfCache::vdso() {
  if (has_vdso_) return vdso_;
  has_vdso_ = true;
  const uint64_t begin = getauxval(AT_SYSINFO_EHDR);
  const Result<ProcessMaps> maps = ProcessMaps::read(getpid());
  const Mapping* mapping = begin != 0 && maps.ok() ? maps.value().find(begin) : nullptr;
  if (mapping == nullptr || mapping->begin != begin) return nullptr;
  const Bytes bytes(reinterpret_cast<const uint8_t*>(begin), mapping->end - begin);
  Result<ElfFile> file = ElfFile::from_memory(bytes, "[vdso]");
  if (!file.ok()) return nullptr;
  files_.push_back(std::make_unique<NamedFile>(std::move(file).value()));
  vdso_ = files_.back().get();
  return vdso_;
}

}  // namespace ktap::symbol
