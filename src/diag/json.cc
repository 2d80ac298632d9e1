// See json.h. Written by hand: objects of a dozen members need no library, and none of them knows
// what to do about bytes that are no UTF-8.
#include "diag/json.h"

#include <fmt/format.h>

#include <algorithm>

namespace ktap::diag {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_continuation(std::string_view text, size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

/// Bytes of the well-formed UTF-8 sequence at `at` (no surrogates, no longer forms than needed), 0
/// when it is none. Source: Unicode 15, table 3-7.
size_t sequence_length(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const auto second = at + 1 < text.size() ? static_cast<unsigned char>(text[at + 1]) : 0U;
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4 || !is_continuation(text, at + 1)) return 0;
  if (lead < 0xE0) return 2;
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0)) return 0;
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90)) return 0;
  if (!is_continuation(text, at + 2)) return 0;
  if (lead < 0xF0) return 3;
  return is_continuation(text, at + 3) ? 4 : 0;
}

void append_ascii(std::string& out, char c) {
  if (c == '"' || c == '\\') {
    out += '\\';
    out += c;
  } else if (c == '\n') {
    out += "\\n";
  } else if (c == '\t') {
    out += "\\t";
  } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
  } else {
    out += c;
  }
}

std::string note_json(const Source& source, const Note& note) {
  return JsonObject().text("message", note.text).place(source, note.span).value();
}

/// A JSON array of what `make` gives for each item.
template <class Items, class Make>
std::string array(const Items& items, Make make) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    out += make(item);
  }
  return out + "]";
}

std::string diagnostic_line(const Source& source, const Diagnostic& diagnostic) {
  JsonObject object;
  object.text("kind", "diagnostic").text("code", code_name(diagnostic.code));
  object.text("severity", diagnostic.severity == Severity::Warning ? "warning" : "error");
  object.text("message", diagnostic.text).place(source, diagnostic.span);
  object.raw("notes", array(diagnostic.notes,
                            [&source](const Note& note) { return note_json(source, note); }));
  object.raw("hints", array(diagnostic.hints, json_string));
  object.raw(
      "fixes", array(diagnostic.fixes, [&source](const Fix& fix) {
        return JsonObject().text("replacement", fix.replacement).place(source, fix.span).value();
      }));
  return object.line();
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text, i);
    if (length == 0) {
      out += kReplacement;
    } else if (length == 1) {
      append_ascii(out, text[i]);
    } else {
      out += text.substr(i, length);
    }
    i += std::max<size_t>(length, 1);
  }
  return out + "\"";
}

void JsonObject::name(std::string_view name) {
  if (!members_.empty()) members_ += ',';
  members_ += fmt::format("\"{}\":", name);
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  return raw(name, json_string(value));
}

JsonObject& JsonObject::number(std::string_view name, uint64_t value) {
  return raw(name, fmt::format("{}", value));
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
  this->name(name);
  members_ += json;
  return *this;
}

JsonObject& JsonObject::place(const Source& source, Span span) {
  constexpr size_t kMostBytes = 1000;  // guessed: a line may be a whole script of megabytes
  const LineColumn begin = source.line_column(span.begin);
  const LineColumn end = source.line_column(std::max(span.begin, span.end));
  text("file", source.name()).number("line", begin.line).number("column", begin.column);
  number("end_line", end.line).number("end_column", end.column);
  number("begin", span.begin).number("end", std::max(span.begin, span.end));
  return text("source", source.line_text(begin.line).substr(0, kMostBytes));
}

std::string render_all_json(const Source& source, const Sink& sink) {
  std::string out;
  for (const Diagnostic* diagnostic : sink.in_source_order()) {
    out += diagnostic_line(source, *diagnostic);
  }
  const int more = sink.dropped_errors();
  if (more > 0) {
    out += JsonObject()
               .text("kind", "more-errors")
               .text("severity", "error")
               .text("message", fmt::format("{} more error{}", more, more == 1 ? "" : "s"))
               .text("file", source.name())
               .number("count", static_cast<uint64_t>(more))
               .line();
  }
  return out;
}

}  // namespace ktap::diag
