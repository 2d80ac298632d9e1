// The priority for a moment, and the one from before afterwards.
#include "sys/undisturbed.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace ktap::sys {
namespace {

TEST(Undisturbed, AheadOfOthersForItsTimeAndAsBeforeAfterwards) {
  const int policy = sched_getscheduler(0);
  const int nice = getpriority(PRIO_PROCESS, 0);
  const sched_param lowest = {1};
  if (policy != SCHED_OTHER) GTEST_SKIP() << "these tests run with a priority of their own";
  if (sched_setscheduler(0, SCHED_FIFO, &lowest) != 0)
    GTEST_SKIP() << "no real-time priority for us";
  const sched_param none = {0};
  ASSERT_EQ(sched_setscheduler(0, SCHED_OTHER, &none), 0);
  {
    const Undisturbed here(true);
    EXPECT_EQ(sched_getscheduler(0), SCHED_FIFO);
    { const Undisturbed again(true); }
    EXPECT_EQ(sched_getscheduler(0), SCHED_FIFO);
  }
  EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), nice);
  const Undisturbed nothing(false);
  EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
}

}  // namespace
}  // namespace ktap::sys
