// Walks the tree and prints each statement's items. Where a line ends is decided at three places: a
// block that does not fit into its line, a comment, a table that has its items on lines of their
// own; all other breaks are made by Lines where a line is too long.
#include "pretty/layout.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "pretty/lines.h"

namespace ktap::pretty {

using syntax::TokenKind;

namespace {

constexpr int kDoesNotFit = std::numeric_limits<int>::max() / 2;
constexpr int kLevelCost = 100;    // a break further inside is dearer than any further outside
constexpr int kAssignCost = 9000;  // behind `=` only when nothing else is left

bool is_opening(Role role) {
  return role == Role::OpenParen || role == Role::OpenCall || role == Role::OpenIndex ||
         role == Role::OpenBracket || role == Role::OpenTable || role == Role::OpenSlash;
}

bool is_closing(Role role) {
  return role == Role::CloseParen || role == Role::CloseTable || role == Role::CloseSlash;
}

/// Whether a blank stands between two items of one line.
bool blank_between(const Item& left, const Item& right) {
  // `[[` would begin a long string.
  if (left.text == "[" && right.text[0] == '[') return true;
  if (right.text == "]" && left.text.size() > 1 && left.text[0] == '[') return true;
  if (left.role == Role::OpenBlock || right.role == Role::CloseBlock) return true;
  if (is_opening(left.role)) return false;
  if (is_closing(right.role)) return false;
  switch (right.role) {
    case Role::Comma:
    case Role::Dot:
    case Role::Postfix:
    case Role::OpenCall:
    case Role::OpenIndex:
      return false;
    default:
      break;
  }
  if (left.role == Role::Dot) return false;
  if (left.role == Role::Unary) {
    const bool word = left.text == "not";
    const bool two_minus = left.text == "-" && right.text[0] == '-';
    return word || two_minus;
  }
  return true;
}

class Layout {
 public:
  Layout(const BlockNode& tree, const std::vector<Item>& items) : tree_(tree), items_(items) {
    collect(tree);
  }

  std::string run() {
    contents(tree_, 0, items_.size(), 0);
    lines_.end_line(0);
    return lines_.text();
  }

 private:
  /// The first item that begins at `offset` or behind it.
  size_t item_at(uint32_t offset) const {
    const auto at =
        std::lower_bound(items_.begin(), items_.end(), offset,
                         [](const Item& item, uint32_t place) { return item.begin < place; });
    return static_cast<size_t>(at - items_.begin());
  }

  void collect(const BlockNode& block) {
    blocks_[block.begin] = &block;
    for (const StatementNode& statement : block.statements) {
      for (const BlockNode& inner : statement.blocks) collect(inner);
    }
  }

  // ---- blocks and statements ----

  /// Statements and comments of a block: the items [first, last).
  void contents(const BlockNode& block, size_t first, size_t last, int level) {
    const int indent = level * kIndent;
    bool is_first = true;
    size_t next_statement = 0;
    for (size_t i = first; i < last;) {
      const Item& item = items_[i];
      if (item.role == Role::Semicolon) {
        ++i;
        continue;
      }
      if (item.role == Role::Comment && item.newlines == 0 && !lines_.at_start()) {
        lines_.trailing(item.text);
        lines_.set_indent(indent);
        ++i;
        continue;
      }
      lines_.end_line(indent);
      if (item.newlines > 1 && !is_first) lines_.blank_line();
      is_first = false;
      if (item.role == Role::Comment) {
        lines_.own_line(item.text, indent);
        ++i;
        continue;
      }
      const StatementNode& node = block.statements[next_statement++];
      const size_t end = item_at(node.end);
      statement(node, i, end, level);
      i = end;
    }
  }

  void statement(const StatementNode& node, size_t first, size_t last, int level) {
    const int saved_base = base_;
    base_ = level * kIndent;
    decide(node, first, last);
    range(first, last, level);
    base_ = saved_base;
  }

  /// Which blocks of the statement stay in one line.
  void decide(const StatementNode& node, size_t first, size_t last) {
    const bool all = base_ + flat_width(first, last) <= kColumns;
    for (const BlockNode& block : node.blocks) {
      const size_t open = item_at(block.begin);
      const size_t close = item_at(block.end);
      const bool fits = base_ + kContinued + flat_width(open, close) <= kColumns;
      if (all || (!block.is_body && fits)) set_flat(block);
    }
  }

  void set_flat(const BlockNode& block) {
    flat_.insert(block.begin);
    for (const StatementNode& statement : block.statements) {
      for (const BlockNode& inner : statement.blocks) set_flat(inner);
    }
  }

  /// The columns of the items [first, last) in one line; kDoesNotFit when they must not be in one.
  int flat_width(size_t first, size_t last) const {
    int width = 0;
    const Item* before = nullptr;
    for (size_t i = first; i < last && width < kDoesNotFit; ++i) {
      const Item& item = items_[i];
      if (item.role == Role::Semicolon) continue;
      if (item.role == Role::Comment || item.text.find('\n') != std::string::npos)
        return kDoesNotFit;
      if (item.role == Role::OpenBlock && !may_be_flat(*blocks_.at(item.begin))) return kDoesNotFit;
      if (item.role == Role::OpenTable && is_broken(i)) return kDoesNotFit;
      if (before != nullptr && blank_between(*before, item)) ++width;
      width += text_columns(item.text);
      before = &item;
    }
    return width;
  }

  /// One statement at most, and in one line in the source.
  bool may_be_flat(const BlockNode& block) const {
    if (block.statements.size() > 1) return false;
    const size_t last = item_at(block.end);
    for (size_t i = item_at(block.begin) + 1; i < last; ++i) {
      if (items_[i].newlines > 0) return false;
    }
    return true;
  }

  /// A table whose first item stands on a line of its own.
  bool is_broken(size_t open) const {
    const Item& next = items_[open + 1];
    return next.role == Role::Comment || (next.newlines > 0 && next.role != Role::CloseTable);
  }

  // ---- the items of one statement ----

  void range(size_t first, size_t last, int level) {
    const std::vector<bool> saved = std::exchange(brackets_, {});
    const int saved_depth = std::exchange(flat_depth_, 0);
    for (size_t i = first; i < last; ++i) {
      const Item& item = items_[i];
      if (item.role == Role::Semicolon) continue;
      if (item.role == Role::Comment) {
        comment_inside(i);
      } else if (item.role == Role::OpenBlock && flat_.count(item.begin) == 0) {
        i = expand(i, level);
      } else {
        print(i, first);
      }
    }
    brackets_ = saved;
    flat_depth_ = saved_depth;
  }

  /// `{`, the statements on lines of their own, `}`. Returns the index of the `}`.
  size_t expand(size_t open, int level) {
    const BlockNode& block = *blocks_.at(items_[open].begin);
    const size_t close = item_at(block.end) - 1;
    const int inner = level + broken_tables() + 1;
    lines_.piece("{", true, kNoBreak);
    const bool empty = close == open + 1;
    if (!empty) {
      contents(block, open + 1, close, inner);
      lines_.end_line((inner - 1) * kIndent);
    }
    lines_.piece("}", empty, kNoBreak);
    before_ = &items_[close];
    return close;
  }

  void print(size_t i, size_t first) {
    const Item& item = items_[i];
    if (item.role == Role::CloseTable && !brackets_.empty() && brackets_.back()) {
      brackets_.pop_back();
      lines_.end_line(base_ + broken_tables() * kIndent);
      lines_.piece(item.text, false, kNoBreak);
      before_ = &item;
      return;
    }
    const bool closes = is_closing(item.role) || item.role == Role::CloseBlock;
    if (closes && !brackets_.empty()) brackets_.pop_back();
    if (item.role == Role::CloseBlock) --flat_depth_;
    const bool blank = i > first && before_ != nullptr && blank_between(*before_, item);
    const bool in_broken = !brackets_.empty() && brackets_.back();
    lines_.piece(item.text, blank, i > first ? break_cost(item) : kNoBreak,
                 in_broken ? 0 : kContinued);
    before_ = &item;
    if (item.role == Role::OpenBlock) ++flat_depth_;
    if (is_opening(item.role) || item.role == Role::OpenBlock)
      brackets_.push_back(item.role == Role::OpenTable && is_broken(i));
    const bool in_table = !brackets_.empty() && brackets_.back();
    const bool ends = in_table && (item.role == Role::OpenTable || item.role == Role::Comma);
    if (ends && i + 1 < items_.size() && items_[i + 1].newlines > 0)
      lines_.end_line(base_ + broken_tables() * kIndent);
  }

  /// A comment between two items of a statement: behind its line, or on its own.
  void comment_inside(size_t i) {
    const Item& item = items_[i];
    const int indent = items_[i + 1].role == Role::CloseTable ? base_ + broken_tables() * kIndent
                                                              : line_indent(items_[i + 1]);
    if (item.newlines == 0 && !lines_.at_start()) {
      lines_.trailing(item.text);
    } else {
      lines_.end_line(indent);
      lines_.own_line(item.text, indent);
    }
    lines_.set_indent(indent);
  }

  /// Where a line begins that goes on with `item`.
  int line_indent(const Item& item) const {
    const int indent = base_ + broken_tables() * kIndent;
    if (!brackets_.empty()) return brackets_.back() ? indent : indent + kContinued;
    switch (item.token) {
      case TokenKind::Else:
      case TokenKind::Elseif:
      case TokenKind::Until:
        return indent;
      default:
        return item.role == Role::OpenBlock ? indent : indent + kContinued;
    }
  }

  int broken_tables() const {
    return static_cast<int>(std::count(brackets_.begin(), brackets_.end(), true));
  }

  /// Of a break between the item before and this one.
  int break_cost(const Item& item) const {
    if (before_ == nullptr || flat_depth_ > 0) return kNoBreak;
    const int level = static_cast<int>(brackets_.size()) * kLevelCost;
    switch (before_->role) {
      case Role::Comma:
        return level;
      case Role::Event:
        return item.role == Role::Event || item.role == Role::OpenSlash ? level : kNoBreak;
      case Role::Binary:
        return level + before_->precedence;
      case Role::Assign:
        return kAssignCost + level;
      default:
        return kNoBreak;
    }
  }

  const BlockNode& tree_;
  const std::vector<Item>& items_;
  std::map<uint32_t, const BlockNode*> blocks_;  ///< by the offset of their `{`
  std::set<uint32_t> flat_;                      ///< those that stay in one line
  Lines lines_;
  std::vector<bool> brackets_;    ///< open ones of the statement: true for a table in several lines
  const Item* before_ = nullptr;  ///< the last one printed
  int base_ = 0;                  ///< where the statement begins
  int flat_depth_ = 0;            ///< blocks in one line around the present item
};

}  // namespace

std::string lay_out(const BlockNode& tree, const std::vector<Item>& items) {
  return Layout(tree, items).run();
}

}  // namespace ktap::pretty
