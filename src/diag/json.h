// Diagnostics as JSON, one object a line, for editors and scripts (`--diagnostics=json`; the fields
// are described in docs/diagnostics.md). Whatever bytes a script holds, each line is valid JSON in
// valid UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "diag/diagnostic.h"

namespace ktap::diag {

/// `text` as a JSON string; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

/// One JSON object as it is put together.
class JsonObject {
 public:
  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, uint64_t value);
  /// `json` is a JSON value already.
  JsonObject& raw(std::string_view name, std::string_view json);
  /// file, line, column, end_line, end_column, begin, end and the line's text.
  JsonObject& place(const Source& source, Span span);

  std::string value() const { return "{" + members_ + "}"; }
  std::string line() const { return value() + "\n"; }

 private:
  void name(std::string_view name);

  std::string members_;
};

/// A line for each diagnostic in source order, then one that counts those that were dropped.
std::string render_all_json(const Source& source, const Sink& sink);

}  // namespace ktap::diag
