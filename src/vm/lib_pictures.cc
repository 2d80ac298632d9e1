// Library: what draws tables: print_flame, print_heatmap, print_table, sparkline. A picture goes to
// the output, or to a file: as SVG where its name ends in .svg.
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "base/printable.h"
#include "output/columns.h"
#include "output/flame.h"
#include "output/flame_svg.h"
#include "output/heatmap.h"
#include "output/sparkline.h"
#include "runtime/number.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "vm/library.h"

namespace ktap::vm {

using bytecode::Builtin;
using runtime::Table;
using runtime::Type;
using runtime::Value;

namespace {

/// Where a picture goes, and in which form.
struct Drawing {
  std::optional<std::string> file;  ///< "": that of -o
  bool is_svg = false;
  bool colour = false;
  std::string title;
};

bool draw_flame(const Table& table, const Drawing& drawing, std::string& text, std::string* error) {
  output::Flame flame;
  if (!output::read_flame(table, &flame, error)) return false;
  text = drawing.is_svg ? output::flame_svg(flame, drawing.title) : output::folded_text(flame);
  return true;
}

bool draw_heatmap(const Table& table, const Drawing& drawing, std::string& text,
                  std::string* error) {
  using namespace output;
  HeatMap map;
  const size_t columns = drawing.is_svg ? kHeatMapSvgColumns : kHeatMapTextColumns;
  const size_t rows = drawing.is_svg ? kHeatMapSvgRows : kHeatMapTextRows;
  if (!read_heatmap(table, columns, rows, &map, error)) return false;
  text = drawing.is_svg ? heatmap_svg(map, drawing.title) : heatmap_text(map, drawing.colour);
  return true;
}

/// Argument `i` as a string that may be left out.
bool optional_text(Machine& machine, std::string_view name, const Value* args, size_t count,
                   size_t i, std::optional<std::string>* text) {
  if (i >= count || args[i].is_nil()) return true;
  if (args[i].type != Type::String) {
    return machine.fail(fmt::format("argument {} of '{}' is to be a string, got {}", i + 1, name,
                                    runtime::type_phrase(args[i].type)));
  }
  *text = std::string(args[i].string()->view());
  return true;
}

/// A script makes no files of other names: it could ruin any by mistake.
bool may_make(std::string_view file) {
  return file.ends_with(".svg") || file.ends_with(".txt") || file.ends_with(".folded");
}

bool write_picture(NativeCall& call, Builtin builtin) {
  std::string text;
  if (!call.machine.picture_text(builtin, call.args, call.count, text)) return false;
  if (!text.empty()) call.machine.host().write(text);
  return true;
}

}  // namespace

bool Machine::picture_text(Builtin builtin, const Value* args, size_t count, std::string& out) {
  const std::string_view name = bytecode::builtin_info(builtin).name;
  if (count == 0 || args[0].type != Type::Table) {
    return fail(fmt::format("{} takes a table, got {}", name,
                            runtime::type_phrase(count == 0 ? Type::Nil : args[0].type)));
  }
  Table& table = *args[0].table();
  refresh(table);
  if (builtin == Builtin::PrintTable) return table_text(args, count, out);
  Drawing drawing;
  std::optional<std::string> title;
  if (!optional_text(*this, name, args, count, 1, &drawing.file) ||
      !optional_text(*this, name, args, count, 2, &title))
    return false;
  const Host::Canvas canvas = host().canvas();
  // The system's name would end there: another file, of any name.
  if (drawing.file && drawing.file->find('\0') != std::string::npos) {
    return fail(fmt::format("{} makes no file '{}': no name of a file has a zero byte in it", name,
                            ktap::printable(*drawing.file)));
  }
  if (drawing.file && !may_make(*drawing.file)) {
    return fail(fmt::format("{} makes files whose names end in .svg, .txt or .folded, not '{}'",
                            name, ktap::printable(*drawing.file)));
  }
  drawing.is_svg = drawing.file ? drawing.file->ends_with(".svg") : canvas == Host::Canvas::Picture;
  drawing.colour = !drawing.file && canvas == Host::Canvas::Colour;
  const bool is_flame = builtin == Builtin::PrintFlame;
  drawing.title = title.value_or(is_flame ? "Flame graph" : "Heat map");
  std::string text;
  const bool drawn = is_flame ? draw_flame(table, drawing, text, &error_text_)
                              : draw_heatmap(table, drawing, text, &error_text_);
  if (!drawn) return false;
  if (!drawing.file && !drawing.is_svg) {
    out += text;
    return true;
  }
  const Result<void> written = host().write_file(drawing.file.value_or(""), text);
  return written.ok() || fail(fmt::format("{}: {}", name, written.error().message));
}

/// print_table(t[, options]).
bool Machine::table_text(const Value* args, size_t count, std::string& out) {
  output::TableOptions options;
  if (count > 1 && !args[1].is_nil()) {
    if (args[1].type != Type::Table) {
      return fail(fmt::format("argument 2 of 'print_table' is to be a table of options, got {}",
                              runtime::type_phrase(args[1].type)));
    }
    refresh(*args[1].table());
    if (!output::read_table_options(*args[1].table(), &options, &error_text_)) return false;
  }
  output::Columns columns;
  return output::read_columns(*args[0].table(), refresh, &columns, &error_text_) &&
         output::print_table(std::move(columns), options, out, &error_text_);
}

namespace lib {

bool PrintFlame(NativeCall& call) { return write_picture(call, Builtin::PrintFlame); }
bool PrintHeatmap(NativeCall& call) { return write_picture(call, Builtin::PrintHeatmap); }
bool PrintTable(NativeCall& call) { return write_picture(call, Builtin::PrintTable); }

/// sparkline(t): of its list.
bool Sparkline(NativeCall& call) {
  Table* table = nullptr;
  if (!call.table_arg("sparkline", 0, &table)) return false;
  Machine::refresh(*table);
  std::vector<double> numbers;
  const int64_t count = table->list_length();
  for (int64_t i = 1; i <= count; ++i) {
    const Value item = table->get_integer(i);
    if (!item.is_number()) {
      return call.machine.fail(fmt::format("sparkline draws numbers, item {} is {}", i,
                                           runtime::type_phrase(item.type)));
    }
    numbers.push_back(runtime::to_double(item));
  }
  constexpr size_t kBytesPerBar = 3;
  if (!call.fits(numbers.size() * kBytesPerBar)) return false;
  return call.give(output::sparkline(numbers));
}

}  // namespace lib
}  // namespace ktap::vm
