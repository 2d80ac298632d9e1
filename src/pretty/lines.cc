// Breaking is greedy: of the breaks that keep a line within its columns the cheapest is taken, the
// last one of these; where none does, the first there is.
#include "pretty/lines.h"

#include <algorithm>

namespace ktap::pretty {

int text_columns(std::string_view text) {
  const size_t newline = text.rfind('\n');
  if (newline != std::string_view::npos) text.remove_prefix(newline + 1);
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

void Lines::piece(std::string_view text, bool blank, int break_cost, int continued) {
  pieces_.push_back({std::string(text), blank && !pieces_.empty(), break_cost, continued});
}

void Lines::trailing(std::string_view comment) {
  comment_ = comment;
  end_line(indent_);
}

void Lines::end_line(int indent) {
  size_t first = 0;
  int at = indent_;
  while (first < pieces_.size() && columns(first, pieces_.size(), at) > kColumns) {
    const size_t next = best_break(first, at);
    if (next == pieces_.size()) break;
    put(first, next, at);
    first = next;
    at = indent_ + pieces_[first].continued;
  }
  if (first < pieces_.size()) {
    put(first, pieces_.size(), at);
    lines_.back().comment = std::move(comment_);
  }
  comment_.clear();
  pieces_.clear();
  indent_ = indent;
}

void Lines::own_line(std::string_view comment, int indent) {
  lines_.push_back({std::string(static_cast<size_t>(indent), ' ') + std::string(comment), ""});
}

void Lines::blank_line() { lines_.emplace_back(); }

/// The widest line that these pieces make, a string of several lines included.
int Lines::columns(size_t first, size_t last, int indent) const {
  int column = indent;
  int widest = 0;
  for (size_t i = first; i < last; ++i) {
    const std::string& text = pieces_[i].text;
    if (i > first && pieces_[i].blank) ++column;
    const size_t newline = text.find('\n');
    if (newline == std::string::npos) {
      column += text_columns(text);
    } else {
      widest = std::max(widest, column + text_columns(std::string_view(text).substr(0, newline)));
      column = text_columns(text);
    }
  }
  return std::max(widest, column);
}

size_t Lines::best_break(size_t first, int indent) const {
  size_t best = pieces_.size();
  for (size_t i = first + 1; i < pieces_.size(); ++i) {
    if (pieces_[i].break_cost == kNoBreak) continue;
    if (columns(first, i, indent) > kColumns) {
      return best != pieces_.size() ? best : i;
    }
    if (best == pieces_.size() || pieces_[i].break_cost <= pieces_[best].break_cost) best = i;
  }
  return best;
}

void Lines::put(size_t first, size_t last, int indent) {
  std::string code(static_cast<size_t>(indent), ' ');
  for (size_t i = first; i < last; ++i) {
    if (i > first && pieces_[i].blank) code += ' ';
    code += pieces_[i].text;
  }
  lines_.push_back({std::move(code), ""});
}

/// Comments behind the code of neighbouring lines stand in one column.
void Lines::align_comments() {
  for (size_t begin = 0; begin < lines_.size();) {
    size_t end = begin;
    int widest = 0;
    while (end < lines_.size() && !lines_[end].comment.empty()) {
      widest = std::max(widest, text_columns(lines_[end].code));
      ++end;
    }
    for (size_t i = begin; i < end; ++i) {
      const int pad = widest - text_columns(lines_[i].code) + 2;
      lines_[i].code += std::string(static_cast<size_t>(pad), ' ') + lines_[i].comment;
    }
    begin = std::max(end, begin + 1);
  }
}

std::string Lines::text() {
  align_comments();
  std::string out;
  for (const Line& line : lines_) out += line.code + '\n';
  return out;
}

}  // namespace ktap::pretty
