// Collects what is wrong with a script and makes its text. A source line is cut into cells (one
// character each, tabs as blanks, what a terminal could take for a command as '?'), so that the
// caret line below stands right whatever the bytes are, and a very long line can be shown in part.
#include "diag/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/printable.h"

namespace ktap::diag {
namespace {

Severity severity_of(Code code) {
  switch (code) {
#define KTAP_DIAGNOSTIC(enumerator, number, level, summary) \
  case Code::enumerator:                                    \
    return Severity::level;
#include "diag/codes.def"
#undef KTAP_DIAGNOSTIC
  }
  return Severity::Error;
}

const char* severity_name(Severity severity) {
  switch (severity) {
    case Severity::Error:
      return "error";
    case Severity::Warning:
      return "warning";
    case Severity::Note:
      return "note";
  }
  return "error";
}

/// One character of a source line as it is shown.
struct Cell {
  uint32_t begin;  ///< byte offset in the line
  std::string text;
  size_t width;  ///< terminal columns
};

constexpr size_t kTabWidth = 8;
constexpr size_t kMaxShownColumns = 160;  // guessed: what a wide terminal shows in one row
constexpr size_t kContextColumns = 60;    // guessed: shown before the caret when a line is cut

/// Bytes of the UTF-8 sequence at the start of `text`, 0 when it is none.
size_t utf8_length(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  size_t length = lead < 0x80                   ? 1
                  : lead >= 0xC2 && lead < 0xE0 ? 2
                  : lead >= 0xE0 && lead < 0xF0 ? 3
                  : lead >= 0xF0 && lead < 0xF5 ? 4
                                                : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  return length;
}

uint32_t code_point(std::string_view sequence) {
  auto lead = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return lead;
  uint32_t point = lead & (0x7FU >> sequence.size());
  for (size_t i = 1; i < sequence.size(); ++i) {
    point = (point << 6) | (static_cast<unsigned char>(sequence[i]) & 0x3F);
  }
  return point;
}

/// Columns of a character; the common ranges only (a wrong guess moves a caret, no more).
size_t display_width(uint32_t point) {
  if (point >= 0x300 && point < 0x370) return 0;  // combining marks
  bool wide = (point >= 0x1100 && point < 0x1160) || (point >= 0x2E80 && point < 0xA4D0) ||
              (point >= 0xAC00 && point < 0xD7A4) || (point >= 0xF900 && point < 0xFB00) ||
              (point >= 0xFE30 && point < 0xFE70) || (point >= 0xFF00 && point < 0xFF61) ||
              (point >= 0x1F300 && point < 0x1FAFF) || (point >= 0x20000 && point < 0x3FFFE);
  return wide ? 2 : 1;
}

/// Characters that show nothing or turn the direction of the line around.
bool is_invisible(uint32_t point) {
  return (point >= 0x200B && point < 0x2010) || (point >= 0x2028 && point < 0x202F) ||
         (point >= 0x2060 && point < 0x2070) || point == 0xFEFF;
}

std::vector<Cell> cells_of(std::string_view line) {
  std::vector<Cell> cells;
  size_t column = 0;
  for (size_t i = 0; i < line.size();) {
    Cell cell{static_cast<uint32_t>(i), "?", 1};
    size_t length = utf8_length(line.substr(i));
    uint32_t point = length == 0 ? 0 : code_point(line.substr(i, length));
    if (line[i] == '\t') {
      cell.width = kTabWidth - column % kTabWidth;
      cell.text.assign(cell.width, ' ');
    } else if (point >= 0x20 && !(point >= 0x7F && point < 0xA0) && !is_invisible(point)) {
      cell.text = line.substr(i, length);
      cell.width = display_width(point);
    }
    column += cell.width;
    i += std::max<size_t>(length, 1);
    cells.push_back(std::move(cell));
  }
  return cells;
}

/// The part of a line around `first` that is looked at: a line may be a whole script of megabytes.
std::string_view near(std::string_view line, uint32_t first, uint32_t& cut) {
  constexpr uint32_t kReach = 1000;  // guessed: more bytes than columns are shown
  cut = first > kReach ? first - kReach : 0;
  for (int i = 0; i < 3 && cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xC0) == 0x80; ++i)
    --cut;
  return line.substr(cut, first - cut + kReach);
}

/// The source line and the caret line below it, both indented.
std::string excerpt(const Source& source, Span span) {
  if (source.text().empty()) return {};
  LineColumn at = source.line_column(span.begin);
  std::string_view line = source.line_text(at.line);
  uint32_t first = std::min(at.column - 1, static_cast<uint32_t>(line.size()));
  uint32_t cut = 0;
  std::vector<Cell> cells = cells_of(near(line, first, cut));
  first -= cut;
  uint32_t last = first + std::max(span.end, span.begin) - span.begin;
  size_t before = 0;
  size_t inside = 0;
  for (const Cell& cell : cells) {
    if (cell.begin < first) before += cell.width;
    if (cell.begin >= first && cell.begin < last) inside += cell.width;
  }
  size_t skip = before > kMaxShownColumns - kContextColumns ? before - kContextColumns : 0;
  std::string shown(skip > 0 ? "..." : "");
  size_t column = 0;
  size_t caret = shown.size();
  for (const Cell& cell : cells) {
    if (column >= skip + kMaxShownColumns) {
      shown += "...";
      break;
    }
    if (column >= skip) {
      shown += cell.text;
      if (cell.begin < first) caret += cell.width;
    }
    column += cell.width;
  }
  inside = std::min(inside, skip + kMaxShownColumns - before);
  std::string tail(inside > 1 ? inside - 1 : 0, '~');
  return fmt::format("    {}\n    {}^{}\n", shown, std::string(caret, ' '), tail);
}

/// Without a text (a compiled script that was stripped) there are no places.
std::string head(const Source& source, Span span, std::string_view level) {
  if (source.text().empty()) return fmt::format("{}: {}: ", printable(source.name()), level);
  LineColumn at = source.line_column(span.begin);
  return fmt::format("{}:{}:{}: {}: ", printable(source.name()), at.line, at.column, level);
}

}  // namespace

Diagnostic& Sink::report(Code code, Span span, std::string text) {
  Diagnostic made{code, severity_of(code), span, std::move(text), {}, {}, {}};
  if (made.severity == Severity::Error && ++error_count_ > limits::kMaxDiagnostics) {
    dropped_ = std::move(made);
    return dropped_;
  }
  return diagnostics_.emplace_back(std::move(made));
}

void Sink::add(const Sink& other) {
  for (const Diagnostic& diagnostic : other.diagnostics_) {
    report(diagnostic.code, diagnostic.span, diagnostic.text) = diagnostic;
  }
  // Those that the other one counted and dropped.
  error_count_ += std::max(0, other.error_count_ - limits::kMaxDiagnostics);
}

std::string code_name(Code code) { return fmt::format("K{:04}", static_cast<unsigned>(code)); }

std::string printable(std::string_view text) { return ktap::printable(text); }

std::string render(const Source& source, const Diagnostic& diagnostic) {
  std::string out = fmt::format(
      "{}{} [{}]\n{}", head(source, diagnostic.span, severity_name(diagnostic.severity)),
      printable(diagnostic.text), code_name(diagnostic.code), excerpt(source, diagnostic.span));
  for (const Note& note : diagnostic.notes) {
    out += fmt::format("{}{}\n{}", head(source, note.span, "note"), printable(note.text),
                       excerpt(source, note.span));
  }
  for (const std::string& hint : diagnostic.hints)
    out += fmt::format("    hint: {}\n", printable(hint));
  return out;
}

std::vector<const Diagnostic*> Sink::in_source_order() const {
  std::vector<const Diagnostic*> order;
  for (const Diagnostic& one : diagnostics_) {
    const bool is_told = std::any_of(order.begin(), order.end(), [&](const Diagnostic* other) {
      return other->code == one.code && other->span.begin == one.span.begin &&
             other->span.end == one.span.end && other->text == one.text;
    });
    if (!is_told) order.push_back(&one);
  }
  std::stable_sort(order.begin(), order.end(), [](const Diagnostic* a, const Diagnostic* b) {
    return a->span.begin < b->span.begin;
  });
  return order;
}

int Sink::dropped_errors() const {
  const auto kept = std::count_if(
      diagnostics_.begin(), diagnostics_.end(),
      [](const Diagnostic& diagnostic) { return diagnostic.severity == Severity::Error; });
  return error_count_ - static_cast<int>(kept);
}

std::string render_all(const Source& source, const Sink& sink) {
  std::string out;
  for (const Diagnostic* diagnostic : sink.in_source_order()) out += render(source, *diagnostic);
  int more = sink.dropped_errors();
  if (more > 0)
    out +=
        fmt::format("{}: {} more error{}\n", printable(source.name()), more, more == 1 ? "" : "s");
  return out;
}

}  // namespace ktap::diag
