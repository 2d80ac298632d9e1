// `ktap list`: the events of this machine.
#pragma once

#include <string>

namespace ktap::session {

struct ListRequest {
  std::string glob;      ///< "": all that can be counted
  bool verbose = false;  ///< with the arguments and their types
  bool json = false;     ///< an object a line
};

/// Prints the events, one a line, sorted. What cannot be looked at is told on standard error, and
/// the rest is listed. Returns the exit status: 2 when nothing matches, with the nearest names.
int list_events(const ListRequest& request);

}  // namespace ktap::session
