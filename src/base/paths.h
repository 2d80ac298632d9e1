// Parts of paths, as text.
#pragma once

#include <string_view>

namespace ktap {

/// "/usr/lib/libc.so.6" → "libc.so.6"; a path without a slash is its own last part.
constexpr std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}
static_assert(base_name("/usr/lib/libc.so.6") == "libc.so.6" && base_name("ktap") == "ktap" &&
              base_name("/").empty());

}  // namespace ktap
