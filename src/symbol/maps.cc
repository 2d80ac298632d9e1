// Parsing is a pure function of text; only read() asks /proc.
#include "symbol/maps.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "sys/errors.h"
#include "sys/process.h"
#include "sys/text_file.h"

namespace ktap::symbol {

namespace {

constexpr size_t kMostMapsBytes = size_t{256} << 20;
constexpr size_t kMostJitBytes = size_t{256} << 20;
constexpr size_t kMostStepsBack = 64;

/// Reads text from left to right; once something is missing, it stays failed.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  uint64_t number(int base = 16) {
    uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(rest_.data(), rest_.data() + rest_.size(), value, base);
    if (error != std::errc()) failed_ = true;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }
  void expect(char c) {
    if (rest_.empty() || rest_[0] != c) {
      failed_ = true;
    } else {
      rest_.remove_prefix(1);
    }
  }
  std::string_view take(size_t count) {
    if (rest_.size() < count) failed_ = true;
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }
  std::string_view rest() const { return rest_; }
  bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

/// Calls visit(line) for every line, without its newline.
template <class Visit>
void each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool drop_end(std::string& text, std::string_view end) {
  if (text.size() < end.size() || text.compare(text.size() - end.size(), end.size(), end) != 0) {
    return false;
  }
  text.resize(text.size() - end.size());
  return true;
}

/// The kernel writes a newline in a name as `\012`.
std::string unescaped(std::string_view path) {
  constexpr std::string_view kNewline = "\\012";
  std::string text(path);
  for (size_t at = 0; (at = text.find(kNewline, at)) != std::string::npos; ++at) {
    text[at] = '\n';
    text.erase(at + 1, kNewline.size() - 1);
  }
  return text;
}

MappingKind kind_of(const std::string& path, uint64_t inode) {
  if (path == "[vdso]") return MappingKind::Vdso;
  if (path == "[vsyscall]") return MappingKind::Vsyscall;
  if (path == "[uprobes]") return MappingKind::Uprobes;
  if (path.empty() || path == "[heap]" || path == "//anon" || path.rfind("[stack", 0) == 0 ||
      path.rfind("[anon", 0) == 0 || path == "/dev/zero") {
    return MappingKind::Anonymous;
  }
  const bool is_device = path.rfind("/dev/", 0) == 0 && path.rfind("/dev/shm/", 0) != 0;
  if (path[0] != '/' || inode == 0 || is_device || path.rfind("/SYSV", 0) == 0) {
    return MappingKind::Other;
  }
  return MappingKind::File;
}

std::optional<Mapping> parse_mapping(std::string_view line) {
  Cursor at(line);
  Mapping mapping;
  mapping.begin = at.number();
  at.expect('-');
  mapping.end = at.number();
  at.expect(' ');
  const std::string_view permissions = at.take(4);
  mapping.is_executable = permissions.size() == 4 && permissions[2] == 'x';
  at.expect(' ');
  mapping.file_offset = at.number();
  at.expect(' ');
  mapping.device = at.number() << 32;
  at.expect(':');
  mapping.device |= at.number();
  at.expect(' ');
  mapping.inode = at.number(10);
  if (at.failed() || mapping.begin >= mapping.end) return std::nullopt;
  at.skip_blanks();
  Mapping named = name_mapping(unescaped(at.rest()), mapping.inode);
  mapping.path = std::move(named.path);
  mapping.is_deleted = named.is_deleted;
  mapping.kind = named.kind;
  return mapping;
}

/// Who the process is run by.
std::optional<uid_t> user_of(pid_t pid) {
  struct stat status = {};
  if (stat(fmt::format("/proc/{}", pid).c_str(), &status) != 0) return std::nullopt;
  return status.st_uid;
}

}  // namespace

Mapping name_mapping(std::string path, uint64_t inode) {
  Mapping mapping;
  mapping.path = std::move(path);
  mapping.inode = inode;
  mapping.is_deleted = drop_end(mapping.path, " (deleted)");
  mapping.kind = kind_of(mapping.path, inode);
  return mapping;
}

void mark_replaced(std::vector<Mapping>& mappings, uint64_t begin, uint64_t end,
                   const std::string& path_before, uint64_t since_ns) {
  std::vector<Mapping> cut;
  for (Mapping& mapping : mappings) {
    const uint64_t first = std::max(begin, mapping.begin);
    const uint64_t behind = std::min(end, mapping.end);
    if (first >= behind || !mapping.path_before.empty()) {
      cut.push_back(std::move(mapping));
      continue;
    }
    const auto piece = [&](uint64_t from, uint64_t to, const std::string& replaced) {
      if (from >= to) return;
      cut.push_back(mapping);
      cut.back().begin = from;
      cut.back().end = to;
      cut.back().file_offset += from - mapping.begin;
      cut.back().path_before = replaced;
      cut.back().since_ns = replaced.empty() ? 0 : since_ns;
    };
    piece(mapping.begin, first, "");
    piece(first, behind, path_before);
    piece(behind, mapping.end, "");
  }
  mappings = std::move(cut);
}

void mark_replaced(std::vector<Mapping>& now, const std::vector<Mapping>& before) {
  // Who maps the same code again has not replaced it, wherever a mapping of it begins.
  const auto is_same = [](const Mapping& a, const Mapping& b) {
    if (a.kind != MappingKind::File || b.kind != MappingKind::File) return a.kind == b.kind;
    return a.path == b.path && a.begin - a.file_offset == b.begin - b.file_offset;
  };
  const std::vector<Mapping> as_read = now;
  auto first = as_read.begin();
  for (const Mapping& old : before) {
    while (first != as_read.end() && first->end <= old.begin) ++first;
    for (auto mapping = first; mapping != as_read.end() && mapping->begin < old.end; ++mapping) {
      const bool stays = is_same(old, *mapping);
      if (stays && old.path_before.empty()) continue;
      const std::string path_before = stays              ? old.path_before
                                      : old.path.empty() ? "//anon"
                                                         : old.path;
      mark_replaced(now, std::max(old.begin, mapping->begin), std::min(old.end, mapping->end),
                    path_before, stays ? old.since_ns : 0);
    }
  }
}

std::vector<Mapping> parse_maps(std::string_view text) {
  std::vector<Mapping> mappings;
  each_line(text, [&mappings](std::string_view line) {
    std::optional<Mapping> mapping = parse_mapping(line);
    if (mapping.has_value()) mappings.push_back(std::move(*mapping));
  });
  std::stable_sort(mappings.begin(), mappings.end(),
                   [](const Mapping& a, const Mapping& b) { return a.begin < b.begin; });
  return mappings;
}

Result<ProcessMaps> ProcessMaps::read(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/maps", sys::living_thread_of(pid));
  const Result<std::string> text = sys::read_text(path, kMostMapsBytes);
  if (!text.ok()) {
    const int error_number = text.error().sys_errno;
    if (error_number == ENOENT || error_number == ESRCH) {
      return Error{fmt::format("process {}: no such process", pid), error_number};
    }
    return sys::system_error("reading " + path, error_number);
  }
  return ProcessMaps(parse_maps(text.value()));
}

const Mapping* ProcessMaps::find(uint64_t address) const {
  const auto behind =
      std::upper_bound(mappings_.begin(), mappings_.end(), address,
                       [](uint64_t a, const Mapping& mapping) { return a < mapping.begin; });
  if (behind == mappings_.begin()) return nullptr;
  const Mapping& mapping = *(behind - 1);
  return address < mapping.end ? &mapping : nullptr;
}

std::optional<uint64_t> ProcessMaps::base_of(const sys::FileIdentity& file,
                                             const LoadPlace& load) const {
  const uint64_t device = uint64_t{major(file.device)} << 32 | minor(file.device);
  for (const Mapping& mapping : mappings_) {
    const bool is_file = mapping.kind == MappingKind::File && mapping.inode == file.inode &&
                         mapping.device == device;
    const bool holds = load.file_offset >= mapping.file_offset &&
                       load.file_offset - mapping.file_offset < mapping.end - mapping.begin;
    if (!is_file || !mapping.is_executable || !holds) continue;
    return mapping.begin - mapping.file_offset + load.file_offset - load.address;
  }
  return std::nullopt;
}

JitMap::JitMap(std::string text) : text_(std::move(text)) {
  size_t line_number = 0;
  each_line(text_, [&](std::string_view line) {
    ++line_number;
    Cursor at(line);
    const uint64_t begin = at.number();
    at.expect(' ');
    const uint64_t size_bytes = at.number();
    at.expect(' ');
    if (at.failed() || size_bytes == 0 || at.rest().empty()) return;
    const uint64_t end = begin + std::min(size_bytes, UINT64_MAX - begin);
    entries_.push_back({begin, end, static_cast<size_t>(at.rest().data() - text_.data()),
                        at.rest().size(), line_number});
  });
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.begin < b.begin; });
}

std::optional<JitPlace> JitMap::at(uint64_t address) const {
  auto entry =
      std::upper_bound(entries_.begin(), entries_.end(), address,
                       [](uint64_t a, const Entry& candidate) { return a < candidate.begin; });
  // Memory of code that was thrown away is used again: the later line is right.
  const Entry* best = nullptr;
  for (size_t steps = 0; entry != entries_.begin() && steps < kMostStepsBack; ++steps) {
    --entry;
    if (address < entry->end && (best == nullptr || entry->line > best->line)) best = &*entry;
  }
  if (best == nullptr) return std::nullopt;
  return JitPlace{std::string_view(text_).substr(best->name_at, best->name_bytes),
                  address - best->begin};
}

std::optional<JitMap> JitMap::read(pid_t pid, const JitMap* known) {
  const std::string path = fmt::format("{}/tmp/perf-{}.map", root_of(pid), pid_inside(pid));
  struct stat status = {};
  // Anyone may write into /tmp: not a link, not another user's.
  if (lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  if (status.st_uid != 0 && user_of(pid) != status.st_uid) return std::nullopt;
  const Version version{status.st_ino, status.st_size, status.st_mtim.tv_sec,
                        status.st_mtim.tv_nsec};
  if (known != nullptr && known->version_ == version) return std::nullopt;
  Result<std::string> text = sys::read_text(path, kMostJitBytes);
  if (!text.ok()) return std::nullopt;
  JitMap map(std::move(text).value());
  map.version_ = version;
  return map;
}

std::string root_of(pid_t process) {
  const pid_t pid = sys::living_thread_of(process);
  const std::string root = fmt::format("/proc/{}/root", pid);
  struct stat ours = {};
  struct stat theirs = {};
  if (stat("/", &ours) != 0 || stat(root.c_str(), &theirs) != 0) return {};
  const bool same_root = ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
  if (!same_root) return root;
  // The same root folder may have other things mounted in it.
  const std::string mounts = fmt::format("/proc/{}/ns/mnt", pid);
  if (stat("/proc/self/ns/mnt", &ours) != 0 || stat(mounts.c_str(), &theirs) != 0) return {};
  return ours.st_ino == theirs.st_ino ? std::string() : root;
}

pid_t pid_inside(pid_t pid) {
  constexpr size_t kMostStatusBytes = size_t{1} << 20;
  const Result<std::string> read =
      sys::read_text(fmt::format("/proc/{}/status", pid), kMostStatusBytes);
  if (!read.ok()) return pid;
  const std::string* status = &read.value();
  const size_t at = status->find("\nNSpid:");
  if (at == std::string::npos) return pid;
  const size_t end = std::min(status->find('\n', at + 1), status->size());
  const size_t begin = status->find_last_of("\t ", end);
  pid_t inside = pid;
  std::from_chars(status->data() + begin + 1, status->data() + end, inside);
  return inside;
}

}  // namespace ktap::symbol
