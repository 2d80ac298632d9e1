// The processes of --follow: which there are when tracing begins, and whether one is left.
#pragma once

#include <sys/types.h>

#include <optional>

#include "base/result.h"
#include "engine/bpf_engine.h"
#include "sys/process.h"

namespace ktap::session {

class ProcessTree {
 public:
  ProcessTree(engine::BpfEngine& engine, pid_t root) : engine_(engine), root_(root) {}

  /// Puts the root and all that descends from it now into the engine's set. Requires: the engine is
  /// attached, so that whatever is forked meanwhile is in one of the two.
  Result<void> gather();
  /// No process of the tree lives. Requires: the root has ended. Cost: one poll(2) mostly.
  bool ended();
  /// Readable when ended() may have changed; -1: not asked yet.
  int fd() const { return watched_ ? watched_->fd() : -1; }

 private:
  engine::BpfEngine& engine_;
  pid_t root_;
  std::optional<sys::ProcessRef> watched_;  // one that lives
};

}  // namespace ktap::session
