// The catalog of a given tracefs; Catalog::open() is this one over the machine's own. For tests
// over a made-up tree.
#pragma once

#include <memory>

#include "event/provider.h"
#include "sys/tracefs.h"

namespace ktap::event {

/// Errors: available_events cannot be read.
Result<std::unique_ptr<Catalog>> make_catalog(sys::Tracefs tracefs);

}  // namespace ktap::event
