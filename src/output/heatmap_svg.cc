// A heat map as a picture (heatmap.h): rectangles with the browser's own tooltips, no script.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "output/heatmap.h"
#include "output/page_texts.h"
#include "output/svg.h"

namespace ktap::output {
namespace {

constexpr size_t kWidth = 1200;
constexpr size_t kSide = 20;
constexpr size_t kTop = 84;
constexpr size_t kFoot = 72;
constexpr double kLetter = 6.7;  // of 11 px in the usual fixed-width fonts
constexpr double kLeastMark = 70;

/// Where the cells are.
struct Field {
  double left;
  double column;  ///< width of one
  size_t row;     ///< height of one
  size_t rows;

  size_t top_of(size_t r) const { return kTop + (rows - 1 - r) * row; }
  size_t bottom() const { return kTop + rows * row; }
  double left_of(size_t c) const { return left + static_cast<double>(c) * column; }
};

Field field_of(const HeatMap& map) {
  size_t letters = 1;
  for (const std::string& label : map.labels) letters = std::max(letters, label.size());
  Field field{};
  field.rows = map.labels.size();
  field.row = field.rows <= 24 ? 22 : field.rows <= 48 ? 14 : 8;
  field.left = static_cast<double>(kSide) + static_cast<double>(letters) * kLetter + 12;
  const auto columns = static_cast<double>(std::max<size_t>(map.cells.size(), 1));
  field.column = std::min(48.0, (static_cast<double>(kWidth - kSide) - field.left) / columns);
  return field;
}

void append_head(std::string& out, const HeatMap& map, std::string_view title, size_t height) {
  fmt::format_to(std::back_inserter(out),
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
                 "viewBox=\"0 0 {0} {1}\">\n<title>",
                 kWidth, height);
  append_xml(out, title);
  out.append("</title>\n<style>").append(kPictureStyle).append(kHeatMapStyle).append("</style>\n");
  out += "<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n";
  fmt::format_to(std::back_inserter(out), "<text class=\"title\" x=\"{}\" y=\"38\">", kSide);
  append_xml(out, title);
  fmt::format_to(std::back_inserter(out),
                 "</text>\n<text class=\"soft\" x=\"{}\" y=\"60\">{} {}</text>\n", kSide,
                 grouped(map.total), map.total == 1 ? "sample" : "samples");
}

void append_rows(std::string& out, const HeatMap& map, const Field& field) {
  out += "<g class=\"rows\">\n";
  const size_t every = field.row >= 11 ? 1 : 2;
  for (size_t r = 0; r < map.labels.size(); r += every) {
    fmt::format_to(std::back_inserter(out), "<text x=\"{:.1f}\" y=\"{}\">", field.left - 8,
                   field.top_of(r) + field.row / 2 + 4);
    append_xml(out, map.labels[r]);
    out += "</text>\n";
  }
  out += "</g>\n";
}

void append_cells(std::string& out, const HeatMap& map, const Field& field) {
  fmt::format_to(
      std::back_inserter(out),
      "<rect class=\"field\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" rx=\"3\"/>\n",
      field.left, kTop, field.column * static_cast<double>(map.cells.size()),
      field.rows * field.row);
  out += "<g class=\"cells\">\n";
  const double gap = field.column >= 6 ? 1 : 0;
  for (size_t c = 0; c < map.cells.size(); ++c) {
    uint64_t in_column = 0;
    for (const uint64_t count : map.cells[c]) in_column += count;
    for (size_t r = 0; r < field.rows; ++r) {
      const uint64_t count = map.cells[c][r];
      if (count == 0) continue;
      fmt::format_to(
          std::back_inserter(out),
          "<rect class=\"h{}\" x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\"><title>",
          map.step(count), field.left_of(c), field.top_of(r), field.column - gap, field.row - 1);
      append_xml(out, map.labels[r]);
      fmt::format_to(std::back_inserter(out), "\nat {}: {} {}, {} of this time</title></rect>\n",
                     map.slot_of(c), grouped(count), count == 1 ? "sample" : "samples",
                     percent(count, in_column));
    }
  }
  out += "</g>\n";
}

void append_axis(std::string& out, const HeatMap& map, const Field& field) {
  out += "<g class=\"axis\">\n";
  size_t every = 1;
  double least = kLeastMark;
  for (const size_t c : {size_t{0}, map.cells.size() - 1}) {
    const auto letters = static_cast<double>(std::to_string(map.slot_of(c)).size());
    least = std::max(least, (letters + 1) * kLetter);
  }
  for (size_t i = 0; static_cast<double>(every) * field.column < least; ++i)
    every = i % 3 == 1 ? every / 2 * 5 : every * 2;
  for (size_t c = 0; c < map.cells.size(); c += every) {
    const std::string mark = std::to_string(map.slot_of(c));
    const double behind = field.left_of(c) + static_cast<double>(mark.size()) * kLetter;
    if (c > 0 && behind > static_cast<double>(kWidth)) break;
    fmt::format_to(std::back_inserter(out),
                   "<path d=\"M{0:.1f} {1}v5\"/><text x=\"{0:.1f}\" y=\"{2}\">{3}</text>\n",
                   field.left_of(c) + 0.5, field.bottom() + 2, field.bottom() + 19, mark);
  }
  out += "</g>\n";
}

void append_scale(std::string& out, const HeatMap& map, size_t y) {
  double x = static_cast<double>(kSide);
  out += "<g>\n";
  const bool is_one = map.greatest == 1;  // all cells that have any look alike
  for (unsigned step = is_one ? kHeatMapSteps : 1; step <= kHeatMapSteps; ++step, x += 16) {
    fmt::format_to(std::back_inserter(out),
                   "<rect class=\"h{}\" x=\"{:.0f}\" y=\"{}\" width=\"15\" height=\"12\"/>", step,
                   x, y);
  }
  fmt::format_to(std::back_inserter(out),
                 "<text class=\"soft\" x=\"{:.0f}\" y=\"{}\">{}</text>\n</g>\n", x + 8, y + 10,
                 is_one ? "1 sample" : fmt::format("1 to {} samples", grouped(map.greatest)));
}

}  // namespace

std::string heatmap_svg(const HeatMap& map, std::string_view title) {
  const Field field = field_of(map);
  const size_t height = field.bottom() + kFoot;
  std::string out;
  append_head(out, map, title, height);
  append_rows(out, map, field);
  if (!map.cells.empty()) {
    append_cells(out, map, field);
    append_axis(out, map, field);
    append_scale(out, map, field.bottom() + 40);
  }
  out += "</svg>\n";
  return out;
}

}  // namespace ktap::output
