// Keeping the CPU for the length of a system call.
#pragma once

#include <sched.h>

namespace ktap::sys {

/// While it lives no ordinary task takes the CPU from this thread: it has the lowest real-time
/// priority, where we may have that (CAP_SYS_NICE), and its own again afterwards. For work of at
/// most some milliseconds. A thread that has a real-time priority keeps it.
class Undisturbed {
 public:
  /// `wanted` false: does nothing.
  explicit Undisturbed(bool wanted);
  ~Undisturbed();
  Undisturbed(const Undisturbed&) = delete;
  Undisturbed& operator=(const Undisturbed&) = delete;

 private:
  int policy_ = -1;  ///< to be set again; below 0: none
};

}  // namespace ktap::sys
