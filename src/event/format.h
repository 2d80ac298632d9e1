// A tracepoint's format file, as tracefs prints it, as schema::Fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schema/event.h"

namespace ktap::event {

struct Format {
  int32_t id = -1;
  uint32_t record_size_bytes = 0;     ///< end of the last field: the fixed part of the record
  std::vector<schema::Field> fields;  ///< those after the common header
};

/// Pure. Errors: the text has no ID, or a field line that cannot be read (named).
/// Source: kernel/trace/trace_events.c, f_show().
Result<Format> parse_format(std::string_view text);

}  // namespace ktap::event
