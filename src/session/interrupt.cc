// A signal handler reaches the VM through one pointer; Vm::interrupt() is safe there.
#include "session/interrupt.h"

#include <atomic>

#include "base/check.h"

namespace ktap::session {

namespace {

std::atomic<vm::Vm*> running{nullptr};
std::atomic<int> signalled{0};  // the last signal that came

void on_signal(int signal) {
  signalled = signal;
  if (vm::Vm* vm = running) vm->interrupt();
}

void install(int signal, struct sigaction* before) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESETHAND;  // the second one is the default: the end
  // Also where it was inherited as ignored: while tracing it ends ktap then too.
  sigaction(signal, &action, before);
}

}  // namespace

InterruptGuard::InterruptGuard(vm::Vm& vm) {
  KTAP_CHECK(running == nullptr);
  signalled = 0;
  running = &vm;
  install(SIGINT, &before_int_);
  install(SIGTERM, &before_term_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &before_int_, nullptr);
  sigaction(SIGTERM, &before_term_, nullptr);
  running = nullptr;
}

bool InterruptGuard::interrupted() const { return signalled != 0; }

bool InterruptGuard::terminated() const { return signalled == SIGTERM; }

}  // namespace ktap::session
