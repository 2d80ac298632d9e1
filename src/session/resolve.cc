// What the main chunk has registered, looked at before anything is placed: intervals, what changes
// the machine, and event texts, which become events.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bytecode/unsafe_uses.h"
#include "session/plan.h"
#include "syntax/event_text.h"
#include "syntax/foreign.h"

namespace ktap::session {

namespace {

using bytecode::HandlerKind;

/// Where in the script a part of an event text stands: exact when the text is written there, else
/// all of it.
diag::Span part_span(const diag::Source& source, const Registration& registration,
                     const event::Mistake& mistake) {
  const diag::Span whole = registration.handler.place.span;
  const std::string_view written = source.text().substr(whole.begin, whole.end - whole.begin);
  const size_t at = written.find(registration.event_text);
  if (at == std::string_view::npos || mistake.length == 0) return whole;
  const auto begin = static_cast<uint32_t>(whole.begin + at + mistake.offset);
  return {begin, begin + mistake.length};
}

/// The interval in `timer.tick("1x", f)`, when it is written there; else all of it.
diag::Span interval_span(const diag::Source& source, const Registration& registration) {
  const diag::Span whole = registration.handler.place.span;
  const std::string_view written = source.text().substr(whole.begin, whole.end - whole.begin);
  const std::string& text = registration.event_text;
  const std::string interval = text.substr(text.find('-') + 1);
  if (interval.empty() || written.find(text) != std::string_view::npos) return whole;
  for (const char quote : {'"', '\''}) {
    const size_t at = written.find(quote + interval + quote);
    if (at == std::string_view::npos) continue;
    const auto begin = static_cast<uint32_t>(whole.begin + at + 1);
    return {begin, begin + static_cast<uint32_t>(interval.size())};
  }
  return whole;
}

/// What was meant by a word that names no event; "" for any other.
std::string word_hint(std::string_view part) {
  if (part == "trace_end") return "write trace_end { }, without trace";
  if (part == "tick") return "a timer has its period: tick-1s { }";
  if (part == "profile") return "a timer on every CPU has its period: profile-99hz { }";
  const bool is_start = part == "BEGIN" || part == "trace_begin";
  return is_start ? std::string(syntax::foreign_statement(part)) : "";
}

}  // namespace

void check_registrations(const std::vector<Registration>& registrations, const diag::Source& source,
                         diag::Sink& sink) {
  for (const Registration& registration : registrations) {
    sink.add(registration.filter_mistakes);
    if (registration.mistake.empty()) continue;
    diag::Diagnostic& diagnostic = sink.report(
        diag::Code::BadInterval, interval_span(source, registration), registration.mistake);
    if (std::string hint = syntax::glued_filter_hint(registration.event_text); !hint.empty())
      diagnostic.hints.push_back(std::move(hint));
  }
}

bool is_event_text(const std::vector<Registration>& registrations, const diag::Span& span) {
  return std::any_of(registrations.begin(), registrations.end(),
                     [&](const Registration& registration) {
                       const diag::Span& whole = registration.handler.place.span;
                       return whole.begin == span.begin && whole.end == span.end;
                     });
}

void check_unsafe(const bytecode::Chunk& chunk, const diag::Source& source, const Options& options,
                  diag::Sink& sink) {
  if (options.unsafe || chunk.main == nullptr) return;
  for (const bytecode::UnsafeUse& use : bytecode::find_unsafe_uses(*chunk.main)) {
    const diag::Span span = use.place.span;
    // What `e.set_retval` is compiled to, too; a script without its text has the one name alone.
    const std::string_view written = source.text().substr(
        std::min<size_t>(span.begin, source.text().size()), span.end - span.begin);
    const std::string name = written.ends_with(".set_retval")
                                 ? std::string(written)
                                 : bytecode::full_name(bytecode::builtin_info(use.builtin));
    diag::Diagnostic& diagnostic =
        sink.report(diag::Code::NeedsUnsafe, span,
                    fmt::format("'{}' changes things outside of the script", name));
    diagnostic.hints.push_back("ktap --unsafe allows it");
  }
}

bool give_registers(const std::vector<PlannedHandler>& handlers) {
  for (const PlannedHandler& handler : handlers) {
    for (const schema::EventPtr& event : handler.events) {
      if (schema::gives_registers(event->kind)) return true;
    }
  }
  return false;
}

bool trace_kernel(const std::vector<PlannedHandler>& handlers) {
  for (const PlannedHandler& handler : handlers) {
    for (const schema::EventPtr& event : handler.events) {
      if (schema::is_kernel_function(*event)) return true;
    }
  }
  return false;
}

void resolve_events(const std::vector<Registration>& registrations, const diag::Source& source,
                    event::Catalog& catalog, bool quiet, std::vector<PlannedHandler>& handlers,
                    diag::Sink& sink, std::vector<std::string>* notes) {
  std::set<std::string> lacking;  // what the machine lacks is said at the first event that wants it
  for (uint32_t i = 0; i < registrations.size(); ++i) {
    const Registration& registration = registrations[i];
    if (registration.kind != HandlerKind::Event) continue;
    event::Matches matches = catalog.match(registration.event_text);
    if (notes != nullptr) notes->insert(notes->end(), matches.notes.begin(), matches.notes.end());
    for (const event::Mistake& warning : matches.warnings)
      sink.report(diag::Code::EventPartlySeen, part_span(source, registration, warning),
                  warning.text);
    for (const event::Mistake& place : matches.unproved)
      sink.report(diag::Code::UnprovedPlace, part_span(source, registration, place), place.text);
    for (const event::Mistake& danger : matches.dangers) {
      if (!quiet)
        sink.report(diag::Code::ReturnInExceptions, part_span(source, registration, danger),
                    danger.text);
    }
    for (const event::Mistake& mistake : matches.mistakes) {
      if (mistake.is_unavailable && !lacking.insert(mistake.text).second) continue;
      diag::Diagnostic& diagnostic = sink.report(
          mistake.is_unavailable ? diag::Code::EventUnavailable : diag::Code::NoSuchEvent,
          part_span(source, registration, mistake), mistake.text);
      const std::string part = registration.event_text.substr(mistake.offset, mistake.length);
      if (const std::string hint = syntax::glued_filter_hint(part); !hint.empty()) {
        diagnostic.hints.push_back(hint);
        continue;
      }
      if (const std::string hint = word_hint(part); !hint.empty()) {
        diagnostic.hints.push_back(hint);
        continue;
      }
      if (const std::string ktap = syntax::ktap_probe(part);
          !ktap.empty() && ktap != "trace " + part) {
        diagnostic.hints.push_back("write " + ktap);
        continue;
      }
      if (!mistake.nearest.empty()) {
        std::string near = "the nearest: ";
        for (size_t n = 0; n < mistake.nearest.size(); ++n)
          near += (n == 0 ? "" : ", ") + mistake.nearest[n];
        diagnostic.hints.push_back(near);
        if (mistake.nearest.size() == 1)
          diagnostic.fixes.push_back({diagnostic.span, mistake.nearest.front()});
      }
    }
    PlannedHandler handler;
    handler.registration = i;
    handler.events = std::move(matches.events);
    handlers.push_back(std::move(handler));
  }
}

}  // namespace ktap::session
