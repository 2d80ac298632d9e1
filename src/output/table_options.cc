// print_table's options (columns.h): `{heads = {…}, units = {…}, sort = …, order = …, top = n}`.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/printable.h"
#include "output/columns.h"
#include "runtime/string.h"
#include "runtime/text.h"

namespace ktap::output {
namespace {

using runtime::Table;
using runtime::Type;
using runtime::Value;

constexpr std::string_view kNames = "heads, order, sort, top, units";

std::string text_of(Value value) { return printable(runtime::to_text(value)); }

bool wrong(std::string_view option, std::string_view takes, Value got, std::string* error) {
  *error = fmt::format("print_table's option '{}' is to be {}, got {}", option, takes,
                       runtime::type_phrase(got.type));
  return false;
}

bool read_heads(Value value, TableOptions* options, std::string* error) {
  if (value.type != Type::Table) return wrong("heads", "a list of strings", value, error);
  const Table& list = *value.table();
  for (int64_t i = 1; i <= list.list_length(); ++i) {
    const Value head = list.get_integer(i);
    if (head.type != Type::String) return wrong("heads", "a list of strings", head, error);
    options->heads.emplace_back(head.string()->view());
  }
  return true;
}

bool read_units(Value value, TableOptions* options, std::string* error) {
  if (value.type != Type::Table) return wrong("units", "a table of units by column", value, error);
  for (const auto& [column, unit] : value.table()->entries()) {
    if (unit.type != Type::String) return wrong("units", "a table of units by column", unit, error);
    const std::optional<Unit> known = unit_named(unit.string()->view());
    if (!known) {
      *error =
          fmt::format("print_table knows no unit '{}' (there are: {})", text_of(unit), kUnitNames);
      return false;
    }
    options->units.emplace_back(runtime::to_text(column), *known);
  }
  return true;
}

bool read_option(std::string_view name, Value value, TableOptions* options, std::string* error) {
  if (name == "heads") return read_heads(value, options, error);
  if (name == "units") return read_units(value, options, error);
  if (name == "sort") {
    if (value.type != Type::String && !value.is_integer())
      return wrong(name, "a heading or the number of a column", value, error);
    options->sort = runtime::to_text(value);
    return true;
  }
  if (name == "order") {
    const std::string order = value.type == Type::String ? runtime::to_text(value) : "";
    if (order != "ascending" && order != "descending") {
      *error = "print_table's option 'order' is to be \"ascending\" or \"descending\"";
      return false;
    }
    options->descending = order == "descending";
    return true;
  }
  if (name == "top") {
    if (!value.is_integer() || value.integer < 0) {
      *error = fmt::format(
          "print_table's option 'top' is to be a number of rows, got {}",
          value.is_number() ? text_of(value) : std::string(runtime::type_phrase(value.type)));
      return false;
    }
    options->top = static_cast<size_t>(value.integer);
    return true;
  }
  *error = fmt::format("print_table has no option '{}' (there are: {})", printable(name), kNames);
  return false;
}

/// By heading, else by number from 1 on.
std::optional<size_t> find_column(const Columns& columns, const std::string& name) {
  for (size_t i = 0; i < columns.columns.size(); ++i) {
    if (columns.columns[i].heading == name) return i;
  }
  size_t number = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (problem != std::errc() || end != name.data() + name.size()) return std::nullopt;
  if (number < 1 || number > columns.columns.size()) return std::nullopt;
  return number - 1;
}

bool no_column(const Columns& columns, const std::string& name, std::string* error,
               std::string_view what = "column") {
  std::string there;
  for (const Column& column : columns.columns)
    there += (there.empty() ? "" : ", ") + printable(column.heading);
  *error = fmt::format("print_table has no {} '{}' (there are: {})", what, printable(name), there);
  return false;
}

/// Of an empty table: nothing says what else its columns would be.
bool print_headings(const TableOptions& options, std::string& out) {
  std::vector<std::string> heads = {"key", "value"};
  for (size_t i = 0; i < options.heads.size(); ++i) {
    if (i >= heads.size()) heads.emplace_back();
    heads[i] = printable(options.heads[i]);
  }
  out += fmt::format("{}\n", fmt::join(heads, "  "));
  return true;
}

}  // namespace

bool read_table_options(const Table& table, TableOptions* options, std::string* error) {
  for (const auto& [key, value] : table.entries()) {
    if (!read_option(runtime::to_text(key), value, options, error)) return false;
  }
  return true;
}

bool print_table(Columns columns, const TableOptions& options, std::string& out,
                 std::string* error) {
  if (columns.rows.empty()) return print_headings(options, out);
  if (options.heads.size() > columns.columns.size()) {
    return no_column(columns, options.heads[columns.columns.size()], error,
                     "column for the heading");
  }
  for (size_t i = 0; i < options.heads.size(); ++i) columns.columns[i].heading = options.heads[i];
  for (const auto& [name, unit] : options.units) {
    const std::optional<size_t> column = find_column(columns, name);
    if (!column) return no_column(columns, name, error);
    columns.columns[*column].unit = unit;
  }
  size_t by = std::min(columns.key_columns, columns.columns.size() - 1);
  if (!options.sort.empty()) {
    const std::optional<size_t> column = find_column(columns, options.sort);
    if (!column) return no_column(columns, options.sort, error);
    by = *column;
  }
  const size_t all = columns.rows.size();
  sort_rows(columns, by, options.descending.value_or(columns.columns[by].is_number), options.top);
  for (const std::string& line : column_lines(columns)) out.append(line) += '\n';
  if (columns.rows.size() < all) out += "...\n";
  return true;
}

}  // namespace ktap::output
