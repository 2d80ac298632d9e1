// Where an event text ends (docs/language.md, "Event text"): the part of a trace statement that is
// not made of tokens, between the keyword and the body.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktap::syntax {

enum class EventTextProblem : uint8_t {
  None,
  NoBody,             ///< no `{` that could open the body
  GluedBody,          ///< the body's `{` stands without the blank that tells it from a glob
  UnclosedFilter,     ///< no `/` before the body closes the filter
  UnterminatedQuote,  ///< a quote that does not end on its line
  Comment,            ///< a comment before the body
};

/// Offsets into the text that was scanned. text_end and body are set whatever the problem, as well
/// as could be.
struct EventTextScan {
  EventTextProblem problem = EventTextProblem::None;
  uint32_t problem_at = 0;
  uint32_t text_begin = 0;  ///< first byte that is no blank
  uint32_t text_end = 0;    ///< behind the last byte before filter or body that is no blank
  bool has_filter = false;
  uint32_t filter_begin = 0;  ///< behind the opening slash
  uint32_t filter_end = 0;    ///< at the closing slash
  bool has_body = false;
  uint32_t body = 0;  ///< at the `{`; without one where parsing may go on
};

/// Scans from `begin` on. `timer`: the text of a tick or profile statement, where no glob can
/// stand.
EventTextScan scan_event_text(std::string_view text, uint32_t begin, bool timer);

/// Where a comment begins in the text inside a trace statement's quotes, or npos. `filter_begin` as
/// split_event_text() gives it, 0 for no filter.
size_t find_comment(std::string_view text, size_t filter_begin);

/// The seeds' filter of the function trace, `ip == mutex*`: where its glob stands, which is no
/// expression. Empty: the filter is something else. `filter`: from `begin` on.
struct GlobWord {
  uint32_t begin = 0;
  uint32_t end = 0;
};
GlobWord glob_word(std::string_view event_text, std::string_view filter, size_t begin);

/// The parts of an event text between its top-level commas, without the blanks around them; offsets
/// into `text`.
struct EventPart {
  uint32_t begin;
  uint32_t end;
};
std::vector<EventPart> event_parts(std::string_view text);

/// A part that ends in a filter without the blank before it, with the blank:
/// `probe:./a:f /arg1 > 3/` of `probe:./a:f/arg1 > 3/`; "" for anything else.
std::string with_blank_before_filter(std::string_view part);
/// That as a hint for the user; "" likewise.
std::string glued_filter_hint(std::string_view part);

}  // namespace ktap::syntax
