// A path in another root cannot be left to the kernel: an absolute link in it would start at our
// own root. So links are followed here, a component at a time.
#include "symbol/resolve.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/paths.h"
#include "base/printable.h"
#include "diag/diagnostic.h"
#include "symbol/linker_cache.h"
#include "symbol/maps.h"
#include "sys/errors.h"
#include "sys/mapped_file.h"
#include "sys/process.h"
#include "sys/text_file.h"

namespace ktap::symbol {

namespace {

constexpr int kMostLinks = 40;  // as the kernel's own limit
constexpr const char* kUsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#if defined(__x86_64__)
constexpr const char* kTriplet = "x86_64-linux-gnu";
#elif defined(__aarch64__)
constexpr const char* kTriplet = "aarch64-linux-gnu";
#elif defined(__arm__)
constexpr const char* kTriplet = "arm-linux-gnueabihf";
#elif defined(__riscv)
constexpr const char* kTriplet = "riscv64-linux-gnu";
#else
constexpr const char* kTriplet = "i386-linux-gnu";
#endif

std::vector<std::string> library_folders() {
  return {fmt::format("/lib/{}", kTriplet),
          fmt::format("/usr/lib/{}", kTriplet),
          "/lib64",
          "/usr/lib64",
          "/lib",
          "/usr/lib",
          "/usr/local/lib"};
}

std::vector<std::string> folders_of(std::string_view list) {
  std::vector<std::string> folders;
  while (true) {
    const size_t colon = list.find(':');
    const std::string_view folder = list.substr(0, colon);
    // An empty one is the present folder, as for the shell.
    folders.emplace_back(folder.empty() ? "." : folder);
    if (colon == std::string_view::npos) return folders;
    list.remove_prefix(colon + 1);
  }
}

std::optional<std::string> link_target(const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t got = readlink(path.c_str(), target.data(), target.size());
  if (got <= 0) return std::nullopt;
  target.resize(static_cast<size_t>(got));
  return target;
}

/// "" when it is a program or library, else what it is instead.
std::string why_no_program(const std::string& full) {
  Result<sys::MappedFile> file = sys::MappedFile::open(full);
  if (!file.ok()) {
    const std::string& message = file.error().message;
    const std::string prefix = printable(full) + ": ";
    return message.rfind(prefix, 0) == 0 ? message.substr(prefix.size()) : message;
  }
  constexpr size_t kHeadBytes = 256;
  const Bytes bytes = file.value().bytes();
  const std::string head(reinterpret_cast<const char*>(bytes.data()),
                         std::min(bytes.size(), kHeadBytes));
  if (head.rfind("#!", 0) == 0) {
    const std::string line = head.substr(0, head.find('\n'));
    const size_t begin = std::min(line.find_first_not_of(" \t", 2), line.size());
    const size_t end = std::min(line.find_first_of(" \t", begin), line.size());
    return printable(fmt::format("a script ({}), not a program; its interpreter is {}", line,
                                 line.substr(begin, end - begin)));
  }
  if (head.rfind("/* GNU ld script", 0) == 0) {
    return "a linker script, not a library; name the library with its version";
  }
  return {};
}

/// A mapped file's path within the process's root: after a chroot the kernel tells us our own name
/// for it.
std::string path_within(const std::optional<std::string>& its_root, std::string path) {
  if (its_root.has_value() && *its_root != "/" && path.rfind(*its_root + "/", 0) == 0)
    path.erase(0, its_root->size());
  return path;
}

std::string what_is_run_instead(pid_t pid, std::string_view name) {
  const std::string where = pid != 0 ? deleted_file(pid, name) : "";
  if (where.empty()) return {};
  return fmt::format("; process {} runs a file of that name that has been deleted since: probe {}",
                     pid, where);
}

class Resolver {
 public:
  Resolver(std::string_view name, const ResolveOptions& options)
      : name_(name), options_(options), root_(options.root) {
    if (root_.empty() && options.pid != 0) root_ = root_of(options.pid);
  }

  Result<ResolvedFile> run() {
    if (name_.empty() || name_.find('\0') != std::string::npos) return Error{"an empty file name"};
    if (options_.pid != 0 && access(fmt::format("/proc/{}", options_.pid).c_str(), F_OK) != 0) {
      return Error{fmt::format("process {}: no such process", options_.pid), ESRCH};
    }
    if (name_.find('/') != std::string::npos) return by_path();
    std::optional<ResolvedFile> found;
    const bool is_library = name_.find(".so") != std::string::npos;
    if (options_.pid != 0) found = among_mapped();
    if (!found.has_value() && !is_library) found = among_programs();
    if (!found.has_value()) found = among_libraries();
    if (found.has_value()) return std::move(*found);
    return refusal();
  }

 private:
  /// The file, when there is one that can be probed; else what it is instead is kept for the error.
  std::optional<ResolvedFile> candidate(const std::string& path) {
    const std::optional<std::string> canonical = canonical_within(root_, path);
    if (!canonical.has_value()) return std::nullopt;
    const std::string why = why_no_program(root_ + *canonical);
    if (why.empty()) {
      ElfOptions options;
      options.root = root_;
      const Result<ElfFile> file = ElfFile::open(*canonical, options);
      if (file.ok()) return ResolvedFile{root_, *canonical};
      others_.push_back(file.error().message);
    } else {
      others_.push_back(fmt::format("{}: {}", printable(path), why));
    }
    return std::nullopt;
  }

  Result<ResolvedFile> by_path() {
    std::string path = name_;
    if (path[0] != '/') {
      KTAP_ASSIGN(const std::string folder, present_folder());
      path = folder + "/" + path;
    }
    std::optional<ResolvedFile> found = candidate(path);
    if (found.has_value()) return std::move(*found);
    if (!others_.empty()) return Error{others_[0] + in_root()};
    return Error{fmt::format("{}: no such file{}{}{}", printable(name_), in_root(),
                             what_is_run_instead(options_.pid, path), about_quotes()),
                 ENOENT};
  }

  /// That of the process, as it sees it.
  Result<std::string> present_folder() const {
    const std::string process =
        options_.pid != 0 ? std::to_string(sys::living_thread_of(options_.pid)) : "self";
    const std::string link = fmt::format("/proc/{}/cwd", process);
    std::optional<std::string> folder = link_target(link);
    if (!folder.has_value()) return sys::system_error("reading " + link, errno);
    // After a chroot the kernel tells us our own name for it.
    const std::optional<std::string> its_root = link_target(fmt::format("/proc/{}/root", process));
    if (!root_.empty() && its_root.has_value() && folder->rfind(*its_root + "/", 0) == 0) {
      folder->erase(0, its_root->size());
    }
    return *folder;
  }

  /// What the process has in use goes before what it might have.
  std::optional<ResolvedFile> among_mapped() {
    const Result<ProcessMaps> maps = ProcessMaps::read(options_.pid);
    if (!maps.ok()) return std::nullopt;
    const std::optional<std::string> its_root =
        link_target(fmt::format("/proc/{}/root", sys::living_thread_of(options_.pid)));
    for (const Mapping& mapping : maps.value().mappings()) {
      if (mapping.kind != MappingKind::File || !mapping.is_executable || mapping.is_deleted) {
        continue;
      }
      const std::string_view base = base_name(mapping.path);
      if (base != name_ && !is_library_of(base, name_)) continue;
      std::optional<ResolvedFile> found = candidate(path_within(its_root, mapping.path));
      if (found.has_value()) return found;
    }
    return std::nullopt;
  }

  std::optional<ResolvedFile> among_programs() {
    const char* path = getenv("PATH");
    std::string list = options_.search_path;
    if (list.empty() && root_.empty() && path != nullptr) list = path;
    if (list.empty()) list = kUsualPath;
    const size_t before = others_.size();
    for (const std::string& folder : folders_of(list)) {
      const std::string place = folder[0] == '/' ? folder : absolute(folder);
      std::optional<ResolvedFile> found = candidate(place + "/" + name_);
      if (found.has_value()) return found;
      // The shell would take this one, whatever follows.
      if (others_.size() > before) return std::nullopt;
    }
    looked_in_.push_back("PATH=" + list);
    return std::nullopt;
  }

  static std::string absolute(const std::string& folder) {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::absolute(folder, error);
    return error ? folder : path.string();
  }

  std::optional<ResolvedFile> among_libraries() {
    constexpr const char* kCache = "/etc/ld.so.cache";
    constexpr size_t kMostCacheBytes = size_t{64} << 20;
    const std::optional<std::string> canonical = canonical_within(root_, kCache);
    std::optional<std::string> text;
    if (canonical.has_value()) {
      Result<std::string> read = sys::read_text(root_ + *canonical, kMostCacheBytes);
      if (read.ok()) text = std::move(read).value();
    }
    if (text.has_value()) {
      looked_in_.emplace_back(kCache);
      const std::vector<CachedLibrary> cache =
          parse_linker_cache({reinterpret_cast<const uint8_t*>(text->data()), text->size()});
      for (const CachedLibrary& library : libraries_named(cache, name_)) {
        std::optional<ResolvedFile> found = candidate(std::string(library.path));
        if (found.has_value()) return found;
      }
      for (const CachedLibrary& library : cache) known_.emplace_back(library.name);
    }
    for (const std::string& folder : library_folders()) {
      std::optional<ResolvedFile> found = in_folder(folder);
      if (found.has_value()) return found;
      looked_in_.push_back(folder);
    }
    return std::nullopt;
  }

  std::optional<ResolvedFile> in_folder(const std::string& folder) {
    const std::optional<std::string> canonical = canonical_within(root_, folder);
    if (!canonical.has_value()) return std::nullopt;
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator at(root_ + *canonical, error), end;
         !error && at != end; at.increment(error)) {
      const std::string base = at->path().filename().string();
      if (base == name_ || is_library_of(base, name_)) names.push_back(base);
    }
    std::sort(names.begin(), names.end(),
              [](const std::string& a, const std::string& b) { return is_older(b, a); });
    const auto exact = std::find(names.begin(), names.end(), name_);
    if (exact != names.end()) std::rotate(names.begin(), exact, exact + 1);
    for (const std::string& base : names) {
      std::optional<ResolvedFile> found = candidate(folder + "/" + base);
      if (found.has_value()) return found;
    }
    return std::nullopt;
  }

  std::string in_root() const {
    if (root_.empty()) return {};
    if (options_.pid != 0) return fmt::format(" (as process {} sees it)", options_.pid);
    return fmt::format(" (in the root {})", printable(root_));
  }

  /// Nothing takes them away, and behind them a blank ends the name.
  std::string about_quotes() const {
    if (name_[0] != '"' && name_[0] != '\'') return {};
    return "; a path is written without quotes, blanks in it as they are";
  }

  Error refusal() const {
    if (!others_.empty()) return Error{others_[0] + in_root()};
    const std::string instead = what_is_run_instead(options_.pid, name_);
    if (!instead.empty())
      return Error{printable(fmt::format("'{}': no such program or library{}", name_, instead)),
                   ENOENT};
    if (!about_quotes().empty()) {
      return Error{
          fmt::format("{}: no such program or library{}", printable(name_), about_quotes()),
          ENOENT};
    }
    std::string places;
    for (const std::string& place : looked_in_) places += (places.empty() ? "" : ", ") + place;
    std::string text = printable(
        fmt::format("'{}': no such program or library{}; looked in {}", name_, in_root(), places));
    std::vector<std::string> near = diag::nearest(name_, known_, 1);
    if (!near.empty()) text += fmt::format("; did you mean '{}'?", printable(near[0]));
    return Error{std::move(text), ENOENT};
  }

  std::string name_;
  const ResolveOptions& options_;
  std::string root_;
  std::vector<std::string> others_;     // files of that name that cannot be probed, and why
  std::vector<std::string> looked_in_;  // without success
  std::vector<std::string> known_;      // libraries, for "did you mean"
};

}  // namespace

std::string deleted_file(pid_t pid, std::string_view name) {
  const Result<ProcessMaps> maps = ProcessMaps::read(pid);
  if (!maps.ok()) return {};
  pid = sys::living_thread_of(pid);
  const std::optional<std::string> its_root = link_target(fmt::format("/proc/{}/root", pid));
  const bool is_path = name.find('/') != std::string_view::npos;
  const Mapping* deleted = nullptr;
  for (const Mapping& mapping : maps.value().mappings()) {
    if (mapping.kind != MappingKind::File || !mapping.is_executable) continue;
    const std::string path = path_within(its_root, mapping.path);
    const std::string_view base = base_name(path);
    const bool is_meant = is_path ? path == name : base == name || is_library_of(base, name);
    if (!is_meant) continue;
    if (!mapping.is_deleted) return {};
    if (deleted == nullptr) deleted = &mapping;
  }
  if (deleted == nullptr) return {};
  std::string program = fmt::format("/proc/{}/exe", pid);
  struct stat status = {};
  if (stat(program.c_str(), &status) == 0 && status.st_ino == deleted->inode) return program;
  return fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, deleted->begin, deleted->end);
}

std::optional<std::string> canonical_within(const std::string& root, std::string_view path) {
  std::vector<std::string> done;
  std::vector<std::string> left;  // components, the next one last
  const auto push = [&left](std::string_view text) {
    const size_t first = left.size();
    while (!text.empty()) {
      const size_t slash = std::min(text.find('/'), text.size());
      if (slash > 0) left.emplace_back(text.substr(0, slash));
      text.remove_prefix(std::min(slash + 1, text.size()));
    }
    std::reverse(left.begin() + static_cast<std::ptrdiff_t>(first), left.end());
  };
  push(path);
  int links = 0;
  std::string so_far;
  const auto join = [&] {
    so_far.clear();
    for (const std::string& part : done) so_far += "/" + part;
  };
  while (!left.empty()) {
    const std::string part = std::move(left.back());
    left.pop_back();
    if (part == ".") continue;
    if (part == "..") {
      if (!done.empty()) done.pop_back();
      continue;
    }
    join();
    const std::string full = root + so_far + "/" + part;
    struct stat status = {};
    if (lstat(full.c_str(), &status) != 0) return std::nullopt;
    // What /proc shows as links (exe, root, fd, map_files) are not texts to follow.
    const bool is_magic = S_ISLNK(status.st_mode) &&
                          (status.st_size == 0 || (!done.empty() && done.back() == "map_files"));
    if (!S_ISLNK(status.st_mode) || is_magic) {
      done.push_back(part);
      continue;
    }
    const std::optional<std::string> target = link_target(full);
    if (!target.has_value() || ++links > kMostLinks) return std::nullopt;
    if ((*target)[0] == '/') done.clear();
    push(*target);
  }
  join();
  return so_far.empty() ? "/" : so_far;
}

Result<ResolvedFile> resolve(std::string_view name, const ResolveOptions& options) {
  return Resolver(name, options).run();
}

Result<ElfFile> open_named(std::string_view name, const ResolveOptions& options) {
  KTAP_ASSIGN(const ResolvedFile file, resolve(name, options));
  ElfOptions elf;
  elf.root = file.root;
  return ElfFile::open(file.path, elf);
}

}  // namespace ktap::symbol
