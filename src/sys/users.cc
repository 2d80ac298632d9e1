// /etc/passwd and /proc/self/mounts, line by line.
#include "sys/users.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <charconv>

#include "sys/text_file.h"

namespace ktap::sys {

namespace {

constexpr size_t kMostBytes = 4 << 20;

/// Takes what stands before `end` away from `text`; all of it without one.
std::string_view take(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return part;
}

}  // namespace

std::map<std::string, uint32_t> parse_users(std::string_view text) {
  std::map<std::string, uint32_t> users;
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    const std::string_view name = take(line, ':');
    take(line, ':');
    const std::string_view number = take(line, ':');
    uint32_t uid = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), uid);
    if (name.empty() || number.empty() || error != std::errc() ||
        end != number.data() + number.size())
      continue;
    users.emplace(name, uid);
  }
  return users;
}

std::map<std::string, uint32_t> users() {
  const Result<std::string> text = read_text("/etc/passwd", kMostBytes);
  return text.ok() ? parse_users(text.value()) : std::map<std::string, uint32_t>();
}

std::string parse_cgroup_mount(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    take(line, ' ');
    const std::string_view where = take(line, ' ');
    if (take(line, ' ') == "cgroup2") return std::string(where);
  }
  return "";
}

std::string cgroup_mount() {
  const Result<std::string> text = read_text("/proc/self/mounts", kMostBytes);
  return text.ok() ? parse_cgroup_mount(text.value()) : "";
}

bool is_cgroup(const std::string& path) {
  struct statfs info = {};
  return statfs(path.c_str(), &info) == 0 &&
         static_cast<uint64_t>(info.f_type) == CGROUP2_SUPER_MAGIC;
}

}  // namespace ktap::sys
