// See live.h.
#include "output/live.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/printable.h"
#include "runtime/number.h"
#include "runtime/picture.h"
#include "runtime/stack.h"

namespace ktap::output {

using runtime::first_columns;

namespace {

constexpr size_t kPlainRows = 20;
constexpr size_t kPrintedLines = 5;
constexpr size_t kChosenLines = 5;  // of the chosen table, whatever else there is: three rows
constexpr size_t kTabColumns = 8;
constexpr size_t kLeastCellColumns = 12;  // of a key, where the numbers need the room
constexpr double kShortestS = 0.1;        // what happened in less tells no rate
constexpr std::string_view kHelp =
    " q quit   Tab next table   < > sort by   r reverse   Space hold";
constexpr std::string_view kInverse = "\x1b[7m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kPlain = "\x1b[0m";
constexpr std::string_view kLineEnd = "\x1b[K\r\n";

std::string filled(std::string_view text, size_t columns) {
  std::string line(first_columns(text, columns));
  line.append(columns - runtime::text_columns(line), ' ');
  return line;
}

/// Tabs are blanks up to the next stop, as a terminal has them.
std::string shown_line(std::string_view text) {
  std::string line;
  while (true) {
    const size_t tab = text.find('\t');
    line += printable(text.substr(0, tab));
    if (tab == std::string_view::npos) return line;
    line.append(kTabColumns - runtime::text_columns(line) % kTabColumns, ' ');
    text.remove_prefix(tab + 1);
  }
}

/// What stays the same of a row from look to look: how its stack is written depends on the others.
std::string identity_of(runtime::Value value, Unit unit) {
  if (value.type != runtime::Type::Stack) return LiveView::key_of(cell_text(value, unit));
  const runtime::Stack& stack = *value.stack();
  std::string key;
  for (size_t i = 0; i < stack.word_count(); ++i) key += fmt::format("{:x} ", stack.words()[i]);
  return LiveView::key_of(key);
}

size_t widest(const std::vector<std::string>& lines) {
  size_t columns = 0;
  for (const std::string& line : lines) columns = std::max(columns, runtime::text_columns(line));
  return columns;
}

/// How many bytes two texts have in common at their beginnings.
size_t common_bytes(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                             a.begin());
}

/// What is wider than `most` is cut, where there is room for that where its row differs from that
/// of the rows which it is most like.
void shorten(std::vector<std::vector<std::string>>& rows, size_t column, size_t most) {
  constexpr size_t kEndColumns = 15;
  std::vector<std::string> made;
  for (const std::vector<std::string>& row : rows) {
    const std::string& text = row[column];
    made.push_back(text);
    if (runtime::text_columns(text) <= most) continue;
    size_t same = 0;
    for (const std::vector<std::string>& other : rows) {
      if (other[column] != text) same = std::max(same, common_bytes(text, other[column]));
    }
    std::string& shown = made.back();
    shown = std::string(first_columns(text, most - 3)) + "...";
    if (same < shown.size() - 3) continue;
    // From the frame on that differs, or from whose it is.
    size_t from = 0;
    for (const std::string_view head : {" < ", " (pid "}) {
      const size_t at = text.rfind(head, same);
      if (at != std::string::npos) from = std::max(from, at + 1);
    }
    if (from <= kEndColumns || most <= 2 * kEndColumns) continue;
    const std::string_view rest = std::string_view(text).substr(from);
    shown = std::string(first_columns(text, kEndColumns)) + "... ";
    const size_t room = most - runtime::text_columns(shown);
    if (runtime::text_columns(rest) <= room) {
      shown += rest;
    } else {
      shown.append(first_columns(rest, room - 3)).append("...");
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) rows[i][column] = std::move(made[i]);
}

/// Of another key's sequence: its letters are no keys of ours.
size_t sequence_bytes(std::string_view typed) {
  if (typed.size() < 2) return 1;
  if (typed[1] == 'O') return std::min<size_t>(3, typed.size());
  size_t length = 2;
  if (typed[1] != '[') return length;
  while (length < typed.size() && (typed[length] < '@' || typed[length] > '~')) ++length;
  return std::min(length + 1, typed.size());
}

}  // namespace

std::vector<LiveKey> live_keys(std::string_view typed) {
  constexpr std::pair<std::string_view, LiveKey> kKeys[] = {
      {"\x1b[D", LiveKey::Left},  {"\x1b[C", LiveKey::Right}, {"\x1bOD", LiveKey::Left},
      {"\x1bOC", LiveKey::Right}, {"<", LiveKey::Left},       {">", LiveKey::Right},
      {",", LiveKey::Left},       {".", LiveKey::Right},      {"q", LiveKey::Quit},
      {"Q", LiveKey::Quit},       {"\t", LiveKey::NextTable}, {"r", LiveKey::Reverse},
      {"R", LiveKey::Reverse},    {" ", LiveKey::Hold}};
  std::vector<LiveKey> keys;
  while (!typed.empty()) {
    size_t length = 1;
    for (const auto& [bytes, key] : kKeys) {
      if (typed.substr(0, bytes.size()) != bytes) continue;
      keys.push_back(key);
      length = bytes.size();
      break;
    }
    if (length == 1 && typed[0] == '\x1b') length = sequence_bytes(typed);
    typed.remove_prefix(length);
  }
  return keys;
}

std::string LiveView::key_of(std::string_view key) { return std::string(key) + '\0'; }

LiveView::Table LiveView::read(const Input& input, double past_s) {
  const Columns& from = input.columns;
  Table table;
  table.name = input.name;
  table.key_columns = from.key_columns;
  std::vector<size_t> adding;  // columns that have a rate
  for (size_t i = 0; i < from.columns.size(); ++i) {
    const Column& column = from.columns[i];
    table.headings.push_back(printable(column.heading));
    table.right.push_back(column.is_number);
    if (i < from.key_columns || !column.is_number || !column.adds_up) continue;
    adding.push_back(i);
    table.headings.push_back(i == from.key_columns && from.columns.size() == i + 1
                                 ? "per second"
                                 : table.headings.back() + "/s");
    table.right.push_back(true);
  }
  Numbers& before = before_[input.name];
  Numbers now;
  const auto number_before = [&](const std::string& key, size_t i) {
    for (const Numbers* numbers : {&std::as_const(before), &input.at_first}) {
      const auto known = numbers->find(key);
      if (known != numbers->end() && i < known->second.size()) return known->second[i];
    }
    return 0.0;
  };
  const std::vector<std::vector<std::string>> texts = cell_texts(from);
  for (const std::vector<runtime::Value>& values : from.rows) {
    std::vector<Cell> row;
    std::string key;
    for (size_t i = 0; i < values.size(); ++i) {
      const runtime::Value value = values[i];
      Cell cell;
      cell.text = texts[table.rows.size()][i];
      cell.is_number = value.is_number();
      if (cell.is_number) cell.number = runtime::to_double(value);
      if (i < from.key_columns) key += identity_of(value, from.columns[i].unit);
      row.push_back(std::move(cell));
      if (std::find(adding.begin(), adding.end(), i) == adding.end()) continue;
      const double number = row.back().number;
      std::vector<double>& kept = now[key];
      const double change = number - number_before(key, kept.size());
      kept.push_back(number);
      Cell rate;
      // What has become less was emptied meanwhile, or is none that adds up. What is not there has
      // none.
      rate.is_number = row.back().is_number && past_s >= kShortestS && change >= 0;
      rate.number = rate.is_number ? change / past_s : 0;
      if (rate.is_number) rate.text = with_unit(rate.number, Unit::Count);
      row.push_back(std::move(rate));
    }
    table.rows.push_back(std::move(row));
  }
  before = std::move(now);
  return table;
}

LiveView::Order LiveView::order_of(const Table& table) const {
  const auto found = orders_.find(table.name);
  if (found != orders_.end() && found->second.column < table.headings.size()) return found->second;
  Order order;
  order.column =
      std::min(table.key_columns, table.headings.empty() ? 0 : table.headings.size() - 1);
  return order;
}

void LiveView::sort(Table& table) {
  if (table.headings.empty()) return;
  const Order order = order_of(table);
  const auto compare = [](const Cell& a, const Cell& b) {
    if (a.is_number != b.is_number) return a.is_number ? -1 : 1;
    if (a.is_number && a.number != b.number) return a.number < b.number ? -1 : 1;
    return a.is_number ? 0 : a.text.compare(b.text);
  };
  std::stable_sort(table.rows.begin(), table.rows.end(), [&](const auto& a, const auto& b) {
    const int by = compare(a[order.column], b[order.column]);
    if (by != 0) return order.descending ? by > 0 : by < 0;
    for (size_t i = 0; i < table.key_columns; ++i) {
      const int by_key = compare(a[i], b[i]);
      if (by_key != 0) return by_key < 0;
    }
    return false;
  });
}

void LiveView::update(const std::vector<Input>& tables, double now_s) {
  if (is_held_) return;
  tables_.clear();
  for (const Input& input : tables) {
    tables_.push_back(read(input, now_s - now_s_));
    tables_.back().problem = input.problem;
    sort(tables_.back());
  }
  now_s_ = now_s;
  const bool has_focus = std::any_of(tables_.begin(), tables_.end(),
                                     [&](const Table& table) { return table.name == focus_; });
  if (!has_focus && !tables_.empty()) focus_ = tables_[0].name;
}

void LiveView::printed(std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    unfinished_ += text.substr(0, end);
    if (end == std::string_view::npos) return;
    printed_.push_back(shown_line(std::exchange(unfinished_, {})));
    if (printed_.size() > kPrintedLines) printed_.pop_front();
    text.remove_prefix(end + 1);
  }
}

bool LiveView::key(LiveKey key) {
  const auto focus = std::find_if(tables_.begin(), tables_.end(),
                                  [&](const Table& table) { return table.name == focus_; });
  if (key == LiveKey::Quit) return false;
  if (key == LiveKey::Hold) is_held_ = !is_held_;
  if (focus == tables_.end()) return true;
  if (key == LiveKey::NextTable)
    focus_ = (focus + 1 == tables_.end() ? tables_.begin() : focus + 1)->name;
  if (focus->headings.empty()) return true;
  Order order = order_of(*focus);
  const size_t count = focus->headings.size();
  switch (key) {
    case LiveKey::Left:
    case LiveKey::Right:
      order.column = (order.column + (key == LiveKey::Left ? count - 1 : 1)) % count;
      order.descending = order.column >= focus->key_columns;
      break;
    case LiveKey::Reverse:
      order.descending = !order.descending;
      break;
    default:
      return true;
  }
  orders_[focus_] = order;
  sort(*focus);
  return true;
}

std::string LiveView::heading(const Table& table, size_t shown, bool in_focus) const {
  std::string text = in_focus ? "▸ " : "  ";
  text += table.name;
  if (!table.problem.empty()) return fmt::format("{}: not shown, {}", text, table.problem);
  if (table.rows.empty()) return text + ": empty";
  text += fmt::format(": {} {}", table.rows.size(), table.rows.size() == 1 ? "row" : "rows");
  if (shown < table.rows.size()) text += fmt::format(", {} shown", shown);
  return text;
}

/// Keys that are wider than the screen would hide the numbers beside them: stacks that are told
/// apart by all of their frames are shortened to the width of a cell, then the widest of all.
std::vector<std::string> LiveView::lines_of(const Table& table, size_t most_rows,
                                            size_t columns) const {
  std::vector<std::vector<std::string>> cells = {table.headings};
  const Order order = order_of(table);
  cells[0][order.column] += order.descending ? " ▼" : " ▲";
  for (size_t i = 0; i < std::min(most_rows, table.rows.size()); ++i) {
    cells.emplace_back();
    for (const Cell& cell : table.rows[i]) cells.back().push_back(cell.text);
  }
  std::vector<std::string> lines = aligned_lines(cells, table.right);
  for (size_t most = kCellColumns; most >= kLeastCellColumns && widest(lines) > columns;
       most -= 4) {
    for (size_t i = 0; i < table.key_columns; ++i) shorten(cells, i, most);
    lines = aligned_lines(cells, table.right);
  }
  return lines;
}

size_t LiveView::need(size_t table) const {
  return tables_[table].rows.empty() ? 1 : tables_[table].rows.size() + 2;
}

/// Lines for each table, of those that are below the head and above the foot: the chosen one gets a
/// few rows before anything else is shown, and all that fit beside what the script printed and the
/// headings of the others. Of the rest small tables get what they need, the others as much each.
LiveView::Room LiveView::room(size_t lines) const {
  Room made;
  made.shares.resize(tables_.size());
  std::vector<size_t> shown;
  size_t chosen = 0;
  for (size_t i = 0; i < tables_.size(); ++i) {
    shown.push_back(i);
    if (tables_[i].name == focus_) chosen = i;
  }
  size_t least = 0;
  if (!tables_.empty()) {
    least = std::min(need(chosen), kChosenLines) + 1;  // a blank below each
    for (size_t i = tables_.size(); i-- > 0 && least + 2 * (shown.size() - 1) > lines;) {
      if (i != chosen) shown.erase(shown.begin() + static_cast<ptrdiff_t>(i));
    }
    least += 2 * (shown.size() - 1);
  }
  made.printed = std::min(printed_.size(), lines > least ? lines - least : 0);
  const size_t fixed = made.printed + shown.size();
  lines = lines > fixed ? lines - fixed : 0;
  if (tables_.empty()) return made;
  const size_t headings = std::min(shown.size() - 1, lines);
  made.shares[chosen] = std::min(need(chosen), lines - headings);
  lines -= made.shares[chosen];
  shown.erase(std::find(shown.begin(), shown.end(), chosen));
  std::stable_sort(shown.begin(), shown.end(),
                   [&](size_t a, size_t b) { return need(a) < need(b); });
  lines -= headings;
  for (size_t i = 0; i < shown.size(); ++i) {
    const size_t fair = std::max<size_t>(lines / (shown.size() - i), 2);
    size_t more = std::min({need(shown[i]) - 1, fair, lines});
    if (more == 1) more = 0;  // headings without a row say nothing
    made.shares[shown[i]] = 1 + more;
    lines -= more;
  }
  return made;
}

std::string LiveView::screen(Size size) const {
  std::vector<std::string> lines;
  const Room room = this->room(size.rows > 2 ? size.rows - 2 : 0);  // without head and foot
  const std::vector<size_t>& share = room.shares;
  for (size_t i = 0; i < tables_.size(); ++i) {
    if (share[i] == 0) continue;
    const size_t rows = share[i] < 3 ? 0 : share[i] - 2;
    const std::string head =
        heading(tables_[i], rows, tables_.size() > 1 && tables_[i].name == focus_);
    lines.push_back(fmt::format("{}{}{}", kBold, first_columns(head, size.columns), kPlain));
    if (rows > 0 && !tables_[i].rows.empty()) {
      const size_t columns = size.columns > 2 ? size.columns - 2 : 0;
      for (const std::string& line : lines_of(tables_[i], rows, columns))
        lines.emplace_back(first_columns("  " + line, size.columns));
    }
    lines.emplace_back();
  }
  for (size_t i = printed_.size() - room.printed; i < printed_.size(); ++i)
    lines.emplace_back(first_columns(printed_[i], size.columns));
  lines.resize(size.rows > 2 ? size.rows - 2 : 0);
  std::string out = "\x1b[H";
  const std::string state = fmt::format("{}{:.0f} s ", is_held_ ? "held at " : "", now_s_);
  std::string head = filled(" ktap top  " + title_, size.columns);
  if (state.size() < size.columns) {
    head = std::string(first_columns(head, size.columns - state.size())) + state;
  }
  out.append(kInverse).append(head).append(kPlain).append(kLineEnd);
  for (const std::string& line : lines) out.append(line).append(kLineEnd);
  out.append(kInverse).append(filled(kHelp, size.columns)).append(kPlain).append("\x1b[K");
  return out;
}

std::string LiveView::plain(bool is_last) const {
  std::string out = fmt::format("--- {:.0f} s{}\n", now_s_, is_last ? ", the last look" : "");
  for (const Table& table : tables_) {
    out += heading(table, std::min(kPlainRows, table.rows.size()), false).substr(2) + '\n';
    if (table.rows.empty()) continue;
    for (const std::string& line : lines_of(table, kPlainRows, SIZE_MAX))
      out.append("  ").append(line) += '\n';
  }
  return out;
}

}  // namespace ktap::output
