// What `--explain` is put together from; the whole of it is session::explain() in plan.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diag/source.h"
#include "session/plan.h"

namespace ktap::session {

/// "FILE:LINE:COL", "FILE:LINE" without a span, "" without a line (stripped).
std::string place_text(const diag::Source& source, const diag::Span& span, uint32_t line);

/// The programs of a handler as a whole: where they stand, how long they are, what a run costs.
std::string explain_programs(const Plan& plan, uint32_t handler,
                             const std::vector<Registration>& registrations);

/// The handler's lines, each with where it runs, its instructions and its estimated cost; below it
/// what it sends, and why it keeps the handler out of the kernel.
std::string explain_lines(const Plan& plan, uint32_t handler, const Registration& registration,
                          const diag::Source& source);

/// "direct", "a hash map of the kernel".
std::string_view layout_name(backend::TableLayout layout);

/// The tables and shared variables of kernel code: what became of each.
std::string explain_tables(const Plan& plan);

}  // namespace ktap::session
