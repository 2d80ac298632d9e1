// Raw tracepoints: they come and go in a tenth of a millisecond.
#include "sys/attach.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "sys/bpf_quiet.h"
#include "sys/errors.h"

namespace ktap::sys {

Result<UniqueFd> attach_raw_tracepoint(int program_fd, const std::string& name) {
  silence_libbpf();
  const int fd = bpf_raw_tracepoint_open(name.c_str(), program_fd);
  if (fd < 0) return tracing_error(fmt::format("attaching to the raw tracepoint {}", name), -fd);
  return UniqueFd(fd);
}

Result<UniqueFd> attach_typed_tracepoint(int program_fd, const std::string& name) {
  silence_libbpf();
  const int fd = bpf_raw_tracepoint_open(nullptr, program_fd);
  if (fd < 0) return tracing_error(fmt::format("attaching to the raw tracepoint {}", name), -fd);
  return UniqueFd(fd);
}

Result<UniqueFd> attach_function(int program_fd, const std::string& name) {
  silence_libbpf();
  const int fd = bpf_raw_tracepoint_open(nullptr, program_fd);
  if (fd < 0) return tracing_error("attaching to the kernel function " + name, -fd);
  return UniqueFd(fd);
}

void allow_open_files(size_t more) {
  constexpr rlim_t kOthers = 128;  // guessed: files, timers, pipes of the session
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = more + kOthers;
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted : std::min(wanted, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace ktap::sys
