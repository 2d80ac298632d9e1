// All signals held back from this thread for a while, and from the threads that it starts in it.
#pragma once

#include <csignal>

namespace ktap::sys {

/// Signals are for who takes them: a thread of ours that is started under this gets none.
class MaskedSignals {
 public:
  MaskedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  MaskedSignals(const MaskedSignals&) = delete;
  MaskedSignals& operator=(const MaskedSignals&) = delete;
  ~MaskedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace ktap::sys
