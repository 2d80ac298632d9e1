// The period of a timer event: `tick-10ms`, `profile-99hz`, and `10ms` of timer.tick().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ktap {

struct Interval {
  uint64_t ns = 0;    ///< more than 0 when error is ""
  std::string error;  ///< what is wrong with the text
};

/// `tick-NUNIT` or `profile-NUNIT`; units ns us usec ms msec s sec min h hz, no blanks. A profile
/// timer that would leave the machine time for nothing else is a mistake too. Pure.
Interval parse_interval(std::string_view text);

/// The NUNIT part alone.
Interval parse_period(std::string_view text);

}  // namespace ktap
