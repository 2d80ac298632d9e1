// Ctrl-C and SIGTERM while script code runs outside the event loop: the function ends at its next
// loop or call, what was printed is kept, and the run ends in order. A second signal ends the
// process at once.
#pragma once

#include <csignal>

#include "vm/vm.h"

namespace ktap::session {

/// In force while it lives; one at a time. A signal that was ignored before stays ignored.
class InterruptGuard {
 public:
  explicit InterruptGuard(vm::Vm& vm);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// A signal came since the guard was made.
  bool interrupted() const;
  /// It was SIGTERM.
  bool terminated() const;

 private:
  struct sigaction before_int_ = {};
  struct sigaction before_term_ = {};
};

}  // namespace ktap::session
