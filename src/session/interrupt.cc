// A signal handler reaches the VM through one pointer; Vm::interrupt() is safe there, and so is all
// else that it calls.
#include "session/interrupt.h"

#include <atomic>
#include <ctime>

#include "base/check.h"
#include "sys/clock.h"

namespace ktap::session {

namespace {

// timeout(1) signals its command and then the group that it is in; a shell and a terminal may too.
constexpr int64_t kBurstNs = 500'000'000;

std::atomic<vm::Vm*> running{nullptr};
std::atomic<int> signalled{0};       // the signal that the guard in force saw
std::atomic<int64_t> counted_ns{0};  // when the last one came that began a burst; 0: none did

/// Whether a signal that comes now is one of its own, not the rest of a burst.
bool begins_burst() {
  const int64_t now_ns = sys::clock_ns(CLOCK_MONOTONIC);
  const int64_t before_ns = counted_ns;
  if (before_ns != 0 && now_ns - before_ns < kBurstNs) return false;
  counted_ns = now_ns;
  return true;
}

void on_signal(int signal) {
  if (!begins_burst()) return;
  vm::Vm* vm = running;
  if (vm == nullptr || signalled != 0) {  // the end, once this returns
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    return;
  }
  signalled = signal;
  vm->interrupt();
}

void install(int signal, struct sigaction* before) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  // Also where it was inherited as ignored: while tracing it ends ktap then too.
  sigaction(signal, &action, before);
}

}  // namespace

void note_signal() { begins_burst(); }

InterruptGuard::InterruptGuard(vm::Vm& vm) {
  KTAP_CHECK(running == nullptr);
  signalled = 0;
  running = &vm;
  install(SIGINT, &before_int_);
  install(SIGTERM, &before_term_);
  if (takes_hangup_) install(SIGHUP, &before_hup_);
}

InterruptGuard::~InterruptGuard() {
  running = nullptr;
  // The rest of a burst may still come, while the run ends.
  if (counted_ns != 0) return;
  sigaction(SIGINT, &before_int_, nullptr);
  sigaction(SIGTERM, &before_term_, nullptr);
  if (takes_hangup_) sigaction(SIGHUP, &before_hup_, nullptr);
}

bool InterruptGuard::interrupted() const { return signalled != 0; }

bool InterruptGuard::terminated() const { return signalled == SIGTERM || signalled == SIGHUP; }

}  // namespace ktap::session
