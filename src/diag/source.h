// Source text and places in it. A Span is byte offsets; lines and columns are made on demand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktap::diag {

/// Bytes [begin, end) of a Source.
struct Span {
  uint32_t begin = 0;
  uint32_t end = 0;
};

/// 1-based; column counts bytes.
struct LineColumn {
  uint32_t line = 1;
  uint32_t column = 1;
};

/// A script's text and its name in messages ("-e", "stdin" or the path).
class Source {
 public:
  Source(std::string name, std::string text);

  const std::string& name() const { return name_; }
  std::string_view text() const { return text_; }
  LineColumn line_column(uint32_t offset) const;
  /// The line without its newline; `line` is 1-based.
  std::string_view line_text(uint32_t line) const;

 private:
  std::string name_;
  std::string text_;
  std::vector<uint32_t> line_starts_;
};

}  // namespace ktap::diag
