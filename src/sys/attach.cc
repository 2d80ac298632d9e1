// Raw tracepoints: they come and go in a tenth of a millisecond. Letting go of many links.
#include "sys/attach.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "sys/bpf_quiet.h"
#include "sys/errors.h"
#include "sys/masked_signals.h"

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

namespace {

constexpr size_t kMostClosers = 64;
constexpr size_t kCloserStackBytes = 256 << 10;

struct Closing {
  std::vector<UniqueFd> links;
  std::atomic<size_t> next = 0;

  void run() {
    for (size_t i = next++; i < links.size(); i = next++) links[i].reset();
  }
};

}  // namespace

void close_links(std::vector<UniqueFd> links) {
  Closing closing;
  closing.links = std::move(links);
  std::optional<MaskedSignals> masked(std::in_place);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, kCloserStackBytes);
  const auto begin = [](void* self) -> void* {
    static_cast<Closing*>(self)->run();
    return nullptr;
  };
  // One fewer than links: this thread closes too, and all of them where there are no more.
  std::vector<pthread_t> helpers;
  while (helpers.size() + 1 < std::min(closing.links.size(), kMostClosers)) {
    pthread_t helper;
    if (pthread_create(&helper, &small, begin, &closing) != 0) break;
    helpers.push_back(helper);
  }
  pthread_attr_destroy(&small);
  masked.reset();
  closing.run();
  for (const pthread_t helper : helpers) pthread_join(helper, nullptr);
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
