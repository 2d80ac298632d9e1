// Ctrl-C, SIGTERM and SIGHUP while script code runs outside the event loop: the function ends at
// its next loop or call, what was printed is kept, and the run ends in order. A second signal ends
// the process at once, but not one that comes within half a second: that is the first one's, sent
// twice, to the process and to its group.
#pragma once

#include <csignal>

#include "sys/clock.h"
#include "vm/vm.h"

namespace ktap::session {

/// A signal was taken elsewhere: what comes within half a second is that one still.
void note_signal();

/// In force while it lives; one at a time. Once a signal came, one that begins a burst of its own
/// ends the process also when the guard is gone; the rest of a burst is ignored.
class InterruptGuard {
 public:
  explicit InterruptGuard(vm::Vm& vm);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// A signal came since the guard was made.
  bool interrupted() const;
  /// It was SIGTERM or SIGHUP.
  bool terminated() const;

 private:
  struct sigaction before_int_ = {};
  struct sigaction before_term_ = {};
  struct sigaction before_hup_ = {};
  const bool takes_hangup_ = sys::takes_hangup();
};

}  // namespace ktap::session
