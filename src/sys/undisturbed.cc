// See undisturbed.h.
#include "sys/undisturbed.h"

namespace ktap::sys {

Undisturbed::Undisturbed(bool wanted) {
  if (!wanted) return;
  const int policy = sched_getscheduler(0);
  if (policy < 0) return;
  const int plain = policy & ~SCHED_RESET_ON_FORK;
  if (plain == SCHED_FIFO || plain == SCHED_RR || plain == SCHED_DEADLINE) return;
  const sched_param lowest = {1};
  // SCHED_RESET_ON_FORK, which stays in what sched_getscheduler() says, is kept.
  if (sched_setscheduler(0, SCHED_FIFO | (policy & SCHED_RESET_ON_FORK), &lowest) == 0)
    policy_ = policy;
}

Undisturbed::~Undisturbed() {
  if (policy_ < 0) return;
  const sched_param none = {0};
  sched_setscheduler(0, policy_, &none);  // the nice value has stayed
}

}  // namespace ktap::sys
