// The kernel keeps the set (backend/scope.cc); user space only fills it at the beginning and asks
// at the end. A process is in the set before its parent can end: so once a whole look finds none
// that lives and none that was not there in the look before, there is none.
#include "session/process_tree.h"

#include <unistd.h>

#include <set>
#include <utility>
#include <vector>

namespace ktap::session {

Result<void> ProcessTree::gather() {
  KTAP_TRY(engine_.follow(root_));
  std::set<pid_t> tree = {root_};
  // What forks while we look is found by the next look, at the latest, or by the kernel.
  for (bool is_more = true; is_more;) {
    is_more = false;
    for (const auto& [process, parent] : sys::processes_and_parents()) {
      if (process == getpid() || tree.count(parent) == 0 || !tree.insert(process).second) continue;
      is_more = true;
      KTAP_TRY(engine_.follow(process));
      // One that was freed before it was in the set would stay there.
      if (!sys::ProcessRef::open(process).ok()) engine_.unfollow(process);
    }
  }
  return {};
}

bool ProcessTree::ended() {
  if (watched_ && !watched_->ended()) return false;
  watched_.reset();
  std::set<pid_t> seen;
  for (bool is_more = true; is_more;) {
    is_more = false;
    for (const pid_t process : engine_.followed()) {
      if (!seen.insert(process).second) continue;
      is_more = true;
      Result<sys::ProcessRef> opened = sys::ProcessRef::open(process);
      if (!opened.ok()) continue;
      watched_.emplace(std::move(opened).value());
      if (!watched_->ended()) return false;
      watched_.reset();
    }
  }
  return true;
}

}  // namespace ktap::session
