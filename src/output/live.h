// The live view (`ktap top`): the tables of a script as they are now, with rates, in the lines that
// a terminal has. A model and what it looks like; keys and numbers come from the session.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "output/columns.h"

namespace ktap::output {

enum class LiveKey : uint8_t { Quit, NextTable, Left, Right, Reverse, Hold };
/// What was typed; anything else is dropped.
std::vector<LiveKey> live_keys(std::string_view typed);

class LiveView {
 public:
  struct Size {
    size_t rows = 24;
    size_t columns = 80;
  };
  using Numbers = std::map<std::string, std::vector<double>>;  ///< of a row's values, by its key
  struct Input {
    std::string name;
    Columns columns;
    std::string problem = {};  ///< not "": why it has no columns, in its heading's place
    /// What rows began with before the first update; those that are not named, with nothing.
    Numbers at_first = {};
  };
  /// Under what a row of that key is in Numbers.
  static std::string key_of(std::string_view key);

  explicit LiveView(std::string title) : title_(std::move(title)) {}

  /// The numbers `now_s` seconds after the beginning. Nothing of them is kept but text and numbers.
  void update(const std::vector<Input>& tables, double now_s);
  /// Lines that the script has printed: the last ones are shown.
  void printed(std::string_view text);
  /// False: the view is to end.
  bool key(LiveKey key);

  /// The whole screen, with the escape sequences that draw it anew over the one before.
  std::string screen(Size size) const;
  /// The same for what is no terminal: all tables, at most 20 rows of each.
  std::string plain(bool is_last = false) const;

 private:
  struct Cell {
    std::string text;
    double number = 0;
    bool is_number = false;
  };
  struct Table {
    std::string name;
    std::string problem;
    size_t key_columns = 0;
    std::vector<std::string> headings;
    std::vector<bool> right;
    std::vector<std::vector<Cell>> rows;
  };
  struct Order {
    size_t column = 0;
    bool descending = true;
    bool is_chosen = false;
  };
  struct Room {
    std::vector<size_t> shares;  ///< lines of each table
    size_t printed = 0;
  };

  Table read(const Input& input, double past_s);
  void sort(Table& table);
  Order order_of(const Table& table) const;
  std::vector<std::string> lines_of(const Table& table, size_t most_rows, size_t columns) const;
  Room room(size_t lines) const;
  size_t need(size_t table) const;
  std::string heading(const Table& table, size_t shown, bool in_focus) const;

  std::string title_;
  std::vector<Table> tables_;
  std::map<std::string, Numbers> before_;
  std::map<std::string, Order> orders_;
  std::deque<std::string> printed_;
  std::string unfinished_;  ///< of the line that is being printed
  std::string focus_;       ///< the name of a table
  double now_s_ = 0;
  bool is_held_ = false;
};

}  // namespace ktap::output
