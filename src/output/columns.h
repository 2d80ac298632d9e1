// Tables as columns: the parts of the keys, then what the values hold, with headings above. Shared
// by print_table and the live view.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "output/units.h"
#include "runtime/table.h"

namespace ktap::output {

/// Cells wider than this are cut to three less and `...`.
constexpr size_t kCellColumns = 48;

struct Column {
  std::string heading;
  Unit unit = Unit::None;
  bool is_number = true;  ///< of all its values that are there: then it stands to the right
  bool adds_up = true;    ///< its change in a second is a rate: not that of an average
};

struct Columns {
  size_t key_columns = 0;  ///< the first ones
  std::vector<Column> columns;
  std::vector<std::vector<runtime::Value>> rows;  ///< nil: the row has nothing there
};

/// The values are all numbers, strings and booleans (one column, "value"), all aggregates ("count",
/// "min", "avg", "max"), or all tables (a column for each of their keys). False and `error` when
/// they are of several kinds. The caller has brought the table up to date; `refresh` does it to the
/// tables in it.
bool read_columns(const runtime::Table& table, void (*refresh)(runtime::Table&), Columns* columns,
                  std::string* error);

/// Puts the first `top` rows by column `by` in front, ties by the keys, and drops the others.
void sort_rows(Columns& columns, size_t by, bool descending, std::optional<size_t> top);

/// A stack is its frames in one line, the innermost first, each as NAME+OFFSET.
std::string cell_text(runtime::Value value, Unit unit);

/// Cells side by side, two blanks between, without blanks at the ends of lines. `right`: by column.
/// Requires: no row has more cells than `right`.
std::vector<std::string> aligned_lines(const std::vector<std::vector<std::string>>& rows,
                                       const std::vector<bool>& right);

/// The cells of the rows. Stacks in keys that would look alike are not cut, and with whose they are
/// where their frames are those of another.
std::vector<std::vector<std::string>> cell_texts(const Columns& columns);

/// The lines of cell_texts(), the headings first.
std::vector<std::string> column_lines(const Columns& columns);

/// What print_table's second argument says.
struct TableOptions {
  std::vector<std::string> heads;
  std::vector<std::pair<std::string, Unit>> units;  ///< by heading or number of column
  std::string sort;                                 ///< likewise; "": the first value
  std::optional<bool> descending;
  std::optional<size_t> top;
};

/// False and `error`: an option that there is not, or one of a wrong type.
bool read_table_options(const runtime::Table& table, TableOptions* options, std::string* error);

/// Appends what print_table prints. False and `error` where the options do not fit the columns.
bool print_table(Columns columns, const TableOptions& options, std::string& out,
                 std::string* error);

}  // namespace ktap::output
