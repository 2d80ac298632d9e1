// What an event loop waits for: periodic timers, signals as descriptors, and the wait itself.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

/// Nanoseconds since the epoch of whatever clock gave it.
constexpr int64_t to_ns(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// What a clock (CLOCK_MONOTONIC, …) shows now, in nanoseconds.
int64_t clock_ns(clockid_t clock);

/// A periodic timer on the monotonic clock.
class Timer {
 public:
  /// First expiry after `first_ns`. Requires: both > 0.
  static Result<Timer> create(uint64_t interval_ns, uint64_t first_ns);
  int fd() const { return fd_.get(); }
  /// Expiries since the last call; 0 when none.
  uint64_t take_expiries();

 private:
  explicit Timer(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// SIGHUP is not ignored, as nohup(1) wants it.
bool takes_hangup();

/// SIGINT, SIGTERM, SIGCHLD, and SIGHUP unless it is ignored, as a descriptor; blocked from
/// delivery while this lives.
class Signals {
 public:
  static Result<Signals> create();
  Signals(Signals&& other) noexcept : fd_(std::move(other.fd_)), before_(other.before_) {}
  Signals& operator=(Signals&&) = delete;
  ~Signals();
  int fd() const { return fd_.get(); }
  /// From here on signals take effect again, those that came in and were not taken at once. (The
  /// destructor drops them.)
  void let_through();
  /// The next signal that came in, or nothing.
  std::optional<int> take();

 private:
  Signals(UniqueFd fd, const sigset_t& before) : fd_(std::move(fd)), before_(before) {}
  UniqueFd fd_;
  sigset_t before_;
};

/// Waits until one of `fds` is readable (or hung up), at most timeout_ns; -1 waits for good. A
/// negative descriptor is skipped. Returns bit i for fds[i]; 0 when the time is over or a signal
/// came. Requires count <= 32.
uint32_t wait_readable(const int* fds, size_t count, int64_t timeout_ns);

}  // namespace ktap::sys
