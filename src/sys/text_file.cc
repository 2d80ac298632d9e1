// See text_file.h.
#include "sys/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "sys/errors.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

Result<std::string> read_text(const std::string& path, size_t limit_bytes, size_t expected_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return system_error(fmt::format("opening {}", path), errno);
  std::string text(std::min(expected_bytes, limit_bytes + 1), '\0');
  size_t done = 0;
  while (true) {
    const ssize_t got = read(fd.get(), text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(fmt::format("reading {}", path), errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
    if (done > limit_bytes) return system_error(fmt::format("reading {}", path), EFBIG);
    if (done == text.size()) text.resize(text.size() * 2);
  }
  text.resize(done);
  return text;
}

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cpus;
  for (const char* at = text.c_str(); *at >= '0' && *at <= '9';) {
    char* end = nullptr;
    const long first = std::strtol(at, &end, 10);
    long last = first;
    if (*end == '-') last = std::strtol(end + 1, &end, 10);
    for (long cpu = first; cpu <= last; ++cpu) cpus.push_back(static_cast<int>(cpu));
    at = *end == ',' ? end + 1 : end;
  }
  return cpus;
}

}  // namespace ktap::sys
