// Text → tree. Recovers at statement ends, so one run reports several mistakes.
#pragma once

#include <string_view>

#include "diag/diagnostic.h"
#include "syntax/ast.h"

namespace ktap::syntax {

/// Parses a whole script. Mistakes go to `sink`; the tree holds what could be read and may be
/// compiled only when the sink has no errors.
Script parse(const diag::Source& source, diag::Sink& sink);

/// Parses the source from `begin` on: what was entered last, of a text that grows.
Script parse_entry(const diag::Source& source, uint32_t begin, diag::Sink& sink);
/// The same, when it is to be one expression.
ExprPtr parse_entry_expression(const diag::Source& source, uint32_t begin, diag::Sink& sink);

/// Parses one expression that fills the source (a filter found in a computed event text).
ExprPtr parse_expression(const diag::Source& source, diag::Sink& sink);
/// The same for the filter of a computed event text.
ExprPtr parse_filter(std::string_view event_text, const diag::Source& source, diag::Sink& sink);

/// Where an event text with a filter splits: "a:b /x > 1/" → text "a:b", filter "x > 1" at
/// [filter_begin, filter_end). filter_begin == filter_end == 0 when there is none.
struct EventTextSplit {
  std::string_view text;
  uint32_t filter_begin = 0;
  uint32_t filter_end = 0;
  bool closed = true;  ///< false: the filter has no closing slash, and reaches to the end
};
EventTextSplit split_event_text(std::string_view text);

}  // namespace ktap::syntax
