// The lines of a laid-out script: pieces are put on a line, a line that is too long is broken, and
// comments behind code are brought into one column.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktap::pretty {

constexpr int kColumns = 100;  ///< a line is broken beyond this
constexpr int kIndent = 2;     ///< blanks a level
constexpr int kContinued = 4;  ///< blanks more where a statement goes on

/// A break before a piece that cannot be.
constexpr int kNoBreak = -1;

class Lines {
 public:
  /// Puts `text` on the present line, behind a blank when `blank`. `break_cost`: of a break before
  /// it, the lower the sooner; kNoBreak for none. `continued`: how far in the line then begins.
  void piece(std::string_view text, bool blank, int break_cost, int continued = kContinued);
  /// A comment behind what the present line holds; ends the line.
  void trailing(std::string_view comment);
  /// Ends the present line, when it holds anything; the next one begins at `indent`.
  void end_line(int indent);
  /// A comment on a line of its own.
  void own_line(std::string_view comment, int indent);
  void blank_line();

  bool at_start() const { return pieces_.empty(); }
  int indent() const { return indent_; }
  /// Changes where the present line begins; it must be empty.
  void set_indent(int indent) { indent_ = indent; }

  std::string text();

 private:
  struct Piece {
    std::string text;
    bool blank;
    int break_cost;
    int continued;
  };
  struct Line {
    std::string code;
    std::string comment;
  };

  int columns(size_t first, size_t last, int indent) const;
  size_t best_break(size_t first, int indent) const;
  void put(size_t first, size_t last, int indent);
  void align_comments();

  std::vector<Piece> pieces_;
  std::string comment_;
  int indent_ = 0;
  std::vector<Line> lines_;
};

/// Terminal columns of the last line of `text`, UTF-8 sequences as one each.
int text_columns(std::string_view text);

}  // namespace ktap::pretty
