// The machine's users, as far as /etc/passwd names them: what a directory service knows beside is
// left out, since the static program cannot load the C library's modules for that.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace ktap::sys {

/// Number by name. Empty: the file cannot be read.
std::map<std::string, uint32_t> users();
/// Of the file's text. Pure.
std::map<std::string, uint32_t> parse_users(std::string_view text);

/// Where cgroup v2 is mounted, without a slash at its end; "": nowhere.
std::string cgroup_mount();
/// Of the text of /proc/self/mounts. Pure.
std::string parse_cgroup_mount(std::string_view text);
/// Whether the path is a folder of cgroup v2.
bool is_cgroup(const std::string& path);

}  // namespace ktap::sys
