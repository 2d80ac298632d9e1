// Timers and signals as descriptors, and ppoll over them: an event loop without handlers and
// globals.
#include "sys/clock.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "sys/errors.h"

namespace ktap::sys {

namespace {

constexpr uint64_t kNsPerSecond = 1000000000;

timespec to_timespec(uint64_t ns) {
  timespec time = {};
  time.tv_sec = static_cast<time_t>(ns / kNsPerSecond);
  time.tv_nsec = static_cast<long>(ns % kNsPerSecond);
  return time;
}

}  // namespace

int64_t clock_ns(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return to_ns(now);
}

Result<Timer> Timer::create(uint64_t interval_ns, uint64_t first_ns) {
  KTAP_CHECK(interval_ns > 0 && first_ns > 0);
  UniqueFd fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd.valid()) return system_error("creating a timer", errno);
  const itimerspec setting{to_timespec(interval_ns), to_timespec(first_ns)};
  if (timerfd_settime(fd.get(), 0, &setting, nullptr) != 0) {
    return system_error("setting a timer", errno);
  }
  return Timer(std::move(fd));
}

uint64_t Timer::take_expiries() {
  uint64_t count = 0;
  if (read(fd_.get(), &count, sizeof count) != sizeof count) return 0;
  return count;
}

bool takes_hangup() {
  struct sigaction hangup = {};
  return sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN;
}

Result<Signals> Signals::create() {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int number : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&ours, number);
  // A signal that is blocked comes also when it is ignored.
  if (takes_hangup()) sigaddset(&ours, SIGHUP);
  sigset_t before;
  const int rc = pthread_sigmask(SIG_BLOCK, &ours, &before);
  if (rc != 0) return system_error("blocking signals", rc);
  UniqueFd fd(signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) {
    const int error_number = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return system_error("creating a signal descriptor", error_number);
  }
  return Signals(std::move(fd), before);
}

Signals::~Signals() {
  if (!fd_.valid()) return;
  while (take().has_value()) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Signals::let_through() {
  if (!fd_.valid()) return;
  fd_.reset();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> Signals::take() {
  signalfd_siginfo info;
  if (read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

uint32_t wait_readable(const int* fds, size_t count, int64_t timeout_ns) {
  constexpr size_t kMost = 32;
  KTAP_CHECK(count <= kMost);
  pollfd polled[kMost];
  for (size_t i = 0; i < count; ++i) polled[i] = {fds[i], POLLIN, 0};
  const timespec limit = to_timespec(timeout_ns < 0 ? 0 : static_cast<uint64_t>(timeout_ns));
  if (ppoll(polled, count, timeout_ns < 0 ? nullptr : &limit, nullptr) <= 0) return 0;
  uint32_t ready = 0;
  for (size_t i = 0; i < count; ++i) {
    if (polled[i].revents != 0) ready |= uint32_t{1} << i;
  }
  return ready;
}

}  // namespace ktap::sys
