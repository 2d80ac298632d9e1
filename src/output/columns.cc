// See columns.h.
#include "output/columns.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/printable.h"
#include "runtime/aggregate.h"
#include "runtime/number.h"
#include "runtime/picture.h"
#include "runtime/stack.h"
#include "runtime/string.h"
#include "runtime/text.h"
#include "runtime/tuple.h"

namespace ktap::output {
namespace {

using runtime::Table;
using runtime::Type;
using runtime::Value;

using Row = std::vector<Value>;

constexpr const char* kAggregateColumns[] = {"count", "min", "avg", "max"};

enum class Shape : uint8_t { Plain, Aggregate, Table, None };

Shape shape_of(Value value) {
  switch (value.type) {
    case Type::Integer:
    case Type::Float:
    case Type::Address:
    case Type::Boolean:
    case Type::String:
    case Type::Tuple:
    case Type::Pointer:
    case Type::Stack:
      return Shape::Plain;
    case Type::Aggregate:
      return Shape::Aggregate;
    case Type::Table:
      return Shape::Table;
    default:
      return Shape::None;
  }
}

std::string key_text(Value key) { return printable(runtime::to_text(key)); }

struct KeyLess {
  bool operator()(const Value& a, const Value& b) const { return runtime::compare_keys(a, b) < 0; }
};

size_t part_count(Value key) { return key.type == Type::Tuple ? key.tuple()->size() : 1; }

class Reader {
 public:
  Reader(Columns& columns, void (*refresh)(Table&)) : columns_(columns), refresh_(refresh) {}

  bool read(const Table& table, std::string* error) {
    const auto entries = table.entries();
    if (!check(entries, error)) return false;
    for (const auto& [key, value] : entries) {
      columns_.key_columns = std::max(columns_.key_columns, part_count(key));
      if (shape_ != Shape::Table) continue;
      refresh_(*value.table());
      for (const auto& field : value.table()->entries()) fields_.insert(field.first);
    }
    name_columns();
    for (const auto& [key, value] : entries) columns_.rows.push_back(row(key, value));
    for (const Row& cells : columns_.rows) {
      for (size_t i = 0; i < cells.size(); ++i) {
        if (!cells[i].is_nil() && !cells[i].is_number()) columns_.columns[i].is_number = false;
      }
    }
    return true;
  }

 private:
  bool check(const std::vector<std::pair<Value, Value>>& entries, std::string* error) {
    if (entries.empty()) return true;
    shape_ = shape_of(entries[0].second);
    for (const auto& [key, value] : entries) {
      const Shape shape = shape_of(value);
      if (shape == shape_ && shape != Shape::None) continue;
      *error = shape == Shape::None
                   ? fmt::format("print_table has no column for {}, the value of '{}'",
                                 runtime::type_phrase(value.type), key_text(key))
                   : fmt::format(
                         "print_table takes values of one kind: that of '{}' is {}, that "
                         "of '{}' is {}",
                         key_text(entries[0].first), runtime::type_phrase(entries[0].second.type),
                         key_text(key), runtime::type_phrase(value.type));
      return false;
    }
    return true;
  }

  void name_columns() {
    for (size_t i = 0; i < columns_.key_columns; ++i)
      name(columns_.key_columns == 1 ? "key" : fmt::format("key{}", i + 1));
    if (shape_ == Shape::Plain) name("value");
    if (shape_ == Shape::Aggregate) {
      for (const char* heading : kAggregateColumns) {
        name(heading);
        columns_.columns.back().adds_up = heading == kAggregateColumns[0];
      }
    }
    for (const Value& field : fields_) name(key_text(field));
  }

  void name(std::string heading) {
    columns_.columns.emplace_back();
    columns_.columns.back().heading = std::move(heading);
  }

  Row row(Value key, Value value) const {
    Row cells(columns_.key_columns, Value::nil());
    if (key.type == Type::Tuple) {
      std::copy(key.tuple()->parts(), key.tuple()->parts() + key.tuple()->size(), cells.begin());
    } else {
      cells[0] = key;
    }
    switch (shape_) {
      case Shape::Aggregate:
        add_aggregate(*value.aggregate(), cells);
        break;
      case Shape::Table:
        for (const Value& field : fields_) cells.push_back(value.table()->get(field));
        break;
      default:
        cells.push_back(value);
    }
    return cells;
  }

  static void add_aggregate(const runtime::Aggregate& aggregate, Row& cells) {
    aggregate.refresh();
    cells.push_back(Value::of(aggregate.count()));
    const auto number = [&](int64_t n) { return aggregate.empty() ? Value::nil() : Value::of(n); };
    cells.push_back(number(aggregate.min()));
    cells.push_back(number(aggregate.empty() ? 0 : aggregate.avg()));
    cells.push_back(number(aggregate.max()));
  }

  Columns& columns_;
  void (*const refresh_)(Table&);
  Shape shape_ = Shape::None;
  std::set<Value, KeyLess> fields_;
};

/// Whether `a` stands before `b` in ascending order: numbers before text before nothing.
int compare_cells(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (runtime::number_less(a, b)) return -1;
    return runtime::number_less(b, a) ? 1 : 0;
  }
  const auto rank = [](const Value& v) { return v.is_number() ? 0 : v.is_nil() ? 2 : 1; };
  if (rank(a) != rank(b)) return rank(a) - rank(b);
  if (a.is_nil()) return 0;
  return runtime::to_text(a).compare(runtime::to_text(b));
}

/// NAME+OFFSET of each frame. Where there is no name, the file's stands for it.
std::string frame_text(const runtime::StackFrame& frame) {
  if (frame.is_inlined) return frame.function + " [inlined]";
  if (frame.text.substr(0, frame.function.size()) != frame.function) return frame.text;
  std::string_view behind = std::string_view(frame.text).substr(frame.function.size());
  if (behind.substr(0, 3) == "+0x")
    return frame.function + std::string(behind.substr(0, behind.find_first_of("/ ")));
  const bool has_name = frame.function.substr(0, 2) != "0x";
  return has_name || frame.module.empty() ? frame.function : frame.module + '+' + frame.function;
}

std::string one_line(const runtime::Stack& stack) {
  std::string text;
  for (const runtime::StackFrame& frame : runtime::stack_frames(stack)) {
    if (!text.empty()) text += " < ";
    text += frame_text(frame);
  }
  return text.empty() ? "[no frames]" : printable(text);
}

std::string cut(std::string text) {
  if (runtime::text_columns(text) <= kCellColumns) return text;
  return std::string(runtime::first_columns(text, kCellColumns - 3)) + "...";
}

}  // namespace

bool read_columns(const Table& table, void (*refresh)(Table&), Columns* columns,
                  std::string* error) {
  return Reader(*columns, refresh).read(table, error);
}

void sort_rows(Columns& columns, size_t by, bool descending, std::optional<size_t> top) {
  const auto before = [&](const Row& a, const Row& b) {
    // What is not there comes last in both orders.
    if (a[by].is_nil() != b[by].is_nil()) return b[by].is_nil();
    const int order = compare_cells(a[by], b[by]);
    if (order != 0) return descending ? order > 0 : order < 0;
    for (size_t i = 0; i < columns.key_columns; ++i) {
      const int by_key = compare_cells(a[i], b[i]);
      if (by_key != 0) return by_key < 0;
    }
    return false;
  };
  std::stable_sort(columns.rows.begin(), columns.rows.end(), before);
  if (top && *top < columns.rows.size()) columns.rows.resize(*top);
}

std::string cell_text(Value value, Unit unit) {
  if (value.is_nil()) return "";
  if (value.is_number() && unit != Unit::None) return with_unit(runtime::to_double(value), unit);
  if (value.type == Type::Stack) return cut(one_line(*value.stack()));
  return cut(printable(runtime::to_text(value)));
}

std::vector<std::string> aligned_lines(const std::vector<std::vector<std::string>>& rows,
                                       const std::vector<bool>& right) {
  std::vector<size_t> widths(right.size(), 0);
  for (const std::vector<std::string>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], runtime::text_columns(row[i]));
  }
  std::vector<std::string> lines;
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      const size_t blanks = widths[i] - runtime::text_columns(row[i]);
      if (right[i]) line.append(blanks, ' ');
      line += row[i];
      if (!right[i]) line.append(blanks, ' ');
    }
    line.resize(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  }
  return lines;
}

namespace {

using Cells = std::vector<std::string>;

/// The stacks of rows whose keys look alike are told apart: first by all of their frames, then by
/// whose they are.
void tell_stacks_apart(const Columns& columns, std::vector<Cells>& cells) {
  for (const bool with_owner : {false, true}) {
    std::map<Cells, std::vector<size_t>> alike;
    for (size_t row = 0; row < columns.rows.size(); ++row) {
      const Cells& all = cells[row];
      const auto end = all.begin() + static_cast<ptrdiff_t>(columns.key_columns);
      alike[Cells(all.begin(), end)].push_back(row);
    }
    for (const auto& [key, rows] : alike) {
      if (rows.size() == 1) continue;
      for (const size_t row : rows) {
        for (size_t i = 0; i < columns.key_columns; ++i) {
          const Value value = columns.rows[row][i];
          if (value.type != Type::Stack) continue;
          const runtime::Stack& stack = *value.stack();
          std::string& text = cells[row][i];
          text = one_line(stack);
          if (with_owner && stack.is_user()) text += fmt::format(" (pid {})", stack.pid());
        }
      }
    }
  }
}

}  // namespace

std::vector<Cells> cell_texts(const Columns& columns) {
  std::vector<Cells> cells;
  for (const Row& row : columns.rows) {
    cells.emplace_back();
    for (size_t i = 0; i < row.size(); ++i)
      cells.back().push_back(cell_text(row[i], columns.columns[i].unit));
  }
  tell_stacks_apart(columns, cells);
  return cells;
}

std::vector<std::string> column_lines(const Columns& columns) {
  Cells headings;
  std::vector<bool> right;
  for (const Column& column : columns.columns) {
    headings.push_back(cut(printable(column.heading)));
    right.push_back(column.is_number);
  }
  std::vector<Cells> cells = cell_texts(columns);
  cells.insert(cells.begin(), std::move(headings));
  return aligned_lines(cells, right);
}

}  // namespace ktap::output
